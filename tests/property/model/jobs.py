"""Commvault's jobs in memory: how they run, end, and are shown."""

from dataclasses import dataclass
from typing import Any

type Names = tuple[str, str, str]

CLIENTS = {"aws-prod": "5", "aws-prod-2": "6", "elsewhere": "7"}
# The level of a backup where Commvault converts one that has no full backup to build on.
CONVERTED = {"INCREMENTAL": "FULL", "DIFFERENTIAL": "FULL"}
# Statuses of a job that has not ended; how jobs end: the status, and what it means.
GOING_ON = ("Running", "Pending", "Waiting", "Queued", "Suspended", "Running (cannot be verified)")
ENDS = (
    ("Completed", "completed"),
    ("Failed", "failed"),
    ("Completed w/ one or more errors", "completed_with_errors"),
    ("Completed", "completed"),
    ("Killed", "killed"),
    ("Committed", "completed_with_errors"),
    ("Failed to Start", "failed"),
    ("Completed w/ one or more warnings", "completed_with_errors"),
)


@dataclass(slots=True, eq=False)
class Job:
    """A job. `origin` is the key of the submission that its request was for, empty where it is not ours.

    It is queued from `accepted` to `started`. `is_gone`: the CommServe was restored from a backup that lacks it.
    """

    id: str
    names: Names
    level: str
    kind: int
    accepted: float
    started: float
    ends: float
    status: str
    outcome: str
    origin: str = ""
    is_gone: bool = False

    def summary(self, now: float, ahead: float) -> dict[str, Any]:
        """Return its row in a list, by a clock that is so many seconds ahead of ours."""
        client, instance, subclient = self.names
        runs, number = now < self.ends, int(self.id)
        # A queued job has no start yet, or one that moves when it starts.
        started = self.started if now >= self.started else self.accepted * (number % 2)
        return {
            "jobId": number,
            "status": GOING_ON[number % len(GOING_ON)] if runs else self.status,
            "pendingReason": "" if runs or self.status == "Completed" else "The snapshot could not be made.",
            "jobStartTime": int(started + ahead) if started else 0,
            "jobEndTime": 0 if runs else int(self.ends + ahead),
            "jobType": {59: "Snap Backup", 4: "Backup"}.get(self.kind, "Restore"),
            "backupLevelName": self.level.title().replace("_", " "),
            "opType": self.kind,
            "subclient": {"clientName": client, "instanceName": instance, "subclientName": subclient},
        }


def names_of(association: dict[str, str]) -> Names:
    """Return the names that an association in a request or a notification has."""
    return association["clientName"], association["instanceName"], association["subclientName"]
