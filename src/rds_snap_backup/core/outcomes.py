"""The outcomes of an attempt: every response to CreateTask, and every failure to get one, is exactly one of these."""

from dataclasses import dataclass

from rds_snap_backup.problems import Problem


@dataclass(frozen=True)
class Submitted:
    """Commvault started these jobs; `problem` is an error in the same answer."""

    job_ids: tuple[str, ...]
    task_id: int | None
    problem: Problem | None = None


@dataclass(frozen=True)
class Scheduled:
    """Commvault created a task that starts its jobs later."""

    task_id: int


@dataclass(frozen=True)
class AlreadyRunning:
    """A job of the same subclient is running."""

    problem: Problem


@dataclass(frozen=True)
class Rejected:
    """Nothing was started, and the same request will never be accepted.

    `blames_names`: the answer is about names in the request; of several backups it may concern only some.
    """

    problem: Problem
    blames_names: bool = False


@dataclass(frozen=True)
class Failed:
    """Nothing was started, for a reason that may pass."""

    problem: Problem


@dataclass(frozen=True)
class Unauthorized:
    """The token was refused, or there is none."""

    problem: Problem


@dataclass(frozen=True)
class Throttled:
    """Too many requests: send nothing for this many seconds."""

    problem: Problem
    seconds: int


@dataclass(frozen=True)
class Unavailable:
    """The request certainly never reached Commvault's application."""

    problem: Problem


@dataclass(frozen=True)
class Unknown:
    """The request may have been accepted: only Commvault's list of jobs shows it."""

    problem: Problem


type Outcome = (
    Submitted | Scheduled | AlreadyRunning | Rejected | Failed | Unauthorized | Throttled | Unavailable | Unknown
)
