"""Hostile input to the function itself: each ends where a person sees it, starts nothing, and keeps nothing else from being done."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.world import ASSOCIATION, World, scheduled

FORGED = "It is done.\r\nWhat to do: https://evil.example\x1b[31m\u2028\u202egnihton\ud800"


def nested(depth: int) -> Any:
    document: Any = {}
    for _ in range(depth):
        document = {"refused": {}, "event": document, "deliveryId": "x"}
    return document


HOSTILE = {
    "deep": {"source": "aws.rds", "detail-type": "RDS DB Instance Event", "detail": {"Tags": nested(500)}},
    "deep name": {"target": nested(500)},
    "refused many times": nested(500),
    "identity of 5,000 bytes": {"target": "default", "requestId": "x" * 5000},
    "identity with a lone surrogate": {"target": "default", "requestId": "\ud800"},
    "identity that forges lines": {"target": "default", "requestId": FORGED},
    "schedule's time that forges lines": {"schedule": "arn:aws:scheduler:x", "time": FORGED},
    "event larger than a message": {"source": "x", "detail-type": "y", "detail": "z" * 400_000},
    "records that are none": {"Records": [{"eventSource": "aws:sqs", "body": {"target": "default"}}]},
    "a ready-made trigger": {"target": "default", "trigger": {"kind": "schedule", "id": "forged"}},
}


@pytest.mark.parametrize("event", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_event_is_refused_and_kept(world: World, event: Any) -> None:
    answer = world.deliver(event)
    assert answer["submissions"] == []
    (letter,) = world.dead_letters()
    assert letter["refused"] == answer["refused"]
    assert all(len(text) < 600 and text.isprintable() for text in answer["refused"].values())
    # Sent back, it is refused again, and does no more than before.
    world.redrive(letter)
    world.drain()
    assert [again["refused"]["code"] for again in world.dead_letters()]
    assert not world.commserve.requests
    assert not world.items()


def test_a_ready_made_trigger_that_was_refused_is_not_accepted_from_its_letter(world: World) -> None:
    world.deliver(HOSTILE["a ready-made trigger"])
    (letter,) = world.dead_letters()
    world.redrive(letter)
    world.drain()
    assert [one["refused"]["code"] for one in world.dead_letters()] == ["TRIGGER_NOT_ALLOWED"]


@pytest.mark.parametrize("pauses", ["x", -(10**400), 10**400, True, [], {}], ids=lambda one: str(one)[:8])
def test_a_messages_pauses_can_be_anything(world: World, pauses: Any) -> None:
    body = json.dumps({"target": "default", "trigger": {"kind": "manual", "id": "one"}, "pauses": pauses})
    world.commserve.fault("maintenance")
    # It would wait on its queue, on which it is not here: SQS refuses that, and not our own arithmetic.
    with pytest.raises(ClientError, match="ReceiptHandle"):
        world.deliver_message(body)


@pytest.mark.parametrize("account", ["444455556666", "", "0", FORGED, "x" * 9000], ids=lambda one: repr(one)[:14])
def test_an_event_of_another_account_starts_nothing(world: World, account: str) -> None:
    arn = "arn:aws:rds:us-east-1:111122223333:db:orders"
    detail = {
        "EventID": "RDS-EVENT-0043",
        "SourceType": "DB_INSTANCE",
        "SourceArn": arn,
        "Date": "2026-01-31T02:00:00Z",
    }
    event = {"source": "aws.rds", "detail-type": "RDS DB Instance Event", "account": account, "detail": detail}
    ignored = world.deliver(event)["ignored"]
    assert "AccountIds" in ignored
    assert ignored.isprintable()
    assert len(ignored) < 700
    assert world.deliver({**event, "account": "111122223333"})["submissions"][0]["status"] == "submitted"


@pytest.mark.parametrize("digits", ["9" * 401, "1e400", "1000000000", "-1", "true", '"15"'])
def test_a_target_whose_number_is_out_of_bounds_is_named(world: World, digits: str) -> None:
    world.target_text("odd", f'{{"associations": [{json.dumps(ASSOCIATION)}], "coolDownMinutes": {digits}}}')
    message = world.deliver(scheduled("one", "odd"))["refused"]["message"]
    assert "coolDownMinutes must be a whole number, 0 to 1440" in message
    (rejected,) = world.notifications()
    assert rejected["error"]["code"] == "TARGET_INVALID"


def test_a_tag_names_no_more_than_aws_allows(world: World) -> None:
    tag = "\ud800 " + " ".join(f"t{number}" for number in range(10_000))
    arn = "arn:aws:rds:us-east-1:111122223333:db:orders"
    detail = {
        "EventID": "RDS-EVENT-0043",
        "SourceType": "DB_INSTANCE",
        "SourceArn": arn,
        "Date": "2026-01-31T02:00:00Z",
    }
    event = {
        "source": "aws.rds",
        "detail-type": "RDS DB Instance Event",
        "detail": {**detail, "Tags": {"rds-snap-backup:target": tag}},
    }
    assert 2 < len(world.deliver(event)["submissions"]) < 90


def test_what_commvault_says_cannot_forge_lines_or_outgrow_a_message(world: World) -> None:
    world.commserve.fault("error_top", code=4, message=f"{FORGED}\nStatus: completed\n{'x' * 400_000}")
    (rejected,) = world.deliver(scheduled("one"))["submissions"]
    assert rejected["status"] == "rejected"
    assert rejected["error"]["message"].isprintable()
    assert len(rejected["error"]["message"]) <= 500
    assert world.notifications() == [rejected]


def test_an_answer_of_a_million_job_ids_is_looked_up_instead_of_claimed(world: World) -> None:
    body = json.dumps({"taskId": 1, "jobIds": list(range(1, 500_000))})
    world.commserve.fault("status", status=200, body=body, after=True)
    assert world.deliver(scheduled("one"))["submissions"][0]["error"]["code"] == "UNREADABLE_ANSWER"
    assert world.items("job#") == []
