"""Trust: real handshakes with servers of every bad kind, which see no token."""

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

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.core.outcomes import Outcome, Submitted, Unavailable
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest
from tests.auth import FixedToken

TOKEN = "fake-token-9f3c51d7a204"
REQUEST = BackupRequest((Association("aws-prod", "RDS", "orders-db", "aws-prod"),))
BODY = json.dumps({"taskId": 402, "jobIds": ["1354"]}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
ROOT = Path(__file__).parents[2]


class TlsServer:
    """Answers whatever it is asked once it has shaken hands, and records what it received."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.received = b""
        self.versions: list[str | None] = []
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
            self.versions.append(connection.version())
            while received := connection.recv(65536):
                self.received += received
                if received.endswith((b"}", b"\r\n\r\n")):
                    connection.sendall(ANSWER)

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()


@pytest.fixture
def serve() -> Iterator[Callable[[ssl.SSLContext], TlsServer]]:
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


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def create(url: str, bundle: str | None) -> Outcome:
    client = Commvault(url, lambda: bundle, FixedToken(TOKEN))
    return client.create_task(REQUEST, time.monotonic() + 10)


def refusal(server: TlsServer, bundle: str | None) -> Problem:
    """Return why a server is refused, which sees nothing of the request."""
    outcome = create(server.url, bundle)
    assert isinstance(outcome, Unavailable), outcome
    assert TOKEN not in repr(outcome)
    assert server.url in outcome.problem.message
    assert server.received == b""
    return outcome.problem


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


# ---- Certificates


def test_the_bundles_own_server_is_trusted(serve: Callable[..., TlsServer], authority: trustme.CA) -> None:
    server = serve(context_of(authority))
    assert isinstance(create(server.url, pem(authority)), Submitted)
    assert TOKEN.encode() in server.received  # so that its absence below proves something


@pytest.mark.parametrize(
    ("names", "dates", "named"),
    [
        (("localhost",), {"not_before": NOW - 3 * DAY, "not_after": NOW - DAY}, "certificate has expired"),
        (("localhost",), {"not_before": NOW + DAY, "not_after": NOW + 3 * DAY}, "certificate is not yet valid"),
        (("elsewhere.example",), {}, "Hostname mismatch"),
        (("127.0.0.1",), {}, "Hostname mismatch"),
        (("*.localhost",), {}, "Hostname mismatch"),
    ],
)
def test_a_certificate_out_of_its_dates_or_of_another_name_is_refused(
    serve: Callable[..., TlsServer],
    authority: trustme.CA,
    names: tuple[str, ...],
    dates: dict[str, datetime],
    named: str,
) -> None:
    problem = refusal(serve(context_of(authority, *names, **dates)), pem(authority))
    assert problem.code == "TLS_UNTRUSTED"
    assert named in problem.message


@pytest.mark.parametrize("bundle", [pem(trustme.CA()), None], ids=["another", "public"])
def test_a_certificate_of_another_ca_is_refused(
    serve: Callable[..., TlsServer], authority: trustme.CA, bundle: str | None
) -> None:
    problem = refusal(serve(context_of(authority)), bundle)
    assert problem.code == "TLS_UNTRUSTED"
    assert "unable to get local issuer certificate" in problem.message


# ---- An old private CA


def old_ca(*extensions: x509.ExtensionType) -> tuple[str, Callable[..., ssl.SSLContext]]:
    """Return a CA as companies made them: without key identifiers and key usage, which X509_STRICT requires.

    Its second part makes the contexts of servers.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Old CA")])

    def signed(name: x509.Name, public: Any, *more: x509.ExtensionType, days: int) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 30 * DAY)
            .not_valid_after(NOW + days * DAY)
        )
        for extension in more:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(key, hashes.SHA256())

    own = signed(issuer, key.public_key(), *extensions, days=30)

    def server(tmp_path: Path, name: str = "localhost", days: int = 30) -> ssl.SSLContext:
        its = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = signed(subject, its.public_key(), x509.SubjectAlternativeName([x509.DNSName(name)]), days=days)
        chain = tmp_path / "chain.pem"
        chain.write_bytes(
            its.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    return own.public_bytes(serialization.Encoding.PEM).decode(), server


A_CA = x509.BasicConstraints(ca=True, path_length=None)


def test_a_bundle_may_hold_a_ca_without_the_newer_extensions(serve: Callable[..., TlsServer], tmp_path: Path) -> None:
    bundle, server = old_ca(A_CA)
    assert isinstance(create(serve(server(tmp_path)).url, bundle), Submitted)


@pytest.mark.parametrize(
    ("of_server", "named"),
    [({"name": "elsewhere.example"}, "Hostname mismatch"), ({"days": -1}, "certificate has expired")],
)
def test_certificates_of_such_a_ca_are_verified(
    serve: Callable[..., TlsServer], tmp_path: Path, of_server: dict[str, Any], named: str
) -> None:
    bundle, server = old_ca(A_CA)
    problem = refusal(serve(server(tmp_path, **of_server)), bundle)
    assert problem.code == "TLS_UNTRUSTED"
    assert named in problem.message


def test_the_bundle_is_the_only_trust_though_it_is_not_strict(serve: Callable[..., TlsServer], tmp_path: Path) -> None:
    bundle, _ = old_ca(A_CA)
    _, impostor = old_ca(A_CA)  # of the same name, with another key
    assert refusal(serve(impostor(tmp_path)), bundle).code == "TLS_UNTRUSTED"


def test_a_certificate_that_may_not_sign_signs_nothing(serve: Callable[..., TlsServer], tmp_path: Path) -> None:
    bundle, server = old_ca(x509.BasicConstraints(ca=False, path_length=None))
    assert refusal(serve(server(tmp_path)), bundle).code == "TLS_UNTRUSTED"


@pytest.mark.parametrize("bundle", ["", "\n"])
def test_an_empty_bundle_is_not_a_reason_to_trust_the_public_cas(
    serve: Callable[..., TlsServer], authority: trustme.CA, bundle: str
) -> None:
    outcome = create(serve(context_of(authority)).url, bundle)
    assert isinstance(outcome, Unavailable)
    assert outcome.problem.code == "CA_UNUSABLE"


# ---- Versions


def limited(authority: trustme.CA, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = context_of(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_a_server_of_an_older_tls_is_refused(
    serve: Callable[..., TlsServer], authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    server = serve(limited(authority, version))
    problem = refusal(server, pem(authority))
    assert problem.code == "TLS_FAILED"
    assert "TLS 1.2" in problem.hint
    # The server does shake hands with a client that takes the old version.
    lax = ssl.create_default_context(cadata=pem(authority))
    lax.set_ciphers("ALL:@SECLEVEL=0")
    lax.minimum_version = version
    address = server.listening.getsockname()
    with socket.create_connection(address) as plain, lax.wrap_socket(plain, server_hostname="localhost") as old:
        assert old.version() == {"TLSv1": "TLSv1", "TLSv1_1": "TLSv1.1"}[version.name]


@pytest.mark.parametrize(
    ("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
)
def test_a_server_of_one_newer_version_is_used(
    serve: Callable[..., TlsServer], authority: trustme.CA, version: ssl.TLSVersion, name: str
) -> None:
    server = serve(limited(authority, version))
    assert isinstance(create(server.url, pem(authority)), Submitted)
    assert server.versions == [name]


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
    """Return how a fresh process with this environment fares."""
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


def elsewhere(path: Path) -> dict[str, str]:
    """Return every variable by which some program is made to trust a file."""
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    return {**dict.fromkeys(names, str(path)), "SSL_CERT_DIR": str(path.parent), "PYTHONHTTPSVERIFY": "0"}


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> tuple[Path, Path]:
    """Return the bundle of the server's CA, and that of another one."""
    own, other = tmp_path / "own.pem", tmp_path / "other.pem"
    own.write_text(pem(authority))
    other.write_text(pem(trustme.CA()))
    return own, other


def test_the_sessions_keys_are_written_nowhere(
    serve: Callable[..., TlsServer], authority: trustme.CA, files: tuple[Path, Path], tmp_path: Path
) -> None:
    server, log = serve(context_of(authority)), tmp_path / "keys.log"
    assert ask(server, files[0], SSLKEYLOGFILE=str(log)) == "200"
    assert ask(server, None, SSLKEYLOGFILE=str(log), SSL_CERT_FILE=str(files[0])) == "200"
    assert TOKEN.encode() in server.received
    assert not log.exists()


def test_the_environment_widens_no_bundle(
    serve: Callable[..., TlsServer], authority: trustme.CA, files: tuple[Path, Path]
) -> None:
    server = serve(context_of(authority))
    own, other = files
    assert ask(server, other, **elsewhere(own)) == "TLS_UNTRUSTED"
    assert server.received == b""
    assert ask(server, own, **elsewhere(other)) == "200"


def test_without_a_bundle_only_openssls_own_variables_say_where_the_public_cas_are(
    serve: Callable[..., TlsServer], authority: trustme.CA, files: tuple[Path, Path]
) -> None:
    server = serve(context_of(authority))
    own, other = files
    others = {name: value for name, value in elsewhere(own).items() if not name.startswith("SSL_")}
    assert ask(server, None, **others) == "TLS_UNTRUSTED"
    assert ask(server, None, SSL_CERT_FILE=str(other)) == "TLS_UNTRUSTED"
    assert ask(server, None, SSL_CERT_FILE="") == "TLS_UNTRUSTED"
    assert server.received == b""
    assert ask(server, None, SSL_CERT_FILE=str(own)) == "200"


def test_a_public_ca_is_held_to_the_strict_rules(serve: Callable[..., TlsServer], tmp_path: Path) -> None:
    bundle, server = old_ca(A_CA)
    path = tmp_path / "old.pem"
    path.write_text(bundle)
    running = serve(server(tmp_path))
    assert ask(running, None, SSL_CERT_FILE=str(path)) == "TLS_UNTRUSTED"
    assert ask(running, path) == "200"
