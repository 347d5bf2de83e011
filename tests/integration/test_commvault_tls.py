"""Trust: what the product sets of TLS, by real handshakes. A server that is not trusted sees no token."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local.tools import ROOT
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.core.outcomes import Submitted, Unavailable
from rds_snap_backup.targets import Association, BackupRequest
from tests.auth import FixedToken

TOKEN = "fake-token-9f3c51d7a204"
REQUEST = BackupRequest((Association("aws-prod", "RDS", "orders-db", "aws-prod"),))
BODY = json.dumps({"taskId": 402, "jobIds": ["1354"]}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
NOW, DAY = datetime.now(UTC), timedelta(days=1)


class TlsServer:
    """Answers every request after a handshake, and records what it received."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.received = b""
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self.listening.getsockname()[1]}/api"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._serve(self.listening.accept()[0])

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(10)
        with suppress(OSError), plain, self.context.wrap_socket(plain, server_side=True) as connection:
            while received := connection.recv(65536):
                self.received += received
                if received.endswith((b"}", b"\r\n\r\n")):
                    connection.sendall(ANSWER)

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


type Serve = Callable[[ssl.SSLContext], TlsServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[TlsServer] = []

    def start(context: ssl.SSLContext) -> TlsServer:
        servers.append(TlsServer(context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def context_of(authority: trustme.CA, *names: str, **more: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("localhost",)), **more).configure_cert(context)
    return context


def old_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = context_of(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def code(server: TlsServer, bundle: str | None) -> str:
    """Return the code of a refusal, of which the server sees nothing; empty for a submission."""
    outcome = Commvault(server.url, lambda: bundle, FixedToken(TOKEN)).create_task(REQUEST, time.monotonic() + 10)
    if isinstance(outcome, Submitted):
        assert TOKEN.encode() in server.received
        return ""
    assert isinstance(outcome, Unavailable), outcome
    assert TOKEN not in repr(outcome)
    assert server.url in outcome.problem.message
    assert server.received == b""
    return outcome.problem.code


AUTHORITY, OTHER = trustme.CA(), trustme.CA()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("context", "bundle", "expected"),
    [
        (lambda: context_of(AUTHORITY), pem(AUTHORITY), ""),
        (lambda: context_of(AUTHORITY), pem(OTHER), "TLS_UNTRUSTED"),
        (lambda: context_of(AUTHORITY), None, "TLS_UNTRUSTED"),
        (lambda: context_of(AUTHORITY, "elsewhere.example"), pem(AUTHORITY), "TLS_UNTRUSTED"),
        (lambda: context_of(AUTHORITY, not_before=NOW - 3 * DAY, not_after=NOW - DAY), pem(AUTHORITY), "TLS_UNTRUSTED"),
        (lambda: old_tls(AUTHORITY), pem(AUTHORITY), "TLS_FAILED"),
    ],
    ids=["its own CA", "another CA", "the public CAs", "another name", "expired", "TLS 1.1"],
)
def test_only_a_server_of_the_bundle_is_trusted(
    serve: Serve, context: Callable[[], ssl.SSLContext], bundle: str | None, expected: str
) -> None:
    assert code(serve(context()), bundle) == expected


def old_ca(tmp_path: Path) -> tuple[str, ssl.SSLContext]:
    """Return a CA without key identifiers and key usage, which X509_STRICT requires, and a server's context."""
    key, its = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Old CA")])

    def signed(public: Any, extension: x509.ExtensionType) -> bytes:
        is_critical = isinstance(extension, x509.BasicConstraints)
        named = x509.CertificateBuilder().subject_name(issuer if is_critical else x509.Name([])).issuer_name(issuer)
        dated = named.not_valid_before(NOW - DAY).not_valid_after(NOW + DAY).public_key(public)
        made = dated.serial_number(x509.random_serial_number()).add_extension(extension, critical=True)
        return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    private = its.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = tmp_path / "chain.pem"
    chain.write_bytes(private + signed(its.public_key(), x509.SubjectAlternativeName([x509.DNSName("localhost")])))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return signed(key.public_key(), x509.BasicConstraints(ca=True, path_length=None)).decode(), context


# ---- The environment

ASK = """
import json, ssl, sys, time
ssl._create_default_https_context = ssl._create_unverified_context
from rds_snap_backup.commvault.answers import HttpRequest
from rds_snap_backup.commvault.connection import Connection
url, bundle = sys.argv[1], open(sys.argv[2]).read() if sys.argv[2] else None
request = HttpRequest("GET", "/Client", {"Authtoken": sys.argv[3]}, time.monotonic() + 10)
result = Connection(url, lambda: bundle).exchange(request)
print(result.status if hasattr(result, "status") else result.problem.code)
"""


def ask(server: TlsServer, bundle: Path | None, **environment: str) -> str:
    """Return the status, or the code of the refusal, in a fresh process with this environment."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("SSL", "PYTHON"))}
    run = subprocess.run(
        [sys.executable, "-c", ASK, server.url, str(bundle or ""), TOKEN],
        env={**keep, "PYTHONPATH": str(ROOT / "src"), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stderr == ""
    return run.stdout.strip()


def test_the_environment_widens_no_bundle_and_gets_no_keys(serve: Serve, tmp_path: Path) -> None:
    own, other, log = tmp_path / "own.pem", tmp_path / "other.pem", tmp_path / "keys.log"
    own.write_text(pem(AUTHORITY))
    other.write_text(pem(OTHER))
    server = serve(context_of(AUTHORITY))
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
    widened = {**dict.fromkeys(names, str(own)), "SSL_CERT_DIR": str(tmp_path), "PYTHONHTTPSVERIFY": "0"}
    assert ask(server, other, **widened) == "TLS_UNTRUSTED"
    assert ask(server, None, REQUESTS_CA_BUNDLE=str(own), AWS_CA_BUNDLE=str(own)) == "TLS_UNTRUSTED"
    assert server.received == b""
    assert ask(server, own, SSLKEYLOGFILE=str(log)) == "200"
    # OpenSSL's own variable says where the public CAs are.
    assert ask(server, None, SSL_CERT_FILE=str(own)) == "200"
    assert not log.exists()


def test_a_bundle_may_hold_an_old_ca_and_the_public_cas_may_not(serve: Serve, tmp_path: Path) -> None:
    bundle, context = old_ca(tmp_path)
    path = tmp_path / "old.pem"
    path.write_text(bundle)
    server = serve(context)
    assert ask(server, None, SSL_CERT_FILE=str(path)) == "TLS_UNTRUSTED"
    assert server.received == b""
    assert code(server, bundle) == ""
