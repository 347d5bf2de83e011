"""Pages of Commvault's list of jobs, and the position to read on from. Pure."""

from dataclasses import dataclass, replace
from typing import Any, Self

from rds_snap_backup.core.jobs import Job

# Rows that are read twice: those before them may leave the list between two pages.
OVERLAP = 5


@dataclass(frozen=True)
class Page:
    """A page of the job list. `end` counts its rows and those before it, `total` all rows of the list."""

    rows: tuple[Job, ...]
    end: int
    total: int

    @property
    def is_last(self) -> bool:
        """Return whether no page follows."""
        return self.end >= self.total


@dataclass(frozen=True)
class Position:
    """The position at which a later delivery reads on: an offset into the list of the first of `client_ids`.

    The lists of the other clients follow. Without `client_ids` it is the list of all clients.
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
            # Always forward, even if a server gives fewer rows than it was asked for.
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
                return cls(offset, tuple(map(str, client_ids)))
            case _:
                return cls()


@dataclass(frozen=True)
class JobList:
    """Jobs that were read.

    `next` is the position to read on from; None at the end of the list.
    """

    rows: tuple[Job, ...]
    next: Position | None = None
