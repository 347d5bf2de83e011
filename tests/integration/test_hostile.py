"""Hostile input to the function itself: each ends where a person sees it, starts nothing, and keeps nothing else from being done."""

from typing import Any

import pytest

from tests.integration.timeline import Timeline
from tests.integration.world import only

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
def test_a_hostile_event_is_refused_and_kept(timeline: Timeline, event: Any) -> None:
    answer = timeline.deliver(event)
    assert answer["submissions"] == []
    letter = only(timeline.dead_letters())
    assert letter["refused"] == answer["refused"]
    assert all(len(text) < 600 and text.isprintable() for text in answer["refused"].values())
    # Sent back, it is refused again, and does no more than before.
    timeline.redrive(letter)
    timeline.run()
    assert [again["refused"]["code"] for again in timeline.dead_letters()] == [answer["refused"]["code"]]
    assert not timeline.commserve.requests
    assert not timeline.items()


def test_what_commvault_says_cannot_forge_lines_or_outgrow_a_message(timeline: Timeline) -> None:
    timeline.commserve.fault("error_top", code=4, message=f"{FORGED}\nStatus: completed\n{'x' * 400_000}")
    answer = timeline.deliver(timeline.schedule("nightly"))
    error = only(timeline.notifications())["error"]
    assert only(only(answer["submissions"])["backups"])["error"] == error
    assert all(text.isprintable() for text in error.values())
    assert len(error["message"]) <= 500
