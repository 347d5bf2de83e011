"""How triggers and messages reach the function, what it answers, and what is on the queue afterwards."""

import json
from collections import Counter

import pytest

from rds_snap_backup.ledger.table import CONFLICT_PAUSES
from tests.integration.timeline import HOUR, MINUTE, Timeline
from tests.integration.world import RUN_SECONDS, associations, only
from tests.metrics import counted


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
    ("tag", "target", "documents", "lists"),
    [
        ("billing", "billing", 1, 0),
        ("gone billing", "billing", 2, 0),
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
    assert [call.operation for call in timeline.calls].count("GetParametersByPath") == lists
    read = [call.parameters["Name"] for call in timeline.calls if call.operation == "GetParameter"]
    assert len([name for name in read if name.startswith(timeline.config.targets_path)]) == documents


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


def test_what_a_document_declines_is_ignored(timeline: Timeline) -> None:
    timeline.target("default", databases=["*"], enabled=False)
    assert "enabled" in timeline.deliver(timeline.event("orders-db"))["ignored"]
    assert not timeline.queues


def test_documents_that_ssm_does_not_give_now_fail_no_run_and_lose_no_trigger(timeline: Timeline) -> None:
    timeline.target("default", databases=["*"])
    timeline.fail("GetParameter", *["ThrottlingException"] * 2)
    answer = only(timeline.deliver(timeline.schedule("nightly"))["submissions"])
    assert (answer["target"], answer["status"]) == ("default", "queued")
    timeline.run()
    timeline.fail("GetParametersByPath", *["ThrottlingException"] * 2)
    assert timeline.deliver(timeline.event("orders-db")) == {"submissions": []}
    timeline.run()
    assert timeline.statuses() == ["submitted", "completed"] * 2


def test_a_contended_save_leaves_the_submission_alone_for_the_rest_of_the_run(timeline: Timeline) -> None:
    timeline.deliver(timeline.schedule("nightly"))
    timeline.commserve.advance(HOUR)
    timeline.fail("UpdateItem", *["TransactionConflictException"] * (len(CONFLICT_PAUSES) + 1))
    timeline.receive()
    assert timeline.statuses() == ["submitted", "completed"], "the end is published once in this run"
    assert 30 <= only(timeline.queue).due - timeline.clock() <= 33
    timeline.run()
    assert timeline.statuses() == ["submitted", "completed", "completed"]


def test_a_letter_whose_record_has_expired_is_kept_as_it_is(timeline: Timeline) -> None:
    expired = {"target": "default", "trigger": {"kind": "manual", "id": "old"}, "letter": 2}
    explained = timeline.deliver({"explain": {"Records": [{"body": json.dumps(expired), "messageId": "1"}]}})
    assert only(only(explained["explain"]["submissions"])["associations"])["would"] == "nothing"
    timeline.redrive(expired)
    timeline.run()
    letter = only(timeline.dead_letters())
    assert (letter["letter"], letter["error"]["code"]) == (2, "SUBMISSION_EXPIRED")
    assert not timeline.commserve.requests


def test_the_answer_follows_a_submission_that_joined_another_one_itself(timeline: Timeline) -> None:
    timeline.commserve.plan_jobs(ending="Failed")
    timeline.commserve.fault("maintenance")
    timeline.deliver(timeline.event("orders-db"))
    joined = timeline.event("orders-db", "RDS-EVENT-0014")
    timeline.deliver(joined)
    timeline.run(2 * MINUTE)
    timeline.commserve.fault("error_top", code=4)
    timeline.run()
    letter = only(timeline.dead_letters())
    timeline.deliver({"target": "default", "requestId": "by-hand"})
    timeline.redrive(letter)
    timeline.run(1)
    assert timeline.statuses() == ["submitted", "joined", "retrying", "rejected", "submitted", "joined"]
    assert timeline.states(timeline.deliver(joined)) == {"orders-db": "running"}
    timeline.run()
    assert only(timeline.deliver(joined)["submissions"])["status"] == "succeeded"


def test_a_run_counts_what_it_defers_starts_and_finds_once(
    timeline: Timeline, capsys: pytest.CaptureFixture[str]
) -> None:
    timeline.target("several", associations=associations("orders-db", "billing-db", "users-db"))
    timeline.commserve.fault("maintenance")
    timeline.deliver(timeline.schedule("nightly", "several"))
    assert counted(capsys.readouterr().out) == {"SubmissionDeferred": 1, "CommvaultUnreachable": 1}
    # A backup is counted as submitted once it has a job, and the answer names two of three.
    timeline.commserve.fault("job_ids", named=[0, 1])
    timeline.run(MINUTE)
    assert counted(capsys.readouterr().out) == {"BackupSubmitted": 2}
    timeline.run(3 * MINUTE)
    assert counted(capsys.readouterr().out) == {"BackupSubmitted": 1, "SubmissionReconciled": 1}
    timeline.run()
    assert counted(capsys.readouterr().out) == {"BackupCompleted": 3}
