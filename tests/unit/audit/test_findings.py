"""The preflight's failed rows as findings, and what could not be asked."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from rds_snap_backup.audit.findings import (
    ABOUT,
    ORDER,
    QUESTIONS,
    Finding,
    Question,
    Unasked,
    findings_of,
    findings_of_unasked,
    unasked_in,
)
from rds_snap_backup.audit.report import Row, failed, unchecked, unread
from rds_snap_backup.problems import Problem

DOWN = Problem("UNREACHABLE", "Connection refused", "-")
DENIED = Problem("AWS_FAILURE", "AccessDenied", "Fix it.")


def unknown(target: str, detail: str) -> Row:
    return Row("association", target, ok=False, detail=detail, hint="Correct it.", code="TARGET_UNKNOWN_TO_COMMVAULT")


def texts(findings: Sequence[Finding]) -> list[tuple[str, str | None, str]]:
    return [(one.code, one.target, one.message) for one in findings]


def test_rows_that_are_well_are_no_findings() -> None:
    rows = [Row("token", None, ok=True, detail="It is accepted.")]
    assert (findings_of(rows), unasked_in(rows)) == ([], [])


def test_a_failed_row_is_a_finding() -> None:
    row = Row("document", "orders", ok=False, detail="It is broken.", hint="Correct it.", code="TARGET_INVALID")
    (found,) = findings_of([row])
    assert found.question == "targets"
    assert found.to_json() == {
        "code": "TARGET_INVALID",
        "target": "orders",
        "database": None,
        "message": "It is broken.",
        "hint": "Correct it.",
    }


def test_a_targets_unknown_names_are_one_finding() -> None:
    found = findings_of([unknown("a", "No x."), unknown("b", "No y."), unknown("a", "No z."), unknown("a", "No z.")])
    assert texts(found) == [
        ("TARGET_UNKNOWN_TO_COMMVAULT", "a", "No x. 2 more of its associations are unknown, too."),
        ("TARGET_UNKNOWN_TO_COMMVAULT", "b", "No y."),
    ]


def test_what_is_not_asked_because_of_a_finding_is_none_of_its_own() -> None:
    rows = [failed("reach", None, DOWN), unchecked("token", None, DOWN), unchecked("association", "a", DOWN)]
    unasked = unasked_in(rows)
    assert [one.question for one in unasked] == ["token", "names"]
    assert texts(findings_of(rows)) == [("UNREACHABLE", None, "Connection refused")]
    assert findings_of_unasked(unasked, rows) == []


def test_each_other_problem_is_one_finding_that_names_the_questions() -> None:
    rows = [unread("last_backup", name, DENIED, "The ledger") for name in ("a", "b")]
    unasked = [*unasked_in(rows), Unasked("coverage", DENIED), Unasked("stuck", replace(DENIED, message="Throttled"))]
    one, other = findings_of_unasked(unasked, rows)
    assert one.message == (
        "Not asked, or not of all: which databases no target covers, whether the last backups are recent. AccessDenied"
    )
    assert (one.question, one.code, one.target, one.database) == ("asking", "AWS_FAILURE", None, None)
    assert "permission" in one.hint
    assert "which submissions are stuck" in other.message
    assert one.key != other.key


def test_a_finding_is_known_by_its_code_and_place_whatever_its_message_says() -> None:
    one = Finding("freshness", "BACKUP_STALE", "orders", None, "50 h ago", "Do this")
    assert one.key == replace(one, message="74 h ago", hint="Do that").key
    others = [replace(one, code="X"), replace(one, target="x"), replace(one, database="x"), replace(one, about="x")]
    assert len({one.key, *(other.key for other in others)}) == 5


def test_texts_from_outside_are_one_line_of_bounded_length() -> None:
    found = Finding("names", "X", "t\n" + "t" * 900, None, "line\nline \x1b[31m" + "m" * 900, "h" * 900).to_json()
    assert all(len(found[name]) <= 500 and found[name].isprintable() for name in ("target", "message", "hint"))


def test_every_question_has_words_and_a_place() -> None:
    assert set(ORDER) == set(get_args(Question.__value__)) == {*ABOUT, "asking"}
    assert set(QUESTIONS.values()) <= set(ORDER)
