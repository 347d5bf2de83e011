"""A submission from its trigger to the ends of its jobs: the function's code, Commvault over TLS, and one clock."""

from collections import Counter
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from local.rds import create_instance
from rds_snap_backup.ledger.table import CONFLICT_PAUSES
from tests.integration.audit_support import metrics
from tests.integration.timeline import DAY, HOUR, MINUTE, Timeline
from tests.integration.world import ASSOCIATION, associations, only

GROUPS = ("orders-db", "billing-db", "users-db")
type Timelines = Callable[..., Timeline]


def by_database(timeline: Timeline) -> dict[str, list[str]]:
    """Return the statuses that were published of each group, in their order."""
    found: dict[str, list[str]] = {}
    for message in timeline.notifications():
        for association in message["associations"]:
            found.setdefault(association["subclientName"], []).append(message["status"])
    return found


def completions(timeline: Timeline) -> Mapping[str, list[str]]:
    """Return the IDs of the jobs whose completion was published, by group: each is that group's job."""
    found: dict[str, list[str]] = {}
    for message in timeline.notifications():
        if message["status"] == "completed":
            job = timeline.commserve.jobs[only(message["jobIds"])]
            assert only(message["associations"])["subclientName"] == job.group
            found.setdefault(job.group, []).append(job.id)
    return found


def several(timeline: Timeline, *groups: str, name: str = "several", **document: Any) -> None:
    timeline.target(name, associations=associations(*groups), **document)


# ---- One group of a target


def test_an_event_of_one_group_in_a_target_starts_one_job(timeline: Timeline) -> None:
    timeline.target(
        "several",
        associations=[
            {**association, "databases": [association["subclientName"]]} for association in associations(*GROUPS)
        ],
    )
    answer = timeline.deliver(timeline.event("billing-db"))
    assert timeline.states(answer) == {"billing-db": "running"}
    timeline.run()
    assert timeline.sent() == [["billing-db"]]
    assert by_database(timeline) == {"billing-db": ["submitted", "completed"]}


@pytest.mark.parametrize("unknown", ["refuse", "task"])
@pytest.mark.parametrize("client", ["aws-prod", "nobody"])
def test_an_unknown_name_is_rejected_and_its_neighbours_are_backed_up_together(
    timeline: Timeline, unknown: Any, client: str
) -> None:
    timeline.commserve.unknown = unknown
    wrong = {**ASSOCIATION, "clientName": client, "subclientName": "nowhere-db"}
    timeline.target("several", associations=[*associations("orders-db", "billing-db"), wrong])
    timeline.deliver(timeline.schedule("nightly", "several"))
    timeline.run()
    assert timeline.sent() == [["orders-db", "billing-db", "nowhere-db"], ["orders-db", "billing-db"]]
    first, second = timeline.commserve.create_tasks
    # Certain after ReconcileSeconds; a message returns at most 30 s late.
    assert 0 <= second.clock - first.clock - 600 <= 90
    done = ["submitted", "completed"]
    assert by_database(timeline) == {"nowhere-db": ["rejected"], "orders-db": done, "billing-db": done}
    assert "nowhere-db" in only(timeline.dead_letters())["error"]["message"]


@pytest.mark.parametrize("settings", [{}, {"RETRY_HOURS": "1", "RECONCILE_SECONDS": "3000"}])
def test_a_name_that_is_refused_although_it_is_known_is_rejected_alone(
    timelines: Timelines, settings: dict[str, str]
) -> None:
    timeline = timelines(**settings)
    timeline.commserve.unknown = "refuse"
    timeline.commserve.refuse_subclient("aws-prod", "billing-db")
    several(timeline, *GROUPS)
    timeline.deliver(timeline.schedule("nightly", "several"))
    timeline.run()
    done = ["submitted", "completed"]
    assert by_database(timeline) == {"billing-db": ["rejected"], "orders-db": done, "users-db": done}
    assert len(timeline.commserve.jobs) == 2


def test_a_database_whose_job_runs_already_waits_for_its_end_and_its_neighbours_do_not(timeline: Timeline) -> None:
    timeline.commserve.busy = "refuse"
    timeline.commserve.add_job("aws-prod", "billing-db", seconds=8 * HOUR)
    several(timeline, *GROUPS)
    timeline.deliver(timeline.schedule("nightly", "several"))
    timeline.run(HOUR)
    assert set(completions(timeline)) == {"orders-db", "users-db"}
    timeline.run()
    assert {name: len(jobs) for name, jobs in completions(timeline).items()} == dict.fromkeys(GROUPS, 1)
    assert "abandoned" not in timeline.statuses()


# ---- Job IDs and rows


@pytest.mark.parametrize(
    ("named", "surplus"), [([2, 0, 1], ()), ([0, 1], ()), ([2], ()), ([1, 0, 2], ["77"]), ([0, 0, 1, 2], ())]
)
@pytest.mark.parametrize("missing", [0, 90])
def test_a_targets_job_ids_may_come_in_any_order_and_number_and_their_rows_late(
    timeline: Timeline, named: list[int], surplus: list[str], missing: float
) -> None:
    timeline.commserve.add_job("aws-test", "sandbox-db")
    timeline.commserve.fault("job_ids", named=named, surplus=surplus)
    timeline.commserve.plan_jobs(times=None, missing_seconds=missing)
    several(timeline, *GROUPS)
    timeline.deliver(timeline.schedule("nightly", "several"))
    timeline.run()
    assert {name: len(jobs) for name, jobs in completions(timeline).items()} == dict.fromkeys(GROUPS, 1)
    assert len(timeline.sent()) == 1


def test_a_job_that_the_answer_left_out_is_found_and_followed_and_no_other_trigger_takes_it(timeline: Timeline) -> None:
    timeline.commserve.fault("job_ids", named=[0, 1])
    timeline.commserve.plan_jobs(group="users-db", missing_seconds=5)
    several(timeline, *GROUPS)
    several(timeline, "users-db", name="alone")
    timeline.deliver(timeline.schedule("nightly", "several"))
    timeline.commserve.fault("reset_after", about="users-db")
    timeline.run(2)
    waiting = timeline.deliver({"target": "alone", "requestId": "by-hand"})
    assert timeline.states(waiting) == {"users-db": "waiting"}
    timeline.run()
    of_users = [
        (message["target"], message["jobIds"])
        for message in timeline.notifications()
        if message["status"] == "completed"
    ]
    first, second = (job.id for job in timeline.commserve.jobs.values() if job.group == "users-db")
    assert ("several", [first]) in of_users
    assert ("alone", [second]) in of_users
    assert len(timeline.sent()) == 2


@pytest.mark.parametrize("behind", [8, 60, 119])
def test_a_job_whose_answer_was_lost_is_found_although_the_commserves_clock_is_behind(
    timeline: Timeline, behind: float
) -> None:
    timeline.commserve.row_offset = -behind
    timeline.commserve.fault("reset_after")
    timeline.deliver(timeline.schedule("nightly"))
    timeline.run()
    submitted, completed = timeline.notifications()
    assert (submitted["status"], submitted["reconciled"]) == ("submitted", True)
    assert (completed["status"], completed["jobIds"]) == ("completed", [only(list(timeline.commserve.jobs))])


@pytest.mark.parametrize("start", ["unknown", "created"])
def test_a_queued_job_whose_start_moves_is_no_other_submissions(timeline: Timeline, start: str) -> None:
    timeline.commserve.fault("reset_after", times=2)
    timeline.commserve.plan_jobs(queued=5 * MINUTE, queued_start=start)
    timeline.deliver(timeline.schedule("first"))
    timeline.run(1)
    timeline.deliver({"target": "default", "requestId": "second"})
    timeline.run()
    assert len(completions(timeline)["orders-db"]) == len(set(completions(timeline)["orders-db"])) == 2
    assert len(timeline.commserve.jobs) == 2
    assert not timeline.dead_letters()


def test_jobs_that_nothing_has_polled_for_longer_than_follow_hours_are_asked_about_before_they_are_lost(
    timeline: Timeline,
) -> None:
    names = [f"db-{number:02}" for number in range(60)]
    timeline.commserve.extend({"aws-prod": {"RDS": names}})
    several(timeline, *names)
    timeline.deliver(timeline.schedule("nightly", "several"))
    timeline.commserve.advance(25 * HOUR)
    timeline.run()
    assert Counter(timeline.statuses()) == {"submitted": 1, "completed": 60}


def test_an_unanswered_request_that_started_nothing_is_sent_again_once_that_is_certain(timeline: Timeline) -> None:
    timeline.commserve.fault("reset_before")
    timeline.deliver(timeline.schedule("nightly"))
    timeline.run()
    first, second = timeline.commserve.create_tasks
    assert second.clock - first.clock >= 600
    assert timeline.statuses() == ["submitted", "completed"]


# ---- Jobs that fail


def test_a_failed_job_of_a_target_is_started_again_alone_and_each_group_counts_for_itself(timeline: Timeline) -> None:
    timeline.commserve.plan_jobs(2, group="billing-db", ending="Failed", reason="The snapshot quota is reached.")
    several(timeline, *GROUPS)
    event = {"target": "several", "requestId": "by-hand"}
    timeline.deliver(event)
    timeline.run()
    done = ["submitted", "completed"]
    failed = ["submitted", "retrying", "submitted", "failed"]
    assert by_database(timeline) == {"orders-db": done, "billing-db": failed, "users-db": done}
    assert timeline.sent() == [list(GROUPS), ["billing-db"]]
    answer = timeline.deliver(event)
    assert timeline.states(answer) == {"orders-db": "completed", "billing-db": "failed", "users-db": "completed"}
    assert only(answer["submissions"])["status"] == "failed"
    completed = {item["pk"] for item in timeline.items("subclient#") if "completedId" in item}
    assert len(completed) == 2
    assert not any("billing-db" in key for key in completed)


@pytest.mark.parametrize(("ending", "is_retried"), [("Failed", True), ("Failed to Start", True), ("Killed", False)])
def test_a_failed_job_is_started_again_a_quarter_of_an_hour_after_its_end(
    timeline: Timeline, ending: str, is_retried: bool
) -> None:
    timeline.commserve.plan_jobs(ending=ending)
    timeline.deliver(timeline.schedule("nightly"))
    timeline.run()
    if not is_retried:
        assert timeline.statuses() == ["submitted", "killed"]
        return
    assert timeline.statuses() == ["submitted", "retrying", "submitted", "completed"]
    retrying = timeline.notifications()[1]
    assert retrying["error"]["code"] == "JOB_FAILED"
    _, second = timeline.commserve.create_tasks
    seen = next(iter(timeline.commserve.jobs.values())).end_time
    assert seen is not None
    assert second.clock - seen >= 15 * MINUTE


# ---- RDS


def test_an_event_waits_until_its_database_is_available(timeline: Timeline) -> None:
    rds, name = timeline.aws.client("rds"), timeline.name
    create_instance(rds, name, "mysql")
    rds.stop_db_instance(DBInstanceIdentifier=name)
    answer = timeline.deliver(timeline.event(name))
    assert only(only(answer["submissions"])["backups"])["error"]["code"] == "DATABASE_NOT_AVAILABLE"
    timeline.run(20 * MINUTE)
    assert timeline.sent() == []
    rds.start_db_instance(DBInstanceIdentifier=name)
    timeline.run()
    assert timeline.statuses() == ["submitted", "completed"]


@pytest.mark.parametrize(("is_asked", "minutes"), [(True, 60), (False, 10)])
def test_an_event_waits_no_longer_than_settle_minutes_and_ten_where_rds_cannot_be_asked(
    timeline: Timeline, is_asked: bool, minutes: int
) -> None:
    rds, name = timeline.aws.client("rds"), timeline.name
    create_instance(rds, name, "mysql")
    rds.stop_db_instance(DBInstanceIdentifier=name)
    if not is_asked:
        timeline.fail("DescribeDBInstances", 1000)
    began = timeline.clock()
    timeline.deliver(timeline.event(name))
    timeline.run()
    sent = only(timeline.commserve.create_tasks).clock - began
    assert minutes * MINUTE <= sent <= (minutes + 1) * MINUTE


def test_events_that_come_together_share_one_job_that_begins_after_all_of_them(timeline: Timeline) -> None:
    timeline.target("default", databases=["orders-*"], gatherMinutes=5)
    for _ in range(20):
        timeline.deliver(timeline.event("orders-db", "RDS-EVENT-0049"))
        timeline.commserve.advance(9)
    last = timeline.clock()
    timeline.run()
    assert only(timeline.commserve.create_tasks).clock > last
    assert Counter(timeline.statuses()) == {"submitted": 1, "joined": 19, "completed": 1}


def test_the_claimer_follows_the_job_that_an_event_joins(timeline: Timeline) -> None:
    timeline.commserve.plan_jobs(ending="Failed")
    timeline.commserve.fault("maintenance")
    timeline.deliver(timeline.event("orders-db"))
    joined = timeline.event("orders-db", "RDS-EVENT-0014")
    answer = timeline.deliver(joined)
    assert timeline.states(answer) == {"orders-db": "waiting"}
    timeline.run(2 * MINUTE)
    assert timeline.states(timeline.deliver(joined)) == {"orders-db": "running"}
    timeline.run()
    assert timeline.statuses() == ["submitted", "joined", "retrying", "submitted", "completed"]
    assert timeline.notifications()[1]["jobIds"] == timeline.notifications()[0]["jobIds"]
    assert timeline.states(timeline.deliver(joined)) == {"orders-db": "completed"}


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


def test_what_could_not_be_started_within_retry_hours_is_abandoned(timeline: Timeline) -> None:
    timeline.commserve.fault("maintenance", times=None)
    began = timeline.clock()
    timeline.deliver(timeline.schedule("nightly"))
    timeline.run()
    assert timeline.statuses() == ["abandoned"]
    assert timeline.clock() - began <= 7 * HOUR
    assert timeline.commserve.create_tasks[-1].clock - began >= 6 * HOUR - 16 * MINUTE
    assert only(timeline.dead_letters())["error"]["code"] == "MAINTENANCE"


def test_a_rate_limit_is_waited_for_by_all_and_does_not_count_as_trying(timeline: Timeline) -> None:
    timeline.target("other", associations=associations("billing-db"))
    timeline.commserve.fault("throttled", period=8 * 3600)
    timeline.deliver(timeline.schedule("nightly"))
    timeline.deliver(timeline.schedule("nightly", "other"))
    timeline.run(DAY)
    assert len(timeline.sent()) == 3
    assert Counter(timeline.statuses()) == {"submitted": 2, "completed": 2}
