"""Clients of Commvault, and the token pair of a world."""

import json
import time

from local.commserve import CommServe
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.core.outcomes import Outcome
from rds_snap_backup.targets import Association, BackupRequest
from tests.auth import FixedToken
from tests.integration.world import World

CANARY = "QSDK 3canary0000fake1111token2222"
RENEW = "/V4/AccessToken/Renew"
LIFETIME = 1800
REQUEST = BackupRequest((Association("aws-prod", "RDS", "orders-db", "aws-prod"),))


def client_of(server: CommServe, proxy: str = "") -> Commvault:
    """Return a client that trusts the simulator's CA."""
    return commvault(server.url, server.ca_pem, proxy)


def commvault(url: str, ca_pem: str | None, proxy: str = "") -> Commvault:
    return Commvault(url, lambda: ca_pem, FixedToken(CANARY), proxy)


def within(seconds: float) -> float:
    return time.monotonic() + seconds


def create(client: Commvault, request: BackupRequest = REQUEST, seconds: float = 30) -> Outcome:
    return client.create_task(request, within(seconds))


class PairInSecret:
    """The pair that the simulator has issued, stored as the secret's owner would store it."""

    def __init__(self, world: World) -> None:
        self.world, self.commserve = world, world.commserve
        self.issue()

    def issue(self) -> dict[str, str]:
        """Create a pair in Commvault and store it."""
        pair = self.commserve.issue_pair()
        self.world.set_token(json.dumps(pair))
        return pair

    def expire(self) -> None:
        """Let the access token expire."""
        self.commserve.advance(LIFETIME + 1)

    def submit(self, services: Services | None = None, seconds: float = 38) -> Outcome:
        """Do a run that sends CreateTask, in a new sandbox without one."""
        deadline, commvault = time.monotonic() + seconds, (services or self.world.sandbox()).commvault
        commvault.prepare(deadline)
        return commvault.create_task(REQUEST, deadline)
