"""A token pair in a secret, and sandboxes that use it: Secrets Manager and DynamoDB are the emulator's."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import ClientError

from local.commserve import CommServe
from local.emulator import REGION, Emulator
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.core.outcomes import Outcome
from rds_snap_backup.credentials.renewal import Renewer
from rds_snap_backup.credentials.secret import Secret
from rds_snap_backup.credentials.tokens import TokenAuth
from rds_snap_backup.ledger.table import Table
from rds_snap_backup.ledger.token import TokenLease
from rds_snap_backup.targets import Association, BackupRequest

RENEW = "/V4/AccessToken/Renew"
LIFETIME = 1800
DAY = 86400
STACK = f"arn:aws:cloudformation:{REGION}:000000000000:stack/test/77ac5992-ecfe-47cc-b021-6b095fdf0dcd"
REQUEST = BackupRequest((Association("aws-prod", "RDS", "orders-db", "aws-prod"),))
RUN_SECONDS = 38.0


class HasSecret(Protocol):
    """A world of tests with a secret."""

    @property
    def aws(self) -> Emulator: ...
    @property
    def commserve(self) -> CommServe: ...
    @property
    def secret(self) -> str: ...


class PairInSecret:
    """The pair that the simulator has issued, stored as the secret's owner would store it."""

    def __init__(self, world: HasSecret) -> None:
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
        """Whether the secret holds Commvault's latest pair."""
        value = self.value
        return {name: value[name] for name in ("accessToken", "refreshToken")} == self.commserve.tokens.pair


@dataclass
class Sandbox:
    """A client and its token, as one sandbox of a function has them."""

    commvault: Commvault
    auth: TokenAuth

    def submit(self, seconds: float = RUN_SECONDS) -> Outcome:
        """Do a run that sends CreateTask."""
        deadline = time.monotonic() + seconds
        self.commvault.prepare(deadline)
        return self.commvault.create_task(REQUEST, deadline)


@dataclass
class TokenWorld:
    """A secret with a pair, a ledger's table, and sandboxes of a stack. `calls` counts the calls of AWS."""

    aws: Emulator
    commserve: CommServe
    secret: str = ""
    name: str = field(default_factory=lambda: f"token-{uuid.uuid4().hex[:8]}")
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        keys: Any = [{"AttributeName": "pk", "KeyType": "HASH"}]
        attributes: Any = [{"AttributeName": "pk", "AttributeType": "S"}]
        self.aws.client("dynamodb").create_table(
            TableName=self.name, KeySchema=keys, AttributeDefinitions=attributes, BillingMode="PAY_PER_REQUEST"
        )
        self.secret = self.aws.client("secretsmanager").create_secret(Name=self.name, SecretString="-")["ARN"]
        self.pair = PairInSecret(self)
        self.pair.issue()

    def sandbox(
        self, clock: Callable[[], float] = time.time, *, stack: str = STACK, renews: bool = True, **instead: Any
    ) -> Sandbox:
        """Return another sandbox. `instead` are calls of Secrets Manager that fail, or do something else first."""
        client = Intercepted(self.aws.client("secretsmanager"), self.calls, instead)
        secret = Secret(self.secret, client, clock)  # type: ignore[arg-type]
        lease = TokenLease(Table(self.name, Intercepted(self.aws.client("dynamodb"), self.calls, {})), clock)  # type: ignore[arg-type]
        auth = TokenAuth(secret, "test", Renewer(secret, lease, stack, "test", clock) if renews else None, clock)
        return Sandbox(Commvault(self.commserve.url, lambda: self.commserve.ca_pem, auth), auth)

    @property
    def item(self) -> dict[str, Any]:
        """The ledger's item of the token."""
        rows = self.aws.client("dynamodb").scan(TableName=self.name)["Items"]
        return {name: next(iter(value.values())) for row in rows for name, value in row.items()}


class Intercepted:
    """A client of AWS whose calls are counted, and some of them changed."""

    def __init__(self, client: Any, calls: Counter[str], instead: Mapping[str, Callable[..., Any]]) -> None:
        self._client, self._calls, self._instead = client, calls, instead

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)

        def call(**arguments: Any) -> Any:
            self._calls[name] += 1
            return self._instead[name](operation, **arguments) if name in self._instead else operation(**arguments)

        return call


def failing(code: str, message: str = "no") -> Callable[..., Any]:
    """Return a call that AWS refuses."""

    def fail(operation: Any, **_: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": message}}, operation.__name__)

    return fail
