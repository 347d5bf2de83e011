"""Sequences in which a promise could break: documents that change, jobs that come out differently, runs that are killed.

Each goes through the function's own code, the simulator and an AWS emulator; time is real, or a clock that is ahead.
"""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.test_submit import restored, statuses
from tests.integration.world import ASSOCIATION, World, scheduled
from tests.support import Context

NAMES = ("orders-db", "billing-db", "users-db")


def associations(*names: str) -> list[dict[str, str]]:
    return [{**ASSOCIATION, "instanceName": name} for name in names]


def only(found: list[Any]) -> Any:
    (one,) = found
    return one


class Refusing:
    """An AWS client one of whose calls is refused so many times; all others are the real client's."""

    def __init__(self, client: Any, call: str, times: int, code: str = "InternalError") -> None:
        self._client, self._call, self.left, self._code = client, call, times, code
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name != self._call:
            return real

        def call(**request: Any) -> Any:
            if self.left <= 0:
                return real(**request)
            self.left -= 1
            self.refused += 1
            response: Any = {"Error": {"Code": self._code, "Message": self._code}}
            if self._code == "TransactionCanceledException":
                response["CancellationReasons"] = [{"Code": "TransactionConflict"}]
            raise ClientError(response, name)

        return call


# ---- A submission is driven by what was sent, whatever becomes of its target's document.

BROKEN_DOCUMENTS = {
    "narrowed": json.dumps({"associations": [ASSOCIATION], "databases": ["*"], "rdsEventIds": ["RDS-EVENT-0005"]}),
    "broken": "{",
    "disabled": json.dumps({"associations": [ASSOCIATION], "databases": ["*"], "enabled": False}),
    "another level": json.dumps({"associations": [ASSOCIATION], "databases": ["*"], "backupLevel": "INCREMENTAL"}),
    "other names": json.dumps({"associations": associations("billing-db"), "databases": ["*"]}),
}


@pytest.mark.parametrize("change", [*BROKEN_DOCUMENTS, "deleted"])
def test_a_job_whose_answer_was_lost_is_found_whatever_became_of_the_document(world: World, change: str) -> None:
    world.commserve.fault("reset_after")
    world.deliver(restored())
    if change == "deleted":
        world.aws.client("ssm").delete_parameter(Name=f"/{world.name}/targets/default")
    else:
        world.target_text("default", BROKEN_DOCUMENTS[change])
    world.services = world.sandbox()
    world.drain()
    notification = only(world.notifications())
    assert (notification["status"], notification["reconciled"]) == ("submitted", True)
    assert notification["associations"] == [ASSOCIATION]
    assert notification["jobIds"] == list(world.commserve.jobs)
    assert len(world.commserve.create_tasks) == 1
    assert "claimer" not in only(world.items("cooldown#"))


def test_what_ended_is_published_although_its_target_was_deleted(world: World) -> None:
    sns = Refusing(world.aws.client("sns"), "publish", times=1)
    world.deliver(scheduled("one"), world.sandbox(sns=sns))
    world.aws.client("ssm").delete_parameter(Name=f"/{world.name}/targets/default")
    world.services = world.sandbox()
    world.drain()
    assert only(world.notifications())["jobIds"] == list(world.commserve.jobs)
    assert len(world.commserve.jobs) == 1


def test_an_attempt_that_was_not_accepted_pins_the_document_as_it_is_now(world: World) -> None:
    world.commserve.fault("error_top", code=99)
    world.deliver(scheduled("one"))
    world.target("default", backupLevel="INCREMENTAL")
    world.services = world.sandbox()
    world.drain()
    levels = [
        one.json["taskInfo"]["subTasks"][0]["options"]["backupOpts"]["backupLevel"]
        for one in world.commserve.create_tasks
    ]
    assert levels == ["FULL", "INCREMENTAL"]
    assert only(world.notifications())["backupLevel"] == "INCREMENTAL"


@pytest.mark.parametrize("text", ["{", json.dumps({"associations": [ASSOCIATION], "enabled": False})])
def test_an_attempt_that_was_not_accepted_keeps_its_pin_where_the_document_is_not_usable(
    world: World, text: str
) -> None:
    world.commserve.fault("error_top", code=99)
    world.deliver(scheduled("one"))
    world.target_text("default", text)
    world.services = world.sandbox()
    world.drain()
    assert statuses(world) == ["submitted"]
    assert len(world.commserve.create_tasks) == 2


def test_a_job_that_commvault_runs_at_a_fuller_level_is_ours(world: World) -> None:
    world.target("default", backupLevel="INCREMENTAL")
    world.commserve.convert_level("INCREMENTAL", "FULL")
    world.commserve.fault("reset_after")
    world.deliver(scheduled("one"))
    world.drain()
    assert [one["reconciled"] for one in world.notifications()] == [True]
    assert len(world.commserve.create_tasks) == len(world.commserve.jobs) == 1


# ---- Job IDs that Commvault counts again.


def test_an_id_that_is_counted_again_is_the_new_jobs(world: World) -> None:
    first = only(world.deliver(scheduled("one"))["submissions"])
    world.commserve.restore_database(int(only(first["jobIds"])))
    second = only(world.deliver(scheduled("two"))["submissions"])
    assert second["jobIds"] == first["jobIds"]
    assert (second["status"], second.get("error")) == ("submitted", None)
    assert len(world.commserve.create_tasks) == 2
    claim = only(world.items("job#"))
    assert claim["submission"].endswith("arn:aws:scheduler:two|2026-01-31T02:00:00Z")


def test_an_end_recorded_for_the_old_job_is_not_the_new_jobs(world: World) -> None:
    first = only(world.deliver(scheduled("one"))["submissions"])
    job_id = only(first["jobIds"])
    item = world.services.completions.find([job_id])[job_id]
    world.services.completions.record(job_id, item, {"status": "completed", "jobIds": [job_id]}, "follower")
    world.commserve.restore_database(int(job_id))
    world.deliver(scheduled("two"))
    assert world.services.completions.ends([job_id], "submission#none") == {}


def test_a_claim_of_another_submission_is_not_stolen_in_reconciling(world: World) -> None:
    world.commserve.fault("reset_before")
    world.deliver(scheduled("lost"))
    time.sleep(1.1)  # The job that follows is no older than the lost attempt.
    world.deliver(scheduled("other"))
    world.drain()
    jobs = [only(one["jobIds"]) for one in world.notifications()]
    assert len(set(jobs)) == len(world.commserve.jobs) == 2
    assert len(world.commserve.create_tasks) == 3


# ---- Manual triggers.


class Killed(BaseException):
    """The sandbox is gone."""


class Dying:
    """A client during one of whose calls the run is killed, after the call took effect."""

    def __init__(self, client: Any, call: str) -> None:
        self._client, self._call = client, call

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name != self._call:
            return real

        def call(**request: Any) -> Any:
            real(**request)
            raise Killed

        return call


@pytest.mark.parametrize("call", ["transact_write_items", "publish"])
def test_a_synchronous_invocation_that_is_killed_is_finished_by_its_safety_net(world: World, call: str) -> None:
    client = "dynamodb" if call == "transact_write_items" else "sns"
    dying: dict[str, Any] = {client: Dying(world.aws.client(client), call)}
    services = world.sandbox(**dying)
    with pytest.raises(Killed):
        world.deliver({"target": "default", "requestId": "by hand"}, services)
    assert only(world.delayed())["trigger"] == {"kind": "manual", "id": "by hand"}
    world.services = world.sandbox(lambda: time.time() + 90)
    world.deliver_delayed()
    world.drain()
    assert set(statuses(world)) == {"submitted"}
    assert len(world.commserve.jobs) == 1


def test_a_deferred_manual_trigger_sends_no_second_message(world: World) -> None:
    world.commserve.fault("error_top", code=99)
    deferred = only(world.deliver({"target": "default", "requestId": "by hand"})["submissions"])
    assert deferred["status"] == "deferred"
    assert len(world.delayed()) == 1


def test_a_safety_net_that_cannot_be_sent_does_not_stop_the_backup(world: World) -> None:
    sqs = Refusing(world.aws.client("sqs"), "send_message", times=1)
    answer = world.deliver({"target": "default", "requestId": "by hand"}, world.sandbox(sqs=sqs))
    assert only(answer["submissions"])["status"] == "submitted"
    assert sqs.refused == 1


@pytest.mark.parametrize("event", [scheduled("one"), restored(), {"target": "*", "requestId": "all"}])
def test_other_triggers_have_no_safety_net(world: World, event: dict[str, Any]) -> None:
    world.target("other")
    world.deliver(event)
    assert not world.delayed()


def test_a_request_id_that_was_used_before_only_reports(world: World) -> None:
    world.commserve.fault("error_top", code=99)
    event = {"target": "default", "requestId": "monday"}
    first = only(world.deliver(event)["submissions"])
    again = only(world.deliver(event)["submissions"])
    assert (first["status"], again["status"], again["jobs"]) == ("deferred", "deferred", [])
    assert again["error"]["code"] == "99"
    assert len(world.commserve.create_tasks) == len(world.delayed()) == 1
    world.deliver_delayed()
    submitted = only(world.deliver(event)["submissions"])
    assert (submitted["status"], submitted["jobs"]) == (
        "submitted",
        [{"id": only(submitted["jobIds"]), "status": "running"}],
    )
    assert len(world.commserve.create_tasks) == 2


def test_a_repeated_request_for_all_targets_reports_each(world: World) -> None:
    world.target("other")
    event = {"target": "*", "requestId": "all"}
    world.deliver(event)
    world.drain()
    reported = world.deliver(event)["submissions"]
    assert {(one["target"], one["status"], len(one["jobs"])) for one in reported} == {
        ("default", "submitted", 1),
        ("other", "submitted", 1),
    }
    assert not world.waiting()


def test_a_repeated_request_for_all_targets_sends_what_the_first_call_could_not(world: World) -> None:
    world.target("other")
    world.deliver({"target": "default", "requestId": "all"})
    reported = world.deliver({"target": "*", "requestId": "all"})["submissions"]
    assert {one["target"]: one["status"] for one in reported} == {"default": "submitted", "other": "queued"}
    assert world.poll(wait=1) == 1
    assert sorted(one["target"] for one in world.notifications()) == ["default", "other"]


# ---- Requests and answers in part.


def test_a_request_is_never_empty_and_nothing_missing_means_submitted(world: World) -> None:
    world.target("default", associations=associations("orders-db", "billing-db"))
    world.commserve.fault("reset_before")
    world.deliver(scheduled("one"))
    found = world.commserve.add_job("aws-prod", "orders-db", "default", "FULL")
    world.commserve.fault("error_top", times=1, code=99)
    # The rest is sent after the wait, and fails; then the operator removes it from the target.
    while len(world.commserve.create_tasks) < 2:
        world.poll(wait=1)
    world.target("default")
    world.services = world.sandbox()
    world.drain()
    notification = only(world.notifications())
    assert (notification["status"], notification["jobIds"]) == ("submitted", [found.id])
    assert notification["associations"] == [ASSOCIATION]
    assert all(one.json["taskInfo"]["associations"] for one in world.commserve.create_tasks)
    assert len(world.commserve.create_tasks) == 2


def test_what_was_rejected_in_part_names_the_jobs_that_run(world: World) -> None:
    world.target("default", associations=associations("orders-db", "billing-db"))
    world.commserve.fault("reset_before")
    world.deliver(scheduled("one"))
    found = world.commserve.add_job("aws-prod", "orders-db", "default", "FULL")
    world.commserve.fault("error_top", code=4)
    world.drain()
    rejected = only(world.notifications())
    assert (rejected["status"], rejected["jobIds"]) == ("rejected", [found.id])
    assert rejected["submittedAt"]
    assert world.subscriber.received[0].attributes["followed"] == "yes"


def test_an_answer_that_names_too_few_jobs_is_completed_from_the_list(world: World) -> None:
    world.target("default", associations=associations(*NAMES))
    world.commserve.fault("fewer_job_ids")
    submitted = only(world.deliver(scheduled("one"))["submissions"])
    assert set(submitted["jobIds"]) == set(world.commserve.jobs)
    assert len(submitted["jobIds"]) == 3
    assert "error" not in submitted
    assert len(world.commserve.create_tasks) == 1
    assert {item["pk"] for item in world.items("job#")} == {f"job#{job}" for job in world.commserve.jobs}


def test_an_association_without_a_job_is_named(world: World) -> None:
    world.commserve.catalogue.add("aws-prod", "billing-db")
    world.target("default", associations=associations("orders-db", "billing-db", "nowhere"))
    submitted = only(world.deliver(scheduled("one"))["submissions"])
    assert set(submitted["jobIds"]) == set(world.commserve.jobs)
    assert submitted["error"]["code"] == "JOBS_MISSING"
    assert "nowhere" in submitted["error"]["message"]
    assert "billing-db" not in submitted["error"]["message"]
    assert statuses(world) == ["submitted"]
    assert len(world.commserve.create_tasks) == 1


def test_where_the_list_cannot_be_read_all_associations_are_named(world: World) -> None:
    world.target("default", associations=associations(*NAMES))
    world.commserve.fault("fewer_job_ids")
    world.commserve.fault("status", path="/Job", times=None, status=500)
    submitted = only(world.deliver(scheduled("one"))["submissions"])
    assert len(submitted["jobIds"]) == 1
    assert all(name in submitted["error"]["message"] for name in NAMES)


# ---- Lists, leases and conflicts.


def test_a_list_of_jobs_too_long_for_one_run_is_read_across_deliveries(world: World) -> None:
    world.commserve.fault("reset_after")
    world.deliver(scheduled("one"))
    for _ in range(320):
        world.commserve.add_job("another-client", "noise")
    world.commserve.fault("slow", path="/Job", times=None, seconds=0.6)
    tries = 0
    while not world.notifications():
        world.poll(lambda event: world.handle(event, Context(seconds=14.2)), wait=1)
        tries += 1
        assert tries < 40
    notification = only(world.notifications())
    assert (notification["status"], notification["reconciled"]) == ("submitted", True)
    assert len(world.commserve.create_tasks) == 1
    assert only(world.items())["expiredLeases"] == "0"


def test_only_leases_that_expire_in_a_row_give_a_submission_up(world: World) -> None:
    world.commserve.fault("error_top", times=None, code=99)
    world.deliver(scheduled("one"))
    trigger = json.loads(only(world.items())["trigger"])
    ahead, killed, deferred = 0.0, 0, 0
    for number in range(12):
        # Every other run is cut off before it can record anything.
        ahead += 1000
        dynamodb = world.aws.client("dynamodb")
        cut = Dying(dynamodb, "transact_write_items") if number % 2 else dynamodb
        world.services = world.sandbox(lambda ahead=ahead: time.time() + ahead, dynamodb=cut)  # type: ignore[misc]
        try:
            world.deliver_message(json.dumps({"target": "default", "trigger": trigger}))
        except Killed:
            killed += 1
        except ClientError:
            deferred += 1  # It cannot wait on the queue, since it is on none.
    assert (killed, deferred) == (6, 6)
    assert only(world.items())["status"] in {"submitting", "deferred", "unknown"}
    assert not world.notifications()


@pytest.mark.parametrize("code", ["TransactionConflictException", "TransactionCanceledException"])
def test_a_write_that_meets_a_transaction_is_retried(world: World, code: str) -> None:
    call = "update_item" if code == "TransactionConflictException" else "transact_write_items"
    dynamodb = Refusing(world.aws.client("dynamodb"), call, times=2, code=code)
    answer = world.deliver(scheduled("one"), world.sandbox(dynamodb=dynamodb))
    assert only(answer["submissions"])["status"] == "submitted"
    assert dynamodb.refused == 2
    assert only(world.items())["published"] is True


# ---- Refused triggers.


@pytest.mark.parametrize(("text", "code"), [(None, "TARGET_UNKNOWN"), ("{", "TARGET_INVALID")])
def test_a_trigger_for_an_unusable_target_is_published_as_rejected(world: World, text: str | None, code: str) -> None:
    if text:
        world.target_text("late", text)
    event = scheduled("one", "late")
    for _ in range(2):
        assert world.deliver(event)["refused"]["code"] == code
    notification = only(world.notifications())
    assert (notification["status"], notification["target"], notification["jobIds"]) == ("rejected", "late", [])
    assert notification["error"]["code"] == code
    assert only(world.dead_letters())["error"]["code"] == code


def test_a_letter_whose_target_is_still_unusable_goes_back_with_its_attempt_number(world: World) -> None:
    world.commserve.fault("error_top", code=4)
    world.deliver(scheduled("one"))
    letter = only(world.dead_letters())
    world.target("default", enabled=False)
    world.redrive(letter)
    world.drain()
    again = only(world.dead_letters())
    assert (again["attempt"], again["error"]["code"]) == (letter["attempt"], "TARGET_DISABLED")
    world.target("default")
    world.redrive(again)
    world.drain()
    assert statuses(world) == ["rejected", "submitted"]


def test_a_redrive_sees_the_document_past_a_warm_cache(world: World) -> None:
    world.target_text("default", "{")
    world.deliver(scheduled("one"))
    letter = only(world.dead_letters())
    world.target("default")
    world.redrive(letter)
    world.drain()
    assert statuses(world) == ["rejected", "submitted"]


def test_a_letter_whose_item_has_expired_is_refused(world: World) -> None:
    world.redrive({"target": "default", "trigger": {"kind": "manual", "id": "old"}, "attempt": 1})
    world.drain()
    assert only(world.dead_letters())["error"]["code"] == "SUBMISSION_EXPIRED"
    assert not world.commserve.requests


# ---- The rest.


@pytest.mark.parametrize("status", ["Failed", "Killed"])
def test_an_event_does_not_join_a_job_that_has_failed(world: World, status: str) -> None:
    first = only(world.deliver(restored())["submissions"])
    job_id = only(first["jobIds"])
    end = {"status": status.lower(), "jobIds": [job_id]}
    item = world.services.completions.find([job_id])[job_id]
    world.services.completions.record(job_id, item, end, "follower")
    second = only(world.deliver(restored(EventID="RDS-EVENT-0014"))["submissions"])
    assert second["status"] == "submitted"
    assert second["jobIds"] != first["jobIds"]


def test_an_event_that_joins_names_what_was_sent_for_the_jobs_that_it_joins(world: World) -> None:
    first = only(world.deliver(restored())["submissions"])
    world.target("default", associations=associations("billing-db"), databases=["*"])
    joined = only(world.deliver(restored(EventID="RDS-EVENT-0014"), world.sandbox())["submissions"])
    assert (joined["status"], joined["jobIds"]) == ("joined", first["jobIds"])
    assert joined["associations"] == [ASSOCIATION]


def test_a_published_end_that_cannot_be_marked_is_answered_as_what_it_is(world: World) -> None:
    dynamodb = Refusing(world.aws.client("dynamodb"), "update_item", times=1)
    submitted = only(world.deliver(scheduled("one"), world.sandbox(dynamodb=dynamodb))["submissions"])
    assert submitted["status"] == "submitted"
    world.services = world.sandbox(lambda: time.time() + 100)
    world.drain()
    assert only(world.items())["published"] is True
    assert set(statuses(world)) == {"submitted"}
    assert len(world.commserve.jobs) == 1


def test_a_job_that_started_long_after_the_attempt_is_not_adopted(world: World) -> None:
    world.commserve.fault("reset_before")
    world.deliver(scheduled("one"))
    nightly = world.commserve.add_job("aws-prod", "orders-db", start=world.commserve.clock.now() + 60)
    world.drain()
    notification = only(world.notifications())
    assert nightly.id not in notification["jobIds"]
    assert len(world.commserve.create_tasks) == 2


def test_no_trigger_takes_the_identity_of_another_kind(world: World) -> None:
    schedule = scheduled("one")
    forged = {"target": "default", "requestId": f"{schedule['schedule']}|{schedule['time']}"}
    world.deliver(forged)
    world.deliver(schedule)
    assert len(world.commserve.jobs) == 2
    assert {item["pk"].split("#")[2] for item in world.items()} == {"manual", "schedule"}
