"""An audit's message: JSON for programs, text for people, and never larger than SNS accepts."""

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rds_snap_backup.messaging import audit_messages
from rds_snap_backup.messaging.audit_messages import VERDICTS, message, publish, title
from rds_snap_backup.messaging.notifications import MAX_MESSAGE_BYTES, Notifications

TOPIC = "arn:aws:sns:us-east-1:000000000000:notifications"
PLACES = ("target", "database", "account", "region")


def finding(code: str, **places: str) -> dict[str, Any]:
    return {"code": code, **dict.fromkeys(PLACES), **places, "message": "What.", "hint": "Do it."}


STALE = finding("BACKUP_STALE", target="orders")
UNCOVERED = finding("DATABASE_UNCOVERED", database="crm", account="111122223333", region="us-east-1")
TOKEN = finding("TOKEN_REFUSED")


def notification(*findings: dict[str, Any], number: int = 0, news: bool = True) -> dict[str, Any]:
    counts = dict.fromkeys(VERDICTS, 0) | {"databases": 3, "protected": 2, "uncovered": 1}
    counts["findings"] = number or len(findings)
    since = {
        "time": "2026-01-31T02:00:04Z",
        "submissions": 4,
        "backups": {"lost": 0},
        "jobs": {"failed": 1, "killed": 0},
    }
    body = {"version": "2", "status": "audit", "ok": not findings, "news": news, "counts": counts, "since": since}
    return {**body, "findings": list(findings), "title": title(body)}


def forms(sent: dict[str, Any]) -> tuple[Any, str]:
    both = json.loads(message(sent))
    assert both.keys() == {"default", "email"}
    return json.loads(both["default"]), both["email"]


def test_both_forms() -> None:
    sent = notification(STALE, UNCOVERED, TOKEN)
    document, text = forms(sent)
    assert document == sent
    assert text.splitlines() == [
        "Audit: 3 findings. Changed since the last audit, or lasts another week.",
        "Databases: 2 protected, 1 uncovered",
        "Jobs in Commvault since 2026-01-31T02:00:04Z: 1 failed",
        "Backups of 4 submissions: none",
        "",
        "BACKUP_STALE (target orders): What.",
        "What to do: Do it.",
        "",
        "DATABASE_UNCOVERED (database crm, account 111122223333, region us-east-1): What.",
        "What to do: Do it.",
        "",
        "TOKEN_REFUSED: What.",
        "What to do: Do it.",
    ]
    assert forms(notification(news=False))[1].startswith("Audit: no findings. As in the last audit.\n")


@pytest.mark.parametrize(("number", "findings"), [(1, "1 finding"), (2, "2 findings")])
def test_the_title(number: int, findings: str) -> None:
    assert notification(STALE, number=number)["title"] == (
        f"audit: 2 of 3 databases protected, 1 job failed, 1 uncovered, {findings}"
    )
    assert notification()["title"].endswith(", no findings")


def test_a_message_is_never_larger_than_sns_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {**STALE, "message": "\U0001f4be" * 500, "hint": "\U0001f4be" * 500}
    sent = notification(*[wide] * 60, number=70)
    assert len(message(sent)) <= MAX_MESSAGE_BYTES
    document, text = forms(sent)
    assert 0 < len(document["findings"]) < 50
    assert f"{70 - len(document['findings'])} findings more" in text
    monkeypatch.setattr(audit_messages, "MAX_MESSAGE_BYTES", 100)
    assert forms(sent)[0]["findings"] == []


@pytest.mark.parametrize(("is_problem", "level"), [(True, "problem"), (False, "digest")])
def test_it_is_published_with_its_status_and_level_for_filters(is_problem: bool, level: str) -> None:
    client = boto3.client("sns")
    sent: list[dict[str, Any]] = []
    client.meta.events.register("provide-client-params.sns.Publish", lambda params, **_: sent.append(params))
    with Stubber(client) as stubber:
        stubber.add_response("publish", {"MessageId": "1"})
        publish(Notifications(TOPIC, client), notification(STALE), is_problem=is_problem)
    (request,) = sent
    attributes = {name: value["StringValue"] for name, value in request["MessageAttributes"].items()}
    assert attributes == {"status": "audit", "level": level}
    assert request["Subject"] == "audit: 2 of 3 databases protected, 1 job failed, 1 uncovered, 1 finding"
