"""The status and the tags of one database, in the stack's own account and region."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup.core.opening import DatabaseStatus
from rds_snap_backup.problems import Problem
from rds_snap_backup.triggers import Trigger
from rds_snap_backup.untrusted import clean_text

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

# RDS is not asked again this soon after it could not be asked.
BELIEVED_SECONDS = 60
CLUSTER = "cluster"
NOT_FOUND = frozenset(
    {"DBInstanceNotFound", "DBInstanceNotFoundFault", "DBClusterNotFoundFault", "DBClusterNotFound"}
    # An ARN whose name RDS does not accept is no database's.
    | {"InvalidParameterValue", "ValidationError"}
)


# They share RDS's API and events, and are no databases of RDS.
OTHER_ENGINES = frozenset({"docdb", "neptune"})


@dataclass(frozen=True)
class OtherEngine:
    """A database of another service that shares RDS's API."""

    reason: str


class Statuses:
    """RDS in one account and region. `client` makes the client when it is first needed."""

    def __init__(
        self, client: "Callable[[], RDSClient]", account: str, region: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._place = (region, account)
        self._clock = clock
        self._failure: tuple[float, Problem] | None = None

    def status(self, trigger: Trigger) -> DatabaseStatus | OtherEngine:
        """Return the status of an event's database, of its cluster for a member; None where RDS does not know it."""
        return self._asked(trigger.source_arn or "", self._status)

    def tags(self, arn: str) -> Mapping[str, str] | Problem | None:
        """Return a database's own tags; None where RDS does not know it."""
        return self._asked(arn, self._tags)

    def _asked[T](self, arn: str, ask: Callable[[str, str], T]) -> T | Problem | None:
        """Ask about a database by its kind, as ARNs have it, and its name."""
        parts = arn.split(":")
        if tuple(parts[3:5]) != self._place:
            return _unasked("It is in another account or region.")
        now = self._clock()
        if self._failure and now < self._failure[0] + BELIEVED_SECONDS:
            return self._failure[1]
        try:
            return ask(parts[5] if len(parts) > 5 else "", parts[-1])
        except ClientError as error:
            if error.response["Error"]["Code"] in NOT_FOUND:
                return None
            self._failure = now, _unasked(f"RDS could not be asked: {clean_text(str(error))}")
        except BotoCoreError as error:
            self._failure = now, _unasked(f"RDS could not be asked: {clean_text(str(error))}")
        return self._failure[1]

    def _status(self, kind: str, name: str) -> str | OtherEngine | None:
        row = self._row(kind, name)
        if row is None:
            return None
        if (engine := row.get("Engine")) in OTHER_ENGINES:
            return OtherEngine(
                f"The database {name!r} has the engine {engine!r}, which Commvault does not snapshot as RDS."
            )
        if kind == CLUSTER:
            return str(row.get("Status", ""))
        cluster = row.get("DBClusterIdentifier")
        return self._status(CLUSTER, cluster) if cluster else str(row.get("DBInstanceStatus", ""))

    def _tags(self, kind: str, name: str) -> dict[str, str] | None:
        row = self._row(kind, name)
        return None if row is None else {tag["Key"]: tag.get("Value", "") for tag in row.get("TagList", [])}

    def _row(self, kind: str, name: str) -> Mapping[str, Any] | None:
        rows: Sequence[Mapping[str, Any]]
        if kind == CLUSTER:
            rows = self._client().describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
        else:
            rows = self._client().describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        return rows[0] if rows else None


def _unasked(message: str) -> Problem:
    return Problem(
        "DATABASE_UNREADABLE", message, "No action is needed: the event counts from ten minutes after its time."
    )
