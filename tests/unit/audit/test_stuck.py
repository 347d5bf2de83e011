"""Stuck submissions: named by every audit, their messages sent again once a day by scheduled ones."""

from dataclasses import replace

import pytest

from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.findings import Finding
from rds_snap_backup.audit.stuck import findings_of, findings_of_unreadable, send_again
from rds_snap_backup.core.coordinator import Saved
from rds_snap_backup.core.opening import Defaults, begin
from rds_snap_backup.core.record import Change, Submission, Unreadable
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import parse_target
from rds_snap_backup.triggers import Trigger
from tests.unit.audit.support import Aws, text

TRIGGER = Trigger("rds", "arn|RDS-EVENT-0043|now", "now", "RDS-EVENT-0043", "arn:aws:rds:x:1:db:o", "Restored")
HOUR = 3600


@pytest.fixture
def aws() -> Aws:
    """AWS with a submission that has waited for two hours."""
    found = Aws()
    target = parse_target("orders", "", text())
    submission = begin(TRIGGER, target, target.request.associations, Defaults(5, 1), found.now)
    found.auditor().services.submissions.save(Change(submission))
    found.now += 2 * HOUR
    return found


def opened(aws: Aws) -> list[Submission]:
    return aws.auditor().services.submissions.open()[0]


def audit(aws: Aws, *, is_scheduled: bool = True, seconds_left: float = 100) -> tuple[Finding, list[Problem]]:
    stuck = [submission for submission in opened(aws) if submission.is_stuck(aws.now)]
    problems = send_again(aws.auditor().services, aws_calls(lambda: seconds_left), stuck) if is_scheduled else []
    (found,) = findings_of(stuck, is_scheduled=is_scheduled)
    return found, problems


def test_by_hand_it_is_named_and_not_sent(aws: Aws) -> None:
    found, _ = audit(aws, is_scheduled=False)
    assert (found.code, found.target, found.database) == ("SUBMISSION_STUCK", "orders", None)
    assert found.message == (
        "A submission (waiting) should have gone on at 2026-01-31T02:00:04Z: rds trigger arn|RDS-EVENT-0043|now."
    )
    assert "The next scheduled audit" in found.hint
    (unread,) = findings_of_unreadable([Unreadable("submission#orders#manual#1", "It has another form.")])
    assert (unread.code, unread.message) == ("SUBMISSION_STUCK", "submission#orders#manual#1: It has another form.")
    assert aws.sent == []


def test_a_scheduled_audit_sends_its_message_once_a_day(aws: Aws) -> None:
    found, problems = audit(aws)
    assert (problems, "was sent again" in found.hint) == ([], True)
    (body,) = aws.sent
    assert (body["target"], Trigger.from_json(body["trigger"])) == ("orders", TRIGGER)
    for hours, sent in ((1, 1), (21, 1), (1, 2), (24, 3)):
        aws.now += hours * HOUR
        again, _ = audit(aws)
        assert (again.key, len(aws.sent), "in vain" in again.hint) == (found.key, sent, True)


def test_a_message_that_could_not_be_sent_is_sent_by_the_next_audit(aws: Aws) -> None:
    aws.failing = "send_message"
    assert [problem.code for problem in audit(aws)[1]] == ["AWS_FAILURE"]
    assert [problem.code for problem in audit(aws, seconds_left=10)[1]] == ["OUT_OF_TIME"]
    aws.failing = ""
    assert (audit(aws)[1], len(aws.sent)) == ([], 1)


def test_a_submission_that_goes_on_meanwhile_keeps_its_record(aws: Aws) -> None:
    services = aws.auditor().services
    (stuck,) = opened(aws)
    changed = services.submissions.save(Change(replace(stuck, cut_offs=1)))
    assert send_again(services, aws_calls(lambda: 100), [stuck]) == []
    assert changed == Saved(opened(aws)[0])
