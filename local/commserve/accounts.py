"""The cloud accounts whose databases jobs snapshot: an account keeps its databases in memory, unless one of RDS is attached."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from local.commserve.content import Content, Database


class Account(Protocol):
    """The databases of one AWS account, and what makes manual snapshots of them."""

    def databases(self) -> Sequence[Database]:
        """Return its databases, as they are now."""

    def snapshot(self, database: Database, name: str, at: int) -> bool:
        """Make a manual snapshot of a database at a Unix time; False if RDS refuses."""


@dataclass(slots=True)
class ListedAccount:
    """An account in memory, which no RDS shows."""

    known: dict[tuple[str, str, bool], Database] = field(default_factory=dict)

    def put(self, database: Database) -> None:
        """Add a database, or replace the one of its name."""
        self.known[database.region, database.name, database.is_cluster] = database

    def databases(self) -> Sequence[Database]:
        """Return its databases."""
        return list(self.known.values())

    def snapshot(self, _database: Database, _name: str, _at: int) -> bool:
        """Say that the snapshot was made."""
        return True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that a job made of a database."""

    database: Database
    name: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What a job did with the databases that its group selects, at a Unix time on the CommServe's clock."""

    at: int = 0
    snapshots: tuple[Snapshot, ...] = ()
    skipped: tuple[Database, ...] = ()


def take(account: Account, content: Content, at: int) -> Taken:
    """Snapshot each available database of a content; the snapshots' names end with the time."""
    snapshots, skipped = [], []
    for database in account.databases():
        if not content.selects(database):
            continue
        name = f"{database.name}-{database.region}-{datetime.fromtimestamp(at, UTC):%Y%m%dt%H%M%Sz}"
        if database.is_available and account.snapshot(database, name, at):
            snapshots.append(Snapshot(database, name))
        else:
            skipped.append(database)
    return Taken(at, tuple(snapshots), tuple(skipped))
