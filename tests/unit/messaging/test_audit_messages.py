"""An audit's message: JSON for programs, text for people, and never larger than SNS accepts."""

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rds_snap_backup.messaging.audit_messages import message, subject
from rds_snap_backup.messaging.notifications import MAX_MESSAGE_BYTES, Notifications, Subscription

TOPIC = "arn:aws:sns:us-east-1:000000000000:notifications"
STALE = {"code": "BACKUP_STALE", "target": "orders", "database": None, "message": "50 h old.", "hint": "Look."}
UNCOVERED = {"code": "DATABASE_UNCOVERED", "target": None, "database": "crm", "message": "None.", "hint": "Tag it."}
TOKEN = {"code": "TOKEN_REFUSED", "target": None, "database": None, "message": "Refused.", "hint": "Store one."}


def report(*findings: dict[str, Any], number: int = 0) -> dict[str, Any]:
    counts = dict.fromkeys(("covered", "excluded", "stuck"), 0)
    counts |= {"databases": 3, "uncovered": 1, "targets": 2, "stale": 1, "findings": number or len(findings)}
    return {"version": "1", "status": "audit", "ok": not findings, "findings": list(findings), "counts": counts}


def forms(sent: dict[str, Any], most: int = MAX_MESSAGE_BYTES) -> tuple[Any, str]:
    both = json.loads(message(sent, most))
    assert both.keys() == {"default", "email"}
    return json.loads(both["default"]), both["email"]


def test_both_forms() -> None:
    document, text = forms(report(STALE, UNCOVERED, TOKEN))
    assert document == report(STALE, UNCOVERED, TOKEN)
    assert text.splitlines() == [
        "Audit: 3 findings",
        "Counted: 3 databases, 1 uncovered, 0 excluded, 2 targets, 1 stale, 0 stuck",
        "",
        "BACKUP_STALE (target orders): 50 h old.",
        "What to do: Look.",
        "",
        "DATABASE_UNCOVERED (database crm): None.",
        "What to do: Tag it.",
        "",
        "TOKEN_REFUSED: Refused.",
        "What to do: Store one.",
    ]


def test_what_is_left_out_is_counted() -> None:
    document, text = forms(report(STALE, number=61))
    assert document["findings"] == [STALE]
    assert text.splitlines()[-1].startswith("60 findings more: see the Audit function's log")


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], "RDS backup audit: no findings any more"),
        ([STALE], "RDS backup audit: 1 finding"),
        ([STALE, TOKEN], "RDS backup audit: 2 findings"),
    ],
)
def test_the_subject(findings: list[dict[str, Any]], expected: str) -> None:
    assert subject(report(*findings)) == expected


def test_the_end_of_all_findings_is_said() -> None:
    document, text = forms(report())
    assert document["ok"] is True
    assert text.startswith("Audit: no findings\n")


def test_a_message_is_never_larger_than_sns_accepts() -> None:
    wide = {**STALE, "message": "\U0001f4be" * 500, "hint": "\U0001f4be" * 500}
    sent = report(*[wide] * 50)
    document, text = forms(sent)
    assert len(message(sent, MAX_MESSAGE_BYTES)) <= MAX_MESSAGE_BYTES
    assert 0 < len(document["findings"]) < 50
    assert f"{50 - len(document['findings'])} findings more" in text
    assert forms(sent, 100)[0]["findings"] == []


def test_it_is_published_with_its_status_for_filters() -> None:
    client = boto3.client("sns")
    sent: list[dict[str, Any]] = []
    client.meta.events.register("provide-client-params.sns.Publish", lambda params, **_: sent.append(params))
    with Stubber(client) as stubber:
        stubber.add_response("publish", {"MessageId": "1"})
        Notifications(TOPIC, client).publish_audit(report(STALE))
    (request,) = sent
    assert request["MessageAttributes"] == {"status": {"DataType": "String", "StringValue": "audit"}}
    assert (request["TopicArn"], request["MessageStructure"]) == (TOPIC, "json")
    assert request["Subject"] == "RDS backup audit: 1 finding"


def test_all_pages_of_subscriptions_are_read() -> None:
    client = boto3.client("sns")
    email = {"Protocol": "email", "Endpoint": "ops@example.com", "SubscriptionArn": "PendingConfirmation"}
    queue = {"Protocol": "sqs", "Endpoint": "arn:aws:sqs:us-east-1:1:q", "SubscriptionArn": f"{TOPIC}:1"}
    with Stubber(client) as stubber:
        first: dict[str, Any] = {"Subscriptions": [email], "NextToken": "more"}
        stubber.add_response("list_subscriptions_by_topic", first, {"TopicArn": TOPIC})
        rest = {"TopicArn": TOPIC, "NextToken": "more"}
        stubber.add_response("list_subscriptions_by_topic", {"Subscriptions": [queue]}, rest)
        found = list(Notifications(TOPIC, client).subscriptions())
    assert found == [
        Subscription("email", "ops@example.com", is_confirmed=False),
        Subscription("sqs", "arn:aws:sqs:us-east-1:1:q", is_confirmed=True),
    ]
