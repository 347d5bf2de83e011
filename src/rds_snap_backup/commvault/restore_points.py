"""Restore points: the snapshots of databases that Commvault lists, for all groups of an instance together.

The call and its answer are those that Commvault's SDK makes and reads.
"""

from dataclasses import dataclass
from typing import Any

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.contents import region_of
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.untrusted import is_name, list_in, unix_time

PATH = "/BrowseRDSBackups"
LIST = "snapList"


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """A restore point. `created` is Unix seconds on our clock, 0 if unknown; `snapshot` and `region` are empty if unknown."""

    database: str
    snapshot: str
    created: float
    region: str = ""


def read_restore_points(
    commvault: Commvault, instance_id: str, span: tuple[float, float], deadline: float
) -> list[RestorePoint] | Unauthorized | QueryFailed:
    """Return the restore points of an instance that were created in a span of Unix seconds."""
    began, ended = span
    body = {
        "entity": {"instanceId": int(instance_id)},
        "copyPresedence": 0,  # The misspelling is the server's.
        "includeAgedData": 0,
        "startTime": int(began),
        "endTime": int(ended),
    }
    match commvault.query(PATH, body, deadline, listed=LIST):
        case JsonDocument(document, clock_ahead):
            return [point for row in list_in(document, LIST) if (point := read_restore_point(row, clock_ahead))]
        case failure:
            return failure


def read_restore_point(row: Any, clock_ahead: float = 0) -> RestorePoint | None:
    """Return a row of an answer; None if it names no database."""
    if not isinstance(row, dict) or not is_name(row.get("dbName")):
        return None
    snapshot, attributes = row.get("snapShotName"), row.get("rdsAttributes")
    zones = attributes.get("availabilityZone") if isinstance(attributes, dict) else None
    created = unix_time(row.get("createTime"))
    return RestorePoint(
        row["dbName"].lower(),
        snapshot.lower() if is_name(snapshot) else "",
        created - clock_ahead if created else 0,
        region_of(zones) or "",
    )
