"""Commvault's jobs in memory: how they run, end, and are shown."""

from dataclasses import dataclass
from typing import Any

type Names = tuple[str, str, str]

# What a backup runs as, where Commvault converts what has no full backup to build on.
CONVERTED = {"INCREMENTAL": "FULL", "DIFFERENTIAL": "FULL"}
# Statuses of a job that goes on, and how jobs end: the status, and what that means for whoever waits for it.
CLIENTS = {"aws-prod": "5", "aws-prod-2": "6", "elsewhere": "7"}
GOING_ON = ("Running", "Pending", "Waiting", "Queued", "Suspended", "Running (cannot be verified)")
ENDS = (
    ("Completed", "completed"),
    ("Completed w/ one or more errors", "completed_with_errors"),
    ("Failed", "failed"),
    ("Completed", "completed"),
    ("Killed", "killed"),
    ("Committed", "completed_with_errors"),
    ("Failed to Start", "failed"),
    ("Completed w/ one or more warnings", "completed_with_errors"),
)


@dataclass(slots=True, eq=False)
class Job:
    """A job. `origin` is the ledger's item that its request was for, empty where it is not ours.

    `is_gone`: it was started after the backup that the CommServe was restored from, which knows nothing of it.
    """

    id: str
    names: Names
    level: str
    kind: int
    started: float
    ends: float
    status: str
    outcome: str
    origin: str = ""
    is_gone: bool = False

    def summary(self, now: float, ahead: float) -> dict[str, Any]:
        """Return its row in a list, by a clock that is so many seconds ahead."""
        client, instance, subclient = self.names
        runs = now < self.ends
        return {
            "jobId": int(self.id),
            "status": GOING_ON[int(self.id) % len(GOING_ON)] if runs else self.status,
            "pendingReason": "" if runs or self.status == "Completed" else "The snapshot could not be made.",
            "jobStartTime": int(self.started + ahead),
            "jobEndTime": 0 if runs else int(self.ends + ahead),
            "jobType": {59: "Snap Backup", 4: "Backup"}.get(self.kind, "Restore"),
            "backupLevelName": self.level.title().replace("_", " "),
            "opType": self.kind,
            "subclient": {"clientName": client, "instanceName": instance, "subclientName": subclient},
        }


def names_of(association: dict[str, str]) -> Names:
    """Return the names that an association in a request or a notification has."""
    return association["clientName"], association["instanceName"], association["subclientName"]
