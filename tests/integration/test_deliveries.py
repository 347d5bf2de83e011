"""How triggers and messages reach the function, what it answers, and what is on the queue afterwards."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup.commvault.answers import Answer, HttpRequest, NoAnswer
from rds_snap_backup.commvault.connection import REQUEST_SECONDS, Connection
from rds_snap_backup.commvault.failures import unanswered
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.messaging.queues import FanOutError
from tests.integration.timeline import HOUR, MINUTE, Timeline
from tests.integration.world import ASSOCIATION, RUN_SECONDS, associations, only

EVENTS = Path(__file__).parents[2] / "events"
MANUAL = {"target": "default", "requestId": "by-hand"}


def operations(timeline: Timeline, since: int = 0) -> list[str]:
    return [call.operation for call in timeline.calls[since:]]


def envelope(event: Any) -> dict[str, Any]:
    """Return what Lambda's on-failure destination sends of a run that was killed."""
    return {"requestContext": {"requestId": "of-the-run"}, "requestPayload": event}


# ---- Direct deliveries


def test_a_trigger_for_one_target_sends_its_message_first_and_answers_with_its_job(timeline: Timeline) -> None:
    answer = timeline.deliver(MANUAL)
    names = {name: ASSOCIATION[name] for name in ("clientName", "instanceName", "subclientName")}
    (job_id,) = timeline.commserve.jobs
    backup = {**names, "state": "running", "jobId": job_id, "moment": iso(timeline.clock()), "error": None}
    assert answer == {"submissions": [{"target": "default", "status": "open", "backups": [backup]}]}
    writes = [
        operation for operation in operations(timeline) if operation in {"SendMessage", "TransactWriteItems", "Publish"}
    ]
    assert writes[:2] == ["SendMessage", "TransactWriteItems"]
    assert only(timeline.queue).due == timeline.clock() + 60
    submitted = only(timeline.notifications())
    assert submitted == {
        "version": "2",
        "status": "submitted",
        "target": "default",
        "attempt": 1,
        "jobIds": [job_id],
        "taskId": submitted["taskId"],
        "backupLevel": "FULL",
        "associations": [{**ASSOCIATION, "jobId": job_id}],
        "trigger": {"kind": "manual", "id": "by-hand"},
        "submittedAt": submitted["submittedAt"],
        "reconciled": False,
        "unsettled": False,
        "title": f"submitted: default, job {job_id}",
    }
    attributes = {"status": "submitted", "target": "default", "trigger": "manual", "level": "info"}
    assert timeline.subscriber.received[0].attributes == attributes
    assert only(timeline.commserve.requests).path == "/CreateTask"


def test_a_manual_call_that_is_repeated_only_reports(timeline: Timeline) -> None:
    first = timeline.deliver(MANUAL)
    assert timeline.deliver(MANUAL) == first
    assert len(timeline.queue) == len(timeline.sent()) == 1
    timeline.run()
    assert only(timeline.deliver(MANUAL)["submissions"])["status"] == "succeeded"
    assert not timeline.queue


def test_a_trigger_that_is_delivered_twice_starts_one_job_and_copies_of_its_message_cost_receives(
    timeline: Timeline,
) -> None:
    event = timeline.schedule("nightly")
    assert timeline.deliver(event) == timeline.deliver(event)
    timeline.redrive(timeline.queue[0].body)
    timeline.redrive(envelope(event))
    timeline.receive()
    assert len(timeline.queue) == 4, "the envelope has become a message"
    before, requests = len(timeline.calls), len(timeline.commserve.requests)
    timeline.run(30)
    assert set(operations(timeline, before)) == {"BatchGetItem", "ChangeMessageVisibilityBatch"}
    assert len(timeline.commserve.requests) == requests
    timeline.run()
    assert timeline.statuses() == ["submitted", "completed"]


def test_five_deliveries_at_the_same_moment_start_one_job(timeline: Timeline) -> None:
    barrier, event = threading.Barrier(5), timeline.schedule("nightly")

    def deliver() -> None:
        function = timeline.function()
        barrier.wait()
        timeline.deliver(event, function)

    threads = [threading.Thread(target=deliver) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    timeline.run()
    assert len(timeline.sent()) == len(timeline.commserve.jobs) == 1
    assert set(timeline.statuses()) == {"submitted", "completed"}


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


def test_what_sqs_did_not_accept_of_a_fan_out_is_sent_again_or_the_run_fails(timeline: Timeline) -> None:
    for number in range(4):
        timeline.target(f"target-{number}")
    event = timeline.schedule("nightly", "*")
    timeline.failed_entries = 3 * 5
    with pytest.raises(FanOutError, match="target-3"):
        timeline.deliver(event)
    assert not timeline.queue
    timeline.failed_entries = 2
    timeline.deliver(event)
    assert len({message.body for message in timeline.queue}) == 5


@pytest.mark.parametrize("times", [1, 2])
def test_a_backup_starts_although_its_message_cannot_be_sent(timeline: Timeline, times: int) -> None:
    timeline.fail("SendMessage", times)
    assert timeline.states(timeline.deliver(MANUAL)) == {"orders-db": "running"}
    assert len(timeline.queue) == 2 - times, "it is tried once more at the end of the run"
    if times == 2:
        timeline.commserve.advance(2 * HOUR)
        timeline.deliver(MANUAL)
        assert len(timeline.queue) == 1, "a call that only reports sends a lost message again"
    timeline.run()
    assert timeline.statuses() == ["submitted", "completed"]


@pytest.mark.parametrize("kind", ["schedule", "rds"])
def test_an_event_whose_message_cannot_be_sent_fails_its_run_so_that_lambda_brings_it(
    timeline: Timeline, kind: str
) -> None:
    event = timeline.schedule("nightly") if kind == "schedule" else timeline.event("orders-db")
    timeline.fail("SendMessage", 2)
    with pytest.raises(FanOutError, match="default"):
        timeline.deliver(event)
    assert not timeline.queue
    timeline.redrive(envelope(event))
    timeline.run()
    assert timeline.statuses() == ["submitted", "completed"]


def test_an_answer_after_28_seconds_is_read_of_a_request_that_was_sent_with_38_left(
    timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_after(28.0, timeline, monkeypatch)
    assert timeline.states(timeline.deliver(MANUAL, seconds_left=lambda: 38.0)) == {"orders-db": "running"}
    assert only(timeline.notifications())["reconciled"] is False


def test_an_event_whose_targets_cannot_be_selected_within_ten_seconds_goes_on_the_queue(timeline: Timeline) -> None:
    left = iter([50.0, 39.9])
    assert timeline.deliver(timeline.event("orders-db"), seconds_left=lambda: next(left)) == {"submissions": []}
    assert json.loads(only(timeline.queue).body)["requestPayload"]["source"] == "aws.rds"
    timeline.run()
    assert timeline.statuses() == ["submitted", "completed"]


@pytest.mark.parametrize("sample", sorted(EVENTS.glob("never-*.json")), ids=lambda path: path.stem)
def test_what_a_backup_causes_never_starts_one(timeline: Timeline, sample: Path) -> None:
    answer = timeline.deliver(json.loads(sample.read_text()))
    assert answer["submissions"] == []
    assert answer["ignored"]
    assert not timeline.queues
    assert not timeline.items()


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


def test_a_tag_of_many_unknown_names_is_one_refusal_with_one_letter(timeline: Timeline) -> None:
    timeline.target("default")
    event = timeline.event("orders-db")
    event["detail"]["Tags"] = {"rds-snap-backup:target": " ".join(f"n{number}" for number in range(64))}
    timeline.deliver(event)
    timeline.run()
    assert only(timeline.notifications())["target"] == only(timeline.dead_letters())["target"] == "n0"


def test_an_event_among_600_targets_costs_one_call_by_its_tag_and_the_list_once_without_it(timeline: Timeline) -> None:
    ssm, path = timeline.aws.client("ssm"), timeline.config.targets_path
    document = json.dumps({"associations": associations("users-db")})
    for number in range(600):
        ssm.put_parameter(Name=f"{path}t{number:03}", Value=document, Type="String")
    event = timeline.event("orders-db")
    for tags, calls in (({"rds-snap-backup:target": "t007"}, 1), ({}, 61)):
        event["detail"]["Tags"] = tags
        before, timeline.backup = len(timeline.calls), timeline.function()
        timeline.deliver(event)
        made = [call.parameters for call in timeline.calls[before:] if call.service == "ssm"]
        assert (
            len([parameters for parameters in made if (parameters.get("Path") or parameters["Name"]).startswith(path)])
            == calls
        )


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


@pytest.mark.parametrize("sample", sorted(EVENTS.glob("redelivery-*.json")), ids=lambda path: path.stem)
def test_a_trigger_on_the_queue_becomes_its_submissions_messages(timeline: Timeline, sample: Path) -> None:
    timeline.target("default")
    timeline.target("orders", databases=["*"], accounts=["111122223333"])
    event = json.loads(sample.read_text())
    body = json.loads(event["Records"][0]["body"])
    if "trigger" in body:  # It is a submission's message already.
        timeline.redrive(body)
    else:
        assert timeline.handle(event) == {"batchItemFailures": []}
        assert json.loads(only(timeline.queue).body).keys() == {"target", "trigger"}
    timeline.run()
    # The ledger of this test has no record for the letter.
    assert timeline.statuses() == ([] if "letter" in body else ["submitted", "completed"])


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


@pytest.mark.parametrize("poison", ["record", "publish"])
def test_one_submission_that_fails_does_not_stop_the_others_of_its_batch(timeline: Timeline, poison: str) -> None:
    for target, database in (("a", "billing-db"), ("b", "users-db")):
        timeline.target(target, associations=associations(database))
        timeline.deliver(timeline.schedule("nightly", target))
    if poison == "record":
        (item,) = (item for item in timeline.items() if item["target"] == "a")
        timeline.aws.client("dynamodb").update_item(
            TableName=timeline.name,
            Key={"pk": {"S": item["pk"]}},
            UpdateExpression="SET #record = :record",
            ExpressionAttributeNames={"#record": "record"},
            ExpressionAttributeValues={":record": {"S": '{"backups": 3}'}},
        )
    else:
        timeline.fail("Publish")
    timeline.redrive("not an event")
    timeline.commserve.advance(HOUR)
    timeline.receive()
    assert [message["target"] for message in timeline.notifications() if message["status"] == "completed"] == ["b"]
    # The message of the other is received again: one whose record cannot be read in an hour, and it is kept.
    if poison == "record":
        assert only(timeline.queue).due == timeline.clock() + HOUR
    else:
        timeline.commserve.advance(90)
        timeline.receive()
        assert Counter(timeline.statuses())["completed"] == 2
    assert only(timeline.dead_letters())["refused"], "what was refused is not brought again"


def test_a_slow_commvault_stops_neither_polls_nor_requests_and_costs_no_lease(
    timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"db-{number}" for number in range(15)]
    timeline.commserve.extend({"aws-prod": {"RDS": names}})
    timeline.commserve.fault("maintenance", times=5)
    for name in names:
        timeline.target(name, associations=associations(name))
        timeline.deliver(timeline.schedule("nightly", name))
    answer_after(25.0, timeline, monkeypatch)

    def run_of(seconds: float) -> Callable[[], float]:
        end = time.monotonic() + seconds
        return lambda: end - time.monotonic()

    while timeline.queue:
        timeline.commserve.advance(max(0, min(message.due for message in timeline.queue) - timeline.clock()))
        seconds_left = run_of(RUN_SECONDS)
        timeline.receive(seconds_left)
        assert seconds_left() > 0, "the function's timeout would have killed it"
    assert Counter(timeline.statuses()) == {"submitted": 15, "completed": 15}
    assert len(timeline.sent()) == 15 + 5


def answer_after(seconds: float, timeline: Timeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every exchange with Commvault take so long, on all clocks, and time out as it would."""
    real, exchange, passed = time.monotonic, Connection.exchange, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + passed[0])

    def exchange_slowly(self: Connection, request: HttpRequest) -> Answer:
        taken = min(seconds, request.deadline - time.monotonic(), REQUEST_SECONDS)
        answer = exchange(self, request)
        passed[0] += taken
        timeline.commserve.advance(taken)
        return (
            answer if taken == seconds else NoAnswer(unanswered(TimeoutError(), timeline.commserve.url, is_late=True))
        )

    monkeypatch.setattr(Connection, "exchange", exchange_slowly)


# ---- Dead letters


def test_a_redriven_letter_opens_its_submission_once(timeline: Timeline) -> None:
    timeline.commserve.fault("error_top", code=4)
    answer = timeline.deliver(timeline.schedule("nightly"))
    assert timeline.states(answer) == {"orders-db": "rejected"}
    letter = only(timeline.dead_letters())
    assert letter == {
        "target": "default",
        "trigger": {"kind": "schedule", **{name: letter["trigger"][name] for name in ("id", "time")}},
        "letter": 1,
        "error": timeline.notifications()[0]["error"],
    }
    timeline.redrive(letter)
    timeline.run()
    assert timeline.statuses() == ["rejected", "submitted", "completed"]
    timeline.redrive(letter)
    timeline.run()
    assert len(timeline.sent()) == 2
    assert not timeline.dead_letters()


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


def test_an_invalid_name_in_a_tag_is_rejected_and_its_letter_can_be_redriven(timeline: Timeline) -> None:
    timeline.target("default")
    event = timeline.event("orders-db")
    event["detail"]["Tags"] = {"rds-snap-backup:target": "orders,db"}
    timeline.deliver(event)
    assert timeline.statuses() == ["rejected"]
    letter = only(timeline.dead_letters())
    assert (letter["target"], letter["error"]["code"]) == ("orders,db", "TARGET_NAME_INVALID")
    timeline.redrive(letter)
    timeline.run()
    assert only(timeline.dead_letters()) == letter


def test_a_letter_whose_record_has_expired_is_kept_as_it_is(timeline: Timeline) -> None:
    timeline.redrive({"target": "default", "trigger": {"kind": "manual", "id": "old"}, "letter": 2})
    timeline.run()
    letter = only(timeline.dead_letters())
    assert (letter["letter"], letter["error"]["code"]) == (2, "SUBMISSION_EXPIRED")
    assert not timeline.commserve.requests
