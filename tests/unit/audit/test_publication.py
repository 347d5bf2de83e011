"""When findings are published: when they change, once when they are gone, and weekly while they last."""

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from rds_snap_backup.audit.findings import Finding, Question
from rds_snap_backup.audit.publication import MAX_KEYS, Change, Publication, change_of
from rds_snap_backup.audit.summary import summary
from rds_snap_backup.ledger.audits import AuditState
from tests.unit.audit.support import Aws

NOW = 1769824804.0
DAY = 86400.0
EMPTY: frozenset[Question] = frozenset()


def uncovered(name: str) -> Finding:
    return Finding("coverage", "DATABASE_UNCOVERED", None, name, "message", "hint")


def unasked(code: str = "AWS_FAILURE") -> Finding:
    return Finding("asking", code, None, None, "message", "hint", "coverage")


def state(*findings: Finding, days_ago: float = 1) -> AuditState:
    """Return what an audit of some days ago recorded."""
    change = change_of(AuditState(), findings, EMPTY, NOW - days_ago * DAY)
    return AuditState("run", change.keys, NOW - days_ago * DAY)


ONE, TWO, THREE = map(uncovered, ("one", "two", "three"))


@pytest.mark.parametrize(
    ("before", "findings", "is_due", "new"),
    [
        (AuditState(), [], False, 0),
        (AuditState(), [ONE], True, 1),
        (state(ONE), [ONE], False, 0),
        (state(ONE, days_ago=6), [ONE], False, 0),
        (state(ONE, days_ago=7), [ONE], True, 1),
        (state(ONE, days_ago=6.97), [ONE], True, 1),
        (state(ONE, TWO, days_ago=8), [ONE, TWO], True, 2),
        (state(ONE), [ONE, TWO, THREE], True, 2),
        (state(ONE, TWO), [ONE], True, 0),
        (state(ONE, TWO), [ONE, THREE], True, 1),
        (state(ONE), [], True, 0),
        (state(days_ago=30), [], False, 0),
    ],
)
def test_when_findings_are_due(before: AuditState, findings: list[Finding], is_due: bool, new: int) -> None:
    change = change_of(before, findings, EMPTY, NOW)
    assert (change.is_due, change.new) == (is_due, new)


def test_what_was_known_of_a_question_stands_while_it_cannot_be_asked() -> None:
    unanswered: frozenset[Question] = frozenset({"coverage"})
    failed = change_of(state(ONE, TWO), [unasked()], unanswered, NOW)
    assert (failed.is_due, failed.new) == (True, 1)  # That it could not be asked is news; the others are not gone.
    still = change_of(AuditState("run", failed.keys, NOW), [unasked()], unanswered, NOW + DAY)
    assert (still.is_due, still.new) == (False, 0)
    answered = change_of(AuditState("run", failed.keys, NOW), [ONE, TWO], EMPTY, NOW + DAY)
    assert (answered.is_due, answered.new) == (True, 0)
    back = change_of(AuditState("run", failed.keys, NOW), [ONE, TWO, THREE], EMPTY, NOW + DAY)
    assert (back.is_due, back.new) == (True, 1)


def test_a_question_that_is_answered_in_part_keeps_what_was_known_and_adds_what_is_new() -> None:
    change = change_of(state(ONE), [TWO], frozenset({"coverage"}), NOW)
    assert change == Change(change_of(AuditState(), [ONE, TWO], EMPTY, NOW).keys, 1, is_due=True)


def test_very_many_findings_are_compared_as_far_as_they_are_kept() -> None:
    many = [uncovered(f"db-{number}") for number in range(MAX_KEYS + 500)]
    before = state(*many)
    assert sum(map(len, before.keys.values())) == MAX_KEYS
    change = change_of(before, many, EMPTY, NOW)
    assert (change.is_due, change.new) == (False, 0)


def publish(aws: Aws, run: str, *findings: Finding) -> None:
    """Publish what a run found, in a sandbox of its own."""
    auditor = aws.auditor()
    report = summary(findings, [], [], {}, {})
    Publication(auditor.services, auditor.audits, run).publish(report, findings, EMPTY)


def names(aws: Aws) -> list[list[str]]:
    """Return the databases in each message that was published."""
    return [[one["database"] for one in report["findings"]] for report in aws.published]


def test_a_run_that_is_delivered_again_publishes_nothing_more() -> None:
    aws = Aws()
    publish(aws, "monday", ONE)
    publish(aws, "monday", ONE, TWO)
    assert names(aws) == [["one"]]
    publish(aws, "tuesday", ONE, TWO)
    assert names(aws) == [["one"], ["one", "two"]]


def test_what_could_not_be_published_is_the_next_runs_with_its_metric(capsys: pytest.CaptureFixture[str]) -> None:
    aws = Aws()
    aws.failing = "publish"
    with pytest.raises(EndpointConnectionError):
        publish(aws, "monday", ONE, TWO)
    aws.failing = ""
    assert "AuditFinding" not in capsys.readouterr().out
    publish(aws, "monday", ONE)
    assert names(aws) == [["one", "two"]]
    assert '"AuditFinding":[2.0]' in capsys.readouterr().out
    publish(aws, "tuesday", ONE)
    assert names(aws) == [["one", "two"], ["one"]]


def test_it_is_recorded_before_it_is_published() -> None:
    aws = Aws()
    aws.failing = "publish"
    with pytest.raises(EndpointConnectionError):
        publish(aws, "monday", ONE)
    assert aws.auditor().audits.last().is_pending


def test_of_two_runs_that_see_the_same_change_one_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one records its findings between this one's reading and its recording."""
    aws = Aws()
    update = aws.dynamodb.update_item

    def after_the_other(**call: Any) -> Any:
        monkeypatch.setattr(aws.dynamodb, "update_item", update)
        publish(aws, "other", ONE)
        return update(**call)

    monkeypatch.setattr(aws.dynamodb, "update_item", after_the_other)
    publish(aws, "mine", ONE)
    assert names(aws) == [["one"]]
    assert aws.auditor().audits.last().run == "other"
