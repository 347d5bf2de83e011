"""Trust: what the product sets of TLS, by real handshakes. A server that is not trusted sees no token."""

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from local.tools import ROOT
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.trust import tls_context
from rds_snap_backup.core.outcomes import Submitted, Unavailable
from tests.auth import FixedToken
from tests.integration.pairs import REQUEST
from tests.integration.peers import Serve, TlsServer, answer_of, context_of, serving

TOKEN = "fake-token-9f3c51d7a204"
ANSWER = answer_of(b'{"taskId": 402, "jobIds": ["1354"]}')
AUTHORITY, OTHER = trustme.CA(), trustme.CA()


@pytest.fixture
def serve() -> Iterator[Serve]:
    with serving() as serve:
        yield serve


def old_tls() -> ssl.SSLContext:
    context = context_of(AUTHORITY)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("context", "bundle", "expected"),
    [
        (lambda: context_of(AUTHORITY), pem(AUTHORITY), ""),
        (lambda: context_of(AUTHORITY), pem(OTHER), "TLS_UNTRUSTED"),
        (lambda: context_of(AUTHORITY), None, "TLS_UNTRUSTED"),
        (lambda: context_of(AUTHORITY, "elsewhere.example"), pem(AUTHORITY), "TLS_UNTRUSTED"),
        (old_tls, pem(AUTHORITY), "TLS_FAILED"),
    ],
    ids=["its own CA", "another CA", "the public CAs", "another name", "TLS 1.1"],
)
def test_only_a_server_of_the_bundle_is_trusted(
    serve: Serve, context: Callable[[], ssl.SSLContext], bundle: str | None, expected: str
) -> None:
    server = serve(context(), ANSWER)
    outcome = Commvault(server.url, lambda: bundle, FixedToken(TOKEN)).create_task(REQUEST, time.monotonic() + 10)
    if not expected:
        assert isinstance(outcome, Submitted)
        assert TOKEN.encode() in server.received
        return
    assert isinstance(outcome, Unavailable)
    assert (outcome.problem.code, server.received) == (expected, b"")
    assert server.url in outcome.problem.message
    assert TOKEN not in repr(outcome)


def test_a_bundle_may_hold_an_old_ca_and_the_public_cas_may_not() -> None:
    """Strict verification requires extensions that many a company's own CA lacks."""
    assert not tls_context(pem(AUTHORITY)).verify_flags & ssl.VERIFY_X509_STRICT
    assert tls_context(None).verify_flags & ssl.VERIFY_X509_STRICT


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
    )
    assert run.stderr == ""
    return run.stdout.strip()


def test_the_environment_widens_no_bundle_and_gets_no_keys(serve: Serve, tmp_path: Path) -> None:
    own, other, log = tmp_path / "own.pem", tmp_path / "other.pem", tmp_path / "keys.log"
    own.write_text(pem(AUTHORITY))
    other.write_text(pem(OTHER))
    server = serve(context_of(AUTHORITY), ANSWER)
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
    widened = {**dict.fromkeys(names, str(own)), "SSL_CERT_DIR": str(tmp_path), "PYTHONHTTPSVERIFY": "0"}
    assert ask(server, other, **widened) == "TLS_UNTRUSTED"
    assert ask(server, None, REQUESTS_CA_BUNDLE=str(own), AWS_CA_BUNDLE=str(own)) == "TLS_UNTRUSTED"
    assert server.received == b""
    assert ask(server, own, SSLKEYLOGFILE=str(log)) == "200"
    # OpenSSL's own variable says where the public CAs are.
    assert ask(server, None, SSL_CERT_FILE=str(own)) == "200"
    assert not log.exists()
