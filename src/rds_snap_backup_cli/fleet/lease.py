"""The lease on applying a fleet: an item of the ledger, so that two appliers exclude each other."""

import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup.ledger.keys import fleet_key
from rds_snap_backup_cli.errors import CannotRun, error_code
from rds_snap_backup_cli.stack import DeployedStack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LEASE_SECONDS = 600
# Then DynamoDB deletes the item.
KEPT_SECONDS = 24 * 3600
IS_FREE = "attribute_not_exists(#lease) OR #lease < :now"
IS_OURS = "#owner = :owner"


class FleetLease:
    """`with FleetLease(stack, name) as lease:` holds it. Raises `CannotRun` while another apply does."""

    def __init__(self, stack: DeployedStack, fleet: str) -> None:
        self._client: DynamoDBClient = stack.session.client("dynamodb")
        self._table = stack.output("LedgerTableName")
        self._key: Any = {"pk": {"S": fleet_key(fleet)}}
        self._fleet = fleet
        self._owner = uuid.uuid4().hex
        self._until = 0.0

    def __enter__(self) -> Self:
        if other := self._write(IS_FREE):
            ends = datetime.fromtimestamp(float(other["lease"]["N"]), UTC)
            raise CannotRun(
                f"another apply of the fleet {self._fleet} is running. Wait until it has ended; if it was killed, its "
                f"lease ends at {ends:%H:%M:%S} UTC."
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # One that cannot be released ends by itself.
        with suppress(BotoCoreError, ClientError):
            self._write(IS_OURS, -LEASE_SECONDS)

    def extend(self) -> None:
        """Extend the lease once half of it is over. Raises `CannotRun` if it has ended and another apply took it."""
        if time.time() > self._until - LEASE_SECONDS / 2 and self._write(IS_OURS):
            raise CannotRun(
                f"another apply of the fleet {self._fleet} has begun, since this one stood still for too long. Nothing "
                "more was written. Run it again."
            )

    def _write(self, condition: str, seconds: int = LEASE_SECONDS) -> Any:
        """Hold the lease for so long from now, or return the item of another owner."""
        now = time.time()
        self._until = now + seconds
        values = {
            "owner": {"S": self._owner},
            "lease": number(self._until),
            "expiresAt": number(self._until + KEPT_SECONDS),
        }
        where = {":now": number(now)} if condition == IS_FREE else {}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression="SET #owner = :owner, #lease = :lease, #expiresAt = :expiresAt",
                ConditionExpression=condition,
                ExpressionAttributeNames={f"#{name}": name for name in values},
                ExpressionAttributeValues={f":{name}": value for name, value in values.items()} | where,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            # None if the other apply has ended, too.
            other: Any = error.response.get("Item", {"owner": {"S": ""}})
            # Our own owner ID: the write was made although its answer was lost.
            return other if other["owner"]["S"] != self._owner else None
        return None


def number(value: float) -> Any:
    """Return a number in DynamoDB's notation."""
    return {"N": f"{value:.0f}"}
