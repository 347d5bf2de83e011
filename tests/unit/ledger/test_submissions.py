"""Records and subclient items: saved whole, together, and on condition of the version that was read."""

from dataclasses import fields, replace
from typing import Any

import pytest

from rds_snap_backup.core.backups import Backup, Tried
from rds_snap_backup.core.coordinator import Conflict, Saved, Stale
from rds_snap_backup.core.phases import Ended, Waiting
from rds_snap_backup.core.policy import DAY
from rds_snap_backup.core.record import Change, Submission, Unreadable
from rds_snap_backup.core.subclients import CompletedJob, Subclient
from rds_snap_backup.ledger.records import FORM, UnreadableRecordError
from rds_snap_backup.ledger.submissions import Submissions
from rds_snap_backup.ledger.table import Table
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association
from rds_snap_backup.triggers import Trigger
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel
from tests.property.model.sdk import clients

X, Y = (Association("client", name, "default", "shown") for name in "XY")
WHY = Problem("WHY", "why", "hint")


class Ledger:
    """The submissions of an empty table."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.dynamodb = DynamoDB(self.kernel)
        table = Table("ledger", clients({"dynamodb": self.dynamodb}).dynamodb)
        self.submissions = Submissions(table, 90, self.kernel.time)

    def make(self, number: int = 1, **fields: Any) -> Submission:
        """Return a submission of two backups that wait."""
        now = self.kernel.now
        given = {"backups": (self.backup(X), self.backup(Y)), "wake_at": now, **fields}
        return Submission(Trigger("manual", f"request-{number}"), "one", now, now, **given)

    def backup(self, association: Association, **fields: Any) -> Backup:
        now = self.kernel.now
        return Backup(association, now, **{"phase": Waiting(now), **fields}, tried=Tried(now))

    def save(self, submission: Submission, *items: Subclient) -> Submission:
        """Save what nobody else saves."""
        saved = self.submissions.save(Change(submission, items))
        assert isinstance(saved, Saved)
        return saved.submission

    def claim(self, submission: Submission, *associations: Association) -> Submission:
        """Save a submission as the claimer of subclients."""
        items = self.submissions.subclients([one.key for one in associations])
        return self.save(submission, *(replace(item, claimer=submission.key) for item in items.values()))

    def renew(self, submission: Submission) -> None:
        """Let a record have been written by a newer version."""
        item = self.dynamodb.items[submission.key]
        item["record"] = {"S": item["record"]["S"].replace(f'"form":{FORM}', f'"form":{FORM + 1}')}


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_of_two_writers_of_a_version_one_is_stale_and_gets_the_others_record(ledger: Ledger) -> None:
    # Our own write whose answer was lost is no conflict.
    ledger.kernel.faults["ledger update"] = ["twice"]
    first = ledger.save(ledger.make())
    assert first.version == 1
    second = ledger.save(replace(first, cut_offs=1))
    for stale in (replace(first, cut_offs=2), ledger.make(error=WHY)):
        assert ledger.submissions.save(Change(stale)) == Stale(second)
    assert ledger.submissions.load(first.key) == second


def test_a_start_claims_all_its_items_or_nothing(ledger: Ledger) -> None:
    submission, read = ledger.make(), ledger.submissions.subclients([X.key, Y.key])
    assert {item.version for item in read.values()} == {0}
    ledger.claim(ledger.make(2), Y)
    claims = tuple(replace(item, claimer=submission.key) for item in read.values())
    assert ledger.submissions.save(Change(submission, claims)) == Conflict()
    assert ledger.submissions.load(submission.key) is None
    assert ledger.submissions.subclients([X.key])[X.key] == Subclient(X.key)


def test_an_item_keeps_its_last_completed_job_the_known_ids_and_the_user(ledger: Ledger) -> None:
    now = ledger.kernel.now
    item = Subclient(X.key, 0, "a", ("1", "2"), CompletedJob("1", now - 0.5, "FULL", "b"), "product")
    assert [member.name for member in fields(item) if getattr(item, member.name) == member.default] == ["version"]
    ledger.save(ledger.make(), item)
    assert ledger.submissions.subclients([X.key]) == {X.key: replace(item, version=1)}
    expires = float(ledger.dynamodb.items[f"subclient#{X.key}"]["expiresAt"]["N"])
    assert expires == pytest.approx(now + 90 * DAY, abs=2)


def test_a_start_sees_the_other_claimers_and_the_rate_limit_that_is_only_prolonged(ledger: Ledger) -> None:
    mine, theirs = ledger.claim(ledger.make(1), X), ledger.claim(ledger.make(2), Y)
    for until in (2e9, 1.9e9, 2.1e9):
        ledger.submissions.note_throttle(until)
    found = ledger.submissions.start_inputs(mine, [X.key, Y.key])
    assert (found.claimers, found.throttled_until) == ({theirs.key: theirs}, 2.1e9)
    assert found.subclients.keys() == {X.key, Y.key}


def test_a_record_of_another_form_is_a_busy_claimer_until_it_is_over_and_harms_no_other(ledger: Ledger) -> None:
    newer, other = ledger.claim(ledger.make(1), X), ledger.claim(ledger.make(2), Y)
    ledger.renew(newer)
    with pytest.raises(UnreadableRecordError, match="deploy the version that wrote it"):
        ledger.submissions.load(newer.key)
    assert ledger.submissions.load_all([newer.key, other.key]) == {other.key: other}
    found = ledger.submissions.start_inputs(ledger.make(3), [X.key, Y.key])
    unreadable = found.claimers[newer.key]
    assert isinstance(unreadable, Unreadable)
    assert (unreadable.key, found.claimers[other.key]) == (newer.key, other)
    assert ledger.submissions.open() == ([other], [unreadable])
    over = ledger.claim(ledger.make(4, backups=(ledger.backup(X, phase=Ended("completed")),)), X)
    ledger.renew(over)
    assert ledger.submissions.start_inputs(ledger.make(2), [X.key]).claimers == {}, "one that is over keeps nothing"


def test_open_is_what_is_not_over(ledger: Ledger) -> None:
    over = (ledger.backup(X, phase=Ended("completed")),)
    made = [ledger.save(ledger.make(number)) for number in range(5)]
    ledger.save(ledger.make(5, backups=over))
    unpublished = ledger.make(6, backups=over).with_notice("completed", over, ledger.kernel.now)
    made.append(ledger.save(unpublished))
    assert ledger.submissions.open() == (made, [])
    ledger.save(replace(made[0], backups=over))
    assert ledger.submissions.open() == (made[1:], [])
