"""The phases of a backup as types, and the table of every change of phase that exists. Pure.

A phase has exactly the facts that it needs. `Backup.moved_to` is the only way from one phase to another and refuses what
is not in `CHANGES`; the diagram in docs/architecture.md is drawn from that table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, assert_never

from rds_snap_backup.problems import Problem

type End = Literal[
    "scheduled", "joined", "completed", "completed_with_errors", "killed", "lost", "failed", "rejected", "abandoned"
]
type State = Literal["waiting", "requested", "running"] | End
type Doubt = Literal["unanswered", "refused", "running"]
type WaitReason = Literal["gathering", "settling", "busy", "throttled", "trying"]

OPEN: frozenset[State] = frozenset({"waiting", "requested", "running"})
COMPLETED: frozenset[State] = frozenset({"completed", "completed_with_errors"})
SUCCEEDED: frozenset[State] = frozenset({"completed", "scheduled"})
REOPENABLE: frozenset[End] = frozenset({"rejected", "abandoned"})


@dataclass(frozen=True)
class JobRef:
    """A backup's job.

    `began` is the earliest time at which it can have begun, on our clock; `seen` when a row first showed it, 0 before.
    """

    id: str
    level: str
    began: float
    seen: float = 0


@dataclass(frozen=True)
class Absence:
    """A job that complete reads do not show: since when, and how many reads in a row."""

    since: float
    reads: int = 1


@dataclass(frozen=True)
class Waiting:
    """Nothing of it is in Commvault. It is due then; `error` is the last problem."""

    due: float
    reason: WaitReason = "trying"
    error: Problem | None = None


@dataclass(frozen=True)
class Out:
    """Its request has been sent, or is about to be."""

    attempt: int


@dataclass(frozen=True)
class Named:
    """The answer named jobs, and no row shows yet which is its."""

    attempt: int
    due: float


@dataclass(frozen=True)
class Doubted:
    """The request may have been accepted, and its job is not known."""

    attempt: int
    doubt: Doubt
    due: float
    error: Problem | None = None


@dataclass(frozen=True)
class Unlisted:
    """No job was found after a refusal: the inventory decides. `error` is the refusal."""

    attempt: int
    due: float
    error: Problem | None = None


@dataclass(frozen=True)
class Running:
    """Its job is known, and has been followed since `since`."""

    attempt: int
    job: JobRef
    since: float
    due: float
    absence: Absence | None = None


@dataclass(frozen=True)
class Ended:
    """It is over. `by` is the key of the submission that follows the job, of a joined backup; `doubted` its last doubt."""

    end: End
    job: JobRef | None = None
    by: str = ""
    error: Problem | None = None
    doubted: Doubted | None = None


type Phase = Waiting | Out | Named | Doubted | Unlisted | Running | Ended

# Every change of phase: from a phase, or an end, to another one, and what makes it.
CHANGES: Mapping[str, Mapping[str, str]] = {
    "Waiting": {
        "Out": "attempt",
        "joined": "satisfied by another job",
        "rejected": "left the document",
        "abandoned": "time is over",
    },
    "Out": {
        "Named": "job IDs",
        "Doubted": "no answer, or a refused group",
        "Waiting": "certainly not accepted",
        "scheduled": "taskType SCHEDULE",
        "rejected": "refused for good",
    },
    "Named": {
        "Running": "a row is of it",
        "Doubted": "rows show no job of it",
        "lost": "its jobs are missing, or another's",
    },
    "Doubted": {
        "Running": "adopted",
        "Waiting": "no job",
        "Unlisted": "no job, after a refusal",
        "abandoned": "time is over",
    },
    "Unlisted": {
        "Waiting": "known to Commvault",
        "rejected": "unknown to Commvault",
        "abandoned": "time is over",
    },
    "Running": {
        "completed": "",
        "completed_with_errors": "",
        "killed": "",
        "failed": "no tries left",
        "lost": "missing, or followed too long",
        "Waiting": "failed, tries left",
    },
    "rejected": {"Waiting": "redrive"},
    "abandoned": {"Waiting": "redrive", "Doubted": "redrive, in doubt"},
}


def name_of(phase: Phase) -> str:
    """Return the name of a phase in `CHANGES`."""
    return phase.end if isinstance(phase, Ended) else type(phase).__name__


def counts_as_trying(phase: Phase) -> bool:
    """Tell whether time in a phase without a job counts towards `RetryHours`; other waits have a limit of their own."""
    match phase:
        case Waiting(reason=reason):
            return reason == "trying"
        case Out():
            return True
        case Named() | Doubted() | Unlisted() | Running() | Ended():
            return False
        case never:
            assert_never(never)
