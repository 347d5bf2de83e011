"""A token pair in the secret of a world, and sandboxes whose calls of Secrets Manager can be made to fail."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from rds_snap_backup.bootstrap import Services
from rds_snap_backup.core.outcomes import Outcome
from rds_snap_backup.targets import Association, BackupRequest
from tests.integration.world import World

RENEW = "/V4/AccessToken/Renew"
LIFETIME = 1800
REQUEST = BackupRequest((Association("aws-prod", "RDS", "orders-db", "aws-prod"),))


class PairInSecret:
    """The pair that the simulator has issued, stored as the secret's owner would store it."""

    def __init__(self, world: World) -> None:
        self.world, self.commserve = world, world.commserve
        self.client = world.aws.client("secretsmanager")
        self.issue()

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
    def text(self) -> str:
        """The secret's current value."""
        return str(self.client.get_secret_value(SecretId=self.world.secret)["SecretString"])

    @property
    def is_the_latest(self) -> bool:
        """Whether the secret holds Commvault's latest pair."""
        value = json.loads(self.text)
        return {name: value[name] for name in ("accessToken", "refreshToken")} == self.commserve.tokens.pair

    def sandbox(self, clock: Callable[[], float] = time.time, **calls: Callable[..., Any]) -> Services:
        """Return a new sandbox. `calls` are calls of Secrets Manager that fail, or do something else first."""
        client: Any = Intercepted(self.world.client("secretsmanager"), calls)
        return self.world.sandbox(clock, secretsmanager=client)

    def submit(self, services: Services | None = None, seconds: float = 38) -> Outcome:
        """Do a run that sends CreateTask, in a new sandbox without one."""
        deadline, commvault = time.monotonic() + seconds, (services or self.sandbox()).commvault
        commvault.prepare(deadline)
        return commvault.create_task(REQUEST, deadline)


@dataclass
class Intercepted:
    """A client of AWS some of whose calls are changed: they get the call, and its arguments."""

    client: Any
    calls: Mapping[str, Callable[..., Any]]

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self.client, name)
        return partial(self.calls[name], operation) if name in self.calls else operation


def failing(code: str) -> Callable[..., Any]:
    """Return a call that AWS refuses."""

    def fail(operation: Any, **_: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation.__name__)

    return fail
