"""Findings from failed checks, from verdicts, and from questions that could not be asked."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from rds_snap_backup.audit import findings as module
from rds_snap_backup.audit.assessment import Assessment
from rds_snap_backup.audit.checks import Check, failed, not_made, not_read, passed
from rds_snap_backup.audit.coverage import Coverage
from rds_snap_backup.audit.findings import Finding, Unasked, of_checks, of_places, of_unasked, of_verdicts, unasked_in
from rds_snap_backup.audit.job_history import Jobs
from rds_snap_backup.audit.verdicts import Verdict, VerdictName
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Place, Quota
from rds_snap_backup.rds.members import Listing
from tests.unit.audit.support import HOME, NIGHTLY, RDS, association, child, database, group, judge, resource, target

DOWN = Problem("UNREACHABLE", "Connection refused", "-")
DENIED = Problem("AWS_FAILURE", "AccessDenied", "Fix it.")
WRONG = Check("document", "a", ok=False, detail="It is broken.", hint="Correct it.", code="TARGET_INVALID")


def unknown(target: str, detail: str) -> Check:
    return Check("association", target, ok=False, detail=detail, hint="Correct it.", code="TARGET_UNKNOWN_TO_COMMVAULT")


def test_failed_checks_are_findings_one_for_all_unknown_names_of_a_target() -> None:
    checks = [unknown("a", "No x."), unknown("b", "No y."), unknown("a", "No z."), unknown("a", "No z.")]
    found = of_checks([passed("token", None, "It is accepted."), WRONG, *checks])
    assert found[0].to_json() == {
        "code": "TARGET_INVALID",
        "target": "a",
        **dict.fromkeys(("database", "account", "region")),
        "message": "It is broken.",
        "hint": "Correct it.",
    }
    assert [(finding.question, finding.target, finding.message) for finding in found] == [
        ("targets", "a", "It is broken."),
        ("names", "a", "No x. 2 more of its associations are unknown, too."),
        ("names", "b", "No y."),
    ]
    nobody = replace(WRONG, name="listeners", target=None, code="NOBODY_LISTENS")
    assert len({each.key for each in of_checks([nobody, replace(nobody, name="alarm_listeners")])}) == 2


def verdict(name: VerdictName, of: str, kind: str = "instance", **more: Any) -> Verdict:
    return Verdict(database(of, kind), name, "Why.", **more)


def test_verdicts_are_findings_each_with_its_place() -> None:
    quiet: tuple[VerdictName, ...] = ("protected", "new", "excluded", "unreadable")
    verdicts = [
        verdict("stale", "orders", coverage=Coverage(((NIGHTLY, "everything"),))),
        verdict("uncovered", "crm", "cluster"),
        verdict("ambiguous", "hr"),
        *(verdict("unproven", f"db-{number}") for number in range(5)),
        *(verdict(name, "fine") for name in quiet),
    ]
    found = of_verdicts(verdicts, {NIGHTLY.key: [target("nightly")]})
    assert [(row["code"], row["target"], row["database"], row["region"]) for row in map(Finding.to_json, found)] == [
        ("BACKUP_STALE", "nightly", "orders", "us-east-1"),
        ("DATABASE_UNCOVERED", None, "crm", "us-east-1"),
        ("DATABASE_AMBIGUOUS", None, "hr", "us-east-1"),
        ("BACKUP_UNPROVEN", None, None, None),
    ]
    assert found[1].message == "The RDS cluster 'crm' (mysql): Why."
    assert found[3].message == "Jobs completed for db-0, db-1, db-2 and 2 more, and no restore point proves it: Why."


def test_a_group_that_selects_no_database_is_a_finding_of_its_target() -> None:
    gone = group("nightly", child("Instance", "gone", path="us-east-1"))
    targets = [target("one"), target("two", association("weekly"))]
    (found,) = module.of_empty_groups(targets, judge(database("orders"), groups=[gone], targets=targets))
    assert (found.code, found.target) == ("GROUP_EMPTY", "one")
    assert found.message == "aws-prod / RDS / nightly selects no database that exists: gone."


def test_each_problem_is_one_finding_that_names_the_questions_unless_it_is_a_failed_checks() -> None:
    checks = [failed("reach", None, DOWN), not_made("token", None, DOWN), not_made("association", "a", DOWN)]
    unasked = unasked_in(checks)
    assert [entry.question for entry in unasked] == ["token", "names"]
    assert [finding.code for finding in of_checks(checks)] == ["UNREACHABLE"]
    assert of_unasked(unasked, checks) == []
    checks = [not_read("listeners", None, DENIED, "The subscriptions")]
    unasked = [*unasked_in(checks), Unasked("coverage", DENIED), Unasked("stuck", replace(DENIED, message="Slow"))]
    first, second = of_unasked(unasked, checks)
    assert first.message == (
        "Not asked, or not of all: which databases the instance groups select, whether anybody receives the messages. "
        "AccessDenied"
    )
    assert (first.question, first.code, "permission" in first.hint) == ("asking", "AWS_FAILURE", True)
    assert "which submissions are stuck" in second.message
    assert first.key != second.key
    assert set(module.ORDER) == set(get_args(module.Question.__value__)) == {*module.WORDS, "asking"}
    assert set(module.QUESTION_OF_CHECK.values()) <= set(module.ORDER)


def test_a_finding_is_known_by_its_code_and_place_and_its_texts_are_short_lines() -> None:
    one = Finding("freshness", "BACKUP_STALE", "50 h", "Do this", "orders", resource("x"), "key")
    assert one.key == replace(one, message="74 h", hint="Do that").key
    assert one.group == "freshness@111122223333/us-east-1"
    same_name = replace(resource("x"), arn="arn:aws:rds:eu-west-1:999988887777:db:x")
    changes: list[dict[str, Any]] = [{"code": "X"}, {"target": "x"}, {"database": same_name}, {"about": "x"}]
    assert len({finding.key for finding in (one, *(replace(one, **change) for change in changes))}) == 5
    shown = Finding("names", "X", "line\nline \x1b[31m" + "m" * 900, "h" * 900, "t\n" + "t" * 900).to_json()
    assert all(len(shown[name]) <= 500 and shown[name].isprintable() for name in ("target", "message", "hint"))


def test_scheduled_targets_that_repeat_an_association() -> None:
    targets = [
        target("a", association("x"), maxAgeHours=3),
        target("b", association("x"), association("y")),
        target("c", association("y")),
        target("d", association("x")),
    ]
    (found,) = module.of_overlaps(targets, {"b"})
    assert (found.code, found.target) == ("TARGETS_OVERLAP", "b")
    assert "1 associations of the target 'a', such as aws-prod / RDS / x" in found.message


def test_findings_about_places() -> None:
    full = Quota("ManualSnapshots", 90, 100)
    member, far = Place("999988887777", "us-east-1"), Place("999988887777", "eu-west-1")
    listings = {
        HOME: Listing(DENIED, [replace(full, used=89), replace(full, limit=0)]),
        member: Listing([], [full], 3),
        far: Listing.unread(DENIED),
    }
    findings = of_places(listings, HOME, {member: DENIED})
    assert [(finding.code, finding.place) for finding in findings] == [
        ("ACCOUNT_UNREADABLE", HOME),
        ("MEMBER_UNREADABLE", member),
        ("MEMBER_EVENTS_WAITING", member),
        ("SNAPSHOT_QUOTA", member),
        ("MEMBER_UNREADABLE", far),
    ]
    assert "Its snapshots cannot be read" in findings[1].message
    assert {entry.group for entry in module.unasked_at(listings)} == {
        *(f"{question}@{HOME}" for question in ("coverage", "empty", "freshness")),
        *(f"{question}@{far}" for question in ("coverage", "empty", "freshness", "quota", "events")),
    }


@pytest.mark.parametrize(
    ("facts", "questions"),
    [
        ({}, set()),
        ({"points": {RDS: DOWN}, "jobs": Jobs(problem=DOWN)}, {"freshness"}),
        ({"groups": (), "problem": DOWN}, {"coverage", "empty", "freshness"}),
        ({"groups": (), "unread_clients": {"aws-prod": DOWN}}, {"coverage", "empty", "freshness"}),
        ({"groups": [replace(NIGHTLY, content=DOWN)]}, {"coverage", "empty", "freshness"}),
        ({"groups": [NIGHTLY, replace(NIGHTLY, content=DOWN)]}, {"coverage", "empty"}),
    ],
)
def test_what_commvault_does_not_tell_leaves_questions_unanswered(facts: dict[str, Any], questions: set[str]) -> None:
    judged = judge(database("orders"), **facts)
    verdicts = [judged.judge(each) for each in judged.databases]
    assert {each.question for each in Assessment(judged, verdicts, {}).unasked} == questions
