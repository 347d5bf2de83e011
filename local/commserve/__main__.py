"""`python -m local.commserve`: the simulator as a separate process, until SIGTERM or Ctrl-C.

The ready file appears, whole, once the server listens: `{"url", "root_url", "ca"}`.
"""

import argparse
import json
import signal
from pathlib import Path
from threading import Event

from local.commserve.server import CommServe


def main() -> None:
    """Serve until a signal ends it."""
    options = _options()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    token = {"token": options.token_file.read_text().strip()} if options.token_file else {}
    with CommServe(port=options.port, job_seconds=options.job_seconds, **token) as server:
        if options.ca_file:
            _write(options.ca_file, server.ca_pem)
        if options.ready_file:
            ready = {"url": server.url, "root_url": server.root_url, "ca": server.ca_pem}
            _write(options.ready_file, json.dumps(ready))
        stop.wait()
    if options.ready_file:
        options.ready_file.unlink(missing_ok=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.commserve", description="A simulated CommServe.")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--ca-file", type=Path, help="where the CA certificate is written")
    parser.add_argument("--ready-file", type=Path, help="where url and CA are written once the server listens")
    parser.add_argument("--token-file", type=Path, help="holds the token that is accepted")
    parser.add_argument("--job-seconds", type=float, default=2.0)
    return parser.parse_args()


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


if __name__ == "__main__":
    main()
