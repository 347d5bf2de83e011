"""The status of one database, in the stack's own account and region."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup.problems import Problem
from rds_snap_backup.submission import DatabaseStatus
from rds_snap_backup.triggers import Trigger
from rds_snap_backup.untrusted import clean_text

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

# RDS is not asked again this soon after it could not be asked.
BELIEVED_SECONDS = 60
NOT_FOUND = frozenset(
    {"DBInstanceNotFound", "DBInstanceNotFoundFault", "DBClusterNotFoundFault", "DBClusterNotFound"}
    # An ARN whose name RDS does not accept is no database's.
    | {"InvalidParameterValue", "ValidationError"}
)


class Statuses:
    """RDS in one account and region. `client` makes the client when it is first needed."""

    def __init__(
        self, client: "Callable[[], RDSClient]", account: str, region: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._place = (region, account)
        self._clock = clock
        self._failure: tuple[float, Problem] | None = None

    def status(self, trigger: Trigger) -> DatabaseStatus:
        """Return the status of an event's database, of its cluster for a member; None where RDS does not know it."""
        parts = (trigger.source_arn or "").split(":")
        if tuple(parts[3:5]) != self._place:
            return _unasked("It is in another account or region.")
        now = self._clock()
        if self._failure and now < self._failure[0] + BELIEVED_SECONDS:
            return self._failure[1]
        try:
            return self._cluster(parts[-1]) if parts[5:6] == ["cluster"] else self._instance(parts[-1])
        except ClientError as error:
            if error.response["Error"]["Code"] in NOT_FOUND:
                return None
            self._failure = now, _unasked(f"RDS could not be asked: {clean_text(str(error))}")
        except BotoCoreError as error:
            self._failure = now, _unasked(f"RDS could not be asked: {clean_text(str(error))}")
        return self._failure[1]

    def _instance(self, name: str) -> str | None:
        rows = self._client().describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        if not rows:
            return None
        cluster = rows[0].get("DBClusterIdentifier")
        return self._cluster(cluster) if cluster else rows[0].get("DBInstanceStatus", "")

    def _cluster(self, name: str) -> str | None:
        rows = self._client().describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
        return rows[0].get("Status", "") if rows else None


def _unasked(message: str) -> Problem:
    return Problem("DATABASE_UNREADABLE", message, "No action is needed: the backup starts after ten minutes.")
