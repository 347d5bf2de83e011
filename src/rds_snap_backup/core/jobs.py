"""A job as Commvault shows it, and the meaning of its status. Pure; `commvault/rows.py` reads it from a row."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rds_snap_backup.untrusted import clean_text

if TYPE_CHECKING:
    from rds_snap_backup.targets import Association

# Statuses of a job that has not ended, as Commvault documents them.
ACTIVE = frozenset(
    {"running", "waiting", "pending", "queued", "suspend pending", "suspended", "kill pending", "interrupt pending"}
    | {"interrupted", "running (cannot be verified)", "abnormal terminated cleanup"}
)

type JobEnd = Literal["completed", "completed_with_errors", "failed", "killed"]


@dataclass(frozen=True)
class Job:
    """A job as Commvault shows it. Times are Unix seconds on our clock, 0 where it gives none."""

    id: str
    client_name: str
    instance_name: str
    subclient_name: str
    level: str
    is_backup: bool
    status: str
    started: float
    ended: float
    raw_user: str = field(default="", repr=False)
    raw_reason: str = field(default="", repr=False)

    @property
    def user(self) -> str:
        """Who started it. Cleaned only here, as is `reason`: of a list of thousands of jobs few are asked for it."""
        return clean_text(self.raw_user)

    @property
    def reason(self) -> str:
        """What Commvault says of its state."""
        return clean_text(self.raw_reason)

    @property
    def has_ended(self) -> bool:
        """Return whether the status is an end; an unknown one means still running."""
        return self.end is not None

    @property
    def end(self) -> JobEnd | None:
        """Return how the job ended, or None while it runs.

        Warnings count as errors, since a person must look at them; so does Committed, a job that was ended by hand and
        whose work so far is kept.
        """
        status = self.status.lower()
        if "killed" in status:
            return "killed"
        if "failed" in status:
            return "failed"
        if "completed" in status:
            return "completed_with_errors" if "error" in status or "warning" in status else "completed"
        return "completed_with_errors" if "committed" in status else None

    @property
    def is_known(self) -> bool:
        """Return whether the status is one that Commvault documents."""
        return self.has_ended or self.status.strip().lower() in ACTIVE

    @property
    def names(self) -> tuple[str, str, str]:
        """The names of its client, instance and subclient; empty where the row has none."""
        return self.client_name, self.instance_name, self.subclient_name

    def is_of(self, association: "Association") -> bool:
        """Return whether this is a backup of an association, by its exact names."""
        return self.is_backup and self.names == association.names

    def may_be_of(self, association: "Association") -> bool:
        """Return whether the names that the row shows are an association's; a row can lack some."""
        return all(not shown or shown == name for shown, name in zip(self.names, association.names, strict=True))
