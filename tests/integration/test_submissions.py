"""A submission from its trigger to the ends of its jobs: the function's code, Commvault over TLS, and one clock."""

from types import SimpleNamespace
from typing import Any

import pytest

from rds_snap_backup.ledger.table import CONFLICT_PAUSES
from tests.integration.audit_support import metrics
from tests.integration.timeline import HOUR, MINUTE, Timeline
from tests.integration.world import ASSOCIATION, associations, only

GROUPS = ("orders-db", "billing-db", "users-db")


def several(timeline: Timeline, *groups: str, name: str = "several", **document: Any) -> None:
    timeline.target(name, associations=associations(*groups), **document)


def test_a_client_that_commvault_does_not_know_is_rejected_and_its_neighbours_are_backed_up(timeline: Timeline) -> None:
    timeline.commserve.unknown = "refuse"
    wrong = {**ASSOCIATION, "clientName": "nobody", "subclientName": "nowhere-db"}
    timeline.target("several", associations=[*associations("orders-db", "billing-db"), wrong])
    timeline.deliver(timeline.schedule("nightly", "several"))
    timeline.run()
    assert timeline.sent() == [["orders-db", "billing-db", "nowhere-db"], ["orders-db", "billing-db"]]
    assert sorted(timeline.statuses()) == ["completed", "completed", "rejected", "submitted"]
    assert "nowhere-db" in only(timeline.dead_letters())["error"]["message"]


# ---- Job IDs and rows


def test_a_job_whose_answer_was_lost_is_found_although_the_commserves_clock_is_behind(timeline: Timeline) -> None:
    timeline.commserve.row_offset = -119
    timeline.commserve.fault("reset_after")
    timeline.deliver(timeline.schedule("nightly"))
    timeline.run()
    submitted, completed = timeline.notifications()
    assert (submitted["status"], submitted["reconciled"]) == ("submitted", True)
    assert (completed["status"], completed["jobIds"]) == ("completed", [only(list(timeline.commserve.jobs))])


# ---- Joining


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


# ---- Saving


def test_a_contended_save_leaves_the_submission_alone_for_the_rest_of_the_run(timeline: Timeline) -> None:
    timeline.deliver(timeline.schedule("nightly"))
    timeline.commserve.advance(HOUR)
    timeline.calls.clear()
    tries = iter(range(len(CONFLICT_PAUSES) + 1))

    def conflict(**_: Any) -> Any:
        is_published = any(call.operation == "Publish" for call in timeline.calls)
        if not is_published or next(tries, None) is None:
            return None
        error = {"Code": "TransactionConflictException", "Message": "Transaction is ongoing for the item"}
        return SimpleNamespace(status_code=400), {"Error": error}

    client = timeline.client("dynamodb")
    client.meta.events.register("before-call.dynamodb.UpdateItem", conflict)
    timeline.backup = timeline.function(dynamodb=client)
    timeline.receive()
    assert timeline.statuses() == ["submitted", "completed"], "the end is published once in this run"
    assert 30 <= only(timeline.queue).due - timeline.clock() <= 33
    timeline.run()
    assert timeline.statuses() == ["submitted", "completed", "completed"]


# ---- What is counted


def test_a_run_counts_what_it_defers_and_starts_once(timeline: Timeline, capsys: pytest.CaptureFixture[str]) -> None:
    several(timeline, *GROUPS)
    timeline.commserve.fault("maintenance")
    timeline.deliver(timeline.schedule("nightly", "several"))
    assert metrics(capsys.readouterr().out) == {"SubmissionDeferred": 1, "CommvaultUnreachable": 1}
    timeline.run(MINUTE)
    assert metrics(capsys.readouterr().out) == {"BackupSubmitted": 3}
    timeline.run()
    assert metrics(capsys.readouterr().out) == {"BackupCompleted": 3}


def test_a_backup_is_counted_as_submitted_once_it_has_a_job(
    timeline: Timeline, capsys: pytest.CaptureFixture[str]
) -> None:
    several(timeline, *GROUPS)
    timeline.commserve.fault("job_ids", named=[0, 1])
    timeline.deliver(timeline.schedule("nightly", "several"))
    assert metrics(capsys.readouterr().out) == {"BackupSubmitted": 2}
    timeline.run(2 * MINUTE)
    assert metrics(capsys.readouterr().out) == {"BackupSubmitted": 1, "SubmissionReconciled": 1}
