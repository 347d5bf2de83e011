"""What is stuck: named by every audit, and put back on the queue once by a scheduled one."""

import json
from collections.abc import Callable

import pytest

from rds_snap_backup.audit.asking import Asking
from rds_snap_backup.audit.stuck import STUCK_SECONDS, Woken, wake
from rds_snap_backup.ledger.steps import Pin, Send, Submission
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest
from rds_snap_backup.triggers import Trigger
from tests.unit.audit.support import Aws

TRIGGER = Trigger("rds", "arn|RDS-EVENT-0043|now", "now", "RDS-EVENT-0043", "arn:aws:rds:x:1:db:o", "Restored")
BUSY = Problem("HTTP_503", "Commvault is busy.", "-")
HOUR = 3600


@pytest.fixture
def aws() -> Aws:
    """AWS with a deferred submission whose message is lost, an hour and more ago."""
    found = Aws()
    ledger = found.auditor().services.ledger
    pin = Pin(BackupRequest((Association("c", "i", "d", "s"),)), 0)
    step = ledger.begin(Submission(TRIGGER, "orders"), "me", pin)
    assert isinstance(step, Send)
    ledger.defer(step.lease, BUSY, found.now + 30)
    found.now += HOUR + 31
    return found


def audit(aws: Aws, *, is_scheduled: bool, seconds_left: Callable[[], float] = lambda: 100) -> Woken:
    auditor = aws.auditor()
    overdue = list(auditor.open_submissions.overdue(STUCK_SECONDS))
    queues = auditor.services.queues
    return wake(queues, auditor.open_submissions, Asking(seconds_left), overdue, is_scheduled=is_scheduled)


def test_by_hand_it_is_named_and_left_where_it_is(aws: Aws) -> None:
    (found,) = audit(aws, is_scheduled=False).findings
    assert (found.code, found.target, found.database) == ("SUBMISSION_STUCK", "orders", None)
    assert found.message == (
        "A submission is deferred and should have gone on at 2026-01-31T02:00:34Z: rds trigger arn|RDS-EVENT-0043|now."
    )
    assert "The next scheduled audit" in found.hint
    assert aws.sent == []


def test_a_scheduled_audit_sends_it_once_as_the_functions_do(aws: Aws) -> None:
    (found,) = audit(aws, is_scheduled=True).findings
    assert "put back on the Submissions queue" in found.hint
    (call,) = aws.sent
    assert (call["QueueUrl"], call["DelaySeconds"]) == (aws.config.submissions_queue_url, 0)
    body = json.loads(call["MessageBody"])
    assert (body["target"], Trigger.from_json(body["trigger"])) == ("orders", TRIGGER)
    for is_scheduled in (True, False):
        (again,) = audit(aws, is_scheduled=is_scheduled).findings
        assert "in vain" in again.hint
        assert again.key == found.key
    assert len(aws.sent) == 1


def test_one_that_could_not_be_sent_is_sent_by_the_next_audit(aws: Aws) -> None:
    aws.failing = "send_message"
    woken = audit(aws, is_scheduled=True)
    assert [(one.question, one.problem.code) for one in woken.unasked] == [("stuck", "AWS_FAILURE")]
    assert "The next scheduled audit" in woken.findings[0].hint
    aws.failing = ""
    assert audit(aws, is_scheduled=True).unasked == []
    assert len(aws.sent) == 1


def test_without_time_it_is_named_and_not_sent(aws: Aws) -> None:
    woken = audit(aws, is_scheduled=True, seconds_left=lambda: 10)
    assert [one.problem.code for one in woken.unasked] == ["OUT_OF_TIME"]
    assert len(woken.findings) == 1
    assert aws.sent == []


def test_one_that_has_ended_and_is_not_published_is_named_so(aws: Aws) -> None:
    services = aws.auditor().services
    services.ledger.reject(Submission(Trigger("manual", "x"), "gone"), "me", {"jobIds": []})
    aws.now += 2 * HOUR
    found = {one.target: one.message for one in audit(aws, is_scheduled=False).findings}
    assert found["gone"].startswith("A submission is rejected, and not published, and should have gone on")
