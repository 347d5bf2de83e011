"""A token pair in a world's secret, and what becomes of it."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import boto3

from local.emulator import REGION
from tests.integration.world import World

if TYPE_CHECKING:
    from rds_snap_backup.bootstrap import Services

RENEW = "/V4/AccessToken/Renew"
LIFETIME = 1800
DAY = 86400


class PairInSecret:
    """The pair that the simulator has issued, stored as the secret's owner would store it."""

    def __init__(self, world: World) -> None:
        self.world, self.commserve = world, world.commserve
        self.client = world.aws.client("secretsmanager")

    def issue(self, **more: Any) -> dict[str, str]:
        """Create a pair in Commvault and store it."""
        pair = self.commserve.issue_pair()
        self.store({**pair, **more})
        return pair

    def store(self, value: Mapping[str, Any] | str) -> None:
        """Store any value, as the current one."""
        text = value if isinstance(value, str) else json.dumps(value)
        self.client.put_secret_value(SecretId=self.world.secret, SecretString=text)

    def expire(self) -> None:
        """Let the access token expire."""
        self.commserve.advance(LIFETIME + 1)

    @property
    def value(self) -> dict[str, Any]:
        """The secret's current value."""
        text = self.client.get_secret_value(SecretId=self.world.secret)["SecretString"]
        found: dict[str, Any] = json.loads(text)
        return found

    @property
    def is_the_latest(self) -> bool:
        """Whether the secret holds what Commvault takes for the latest pair."""
        value = self.value
        return {name: value[name] for name in ("accessToken", "refreshToken")} == self.commserve.tokens.pair


class CountingClients:
    """Clients of AWS whose calls are counted by operation."""

    def __init__(self, world: World, clock: Callable[[], float] = time.time) -> None:
        self.calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        session = boto3.Session("test", "test", region_name=REGION)
        names: tuple[Any, ...] = ("dynamodb", "secretsmanager", "sns", "sqs", "ssm")
        self.clients = {name: session.client(name, endpoint_url=world.aws.endpoint_url) for name in names}
        for client in self.clients.values():
            client.meta.events.register("before-call", self._count)
        self.services: Services = world.sandbox(clock, **self.clients)

    def _count(self, model: Any, **_: Any) -> None:
        with self._lock:
            self.calls[model.name] += 1
