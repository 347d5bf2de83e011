"""An audit's message: JSON for programs, text for people, and never larger than SNS accepts."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from rds_snap_backup.audit.digest import SUMS
from rds_snap_backup.messaging import audit_messages
from rds_snap_backup.messaging.audit_messages import VERDICTS, message, publish, title
from rds_snap_backup.messaging.notifications import MAX_MESSAGE_BYTES, Notifications

TOPIC = "arn:aws:sns:us-east-1:000000000000:notifications"
PLACES = ("target", "database", "account", "region")
STACK = "arn:aws:cloudformation:us-east-1:000000000000:stack/prod/1"
HOME = {"account": "111122223333", "region": "us-east-1"}


def finding(code: str, message: str = "What.", **places: str) -> dict[str, Any]:
    return {"code": code, **dict.fromkeys(PLACES), **places, "message": message, "hint": f"Mend {code}."}


STALE = [finding("BACKUP_STALE", f"db-{number} is old.", database=f"db-{number}", **HOME) for number in range(12)]
TOKEN = finding("TOKEN_REFUSED", "HTTP 401.")


def notification(*findings: dict[str, Any], number: int = 0, news: bool = True, **more: Any) -> dict[str, Any]:
    stale = sum(each["code"] == "BACKUP_STALE" for each in findings)
    counts = dict.fromkeys(VERDICTS, 0) | {"databases": 2 + stale, "protected": 2, "stale": stale}
    counts["findings"] = number or len(findings)
    numbers: dict[str, Any] = {group: dict.fromkeys(names, 0) for group, names in SUMS.items()}
    numbers["backups"] |= {"submitted": 184, "failed": 1}
    since = {"start": "2026-01-30T01:50:00Z", "end": "2026-01-31T01:50:00Z", **numbers}
    body = {"version": "2", "status": "audit", "ok": not findings, "news": news, "counts": counts, "since": since}
    body |= {"time": "2026-01-31T02:00:04Z", "lastRead": None, "report": "s3://audits/report.json"}
    body |= {"scope": {"stack": STACK, "commvault": "https://cv.example.com/api"}, "findings": list(findings), **more}
    return {**body, "title": title(body)}


def forms(sent: dict[str, Any]) -> tuple[Any, str]:
    both = json.loads(message(sent))
    assert both.keys() == {"default", "email"}
    return json.loads(both["default"]), both["email"]


FACTS = [
    "",
    "From 2026-01-30T01:50:00Z to 2026-01-31T01:50:00Z, by the stack's metrics (one can count twice):",
    "backups: 184 submitted, 1 failed",
    "submissions: none",
    "events: none",
    "",
    f"Stack: {STACK}",
    "Commvault: https://cv.example.com/api",
    "Audited: 2026-01-31T02:00:04Z",
    "Report: s3://audits/report.json",
]


def test_both_forms() -> None:
    sent = notification(TOKEN, *STALE)
    document, text = forms(sent)
    assert document == sent
    assert text.splitlines() == [
        "TOKEN_REFUSED: Mend TOKEN_REFUSED.",
        "- HTTP 401.",
        "",
        "BACKUP_STALE: Mend BACKUP_STALE.",
        *(f"- (account 111122223333, region us-east-1) db-{number} is old." for number in range(9)),
        "- 3 more",
        "",
        "13 findings. Changed since the last audit, or lasts another week.",
        "14 databases: 2 protected, 12 stale.",
        *FACTS,
    ]
    quiet = forms(notification(news=False))[1].splitlines()
    assert quiet == ["No findings. As in the last audit.", "2 databases: 2 protected.", *FACTS]
    # In an outage it names the last report that could be read.
    last = {"time": "2026-01-30T02:00:04Z", "report": "s3://audits/last.json"}
    unread: dict[str, Any] = {group: dict.fromkeys(names) for group, names in SUMS.items()}
    sent = notification(finding("COMMVAULT_UNREADABLE"), lastRead=last, since={"start": "a", "end": "b", **unread})
    sent["counts"] |= {"unreadable": 3}
    text = forms(sent)[1]
    assert "All databases could last be read at 2026-01-30T02:00:04Z, in s3://audits/last.json." in text
    assert "backups: could not be read" in text


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], "audit: 2 of 2 databases protected, no findings"),
        ([TOKEN, STALE[0]], "audit: Commvault refuses the token, 1 stale, 2 of 3 databases protected, 2 findings"),
        ([finding("NOBODY_LISTENS")], "audit: nobody listens, 2 of 2 databases protected, 1 finding"),
    ],
)
def test_the_title_says_the_worst_first(findings: list[dict[str, Any]], expected: str) -> None:
    assert notification(*findings)["title"] == expected


def test_a_message_is_never_larger_than_sns_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {**TOKEN, "message": "\U0001f4be" * 500, "hint": "\U0001f4be" * 500}
    sent = notification(*[wide] * 60, number=70)
    assert len(message(sent)) <= MAX_MESSAGE_BYTES
    document, text = forms(sent)
    assert 0 < len(document["findings"]) < 50
    assert f"{70 - len(document['findings'])} findings more" in text
    monkeypatch.setattr(audit_messages, "MAX_MESSAGE_BYTES", 100)
    assert forms(sent)[0]["findings"] == []


@pytest.mark.parametrize(("is_problem", "level"), [(True, "problem"), (False, "digest")])
def test_it_is_published_with_its_status_and_level_for_filters(is_problem: bool, level: str) -> None:
    sent: list[dict[str, Any]] = []
    client: Any = SimpleNamespace(publish=lambda **call: sent.append(call))
    publish(Notifications(TOPIC, client), notification(STALE[0]), is_problem=is_problem)
    (request,) = sent
    attributes = {name: value["StringValue"] for name, value in request["MessageAttributes"].items()}
    assert attributes == {"status": "audit", "level": level}
    assert request["Subject"] == "audit: 1 stale, 2 of 3 databases protected, 1 finding"
