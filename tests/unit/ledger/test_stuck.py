"""Submissions that should have gone on: found by the index, put back once for each time, and gone when they went on."""

from typing import Any

import pytest

from rds_snap_backup.ledger.steps import Lease, Pin, Send, Submission
from rds_snap_backup.ledger.stuck import OpenSubmissions
from rds_snap_backup.ledger.submissions import Ledger
from rds_snap_backup.ledger.table import Table
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest
from rds_snap_backup.triggers import Trigger
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel, Schedule

HOUR = 3600
BUSY = Problem("HTTP_503", "Commvault is busy.", "-")
NOTIFICATION: dict[str, Any] = {"jobIds": ["1354"]}


class Scene:
    """A ledger and the search for what is stuck in it, with one clock."""

    def __init__(self) -> None:
        self.now = 1769824804.0
        client: Any = DynamoDB(Kernel({"aws": Schedule(())}, Schedule(())))
        table = Table("ledger", client)
        self.ledger = Ledger(table, 6 * HOUR, 86400, lambda: self.now)
        self.open = OpenSubmissions(table, lambda: self.now)

    def begin(self, identity: str = "one", owner: str = "me") -> Lease:
        trigger = Trigger("manual", identity, time="2026-01-31T02:00:00Z")
        step = self.ledger.begin(
            Submission(trigger, "orders"), owner, Pin(BackupRequest((Association("c", "i", "d", "s"),)), 0)
        )
        assert isinstance(step, Send)
        return step.lease

    def identities(self) -> list[str]:
        return [one.submission.trigger.id for one in self.open.overdue(HOUR)]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_run_that_was_cut_off_is_overdue_an_hour_after_its_lease(scene: Scene) -> None:
    scene.begin()
    scene.now += HOUR + 80
    assert scene.identities() == []
    scene.now += 1
    (found,) = scene.open.overdue(HOUR)
    assert (found.submission.target, found.submission.trigger.kind) == ("orders", "manual")
    assert found.submission.trigger.time == "2026-01-31T02:00:00Z"
    assert (found.status, found.since, found.is_woken) == ("submitting", scene.now - HOUR - 1, False)


def test_one_that_waits_for_its_message_is_overdue_an_hour_after_that_should_have_come(scene: Scene) -> None:
    scene.ledger.defer(scene.begin(), BUSY, scene.now + 900)
    scene.now += HOUR + 800
    assert scene.identities() == []
    scene.now += 101
    assert scene.identities() == ["one"]


def test_an_end_that_was_not_published_is_overdue_too(scene: Scene) -> None:
    scene.ledger.close(scene.begin(), "submitted", NOTIFICATION, ["1354"])
    scene.now += HOUR + 81
    assert scene.identities() == ["one"]


def test_an_end_that_is_published_is_not(scene: Scene) -> None:
    lease = scene.begin()
    scene.ledger.close(lease, "submitted", NOTIFICATION, ["1354"])
    scene.ledger.mark_published(lease)
    scene.now += 100 * HOUR
    assert scene.identities() == []


def test_a_target_that_was_rejected_unread_is_overdue_until_that_is_published(scene: Scene) -> None:
    submission = Submission(Trigger("manual", "one"), "unknown")
    step: Any = scene.ledger.reject(submission, "me", NOTIFICATION)
    scene.now += HOUR + 81
    assert scene.identities() == ["one"]
    scene.ledger.mark_published(step.lease)
    assert scene.identities() == []


def test_what_was_put_back_is_known_as_such_until_it_goes_on(scene: Scene) -> None:
    scene.begin()
    scene.now += 2 * HOUR
    (found,) = scene.open.overdue(HOUR)
    scene.open.mark_woken(found)
    (found,) = scene.open.overdue(HOUR)
    assert found.is_woken
    step: Any = scene.ledger.begin(found.submission, "other", None)
    scene.ledger.unknown(step.lease, BUSY, scene.now + 60)
    assert scene.identities() == []
    scene.now += 2 * HOUR
    (found,) = scene.open.overdue(HOUR)
    assert not found.is_woken


def test_what_went_on_meanwhile_is_not_marked(scene: Scene) -> None:
    scene.begin()
    scene.now += 2 * HOUR
    (found,) = scene.open.overdue(HOUR)
    step: Any = scene.ledger.begin(found.submission, "other", None)
    scene.open.mark_woken(found)
    scene.ledger.unknown(step.lease, BUSY, scene.now)
    scene.now += 2 * HOUR
    (found,) = scene.open.overdue(HOUR)
    assert not found.is_woken


def test_many_are_found_page_by_page(scene: Scene) -> None:
    for number in range(5):
        scene.begin(f"trigger-{number}")
        scene.now += 10
    scene.now += 2 * HOUR
    assert sorted(scene.identities()) == [f"trigger-{number}" for number in range(5)]
