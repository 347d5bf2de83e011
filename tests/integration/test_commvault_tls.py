"""Trust: what the product sets of TLS, by real handshakes. A server that is not trusted sees no token."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from local.commserve import CommServe
from rds_snap_backup.commvault.trust import tls_context
from rds_snap_backup.core.outcomes import Submitted, Unavailable
from tests.integration.clients import CANARY, commvault, create

AUTHORITY, OTHER = trustme.CA(), trustme.CA()

type Serve = Callable[..., CommServe]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Makes servers with certificates of `AUTHORITY` for names."""
    with ExitStack() as stack:
        yield lambda *names: stack.enter_context(CommServe(token=CANARY, authority=AUTHORITY, names=names))


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


@pytest.mark.parametrize(
    ("name", "bundle"),
    [("localhost", OTHER), ("localhost", None), ("elsewhere.example", AUTHORITY)],
    ids=["another CA", "the public CAs", "another name"],
)
def test_only_a_server_of_the_bundle_is_trusted(serve: Serve, name: str, bundle: trustme.CA | None) -> None:
    server = serve(name)
    outcome = create(commvault(server.url, pem(bundle) if bundle else None))
    assert isinstance(outcome, Unavailable)
    assert (outcome.problem.code, server.requests) == ("TLS_UNTRUSTED", [])
    assert server.url in outcome.problem.message


def test_a_bundle_may_hold_an_old_ca_and_the_public_cas_may_not_and_an_old_server_is_refused() -> None:
    """Strict verification requires extensions that many a company's own CA lacks."""
    of_bundle, public = tls_context(pem(AUTHORITY)), tls_context(None)
    assert not of_bundle.verify_flags & ssl.VERIFY_X509_STRICT
    assert public.verify_flags & ssl.VERIFY_X509_STRICT
    assert of_bundle.minimum_version == public.minimum_version == ssl.TLSVersion.TLSv1_2


def test_the_environment_widens_no_bundle_and_gets_no_keys(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, log = tmp_path / "own.pem", tmp_path / "keys.log"
    own.write_text(pem(AUTHORITY))
    server = serve("localhost")
    monkeypatch.setattr(ssl, "_create_default_https_context", ssl._create_unverified_context)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(own))
    assert isinstance(create(commvault(server.url, None)), Unavailable)
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    assert isinstance(create(commvault(server.url, pem(OTHER))), Unavailable)
    assert server.requests == []
    # OpenSSL's own variable says where the public CAs are.
    for bundle in (pem(AUTHORITY), None):
        assert isinstance(create(commvault(server.url, bundle)), Submitted)
    assert not log.exists()
