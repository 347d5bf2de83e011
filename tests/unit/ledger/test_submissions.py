"""Records and subclient items: saved whole, together, and on condition of the version that was read."""

from dataclasses import replace
from typing import Any

import pytest

from rds_snap_backup.ledger import records
from rds_snap_backup.ledger.submissions import DAY, Stale, SubclientChanged, Submissions
from rds_snap_backup.ledger.table import Table
from rds_snap_backup.problems import Problem
from rds_snap_backup.record import Attempt, Backup, Change, CompletedJob, JobFacts, Notice, Pin, Subclient, Submission
from rds_snap_backup.targets import Association
from rds_snap_backup.triggers import Trigger
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import AWS_FAULTS, Kernel, Schedule
from tests.property.model.sdk import clients

X, Y = (Association("client", name, "default", "shown", None) for name in "XY")
WHY = Problem("WHY", "why", "hint")
HOUR = 3600.0


class Ledger:
    """The submissions of an empty table."""

    def __init__(self) -> None:
        self.kernel = Kernel({"aws": Schedule(())}, Schedule(()))
        self.dynamodb = DynamoDB(self.kernel)
        table = Table("ledger", clients({"dynamodb": self.dynamodb}).dynamodb)
        self.submissions = Submissions(table, 90, self.kernel.time)

    def make(self, number: int = 1, **fields: Any) -> Submission:
        """Return a submission that waits."""
        now = self.kernel.now
        given = {"backups": (Backup(X, now, now, now), Backup(Y, now, now, now)), **fields}
        return Submission(Trigger("manual", f"request-{number}"), "one", now, now, **given)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_a_submission_is_read_as_it_was_saved(ledger: Ledger) -> None:
    now = ledger.kernel.now
    whole = ledger.make(
        pin=Pin("INCREMENTAL", notify=False, cool_down_seconds=900, retries=2),
        backups=(
            Backup(X, now, now, now, "running", attempt=1, job=JobFacts("7", started=now - 0.25)),
            Backup(Y, now, now, now, "requested", is_in_doubt=True, attempt=1, level="FULL", error=WHY),
        ),
        attempts=(
            Attempt(1, "FULL", now, now + 1, ("7", "8"), foreign=("8",), task_id=402, doubt="refused", error=WHY),
        ),
        outbox=(Notice("submitted", now, (X.key,), job_ids=("7",), error=WHY),),
        scan={"offset": 5, "clientIds": ["7"], "begun": now},
        error=WHY,
    )
    saved = ledger.submissions.save(Change(whole))
    assert ledger.submissions.load(whole.key) == saved
    assert replace(saved, version=0, write_id="") == whole


def test_what_has_its_default_takes_no_room(ledger: Ledger) -> None:
    text = records.to_text(ledger.make())
    assert not {"pauses", "is_in_doubt", "outbox", "cut_offs", "version", "error"} & {*text.replace('"', " ").split()}


def test_one_of_two_writers_is_stale(ledger: Ledger) -> None:
    first = ledger.submissions.save(Change(ledger.make()))
    ledger.submissions.save(Change(replace(first, cut_offs=1)))
    with pytest.raises(Stale):
        ledger.submissions.save(Change(replace(first, cut_offs=2)))
    known = ledger.submissions.load(first.key)
    assert known is not None
    assert (known.cut_offs, known.version) == (1, 2)


def test_a_second_record_of_a_trigger_is_stale(ledger: Ledger) -> None:
    ledger.submissions.save(Change(ledger.make()))
    with pytest.raises(Stale):
        ledger.submissions.save(Change(ledger.make(error=WHY)))


def test_our_own_write_whose_answer_was_lost_is_no_conflict(ledger: Ledger) -> None:
    ledger.kernel.faults["ledger update"] = Schedule([(0, AWS_FAULTS.index("twice"))])
    assert ledger.submissions.save(Change(ledger.make())).version == 1


def test_a_start_claims_all_its_items_or_nothing(ledger: Ledger) -> None:
    submission = ledger.make()
    read = ledger.submissions.subclients([X.key, Y.key])
    assert {item.version for item in read.values()} == {0}
    other = ledger.make(2)
    ledger.submissions.save(Change(other, (replace(read[Y.key], claimer=other.key),)))
    with pytest.raises(SubclientChanged):
        ledger.submissions.save(
            Change(submission, tuple(replace(item, claimer=submission.key) for item in read.values()))
        )
    assert ledger.submissions.load(submission.key) is None
    assert ledger.submissions.subclients([X.key])[X.key] == Subclient(X.key)


def test_a_claim_raises_the_version_of_the_claimers_own_item(ledger: Ledger) -> None:
    submission = ledger.make()
    claimed = replace(ledger.submissions.subclients([X.key])[X.key], claimer=submission.key)
    submission = ledger.submissions.save(Change(submission, (claimed,)))
    read = ledger.submissions.subclients([X.key])[X.key]
    ledger.submissions.save(Change(submission, (read,)))
    assert ledger.submissions.subclients([X.key])[X.key].version == 2


def test_an_item_keeps_its_last_completed_job_and_known_ids(ledger: Ledger) -> None:
    now = ledger.kernel.now
    item = Subclient(X.key, 0, "a", ("1", "2"), CompletedJob("1", now - 0.5, "FULL", "b"))
    ledger.submissions.save(Change(ledger.make(), (item,)))
    assert ledger.submissions.subclients([X.key]) == {X.key: replace(item, version=1)}
    expires = float(ledger.dynamodb.items[f"subclient#{X.key}"]["expiresAt"]["N"])
    assert expires == pytest.approx(now + 90 * DAY, abs=2)


def test_a_start_sees_the_other_claimers_and_the_rate_limit(ledger: Ledger) -> None:
    mine, theirs = ledger.make(1), ledger.make(2)
    items = ledger.submissions.subclients([X.key, Y.key])
    ledger.submissions.save(Change(mine, (replace(items[X.key], claimer=mine.key),)))
    saved = ledger.submissions.save(Change(theirs, (replace(items[Y.key], claimer=theirs.key),)))
    ledger.submissions.note_throttle(2e9)
    found = ledger.submissions.surroundings(mine, [X.key, Y.key])
    assert (found.claimers, found.throttled_until) == ({theirs.key: saved}, 2e9)


def test_a_rate_limit_is_only_prolonged(ledger: Ledger) -> None:
    for until in (2e9, 1.9e9, 2.1e9):
        ledger.submissions.note_throttle(until)
    assert ledger.submissions.surroundings(ledger.make(), []).throttled_until == 2.1e9


def test_open_is_what_is_not_over_and_stuck_what_was_to_go_on_an_hour_ago(ledger: Ledger) -> None:
    now = ledger.kernel.now
    over = (Backup(X, now, now, now, "completed"),)
    late = (Backup(X, now, now + 2 * HOUR, now),)
    for number in range(5):
        ledger.submissions.save(Change(ledger.make(number)))
    ledger.submissions.save(Change(ledger.make(5, backups=over)))
    ledger.submissions.save(Change(ledger.make(6, backups=late)))
    opened = ledger.submissions.open()
    assert [submission.trigger.id for submission in opened] == [f"request-{number}" for number in (0, 1, 2, 3, 4, 6)]
    assert [submission for submission in opened if submission.is_stuck(now)] == []
    assert [submission for submission in opened if submission.is_stuck(now + 1.5 * HOUR)] == opened[:5]
