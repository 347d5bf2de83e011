"""Trust: what the product sets of TLS, by real handshakes. A server that is not trusted sees no token."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from rds_snap_backup.commvault.trust import tls_context
from rds_snap_backup.core.outcomes import Submitted, Unavailable
from tests.integration.peers import CANARY, Serve, answer_of, commvault, context_of, create, serving

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
    outcome = create(commvault(server.url, bundle))
    if not expected:
        assert isinstance(outcome, Submitted)
        assert CANARY.encode() in server.received
        return
    assert isinstance(outcome, Unavailable)
    assert (outcome.problem.code, server.received) == (expected, b"")
    assert server.url in outcome.problem.message
    assert CANARY not in repr(outcome)


def test_a_bundle_may_hold_an_old_ca_and_the_public_cas_may_not() -> None:
    """Strict verification requires extensions that many a company's own CA lacks."""
    assert not tls_context(pem(AUTHORITY)).verify_flags & ssl.VERIFY_X509_STRICT
    assert tls_context(None).verify_flags & ssl.VERIFY_X509_STRICT


def test_the_environment_widens_no_bundle_and_gets_no_keys(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, log = tmp_path / "own.pem", tmp_path / "keys.log"
    own.write_text(pem(AUTHORITY))
    server = serve(context_of(AUTHORITY), ANSWER)
    monkeypatch.setattr(ssl, "_create_default_https_context", ssl._create_unverified_context)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(own))
    assert isinstance(create(commvault(server.url, None)), Unavailable)
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    assert isinstance(create(commvault(server.url, pem(OTHER))), Unavailable)
    assert server.received == b""
    # OpenSSL's own variable says where the public CAs are.
    for bundle in (pem(AUTHORITY), None):
        assert isinstance(create(commvault(server.url, bundle)), Submitted)
    assert not log.exists()
