"""The item of the last audit: recorded once for a run, and its notification published by whoever comes next."""

from typing import Any

import pytest

from rds_snap_backup.ledger.audits import Audited, Audits, AuditState
from rds_snap_backup.ledger.outbox import LEASE_SECONDS
from rds_snap_backup.ledger.steps import Done, Publish, Wait
from rds_snap_backup.ledger.table import Table
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel, Schedule

START = 1769824804.0
KEYS = {"coverage": frozenset({"a", "b"}), "token": frozenset({"c"})}
NOTIFICATION: dict[str, Any] = {"status": "audit", "ok": False}


class Scene:
    """The item in a table of its own, with one clock."""

    def __init__(self) -> None:
        self.now = START
        self.client = DynamoDB(Kernel({"aws": Schedule(())}, Schedule(())))
        client: Any = self.client
        self.audits = Audits(Table("ledger", client), 86400, lambda: self.now)

    def record(self, run: str, owner: str, notification: dict[str, Any] | None = NOTIFICATION) -> bool:
        return self.audits.record(self.audits.last(), Audited(run, KEYS, notification, 3), owner)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_before_the_first_audit_there_is_nothing(scene: Scene) -> None:
    assert scene.audits.last() == AuditState()
    assert not scene.audits.last().is_pending


def test_what_a_run_found_is_recorded_before_it_publishes(scene: Scene) -> None:
    assert scene.record("one", "me")
    last = scene.audits.last()
    assert (last.run, last.keys, last.notified_at, last.new_findings) == ("one", KEYS, START, 3)
    assert last.is_pending
    scene.audits.mark_published("me")
    assert not scene.audits.last().is_pending
    assert scene.client.items["audit"]["expiresAt"] == {"N": str(int(START) + 86400)}


def test_a_run_without_a_notification_leaves_the_last_one_as_it_is(scene: Scene) -> None:
    scene.record("one", "me")
    scene.audits.mark_published("me")
    scene.now += 60
    assert scene.record("two", "other", None)
    last = scene.audits.last()
    assert (last.run, last.notified_at, last.is_pending) == ("two", START, False)


def test_of_two_runs_at_one_time_one_records(scene: Scene) -> None:
    before = scene.audits.last()
    assert scene.audits.record(before, Audited("one", KEYS, NOTIFICATION), "me")
    assert not scene.audits.record(before, Audited("two", KEYS, NOTIFICATION), "other")
    read = scene.audits.last()
    scene.now += 1
    assert scene.audits.record(read, Audited("three", KEYS), "me")
    assert not scene.audits.record(read, Audited("four", KEYS), "other")
    assert scene.audits.last().run == "three"


def test_a_write_whose_answer_was_lost_is_its_own(scene: Scene) -> None:
    before = scene.audits.last()
    assert scene.audits.record(before, Audited("one", KEYS), "me")
    assert scene.audits.record(before, Audited("one", KEYS), "me")


def test_what_a_killed_run_recorded_is_published_by_the_next_when_its_lease_is_over(scene: Scene) -> None:
    scene.record("one", "killed")
    scene.now += LEASE_SECONDS - 1
    assert isinstance(scene.audits.resume(scene.audits.last(), "next"), Wait)
    scene.now += 2
    assert scene.audits.resume(scene.audits.last(), "next") == Publish(NOTIFICATION)
    scene.audits.mark_published("next")
    assert scene.audits.resume(scene.audits.last(), "third") == Done(NOTIFICATION)


def test_what_could_not_be_published_is_the_next_runs_at_once(scene: Scene) -> None:
    scene.record("one", "me")
    scene.audits.release("me")
    assert scene.audits.resume(scene.audits.last(), "next") == Publish(NOTIFICATION)
