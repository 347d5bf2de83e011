"""Scheduled audits: what is news, how it is recorded and published, and the lost messages that they send again."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.digest import Digest, Span
from rds_snap_backup.audit.findings import Finding
from rds_snap_backup.audit.publication import (
    MAX_KEYS,
    MAX_SHOWN_PLACES,
    REPEAT_SECONDS,
    News,
    news_of,
    notification_of,
    publish,
    publish_pending,
)
from rds_snap_backup.audit.stuck import findings_of, findings_of_unreadable, send_again
from rds_snap_backup.core.coordinator import Saved
from rds_snap_backup.core.opening import begin
from rds_snap_backup.core.record import Change, Submission, Unreadable
from rds_snap_backup.ledger.audits import AuditState
from rds_snap_backup.messaging.audit_messages import MAX_FINDINGS, VERDICTS
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import parse_target
from rds_snap_backup.triggers import Trigger
from tests.unit.audit.support import NOW, Aws, resource, text

DAY = 86400.0
EMPTY = frozenset[Any]()
BEFORE = AuditState()


def uncovered(name: str) -> Finding:
    return Finding("coverage", "DATABASE_UNCOVERED", "-", "-", database=resource(name))


ONE, TWO = uncovered("one"), uncovered("two")
TOKEN = Finding("token", "TOKEN_REFUSED", "-", "-")
GONE = Finding("empty", "GROUP_EMPTY", "-", "-", "orders")


def after(*findings: Finding, state: AuditState = BEFORE, now: float = NOW) -> AuditState:
    """Return the state after an audit with these findings."""
    return news_of(state, findings, EMPTY, now).recorded(state, now)


@pytest.mark.parametrize(
    ("before", "findings", "days", "new", "is_news"),
    [
        ([], [], 1, 0, False),
        ([], [ONE], 1, 1, True),
        ([ONE], [ONE], 1, 0, False),
        ([ONE, TWO], [ONE], 1, 0, True),
        ([ONE], [TWO], 1, 1, True),
        ([ONE], [], 1, 0, True),
        ([ONE, TWO], [ONE, TWO], 7, 2, True),
        ([ONE], [], 30, 0, True),
        ([], [], 30, 0, False),
    ],
)
def test_changes_and_another_week_are_news(
    before: list[Finding], findings: list[Finding], days: float, new: int, is_news: bool
) -> None:
    news = news_of(after(*before), findings, EMPTY, NOW + days * DAY)
    assert (news.new, news.is_news) == (new, is_news)
    # A week begins with the last new finding, and not with one that is gone.
    state = after(TWO, state=after(ONE, TWO), now=NOW + DAY)
    assert [news_of(state, [TWO], EMPTY, NOW + REPEAT_SECONDS + late).new for late in (-1, 0)] == [0, 1]


def test_a_question_that_is_not_answered_keeps_its_findings() -> None:
    state = after(ONE, TOKEN)

    def news(*findings: Finding, unanswered: str) -> News:
        return news_of(state, findings, frozenset({unanswered}), NOW + DAY)

    assert news(TOKEN, unanswered="coverage") == news(TOKEN, unanswered=ONE.group) == News(state.keys, 0, is_news=False)
    part = news(TWO, TOKEN, unanswered="coverage")
    assert (part.new, part.keys[ONE.group]) == (1, after(ONE, TWO).keys[ONE.group])
    assert news(TOKEN, unanswered="coverage@999988887777/us-east-1").is_news
    # A finding without a place is about all of them.
    everywhere = news_of(after(GONE), [], frozenset({"empty@999988887777/us-east-1"}), NOW + DAY)
    assert everywhere == News(after(GONE).keys, 0, is_news=False)


def test_very_many_findings_are_compared_as_far_as_they_are_kept() -> None:
    many = [uncovered(f"db-{number}") for number in range(MAX_KEYS + 500)]
    state = after(*many)
    assert len(state.keys[ONE.group]) == MAX_KEYS
    assert news_of(state, many, EMPTY, NOW + DAY) == News(state.keys, 0, is_news=False)


COUNTS = dict.fromkeys(("findings", "databases", *VERDICTS), 0)


def notification(text: str) -> dict[str, Any]:
    facts = {"scope": {"stack": "", "commvault": ""}, "time": "", "lastRead": None, "report": None}
    shown = {"status": "audit", "title": text, "news": True, "findings": [], "counts": COUNTS}
    return shown | facts | {"since": Digest(Span(NOW, NOW), {}).to_json()}


def run(aws: Aws, name: str, new: int = 1) -> None:
    """Publish as a run does that finds this many new findings."""
    auditor = aws.auditor()
    state = publish_pending(auditor.services, auditor.audits, auditor.audits.load())
    recorded = replace(state, run=name, pending=notification(name), pending_new=new)
    publish(auditor.services, auditor.audits, recorded)


def level_of(call: dict[str, Any]) -> str:
    """Return the level of a message, as the SDK writes attributes."""
    (name,) = (name for name, value in call.items() if value == "level")
    return str(call[name.replace("Name", "Value.StringValue")])


def published(aws: Aws) -> list[tuple[str, str]]:
    return [(each["title"], level_of(call)) for each, call in zip(aws.sns.messages, aws.sns.calls, strict=True)]


@pytest.mark.parametrize("fails_first", [False, True])
def test_a_notification_is_published_once_by_its_run_or_the_next_one(
    fails_first: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    aws = Aws()
    if fails_first:
        aws.kernel.faults["publish"] = ["fail before"]
        with pytest.raises(EndpointConnectionError):
            run(aws, "monday", new=2)
        assert aws.auditor().audits.load().run == "monday"
        assert "AuditFinding" not in capsys.readouterr().out
    else:
        run(aws, "monday", new=2)
    run(aws, "tuesday", new=0)
    assert published(aws) == [("monday", "problem"), ("tuesday", "digest")]
    assert capsys.readouterr().out.count('"AuditFinding":[2.0]') == 1
    state = aws.auditor().audits.load()
    assert (state.run, state.pending) == ("tuesday", None)


def test_of_two_runs_at_one_time_one_publishes() -> None:
    aws = Aws()
    auditor = aws.auditor()
    state = auditor.audits.load()
    run(aws, "other")
    publish(auditor.services, auditor.audits, replace(state, run="mine", pending=notification("mine")))
    assert published(aws) == [("other", "problem")]
    recorded = auditor.audits.save(replace(auditor.audits.load(), run="killed", pending=notification("killed")))
    for _ in range(2):  # Both publish the same record, and go on.
        assert publish_pending(auditor.services, auditor.audits, recorded).pending is None
    assert published(aws)[1:] == [("killed", "digest")] * 2


@pytest.mark.parametrize(("places", "shown"), [(MAX_SHOWN_PLACES, MAX_SHOWN_PLACES), (MAX_SHOWN_PLACES + 1, 0)])
def test_long_lists_are_counted_in_a_message(places: int, shown: int) -> None:
    scope: dict[str, Any] = {"accounts": [{"account": str(number)} for number in range(places)], "groups": 3}
    answer: dict[str, Any] = {"findings": [{"code": "TARGET_INVALID"}] * 60, "scope": scope, "counts": COUNTS}
    notification = notification_of({**answer, "since": {}})
    assert (len(notification["scope"]["accounts"]), notification["scope"]["groups"]) == (shown, 3)
    assert len(notification["findings"]) == MAX_FINDINGS
    assert len(answer["scope"]["accounts"]) == places


# ---- Stuck submissions

TRIGGER = Trigger("rds", "arn|RDS-EVENT-0043|now", "now", "RDS-EVENT-0043", "arn:aws:rds:x:1:db:o", "Restored")


@pytest.fixture
def aws() -> Aws:
    """AWS with a submission that has waited for two hours."""
    found = Aws()
    target = parse_target("orders", "", text())
    services = found.auditor().services
    submission = begin(TRIGGER, target, target.request.associations, services.config.policy, found.kernel.now)
    services.submissions.save(Change(submission))
    found.kernel.now += 2 * 3600
    return found


def opened(aws: Aws) -> list[Submission]:
    return aws.auditor().services.submissions.open()[0]


def audit(aws: Aws, *, is_scheduled: bool = True, seconds_left: float = 100) -> tuple[Finding, list[Problem]]:
    stuck = [submission for submission in opened(aws) if submission.is_stuck(aws.kernel.now)]
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
        aws.kernel.now += hours * 3600
        again, _ = audit(aws)
        assert (again.key, len(aws.sent), "in vain" in again.hint) == (found.key, sent, True)


def test_a_message_that_could_not_be_sent_is_sent_by_the_next_audit(aws: Aws) -> None:
    aws.kernel.faults["queue send"] = ["fail before"]
    assert [problem.code for problem in audit(aws)[1]] == ["AWS_FAILURE"]
    assert [problem.code for problem in audit(aws, seconds_left=10)[1]] == ["OUT_OF_TIME"]
    assert (audit(aws)[1], len(aws.sent)) == ([], 1)


def test_a_submission_that_goes_on_meanwhile_keeps_its_record(aws: Aws) -> None:
    services = aws.auditor().services
    (stuck,) = opened(aws)
    changed = services.submissions.save(Change(replace(stuck, cut_offs=1)))
    assert send_again(services, aws_calls(lambda: 100), [stuck]) == []
    assert changed == Saved(opened(aws)[0])
