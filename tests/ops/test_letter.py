"""What a letter says, whoever wrote it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ops.letter import Letter
from tests.ops.mail import ERROR, REJECTED, TRIGGER, message

UNFILLED = {"target": "orders", "schedule": "<aws.scheduler.schedule-arn>", "time": "<aws.scheduler.scheduled-time>"}
SAID = "NO_JOBS: Commvault created no [red]job."


@pytest.mark.parametrize(
    ("body", "attributes", "said"),
    [
        (REJECTED, {}, ("orders", f"schedule {TRIGGER['id']}", SAID)),
        ({"target": "orders", "trigger": TRIGGER}, {}, ("orders", f"schedule {TRIGGER['id']}", "-")),
        (
            {"event": {"target": "x", "requestId": "r"}, "deliveryId": "d", "refused": ERROR},
            {},
            ("x", "manual r", SAID),
        ),
        ({"event": "a text", "deliveryId": "d", "refused": ERROR}, {}, ("-", '"a text"', SAID)),
        (
            {"requestPayload": {"target": "orders", "schedule": "arn", "time": "t"}, "responsePayload": None},
            {},
            ("orders", "schedule arn|t", "the run failed"),
        ),
        (
            {"requestPayload": {"target": "orders"}, "responsePayload": {"errorMessage": "Task timed out"}},
            {},
            ("orders", '{"target": "orders"}', "the run failed: Task timed out"),
        ),
        (
            {"source": "aws.rds", "detail": {"EventID": "RDS-EVENT-0005", "SourceArn": "arn:db"}},
            {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "Not allowed"},
            ("-", "aws.rds RDS-EVENT-0005 arn:db", "NO_PERMISSIONS: Not allowed"),
        ),
        (
            {"target": "orders", "schedule": "arn", "time": "t"},
            {"ERROR_CODE": "X", "SCHEDULE_ARN": "another", "SCHEDULED_TIME": "u"},
            ("orders", "schedule arn|t", "X"),
        ),
        (
            UNFILLED,
            {"ERROR_CODE": "X", "SCHEDULE_ARN": "arn", "SCHEDULED_TIME": "t"},
            ("orders", "schedule arn|t", "X"),
        ),
        (UNFILLED, {"SCHEDULE_ARN": "arn", "RULE_ARN": "rule"}, ("orders", "rule", "-")),
        ({}, {"SCHEDULE_ARN": "arn", "SCHEDULED_TIME": "t"}, ("-", "schedule arn|t", "-")),
        ({"a": 1}, {}, ("-", '{"a": 1}', "-")),
        ([1], {}, ("-", "[1]", "-")),
        (None, {}, ("-", "null", "-")),
        ({"target": 7, "trigger": {"kind": [], "id": {}}, "letter": "x"}, {}, ("-", "[] {}", "-")),
        (
            {"target": "a\nb\x1b[31m", "trigger": {"kind": "k", "id": "x" * 999}},
            {},
            ("a b [31m", "k " + "x" * 297 + "…", "-"),
        ),
    ],
)
def test_every_letter_can_be_read(body: Any, attributes: dict[str, str], said: tuple[str, str, str]) -> None:
    named = {name: {"StringValue": value, "DataType": "String"} for name, value in attributes.items()}
    letter = Letter.read({**message("a", body), "MessageAttributes": named, "Attributes": {"SentTimestamp": "1500"}})  # type: ignore[typeddict-item]
    assert (letter.target, letter.trigger, letter.error) == said
    assert letter.sent_at == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)


# Deeper than Python's parser goes, than its other recursions go, and than the functions go.
HOSTILE = [
    "not JSON\n{",
    "[" * 100_000,
    '{"event": ' + "[" * 6900 + "]" * 6900 + ', "refused": {}}',
    '{"requestPayload": ' * 600 + "1" + "}" * 600,
    '{"event": ' + "9" * 9000 + "}",
    '{"event": "\\ud800"}',
]


@pytest.mark.parametrize("body", HOSTILE)
def test_a_hostile_letter_can_be_read(body: str) -> None:
    letter = Letter.read({"MessageId": "a", "ReceiptHandle": "r", "Body": body})
    assert letter.trigger[:8] == body[:8]
    assert letter.error == "-"
