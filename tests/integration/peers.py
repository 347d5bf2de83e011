"""Clients of Commvault with a token that is searched for."""

import time

from local.commserve import CommServe
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.core.outcomes import Outcome
from rds_snap_backup.targets import BackupRequest
from tests.auth import FixedToken
from tests.integration.pairs import REQUEST

CANARY = "QSDK 3canary0000fake1111token2222"


def client_of(server: CommServe, proxy: str = "") -> Commvault:
    """Return a client that trusts the simulator's CA."""
    return commvault(server.url, server.ca_pem, proxy)


def commvault(url: str, ca_pem: str | None, proxy: str = "") -> Commvault:
    return Commvault(url, lambda: ca_pem, FixedToken(CANARY), proxy)


def within(seconds: float) -> float:
    return time.monotonic() + seconds


def create(client: Commvault, request: BackupRequest = REQUEST, seconds: float = 30) -> Outcome:
    return client.create_task(request, within(seconds))
