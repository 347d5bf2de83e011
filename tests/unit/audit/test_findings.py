"""Findings from failed checks, from verdicts, and from questions that could not be asked."""

from dataclasses import replace
from typing import Any, get_args

from rds_snap_backup.audit.checks import Check, failed, not_made, not_read, passed
from rds_snap_backup.audit.coverage import Coverage
from rds_snap_backup.audit.findings import (
    ORDER,
    QUESTION_OF_CHECK,
    WORDS,
    Finding,
    Question,
    Unasked,
    of_checks,
    of_empty_groups,
    of_overlaps,
    of_places,
    of_unasked,
    of_verdicts,
    unasked_at,
    unasked_in,
)
from rds_snap_backup.audit.verdicts import Verdict, VerdictName
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Place, Quota
from rds_snap_backup.rds.members import Listing
from tests.unit.audit.support import (
    HOME,
    NIGHTLY,
    association,
    child,
    database,
    group,
    judge,
    resource,
    target,
)

DOWN = Problem("UNREACHABLE", "Connection refused", "-")
DENIED = Problem("AWS_FAILURE", "AccessDenied", "Fix it.")
QUIET: tuple[VerdictName, ...] = ("protected", "new", "excluded", "unreadable")


def unknown(target: str, detail: str) -> Check:
    return Check("association", target, ok=False, detail=detail, hint="Correct it.", code="TARGET_UNKNOWN_TO_COMMVAULT")


def test_a_failed_check_is_a_finding() -> None:
    broken = Check("document", "orders", ok=False, detail="It is broken.", hint="Correct it.", code="TARGET_INVALID")
    (found,) = of_checks([passed("token", None, "It is accepted."), broken])
    assert found.question == "targets"
    assert found.to_json() == {
        "code": "TARGET_INVALID",
        "target": "orders",
        **dict.fromkeys(("database", "account", "region")),
        "message": "It is broken.",
        "hint": "Correct it.",
    }


def test_unknown_names_of_a_target_are_one_finding() -> None:
    found = of_checks([unknown("a", "No x."), unknown("b", "No y."), unknown("a", "No z."), unknown("a", "No z.")])
    assert [(finding.target, finding.message) for finding in found] == [
        ("a", "No x. 2 more of its associations are unknown, too."),
        ("b", "No y."),
    ]


def test_both_topics_without_a_listener_are_two_findings() -> None:
    none = Check("listeners", None, ok=False, detail="Nobody.", hint="Subscribe.", code="NOBODY_LISTENS")
    assert len({finding.key for finding in of_checks([none, replace(none, name="alarm_listeners")])}) == 2


def verdict(name: VerdictName, database_name: str, reason: str = "Why.", **more: Any) -> Verdict:
    return Verdict(database(database_name), name, reason, **more)


def test_verdicts_are_findings_each_with_its_place() -> None:
    covered = Coverage(((NIGHTLY, "everything"),))
    named = target("nightly")
    verdicts = [
        verdict("stale", "orders", coverage=covered),
        replace(verdict("uncovered", "crm"), database=database("crm", "cluster")),
        verdict("ambiguous", "hr"),
        *(verdict("unproven", f"db-{number}") for number in range(5)),
        *(verdict(name, "fine") for name in QUIET),
    ]
    found = of_verdicts(verdicts, {NIGHTLY.key: [named]})
    assert [(row["code"], row["target"], row["database"]) for row in map(Finding.to_json, found)] == [
        ("BACKUP_STALE", "nightly", "orders"),
        ("DATABASE_UNCOVERED", None, "crm"),
        ("DATABASE_AMBIGUOUS", None, "hr"),
        ("BACKUP_UNPROVEN", None, None),
    ]
    assert (found[1].to_json()["account"], found[1].to_json()["region"]) == ("111122223333", "us-east-1")
    assert found[1].message == "The RDS cluster 'crm' (mysql): Why."
    assert found[3].message == "Jobs completed for db-0, db-1, db-2 and 2 more, and no restore point proves it: Why."


def test_a_group_that_selects_no_database_is_a_finding_of_its_target() -> None:
    gone = group("nightly", child("Instance", "gone", path="us-east-1"))
    targets = [target("one"), target("two", association("weekly"))]
    (found,) = of_empty_groups(targets, judge(database("orders"), groups=[gone], targets=targets))
    assert (found.code, found.target) == ("GROUP_EMPTY", "one")
    assert found.message == "aws-prod / RDS / nightly selects no database that exists: gone."


def test_checks_that_were_not_made_because_of_a_finding_are_no_finding() -> None:
    checks = [failed("reach", None, DOWN), not_made("token", None, DOWN), not_made("association", "a", DOWN)]
    unasked = unasked_in(checks)
    assert [entry.question for entry in unasked] == ["token", "names"]
    assert [finding.code for finding in of_checks(checks)] == ["UNREACHABLE"]
    assert of_unasked(unasked, checks) == []


def test_each_other_problem_is_one_finding_that_names_the_questions() -> None:
    checks = [not_read("listeners", None, DENIED, "The subscriptions")]
    unasked = [*unasked_in(checks), Unasked("coverage", DENIED), Unasked("stuck", replace(DENIED, message="Slow"))]
    first, second = of_unasked(unasked, checks)
    assert first.message == (
        "Not asked, or not of all: which databases the instance groups select, whether anybody receives the messages. "
        "AccessDenied"
    )
    assert (first.question, first.code) == ("asking", "AWS_FAILURE")
    assert "permission" in first.hint
    assert "which submissions are stuck" in second.message
    assert first.key != second.key


def test_a_finding_is_known_by_its_code_and_place() -> None:
    one = Finding("freshness", "BACKUP_STALE", "50 h", "Do this", "orders", resource("x"), "key")
    assert one.key == replace(one, message="74 h", hint="Do that").key
    same_name = replace(resource("x"), arn="arn:aws:rds:eu-west-1:999988887777:db:x")
    assert one.group == "freshness@111122223333/us-east-1"
    others = [
        replace(one, code="X"),
        replace(one, target="x"),
        replace(one, database=same_name),
        replace(one, about="x"),
    ]
    assert len({finding.key for finding in (one, *others)}) == 5


def test_scheduled_targets_that_repeat_an_association() -> None:
    targets = [
        target("a", association("x"), maxAgeHours=3),
        target("b", association("x"), association("y")),
        target("c", association("y")),
        target("d", association("x")),
    ]
    (found,) = of_overlaps(targets, {"b"})
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
    found = [(finding.code, finding.to_json()["account"], finding.to_json()["region"]) for finding in findings]
    assert "Its snapshots cannot be read" in findings[1].message
    assert found == [
        ("ACCOUNT_UNREADABLE", HOME.account, "us-east-1"),
        ("MEMBER_UNREADABLE", member.account, "us-east-1"),
        ("MEMBER_EVENTS_WAITING", member.account, "us-east-1"),
        ("SNAPSHOT_QUOTA", member.account, "us-east-1"),
        ("MEMBER_UNREADABLE", far.account, "eu-west-1"),
    ]
    groups = {entry.group for entry in unasked_at(listings)}
    assert groups == {
        *(f"{question}@{HOME}" for question in ("coverage", "freshness")),
        *(f"{question}@{far}" for question in ("coverage", "freshness", "quota", "events")),
    }


def test_texts_from_outside_are_one_line_of_bounded_length() -> None:
    shown = Finding("names", "X", "line\nline \x1b[31m" + "m" * 900, "h" * 900, "t\n" + "t" * 900).to_json()
    assert all(len(shown[name]) <= 500 and shown[name].isprintable() for name in ("target", "message", "hint"))


def test_every_question_has_words_and_a_place() -> None:
    assert set(ORDER) == set(get_args(Question.__value__)) == {*WORDS, "asking"}
    assert set(QUESTION_OF_CHECK.values()) <= set(ORDER)
