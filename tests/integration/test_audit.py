"""The Audit function's entry: which events it answers, and with what. What the preflight checks has tests of its own."""

from typing import Any

import pytest

from rds_snap_backup.audit import handler
from tests.integration.world import World
from tests.support import Context


@pytest.fixture
def invoke(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The function in this process, with the world's AWS and Commvault."""
    monkeypatch.setattr(handler, "AUDITOR", world.auditor())
    return lambda event: handler.lambda_handler(event, Context())  # type: ignore[arg-type]


@pytest.mark.parametrize("event", [{"check": True}, {"check": True, "target": None}])
def test_a_check_answers_with_the_preflight(world: World, invoke: Any, event: Any) -> None:
    world.target("orders")
    answer = invoke(event)
    assert answer["ok"] is True
    assert {row["target"] for row in answer["checks"]} == {None, "default", "orders"}


def test_a_check_of_one_target_is_limited_to_it(world: World, invoke: Any) -> None:
    world.target("orders")
    answer = invoke({"check": True, "target": "orders"})
    assert answer["ok"] is True
    assert {row["target"] for row in answer["checks"]} == {None, "orders"}


@pytest.mark.parametrize(
    "event",
    [
        *({}, None, [], "check", {"check": False}, {"check": True, "target": 7}, {"check": True, "target": "../x"}),
        *({"audit": False}, {"audit": 1}, {"audit": "true"}, {"audit": True, "target": "orders"}),
        *(
            {"audit": True, "schedule": 7},
            {"audit": True, "time": None},
            {"audit": True, "schedule": "a" * 2000, "time": "t"},
        ),
        {"audit": True, "schedule": "arn", "time": "2999-01-31T02:00:00Z"},
        *({"target": "default"}, {"target": "*"}, {"schedule": "arn", "time": "t"}),
    ],
)
def test_any_other_event_is_refused_and_does_nothing(world: World, invoke: Any, event: Any) -> None:
    answer = invoke(event)
    assert answer["ok"] is False
    assert answer["refused"]["code"] in {"EVENT_UNKNOWN", "SCHEDULE_IN_FUTURE"}
    assert '{"check": true}' in answer["refused"]["hint"]
    assert world.commserve.requests == []
