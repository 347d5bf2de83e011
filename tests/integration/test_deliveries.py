"""How triggers and messages reach the function, what it answers, and what is on the queue afterwards."""

from collections import Counter
from typing import Any

import pytest

from tests.integration.timeline import HOUR, MINUTE, Timeline
from tests.integration.world import RUN_SECONDS, associations, only

MANUAL = {"target": "default", "requestId": "by-hand"}


def operations(timeline: Timeline, since: int = 0) -> list[str]:
    return [call.operation for call in timeline.calls[since:]]


def envelope(event: Any) -> dict[str, Any]:
    """Return what Lambda's on-failure destination sends of a run that was killed."""
    return {"requestContext": {"requestId": "of-the-run"}, "requestPayload": event}


# ---- Direct deliveries


def test_all_targets_are_queued_those_that_were_just_stored_too(timeline: Timeline) -> None:
    timeline.deliver({"target": "*", "requestId": "warm"})
    timeline.run()
    names = [f"target-{number}" for number in range(24)]
    for name in names:
        timeline.target(name)
    answer = timeline.deliver({"target": "*", "requestId": "all"})
    assert {submission["target"]: submission["status"] for submission in answer["submissions"]} == dict.fromkeys(
        ["default", *names], "queued"
    )
    assert len(timeline.queue) == 25
    timeline.run()
    again = timeline.deliver({"target": "*", "requestId": "all"})["submissions"]
    assert {submission["status"] for submission in again} == {"succeeded"}
    assert not timeline.queue


def test_all_targets_repeated_reports_those_with_a_record_and_sends_the_others(timeline: Timeline) -> None:
    timeline.target("other", associations=associations("billing-db"))
    timeline.deliver({"target": "default", "requestId": "all"})
    answer = timeline.deliver({"target": "*", "requestId": "all"})
    assert {submission["target"]: submission["status"] for submission in answer["submissions"]} == {
        "default": "open",
        "other": "queued",
    }
    assert len(timeline.queue) == 2


@pytest.mark.parametrize(
    ("document", "reason"), [({"enabled": False}, "enabled"), ({"rdsEventIds": ["RDS-EVENT-0005"]}, "No target")]
)
def test_what_a_document_declines_is_ignored(timeline: Timeline, document: dict[str, Any], reason: str) -> None:
    timeline.target("default", databases=["*"], **document)
    assert reason in timeline.deliver(timeline.event("orders-db"))["ignored"]
    assert not timeline.queues


@pytest.mark.parametrize(
    ("tag", "target", "documents", "lists"),
    [
        ("billing", "billing", 1, 0),
        ("test/billing other/t007", "billing", 1, 0),
        ("gone billing", "billing", 2, 0),
        ("closed billing *", "billing", 2, 0),
        ("closed a,b", "default", 1, 1),
    ],
)
def test_an_event_whose_tag_names_its_target_reads_the_named_documents_and_no_list(
    timeline: Timeline, tag: str, target: str, documents: int, lists: int
) -> None:
    timeline.target("billing", associations=associations("billing-db"))
    timeline.target("closed", associations=associations("users-db"), allowTag=False)
    event = timeline.event("billing-db")
    event["detail"]["Tags"] = {"rds-snap-backup:target": tag}
    assert only(timeline.deliver(event)["submissions"])["target"] == target
    assert operations(timeline).count("GetParametersByPath") == lists
    read = [call.parameters["Name"] for call in timeline.calls if call.operation == "GetParameter"]
    assert len([name for name in read if name.startswith(timeline.config.targets_path)]) == documents


def test_documents_that_ssm_does_not_give_now_fail_no_run_and_lose_no_trigger(timeline: Timeline) -> None:
    timeline.target("default", databases=["*"])
    timeline.throttle("GetParameter", 2)
    answer = only(timeline.deliver(timeline.schedule("nightly"))["submissions"])
    assert (answer["target"], answer["status"]) == ("default", "queued")
    timeline.run()
    timeline.throttle("GetParametersByPath", 2)
    assert timeline.deliver(timeline.event("orders-db")) == {"submissions": []}
    timeline.run()
    assert timeline.statuses() == ["submitted", "completed"] * 2


# ---- The queue


def test_a_killed_runs_envelope_continues_its_submission_although_the_target_is_disabled_by_then(
    timeline: Timeline,
) -> None:
    event = timeline.schedule("nightly")
    timeline.deliver(event)
    timeline.queue.clear()
    timeline.target("default", enabled=False)
    timeline.backup = timeline.function()
    timeline.redrive(envelope(event))
    timeline.run()
    assert timeline.statuses() == ["submitted", "completed"]


def test_a_new_submission_takes_the_document_as_it_is_when_its_message_arrives(timeline: Timeline) -> None:
    timeline.target("other", associations=associations("users-db"))
    timeline.deliver(MANUAL)
    timeline.target("default", associations=associations("billing-db"))
    timeline.deliver({"target": "*", "requestId": "all"}, timeline.function())
    timeline.run(1)
    assert sorted(timeline.sent()) == [["billing-db"], ["orders-db"], ["users-db"]]


def test_a_batch_polls_all_and_sends_while_time_is_left_and_what_it_did_not_reach_is_visible_at_once(
    timeline: Timeline,
) -> None:
    timeline.commserve.fault("maintenance", times=2)
    for target, database in (("a", "billing-db"), ("b", "users-db"), ("c", "reports-db")):
        timeline.target(target, associations=associations(database))
        timeline.deliver(timeline.schedule("nightly", target))
    timeline.commserve.advance(2 * MINUTE)
    sent = len(timeline.sent())
    timeline.receive(lambda: RUN_SECONDS if len(timeline.sent()) == sent else 37.0)
    assert timeline.sent()[sent:] == [["billing-db"]]
    assert min(message.due for message in timeline.queue) == timeline.clock()
    assert len([request for request in timeline.commserve.requests if request.path.startswith("/Job")]) == 1
    timeline.run()
    assert Counter(timeline.statuses()) == {"submitted": 3, "completed": 3}


def test_one_record_that_cannot_be_read_does_not_stop_the_others_of_its_batch(timeline: Timeline) -> None:
    for target, database in (("a", "billing-db"), ("b", "users-db")):
        timeline.target(target, associations=associations(database))
        timeline.deliver(timeline.schedule("nightly", target))
    (item,) = (item for item in timeline.items() if item["target"] == "a")
    timeline.aws.client("dynamodb").update_item(
        TableName=timeline.name,
        Key={"pk": {"S": item["pk"]}},
        UpdateExpression="SET #record = :record",
        ExpressionAttributeNames={"#record": "record"},
        ExpressionAttributeValues={":record": {"S": '{"backups": 3}'}},
    )
    timeline.redrive("not an event")
    timeline.commserve.advance(HOUR)
    timeline.receive()
    assert [message["target"] for message in timeline.notifications() if message["status"] == "completed"] == ["b"]
    assert only(timeline.queue).due == timeline.clock() + HOUR, "its message is received again, and it is kept"
    assert only(timeline.dead_letters())["refused"], "what was refused is not brought again"


# ---- Dead letters


def test_a_letter_opens_its_submission_in_one_batch_with_the_message_before_it(timeline: Timeline) -> None:
    timeline.commserve.fault("error_top", code=4)
    timeline.deliver(timeline.schedule("nightly"))
    timeline.queue[0].due = timeline.clock()
    letter = only(timeline.dead_letters())
    timeline.redrive(letter)
    timeline.redrive(letter)
    timeline.run()
    assert timeline.statuses() == ["rejected", "submitted", "completed"]


@pytest.mark.parametrize(("text", "code"), [(None, "TARGET_UNKNOWN"), ("{", "TARGET_INVALID")])
def test_a_trigger_for_an_unusable_target_is_rejected_and_its_letter_takes_the_document_as_it_is_then(
    timeline: Timeline, text: str | None, code: str
) -> None:
    if text:
        timeline.target_text("late", text)
    event = timeline.schedule("nightly", "late")
    assert [timeline.deliver(event)["refused"]["code"] for _ in range(2)] == [code, code]
    assert not timeline.queue
    assert only(timeline.notifications())["error"]["code"] == code
    letter = only(timeline.dead_letters())
    timeline.redrive(letter)
    timeline.run()
    again = only(timeline.dead_letters())
    assert (again["letter"], again["error"]["code"]) == (letter["letter"], code), "it is still unusable"
    timeline.target("late")
    timeline.redrive(again)
    timeline.run()
    assert timeline.statuses() == ["rejected", "submitted", "completed"]


def test_a_letter_whose_record_has_expired_is_kept_as_it_is(timeline: Timeline) -> None:
    timeline.redrive({"target": "default", "trigger": {"kind": "manual", "id": "old"}, "letter": 2})
    timeline.run()
    letter = only(timeline.dead_letters())
    assert (letter["letter"], letter["error"]["code"]) == (2, "SUBMISSION_EXPIRED")
    assert not timeline.commserve.requests
