"""The ledger's item of one subclient: who has it, and what is known of its jobs. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

MAX_KNOWN_IDS = 5


@dataclass(frozen=True)
class CompletedJob:
    """The last completed job of a subclient, and the key of the submission whose job it is."""

    id: str
    started: float
    level: str
    submission: str


@dataclass(frozen=True)
class Subclient:
    """The ledger's item of one subclient: who claimed it last, the last IDs that claimers got, the last completed job.

    `key` is the association's key and `version` the version that was read, 0 where there is no item. `user` started the
    last job that an answer named, as far as its row tells.
    """

    key: str
    version: int = 0
    claimer: str = ""
    known_ids: tuple[str, ...] = ()
    completed: CompletedJob | None = None
    user: str = ""

    def knowing(self, *job_ids: str) -> "Subclient":
        """Return it with these IDs among the last that claimers got."""
        new = [job_id for job_id in job_ids if job_id not in self.known_ids]
        # The IDs of a group are known together, however many there are.
        return replace(self, known_ids=(*self.known_ids, *new)[-max(MAX_KNOWN_IDS, len(new)) :]) if new else self

    def with_completed(self, job: CompletedJob) -> "Subclient":
        """Return it with a completed job, unless it has a later one."""
        if self.completed and self.completed.started >= job.started:
            return self
        return replace(self, completed=job)


type Subclients = Mapping[str, Subclient]
