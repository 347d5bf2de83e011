"""`python -m local.commserve`: the simulator as a process of its own, until SIGTERM or Ctrl-C.

The ready file appears, whole, once the server listens: `{"url", "root_url", "ca", "pid"}`. With `--ca-key-file` the
authority is kept there and in `--ca-file`, so that a client that trusted the first start trusts the second.
"""

import argparse
import json
import os
import signal
from pathlib import Path
from threading import Event

import trustme

from local.commserve.server import CommServe


def main() -> None:
    """Serve until a signal ends it."""
    options = _options()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = CommServe(
        options.host,
        options.port,
        job_seconds=options.job_seconds,
        authority=_authority(options.ca_file, options.ca_key_file),
        **({"token": options.token_file.read_text().strip()} if options.token_file else {}),
        **({"clients": json.loads(options.clients_file.read_text())} if options.clients_file else {}),
    )
    with server:
        if options.ca_file:
            _write(options.ca_file, server.ca_pem)
        if options.ready_file:
            ready = {"url": server.url, "root_url": server.root_url, "ca": server.ca_pem, "pid": os.getpid()}
            _write(options.ready_file, json.dumps(ready))
        stop.wait()
    if options.ready_file:
        options.ready_file.unlink(missing_ok=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.commserve", description="A simulated CommServe.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--ca-file", type=Path, help="where the CA certificate is written")
    parser.add_argument("--ca-key-file", type=Path, help="where the CA's key is kept, to use the same CA again")
    parser.add_argument("--ready-file", type=Path, help="where url and CA are written once the server listens")
    parser.add_argument("--token-file", type=Path, help="holds the token that is accepted")
    parser.add_argument("--clients-file", type=Path, help="JSON: client -> instance -> list of subclients")
    parser.add_argument("--job-seconds", type=float, default=2.0)
    return parser.parse_args()


def _authority(certificate: Path | None, key: Path | None) -> trustme.CA:
    if certificate and key and certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA()
    if key:
        key.touch(mode=0o600)
        key.write_bytes(authority.private_key_pem.bytes())
    return authority


def _write(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_text(text)
    beside.replace(path)


if __name__ == "__main__":
    main()
