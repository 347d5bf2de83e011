"""`POST /BrowseRDSBackups`: the restore points of one instance, all its groups together, made in a span of time."""

from typing import Any

from local.commserve.answers import Answer, bare_string
from local.commserve.content import Database
from local.commserve.jobs import Job
from local.commserve.recorded import Recorded
from local.commserve.state import State


def browse(state: State, request: Recorded) -> Answer:
    """Return the snapshots of the jobs that have ended well, and those that a test added."""
    match request.json:
        case {"entity": {"instanceId": int(instance)}, "startTime": int(start), "endTime": int(end)}:
            pass
        case _:
            return bare_string()
    made = [
        row
        for job in state.jobs.listed()
        if job.subclient.instance_id == instance and job.has_restore_points
        for row in rows(job)
    ]
    added = [row for owner, row in state.restore_points if owner == instance]
    found = [row for row in made + added if _is_within(row.get("createTime"), start, end)]
    return Answer(value={"snapList": found}, root="App_BrowseRDSBackupsResp")


def rows(job: Job) -> list[dict[str, Any]]:
    """Return the restore points that a job made."""
    taken = job.taken
    return [
        restore_point(snapshot.database, taken.at, snapshot.name) | {"archFileId": int(job.id)}
        for snapshot in taken.snapshots
    ]


def restore_point(database: Database, at: int, name: str) -> dict[str, Any]:
    """Return a row of `snapList`."""
    zones = database.zones or (f"{database.region}a",)
    return {
        "dbName": database.name,
        "dbType": database.engine,
        "createTime": at,
        "snapShotName": name,
        "status": 0,
        "copyId": 13,
        "archFileId": 0,
        "commcellId": 2,
        "rdsAttributes": {"availabilityZone": ",".join(zones), "dbSubnetGroup": database.subnet_group},
    }


def _is_within(at: Any, start: int, end: int) -> bool:
    return not isinstance(at, int) or (start <= at and (at <= end or not end))
