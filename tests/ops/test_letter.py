"""What a letter says, whoever wrote it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ops.letter import Letter
from tests.ops.mail import ERROR, REJECTED, TRIGGER, message


@pytest.mark.parametrize(
    ("body", "attributes", "said"),
    [
        (REJECTED, {}, ("orders", f"schedule {TRIGGER['id']}", "NO_JOBS: Commvault created no [red]job.", 2)),
        ({"target": "orders", "trigger": TRIGGER, "pauses": 1}, {}, ("orders", f"schedule {TRIGGER['id']}", "-", -1)),
        (
            {"target": "orders", "trigger": TRIGGER, "jobIds": ["1", "2"], "status": "submitted"},
            {},
            ("orders", f"schedule {TRIGGER['id']}", "no longer followed: jobs 1, 2", -1),
        ),
        (
            {"event": {"target": "x", "requestId": "r"}, "deliveryId": "d", "refused": ERROR},
            {},
            ("x", "manual r", "NO_JOBS: Commvault created no [red]job.", -1),
        ),
        ({"event": "a text", "refused": ERROR}, {}, ("-", '"a text"', "NO_JOBS: Commvault created no [red]job.", -1)),
        (
            {"requestPayload": {"target": "orders", "schedule": "arn", "time": "t"}, "responsePayload": None},
            {},
            ("orders", "schedule arn|t", "the run failed", -1),
        ),
        (
            {"requestPayload": {"target": "orders"}, "responsePayload": {"errorMessage": "Task timed out"}},
            {},
            ("orders", '{"target": "orders"}', "the run failed: Task timed out", -1),
        ),
        (
            {"source": "aws.rds", "detail": {"EventID": "RDS-EVENT-0005", "SourceArn": "arn:db"}},
            {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "Not allowed"},
            ("-", "aws.rds RDS-EVENT-0005 arn:db", "NO_PERMISSIONS: Not allowed", -1),
        ),
        (
            {"target": "orders", "schedule": "arn", "time": "t"},
            {"ERROR_CODE": "AWS.Lambda.ResourceNotFoundException"},
            ("orders", "schedule arn|t", "AWS.Lambda.ResourceNotFoundException", -1),
        ),
        ({"a": 1}, {}, ("-", '{"a": 1}', "-", -1)),
        ({}, {"SCHEDULE_ARN": "arn", "SCHEDULED_TIME": "t", "ERROR_CODE": "X"}, ("-", "arn|t", "X", -1)),
        ([1], {}, ("-", "[1]", "-", -1)),
        (None, {}, ("-", "null", "-", -1)),
        ({"target": 7, "trigger": {"kind": [], "id": {}}, "attempt": "x"}, {}, ("-", "[] {}", "-", -1)),
        ({"target": "a\nb\x1b[31m", "trigger": {"kind": "k", "id": "x" * 999}}, {}, ("a b [31m", "k " + "x" * 297 + "…", "-", -1)),
    ],
)  # fmt: skip
def test_every_letter_can_be_read(body: Any, attributes: dict[str, str], said: tuple[str, str, str, int]) -> None:
    named = {name: {"StringValue": value, "DataType": "String"} for name, value in attributes.items()}
    letter = Letter.read({**message("a", body), "MessageAttributes": named, "Attributes": {"SentTimestamp": "1500"}})  # type: ignore[typeddict-item]
    assert (letter.target, letter.trigger, letter.error, letter.attempt) == said
    assert letter.sent_at == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)


@pytest.mark.parametrize("body", ["not JSON\n{", "[" * 100_000])
def test_a_letter_that_is_not_json_can_be_read(body: str) -> None:
    letter = Letter.read({"MessageId": "a", "ReceiptHandle": "r", "Body": body})
    assert letter.trigger[:8] == body[:8]
    assert letter.error == "-"
