"""What is read of Commvault's list of jobs: a page, a whole list or the beginning of one, and where to read on. Pure."""

from dataclasses import dataclass, replace
from typing import Any, Self

from rds_snap_backup.commvault.rows import Job

# Rows that are read twice, since those before them may leave the list between two pages.
OVERLAP = 5


@dataclass(frozen=True)
class Page:
    """A page of the job list. `end` is how many rows it and those before it had, `total` how many there are in all."""

    rows: tuple[Job, ...]
    end: int
    total: int
    clock_ahead: float

    @property
    def is_last(self) -> bool:
        """Return whether no page follows."""
        return self.end >= self.total


@dataclass(frozen=True)
class Position:
    """Where a later delivery reads on: `client_ids` are those whose lists are left, `offset` is into the first one's.

    Without `client_ids` it is the list of all clients.
    """

    offset: int = 0
    client_ids: tuple[str, ...] = ()

    @property
    def client_id(self) -> str | None:
        """The client whose list is read; None: all."""
        return self.client_ids[0] if self.client_ids else None

    def after(self, page: Page) -> Self | None:
        """Return the position that follows a page of this list; None after the last page of the last list."""
        if not page.is_last:
            # Always forward, even where a server gives fewer rows than it was asked for.
            overlap = min(OVERLAP, (page.end - self.offset) // 2)
            return replace(self, offset=page.end - overlap)
        return replace(self, offset=0, client_ids=self.client_ids[1:]) if self.client_ids[1:] else None

    def to_json(self) -> dict[str, Any]:
        """Return `{"offset", "clientIds"}`."""
        return {"offset": self.offset, "clientIds": list(self.client_ids)}

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read `to_json`'s object; anything else is the beginning of the list."""
        match document:
            case {"offset": int(offset), "clientIds": [*client_ids]} if offset >= 0:
                return cls(offset, tuple(str(one) for one in client_ids))
            case _:
                return cls()


@dataclass(frozen=True)
class JobList:
    """Jobs that were read, and how many seconds Commvault's clock is, at least, ahead of ours.

    `next` is where to read on; None: together with what earlier deliveries have read, this is the whole list.
    """

    rows: tuple[Job, ...]
    clock_ahead: float
    next: Position | None = None
