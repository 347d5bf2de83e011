"""Submissions that should have gone on and did not: nothing holds them, and no message of theirs has come.

They are found by a sparse index of what is open or not published, so that the whole ledger need not be read.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched

from rds_snap_backup.ledger.keys import OPEN, OPEN_INDEX
from rds_snap_backup.ledger.steps import Submission
from rds_snap_backup.ledger.table import MAX_READ, Conflict, Item, Table, Update, Value
from rds_snap_backup.triggers import Trigger

UNTOUCHED = f"#{OPEN} = :open AND #wakeAt = :wake AND #lease = :lease AND #owner = :owner"


@dataclass(frozen=True)
class Overdue:
    """A submission whose lease is over and whose queue message should have come at `since` (Unix seconds).

    `is_woken` tells whether it was put back on the queue after that already.
    """

    submission: Submission
    status: str
    since: float
    is_woken: bool
    owner: str
    lease: float


class OpenSubmissions:
    """The open and the unpublished submissions of one table."""

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def overdue(self, seconds: float) -> Iterator[Overdue]:
        """Find submissions that nothing has held for so long and that should have gone on as long ago."""
        latest = self._clock() - seconds
        keys = self._table.query(OPEN_INDEX, {OPEN: "yes"}, {"wakeAt": latest})
        for batch in batched(keys, MAX_READ, strict=False):
            # The index may be a moment old, the items are not.
            for item in self._table.get_many(batch, consistent=True).values():
                if OPEN in item and max(item["wakeAt"], item["lease"]) < latest:
                    yield _overdue(item)

    def mark_woken(self, overdue: Overdue) -> None:
        """Note that a submission was put back on the queue, unless it has gone on since it was found.

        It is marked after it was sent: where the run is killed between the two it is sent twice, which does no harm, and
        never not at all.
        """
        where: dict[str, Value] = {"open": "yes", "wake": overdue.since, "lease": overdue.lease, "owner": overdue.owner}
        with suppress(Conflict):
            self._table.write(Update(overdue.submission.key, {"wokenAt": self._clock()}, (), UNTOUCHED, where))


def _overdue(item: Item) -> Overdue:
    trigger = Trigger.from_json(json.loads(item["trigger"]))
    return Overdue(
        submission=Submission(trigger, item["target"]),
        status=item["status"],
        since=item["wakeAt"],
        is_woken=item.get("wokenAt", 0) >= item["wakeAt"],
        owner=item["owner"],
        lease=item["lease"],
    )
