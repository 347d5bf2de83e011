"""A trigger in, its job and its message out: the function's code against the simulator and an AWS emulator."""

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as SdkConfig

from local.commserve import CommServe
from local.emulator import Emulator
from tests.integration.world import ASSOCIATION, World, scheduled
from tests.support import Context

EVENTS = Path(__file__).parents[2] / "events"
RESTORED: dict[str, Any] = {
    "source": "aws.rds",
    "detail-type": "RDS DB Instance Event",
    "detail": {
        "EventID": "RDS-EVENT-0043",
        "SourceType": "DB_INSTANCE",
        "SourceArn": "arn:aws:rds:us-east-1:111122223333:db:orders",
        "SourceIdentifier": "rds:orders",
        "Date": "2026-01-31T02:00:00.000Z",
        "Message": "Restored from snapshot",
    },
}


def restored(**detail: Any) -> dict[str, Any]:
    return {**RESTORED, "detail": {**RESTORED["detail"], **detail}}


def statuses(world: World) -> list[str]:
    return [message["status"] for message in world.notifications()]


@pytest.mark.parametrize("days", [30, 3650])
def test_what_the_ledger_records_expires_after_ledger_days(aws: Emulator, commserve: CommServe, days: int) -> None:
    world = World(aws, commserve, LEDGER_DAYS=str(days))
    began = int(time.time())
    world.deliver({"target": "default"})
    items = aws.client("dynamodb").scan(TableName=world.name)["Items"]
    recorded = [item for item in items if item["pk"]["S"].startswith(("submission#", "job#"))]
    assert {item["pk"]["S"].partition("#")[0] for item in recorded} == {"submission", "job"}
    for item in recorded:
        assert 0 <= int(item["expiresAt"]["N"]) - began - days * 86400 <= time.time() - began


def test_a_backup_is_one_request_and_one_notification(world: World) -> None:
    world.target("default", associations=[{k: v for k, v in ASSOCIATION.items() if k != "displayName"}])
    answer = world.deliver({"target": "default", "requestId": "one"})
    (request,) = world.commserve.requests
    assert (request.method, request.path) == ("POST", "/CreateTask")
    (association,) = request.json["taskInfo"]["associations"]
    assert association["displayName"] == association["clientName"] == "aws-prod"
    assert answer == {"submissions": world.notifications()}
    (notification,) = answer["submissions"]
    assert notification == {
        "version": "1",
        "status": "submitted",
        "target": "default",
        "jobIds": list(world.commserve.jobs),
        "taskId": notification["taskId"],
        "backupLevel": "FULL",
        "associations": [ASSOCIATION],
        "trigger": {"kind": "manual", "id": "one"},
        "submittedAt": notification["submittedAt"],
        "reconciled": False,
    }
    attributes = {"status": "submitted", "target": "default", "trigger": "manual", "followed": "yes"}
    assert world.subscriber.received[0].attributes == attributes


def test_one_backup_costs_one_request_cold_or_warm(world: World) -> None:
    for number in range(3):
        world.deliver(scheduled(str(number)))
    world.deliver(scheduled("cold"), world.sandbox())
    assert len(world.commserve.requests) == len(world.commserve.jobs) == 4


def test_five_deliveries_at_the_same_moment_start_one_job(world: World) -> None:
    start, event = threading.Barrier(5), restored()

    def deliver() -> None:
        services = world.sandbox()
        start.wait()
        world.deliver(event, services)

    threads = [threading.Thread(target=deliver) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.drain()
    assert len(world.commserve.create_tasks) == len(world.commserve.jobs) == 1
    assert statuses(world) == ["submitted"]
    assert [item["status"] for item in world.items()] == ["submitted"]


def test_events_within_the_cool_down_join_its_job(world: World) -> None:
    world.deliver(restored())
    world.deliver(restored(EventID="RDS-EVENT-0014"))
    first, second = world.notifications()
    assert (first["status"], second["status"]) == ("submitted", "joined")
    assert first["jobIds"] == second["jobIds"] == list(world.commserve.jobs)


def test_an_event_within_an_open_submissions_cool_down_waits_for_its_job(world: World) -> None:
    world.commserve.fault("error_top", times=2, code=99)
    world.deliver(restored())
    world.deliver(restored(EventID="RDS-EVENT-0014"))
    assert len(world.commserve.create_tasks) == 1, "the second waits for the first, and sends nothing"
    world.drain()
    assert len(world.commserve.jobs) == 1
    assert sorted(statuses(world)) == ["joined", "submitted"]


def test_a_rejected_submission_releases_the_cool_down(world: World) -> None:
    world.commserve.fault("error_top", code=4)
    world.deliver(restored())
    world.deliver(restored(EventID="RDS-EVENT-0014"))
    assert statuses(world) == ["rejected", "submitted"]


def test_schedules_and_manual_requests_do_not_obey_the_cool_down_but_set_it(world: World) -> None:
    world.deliver(restored())
    world.deliver({"target": "default", "requestId": "by hand"})
    world.deliver(restored(EventID="RDS-EVENT-0014"))
    first, by_hand, last = world.notifications()
    assert first["jobIds"] != by_hand["jobIds"] == last["jobIds"]


def test_a_target_without_cool_down_gets_a_job_for_every_event(world: World) -> None:
    world.target("default", databases=["*"], coolDownMinutes=0)
    world.deliver(restored())
    world.deliver(restored(EventID="RDS-EVENT-0014"))
    assert statuses(world) == ["submitted", "submitted"]


@pytest.mark.parametrize("sample", sorted(EVENTS.glob("never-*.json")), ids=lambda path: path.stem)
def test_what_a_backup_causes_never_starts_one(world: World, sample: Path) -> None:
    event = json.loads(sample.read_text())
    world.target("default", databases=["*"], rdsEventIds=[event["detail"].get("EventID") or "RDS-EVENT-0042"])
    answer = world.deliver(event)
    assert answer["submissions"] == []
    assert answer["ignored"]
    assert not world.commserve.requests
    assert not world.dead_letters()


def test_a_tag_selects_targets_and_event_ids_bind(world: World) -> None:
    world.target("orders", rdsEventIds=["RDS-EVENT-0043"])
    tagged = {"Tags": {"rds-snap-backup:target": "orders"}}
    assert world.deliver(restored(**tagged))["submissions"][0]["target"] == "orders"
    assert "rdsEventIds" in world.deliver(restored(EventID="RDS-EVENT-0014", **tagged))["ignored"]


def test_several_targets_are_fanned_out(world: World) -> None:
    for number in range(24):
        world.target(f"target-{number}")
    answer = world.deliver(scheduled("all", "*"))
    assert [one["status"] for one in answer["submissions"]] == ["queued"] * 25
    world.drain()
    assert sorted(one["target"] for one in world.notifications()) == sorted(
        one["target"] for one in answer["submissions"]
    )
    assert len(world.commserve.jobs) == 25


def test_a_schedule_delivered_twice_starts_one_job(world: World) -> None:
    event = {"target": "default", "schedule": "arn:aws:scheduler:one", "time": "2026-01-31T02:00:00Z"}
    assert world.deliver(event) == world.deliver(event)
    assert len(world.commserve.jobs) == 1


BAD_INPUT = [
    ({}, "EVENT_UNKNOWN"),
    ([], "EVENT_UNKNOWN"),
    ({"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": {}}, "EVENT_UNKNOWN"),
    ({"target": "nobody"}, "TARGET_UNKNOWN"),
    ({"target": "no, such"}, "TARGET_NAME_INVALID"),
    ({"target": "broken"}, "TARGET_INVALID"),
    ({"target": "not-json"}, "TARGET_INVALID"),
]


@pytest.mark.parametrize(("event", "code"), BAD_INPUT)
def test_bad_input_is_refused_and_dead_lettered(world: World, event: Any, code: str) -> None:
    world.target("broken", backupLevel="SOMETIMES")
    world.target_text("not-json", "{")
    answer = world.deliver(event)
    assert answer["submissions"] == []
    assert answer["refused"]["code"] == code
    assert all(answer["refused"].values())
    (dead_letter,) = world.dead_letters()
    assert code in json.dumps(dead_letter)
    assert not world.commserve.requests
    assert world.deliver(scheduled("one"))["submissions"][0]["status"] == "submitted"


def test_a_refused_trigger_runs_once_when_its_target_was_fixed_and_its_letter_redriven(world: World) -> None:
    world.deliver(scheduled("one", "late"))
    (dead_letter,) = world.dead_letters()
    world.target("late")
    world.services = world.sandbox()
    world.redrive(dead_letter)
    world.redrive(dead_letter)
    world.drain()
    assert statuses(world) == ["rejected", "submitted"]
    assert len(world.commserve.jobs) == 1


@pytest.mark.parametrize(
    ("secret", "code"),
    [(" ", "SECRET_EMPTY"), ('{"user": "me"}', "SECRET_WITHOUT_TOKEN"), ("{", "SECRET_WITHOUT_TOKEN")],
)
def test_a_secret_without_a_token_defers(world: World, secret: str, code: str) -> None:
    with world.set_token(secret):
        answer = world.deliver(scheduled("one"))
        (deferred,) = answer["submissions"]
        assert (deferred["status"], deferred["error"]["code"]) == ("deferred", code)
        assert world.secret in deferred["error"]["message"]
        assert not world.commserve.requests
    world.drain()
    assert statuses(world) == ["submitted"]


def test_a_secret_that_does_not_exist_defers(aws: Emulator, commserve: CommServe) -> None:
    world = World(aws, commserve, TOKEN_SECRET_ARN="arn:aws:secretsmanager:us-east-1:000000000000:secret:nothing")
    (deferred,) = world.deliver(scheduled("one"))["submissions"]
    assert deferred["error"]["code"] == "SECRET_UNREADABLE"


def test_a_token_that_changed_is_used_at_once(world: World) -> None:
    world.deliver(scheduled("before"))
    world.commserve.token = "the-new-token"
    with world.set_token("the-new-token"):
        answer = world.deliver(scheduled("after"))
    assert answer["submissions"][0]["status"] == "submitted"
    assert [request.authorized for request in world.commserve.create_tasks] == [True, False, True]


def test_an_api_url_without_https_is_rejected_at_once(aws: Emulator, commserve: CommServe) -> None:
    world = World(aws, commserve, COMMVAULT_API_URL="http://127.0.0.1:1/api")
    (rejected,) = world.deliver(scheduled("one"))["submissions"]
    assert (rejected["status"], rejected["error"]["code"]) == ("rejected", "API_URL_INVALID")
    assert len(world.dead_letters()) == 1


def test_an_unreachable_api_is_deferred_and_finally_abandoned(aws: Emulator, commserve: CommServe) -> None:
    world = World(aws, commserve, COMMVAULT_API_URL="https://127.0.0.1:1/api")
    (deferred,) = world.deliver(scheduled("one"))["submissions"]
    assert (deferred["status"], deferred["error"]["code"]) == ("deferred", "UNREACHABLE")
    world.services = world.sandbox(lambda: time.time() + 6 * 3600)
    world.drain()
    (abandoned,) = world.notifications()
    assert abandoned["status"] == "abandoned"
    assert "6 h" in abandoned["error"]["message"]
    assert "127.0.0.1:1" in abandoned["error"]["message"]
    assert abandoned["error"]["hint"]
    (dead_letter,) = world.dead_letters()
    assert (dead_letter["attempt"], dead_letter["target"]) == (2, "default")


def test_rejected_then_fixed_then_redriven_gives_one_job(world: World) -> None:
    world.commserve.fault("error_top", code=587207178, status=500)
    (rejected,) = world.deliver(scheduled("one"))["submissions"]
    assert rejected["error"]["code"] == "587207178"
    (dead_letter,) = world.dead_letters()
    for _ in range(2):
        world.redrive(dead_letter)
        world.drain()
    assert statuses(world) == ["rejected", "submitted"]
    assert len(world.commserve.jobs) == 1
    assert [item["attempt"] for item in world.items()] == ["2"]


def test_redriven_and_rejected_again_a_stale_copy_does_nothing(world: World) -> None:
    world.commserve.fault("error_top", times=None, code=4)
    world.deliver(scheduled("one"))
    (first,) = world.dead_letters()
    world.redrive(first)
    world.drain()
    (second,) = world.dead_letters()
    assert (first["attempt"], second["attempt"]) == (1, 2)
    world.commserve.clear_faults()
    world.redrive(first)
    world.drain()
    assert not world.commserve.jobs
    world.redrive(second)
    world.drain()
    assert len(world.commserve.jobs) == 1


@pytest.mark.parametrize("fault", ["reset_after", "bad_gateway_after", "truncated"])
def test_a_job_that_was_started_all_the_same_is_adopted(world: World, fault: str) -> None:
    world.commserve.fault(fault)
    world.deliver(scheduled("one"))
    world.drain()
    assert len(world.commserve.create_tasks) == len(world.commserve.jobs) == 1
    (notification,) = world.notifications()
    assert (notification["status"], notification["reconciled"]) == ("submitted", True)
    assert notification["jobIds"] == list(world.commserve.jobs)


def test_a_request_that_was_not_accepted_is_sent_again_after_the_wait(world: World) -> None:
    world.commserve.fault("reset_before")
    started = time.monotonic()
    world.deliver(scheduled("one"))
    world.drain()
    assert time.monotonic() - started >= world.config.reconcile_seconds
    assert len(world.commserve.create_tasks) == 2
    assert len(world.commserve.jobs) == 1
    assert statuses(world) == ["submitted"]


def test_the_answers_clock_decides_what_can_be_ours(world: World) -> None:
    world.commserve.clock_offset = -7200
    world.commserve.fault("reset_after")
    world.deliver(scheduled("one"))
    world.drain()
    assert [one["reconciled"] for one in world.notifications()] == [True]


def test_a_job_that_another_trigger_owns_is_never_adopted(world: World) -> None:
    schedule = {"target": "default", "schedule": "arn:aws:scheduler:one", "time": "2026-01-31T02:00:00Z"}
    world.deliver(schedule)
    world.commserve.fault("reset_before")
    world.deliver(scheduled("another"))
    world.drain()
    assert len(world.commserve.jobs) == 2
    assert len({job for one in world.notifications() for job in one["jobIds"]}) == 2


def test_two_unknown_submissions_find_a_job_each(world: World) -> None:
    world.commserve.fault("reset_after", times=2)
    world.deliver(scheduled("a"))
    world.deliver(scheduled("b"))
    world.drain()
    assert len(world.commserve.create_tasks) == len(world.commserve.jobs) == 2
    assert {job for one in world.notifications() for job in one["jobIds"]} == set(world.commserve.jobs)


def test_what_was_found_in_part_is_adopted_and_only_the_rest_is_sent(world: World) -> None:
    names = ["orders-db", "billing-db"]
    world.target("default", associations=[{**ASSOCIATION, "instanceName": name} for name in names])
    world.commserve.fault("reset_before")
    world.deliver(scheduled("one"))
    found = world.commserve.add_job("aws-prod", "orders-db", "default", "FULL")
    world.drain()
    first, second = world.commserve.create_tasks
    assert [one["instanceName"] for one in first.json["taskInfo"]["associations"]] == names
    assert [one["instanceName"] for one in second.json["taskInfo"]["associations"]] == ["billing-db"]
    (notification,) = world.notifications()
    assert notification["jobIds"][0] == found.id
    assert set(notification["jobIds"]) == set(world.commserve.jobs)


def test_a_running_job_is_joined(world: World) -> None:
    running = world.commserve.add_job("aws-prod", "orders-db", "default", "FULL")
    world.commserve.fault("conflict")
    (joined,) = world.deliver(scheduled("one"))["submissions"]
    assert (joined["status"], joined["jobIds"]) == ("joined", [running.id])


def test_a_schedule_task_is_scheduled_and_an_unknown_one_never_sent_again(world: World) -> None:
    world.target("default", taskType="SCHEDULE")
    (first,) = world.deliver(scheduled("one"))["submissions"]
    assert (first["status"], first["jobIds"]) == ("scheduled", [])
    assert first["taskId"] > 0
    world.commserve.fault("reset_before")
    (abandoned,) = world.deliver(scheduled("two"))["submissions"]
    assert abandoned["status"] == "abandoned"
    assert len(world.commserve.create_tasks) == 2


def test_nothing_is_sent_while_the_rate_limit_lasts(world: World) -> None:
    world.commserve.fault("throttled", period=3)
    world.deliver(scheduled("a"))
    world.deliver(scheduled("b"))
    (refused,) = world.commserve.create_tasks
    world.drain()
    assert world.commserve.create_tasks[1].at - refused.at >= 3
    assert sorted(statuses(world)) == ["submitted", "submitted"]


def test_a_message_that_could_not_be_published_is_published_later(world: World) -> None:
    nowhere = boto3.client(
        "sns", endpoint_url="http://127.0.0.1:9", config=SdkConfig(retries={"total_max_attempts": 1})
    )
    (deferred,) = world.deliver(scheduled("one"), world.sandbox(sns=nowhere))["submissions"]
    assert deferred["error"]["code"] == "AWS_FAILURE"
    assert len(world.commserve.jobs) == 1
    started = time.monotonic()
    world.drain()
    assert time.monotonic() - started < 30, "the lease of the run that failed was waited for"
    assert statuses(world) == ["submitted"]
    assert len(world.commserve.jobs) == 1


class Wire:
    """Records what is sent through an SQS client."""

    def __init__(self, client: Any) -> None:
        self.sent: list[str] = []
        for event in ("SendMessage", "SendMessageBatch"):
            client.meta.events.register(f"before-parameter-build.sqs.{event}", self._record)

    def _record(self, params: dict[str, Any], **_: Any) -> None:
        self.sent.append(params["QueueUrl"])


FAULTS = ["error_top", "unauthorized", "maintenance", "reset_before", "reset_after", "status", "conflict", "throttled"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_message_on_a_queue_is_never_sent_again(world: World, fault: str) -> None:
    sqs = boto3.client("sqs", endpoint_url=world.aws.endpoint_url)
    wire = Wire(sqs)
    world.services = world.sandbox(sqs=sqs)
    parameters: dict[str, Any] = {"error_top": {"code": 99}, "status": {"status": 503}, "throttled": {"period": 2}}.get(
        fault, {}
    )
    world.commserve.fault(fault, times=2, **parameters)
    world.redrive(scheduled("queued"))
    world.drain()
    assert statuses(world) == ["submitted"]
    assert world.submissions not in wire.sent


def test_a_run_that_was_cut_off_is_resumed(world: World) -> None:
    world.commserve.fault("stall_after", times=1)
    answer = world.deliver(scheduled("r"), context=Context(seconds=16))
    assert answer["submissions"][0]["status"] == "deferred"
    world.drain()
    assert len(world.commserve.jobs) == 1
    assert [one["reconciled"] for one in world.notifications()] == [True]


def test_the_token_is_seen_nowhere(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    canary = "CANARY-7f3a9c"
    world.commserve.token = canary
    logging.getLogger("test").setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    for number, fault in enumerate([*FAULTS, "garbage", "redirect", "huge", "xml_error"]):
        with world.set_token(canary):
            world.commserve.fault(fault)
            world.deliver(scheduled(str(number)), world.sandbox())
        with world.set_token(f"{canary}\n{canary}"):
            world.deliver(scheduled(f"bad-{number}"), world.sandbox())
    output = capsys.readouterr()
    seen = [caplog.text, output.out, output.err, json.dumps(world.items("")), json.dumps(world.notifications())]
    seen.append(json.dumps(world.dead_letters()))
    assert all(canary not in text for text in seen)
    assert any(request.authorized for request in world.commserve.requests), "the canary was in use"
