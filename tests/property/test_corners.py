"""Corners that chance seldom reaches, and promises about single effects: one script each in the property test's world."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from rds_snap_backup.backup.polling import READ_SECONDS
from tests.property.documents import association
from tests.property.model import connection
from tests.property.model.answers import ANSWERS, NO_SUBCLIENT
from tests.property.model.commvault import CommServe, Settings
from tests.property.model.kernel import AWS_FAULTS, Kernel, Run, Schedule
from tests.property.script import ARN, DATABASE, RDS, Example
from tests.property.wire import in_charge
from tests.property.world import SUBMISSIONS, Event, World

CONFIG = {
    "gather_minutes": 0,
    "settle_minutes": 60,
    "retry_hours": 1,
    "first_retry_seconds": 30,
    "first_poll_seconds": 60,
    "reconcile_seconds": 600,
    "retry_failed_jobs": 0,
}
HOUR = 3600.0
EVENT = {"SourceArn": ARN, "EventID": "RDS-EVENT-0043", "Date": "2026-09-21T14:13:00Z", "SourceType": "DB_INSTANCE"}


class Stage(Example):
    """An example that a test plays step by step; `calls` are the effects that were made, in order."""

    def invoke(self, target: str, **members: Any) -> dict[str, Any]:
        """Start a target by hand; return the answer."""
        number = len(self.world.events)
        body = {"target": target, **members}
        identity = members.get("requestId", f"request-{number}")
        event = Event(body, f"request-{number}", (f"submission#{target}#manual#{identity}",))
        self.world.events.append(event)
        self.world.go([self.world.invoke(event)])
        return self.world.answers[event.request_id]

    def answered(self, *answers: str) -> None:
        """Let the next requests to CreateTask be answered so, one after the other."""
        self.kernel.faults["create"] = Schedule([(0, tuple(ANSWERS).index(answer)) for answer in answers])

    def sent(self) -> list[str]:
        """Return which groups each request asked for."""
        requests = [request["taskInfo"]["associations"] for _, _, request in self.server.requests]
        return [" ".join(entry["subclientName"] for entry in some) for some in requests]

    def published(self, status: str) -> list[dict[str, Any]]:
        """Return the notifications of a status."""
        return [message for message in self.world.sns.messages if message["status"] == status]


@pytest.fixture
def stage() -> Iterator[Stage]:
    kernel = Kernel({"aws": Schedule(())}, Schedule(()))
    server = CommServe(kernel, Settings(job_seconds=300.0))
    world = World(kernel, server, CONFIG)
    with in_charge(server):
        yield Stage(world, kernel, server)


@pytest.fixture
def effects(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    fault = stage.kernel.fault

    def noted(_kernel: Kernel, kind: str, names: Any) -> str:
        made.append(kind)
        return fault(kind, names)

    monkeypatch.setattr(Kernel, "fault", noted)
    return made


def test_the_message_is_sent_before_the_record_is_made_and_the_request_leaves(stage: Stage, effects: list[str]) -> None:
    stage.invoke("one")
    wanted = ("queue send", "ledger transaction", "create", "publish")
    assert [effect for effect in effects if effect in wanted][:4] == [*wanted[:3], "ledger transaction"]
    assert effects.index("publish") > effects.index("create")


def test_a_manual_call_answers_with_the_job_and_its_repetition_only_reports(stage: Stage, effects: list[str]) -> None:
    first = stage.invoke("one", requestId="mine")
    effects.clear()
    assert stage.invoke("one", requestId="mine") == first
    assert {"queue send", "create", "ledger update", "ledger transaction", "publish"}.isdisjoint(effects)
    (submission,) = first["submissions"]
    (backup,) = submission["backups"]
    assert (submission["status"], backup["state"], backup["jobId"]) == ("open", "running", "1001")
    stage.world.drain()
    assert stage.invoke("one", requestId="mine")["submissions"][0]["status"] == "succeeded"


def test_a_manual_call_sends_the_lost_message_of_a_stuck_submission(stage: Stage) -> None:
    stage.invoke("one", requestId="mine")
    stage.world.sqs.queues[SUBMISSIONS].clear()
    stage.kernel.now += 3 * HOUR
    stage.invoke("one", requestId="mine")
    assert len(stage.world.waiting) == 1
    stage.world.drain()
    assert stage.published("completed")


def test_pauses_double_up_to_15_minutes_until_retry_hours_are_over(stage: Stage) -> None:
    times: list[float] = []
    observe = stage.server.observe

    def noted(run: Run, request: dict[str, Any]) -> None:
        times.append(stage.kernel.now)
        observe(run, request)

    stage.server.observe = noted
    stage.answered(*["failed"] * 20)
    stage.invoke("one")
    stage.world.drain()
    pauses = [later - earlier for earlier, later in pairwise(times)]
    # The message of a direct run arrives after FirstPollSeconds; the jitter is a tenth of a pause, 30 s at most.
    assert pauses[:7] == pytest.approx([60, 60, 120, 240, 480, 900, 900], abs=40)
    (abandoned,) = stage.published("abandoned")
    (record,) = stage.world.promises.records.values()
    assert stage.world.promises.changed[record.key] - times[0] == pytest.approx(HOUR, abs=60)
    assert abandoned["error"]["code"] == "99"


def test_a_run_that_leaves_neither_message_nor_record_fails(stage: Stage) -> None:
    """Lambda then puts the event on the queue. RDS takes so long that there is no time for a request."""
    stage.world.rds.statuses[DATABASE] = "available"
    stage.kernel.faults["queue send"] = Schedule([(0, AWS_FAULTS.index("fail before"))] * 2)
    stage.kernel.faults["status"] = Schedule([(0, AWS_FAULTS.index("slow"))])
    tagged = {**EVENT, "Tags": {"rds-snap-backup:target": "one"}}
    stage.world.go([stage.world.invoke(Event({**RDS, "detail": tagged}, "request-0", ()))])
    assert not stage.world.promises.records
    assert len(stage.world.waiting) == 1
    stage.world.drain()
    assert stage.sent() == ["orders"]


def test_a_token_that_expires_while_jobs_run_is_renewed() -> None:
    kernel = Kernel({"aws": Schedule(())}, Schedule(()))
    server = CommServe(kernel, Settings(job_seconds=2 * HOUR, has_pair=True))
    with in_charge(server):
        stage = Stage(World(kernel, server, CONFIG), kernel, server)
        stage.invoke("one")
        stage.world.drain()
    assert stage.published("completed")
    assert kernel.seen["renewed"] > 2


def test_copies_of_a_message_cost_receives_only(stage: Stage, effects: list[str]) -> None:
    stage.invoke("one")
    (message,) = stage.world.waiting
    for _ in range(3):
        stage.world.sqs.put(SUBMISSIONS, message.body)
    effects.clear()
    stage.world.deliver_until(stage.kernel.now + 5)
    assert {*effects} == {"ledger read", "queue visibility"}
    stage.world.drain()
    assert len(stage.published("completed")) == 1


def test_one_message_that_fails_does_not_stop_its_batch(stage: Stage) -> None:
    """The ledger cannot be read for the first message of ten."""
    for number in range(10):
        trigger = {"kind": "manual", "id": f"batch-{number}"}
        document = {"associations": [association("a" if number else "b")], "retryFailedJobs": 1}
        stage.world.documents.add(f"t{number}", document)
        stage.world.sqs.put(SUBMISSIONS, json.dumps({"target": f"t{number}", "trigger": trigger}))
    stage.kernel.faults["ledger read"] = Schedule([(0, AWS_FAULTS.index("fail before"))])
    stage.world.go([stage.world.hand_over(stage.world.due)])
    assert "a" in stage.sent()
    # What joined is over: its message is gone. The failed one is received again, in its own time.
    assert max(message.visible_at for message in stage.world.waiting) > stage.kernel.now + 80
    assert {json.loads(message.body)["target"] for message in stage.world.waiting} == {"t0", "t1"}


def test_polls_and_requests_progress_where_commvault_takes_25_s(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        stage.world.documents.add(f"t{number}", {"associations": [association(f"i{number}")]})
    for number in range(10):
        stage.invoke(f"t{number}")
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 25.0)
    for number in range(10, 20):
        trigger = {"kind": "manual", "id": f"batch-{number}"}
        stage.world.sqs.put(SUBMISSIONS, json.dumps({"target": f"t{number}", "trigger": trigger}))
    stage.world.deliver_until(stage.kernel.now + HOUR)
    stage.world.drain()
    assert len(stage.sent()) == len({*stage.sent()}) == 20
    ends = [message["jobIds"] for status in ("completed", "completed_with_errors", "killed", "failed", "retrying")
            for message in stage.published(status)]  # fmt: skip
    assert len(ends) >= 20
    assert all(record.cut_offs == 0 for record in stage.world.promises.records.values())


def test_the_two_looks_of_a_run_share_its_time_for_reading(stage: Stage) -> None:
    """Rows show whose the named jobs are; the job that was not named is looked for in the list at once."""
    stage.answered("not all named")
    stage.invoke("three")
    begun = stage.kernel.now = stage.world.waiting[0].visible_at + 5
    stage.server.settings.page_seconds = 6.0
    stage.world.go([stage.world.hand_over(stage.world.due)])
    assert 6 < stage.kernel.now - begun < READ_SECONDS + 1
    stage.server.settings.page_seconds = 0.0
    stage.world.drain()
    assert [message["reconciled"] for message in stage.published("submitted")][:2] == [False, True]


def test_an_event_whose_targets_take_too_long_to_read_goes_on_the_queue(stage: Stage) -> None:
    stage.world.rds.statuses[DATABASE] = "available"
    stage.kernel.faults["parameter"] = Schedule([(0, AWS_FAULTS.index("slow"))])
    event = Event({**RDS, "detail": EVENT}, "request-0", ())
    stage.world.go([stage.world.invoke(event)])
    assert stage.world.answers["request-0"] == {"submissions": []}
    stage.world.drain()
    assert sorted(stage.sent()[:2]) == ["a b", "orders"]


def test_an_event_waits_until_its_database_is_available(stage: Stage) -> None:
    stage.world.rds.statuses[DATABASE] = "backing-up"
    tagged = {**EVENT, "Tags": {"rds-snap-backup:target": "one"}}
    stage.world.go([stage.world.invoke(Event({**RDS, "detail": tagged}, "request-0", ()))])
    stage.world.deliver_until(stage.kernel.now + 1000)
    assert not stage.sent()
    stage.world.rds.statuses[DATABASE] = "available"
    stage.world.drain()
    assert stage.sent() == ["orders"]


def test_a_name_that_commvault_does_not_know_is_rejected_alone(stage: Stage) -> None:
    stage.server.unknown.add(("aws-prod", "RDS", "b"))
    stage.invoke("three")
    stage.world.drain()
    assert stage.sent()[:2] == ["a b c", "a c"]
    (rejected,) = stage.published("rejected")
    assert [entry["subclientName"] for entry in rejected["associations"]] == ["b"]
    assert rejected["error"]["code"] == str(NO_SUBCLIENT["errorCode"])
    assert [json.loads(letter.body)["letter"] for letter in stage.world.letters] == [1]


def test_a_group_that_is_refused_twice_for_a_running_job_is_taken_apart(stage: Stage) -> None:
    stage.answered("already running, 409", "already running, code 2")
    stage.invoke("three")
    stage.world.drain()
    assert stage.sent()[:5] == ["a b c", "a b c", "a", "b", "c"]


def test_a_list_that_takes_longer_than_a_run_is_read_on_by_the_next(stage: Stage) -> None:
    """Sixty rows of others in pages of three, each of which takes its time, and no client's own list to be had."""
    stage.server.settings.crowd, stage.server.settings.page_seconds = 60, 2.0
    stage.server.settings.hides_clients, stage.server.settings.newest_first = True, False
    stage.answered("reset, accepted")
    for _ in range(40):
        stage.server.start_job(("elsewhere", "RDS", "erp"), "FULL", 59, stage.kernel.now)
    stage.invoke("one")
    stage.world.drain()
    (submitted,) = stage.published("submitted")
    assert submitted["reconciled"] is True
    assert len(stage.sent()) == 1


def test_a_target_of_many_associations_with_long_names_is_recorded_and_published(stage: Stage) -> None:
    names = [f"{number:03}-{'n' * 450}" for number in range(90)]
    associations = [
        {"clientName": "aws-prod", "instanceName": name, "displayName": f"Of {name}", "subclientName": name}
        for name in names
    ]
    stage.world.documents.add("one", {"associations": associations})
    stage.invoke("one")
    (message,) = stage.published("submitted")
    assert len(message["jobIds"]) == 90
    stage.world.drain()
    ends = [message for message in stage.world.sns.messages if message["status"] != "submitted"]
    assert len({message["jobIds"][0] for message in ends}) == 90


def test_an_envelope_becomes_the_submissions_message_and_its_copy_continues_it_though_the_target_is_disabled(
    stage: Stage,
) -> None:
    """The direct run was killed before its message was sent."""
    request = {"requestId": "request-0", "condition": "RetriesExhausted"}
    envelope = json.dumps({"version": "1.0", "requestContext": request, "requestPayload": {"target": "one"}})
    stage.world.sqs.put(SUBMISSIONS, envelope)
    stage.world.deliver_until(stage.kernel.now + 30)
    (message,) = stage.world.waiting
    assert json.loads(message.body).keys() == {"target", "trigger"}
    stage.world.documents.edit("one", "disabled")
    stage.world.sqs.put(SUBMISSIONS, envelope)
    stage.world.drain()
    assert (stage.sent(), len(stage.published("completed"))) == (["orders"], 1)


def test_copies_of_a_message_that_arrive_before_its_record_start_one_job(stage: Stage) -> None:
    """Two direct deliveries of one event were killed after they had sent the message."""
    body = json.dumps({"target": "one", "trigger": {"kind": "manual", "id": "twice"}})
    for _ in range(2):
        stage.world.sqs.put(SUBMISSIONS, body)
    stage.world.go([stage.world.hand_over([message]) for message in stage.world.due])
    stage.world.drain()
    assert (stage.sent(), len(stage.published("submitted"))) == (["orders"], 1)


def test_a_record_of_another_form_waits_and_others_go_on(stage: Stage) -> None:
    stage.invoke("one", requestId="newer")
    item = stage.world.dynamodb.items["submission#one#manual#newer"]
    text = item["record"]["S"]
    item["record"]["S"] = text.replace('"form":', '"form":1')
    stage.invoke("three")
    stage.world.deliver_until(stage.kernel.now + 600)
    assert stage.sent() == ["orders", "a b c"]
    last = stage.world.waiting[-1]
    assert (json.loads(last.body)["target"], last.visible_at > stage.kernel.now + HOUR / 2) == ("one", True)
    item["record"]["S"] = text
    stage.world.drain()
    assert {message["jobIds"][0] for message in stage.published("completed")} >= {"1001"}


def test_a_rate_limit_is_noted_for_all_submissions(stage: Stage) -> None:
    stage.answered("throttled")
    stage.invoke("one")
    stage.invoke("three")
    stage.world.deliver_until(stage.kernel.now + 600)
    assert stage.sent() == ["orders"]
    stage.world.deliver_until(stage.kernel.now + 200)
    assert sorted(stage.sent()) == ["a b c", "orders", "orders"]


def test_a_redriven_letter_reads_the_document_past_the_cache(stage: Stage) -> None:
    stage.world.sandboxes = stage.world.sandboxes[:1]
    stage.answered("failed")
    stage.invoke("two")
    stage.world.documents.edit("two", "shortened")
    stage.kernel.now += 61
    stage.world.deliver_until(stage.kernel.now + 5)
    (letter,) = stage.world.letters
    stage.world.documents.edit("two", "restored")
    stage.world.redrive(letter)
    stage.world.deliver_until(stage.kernel.now + 1)
    assert stage.sent() == ["a orders", "orders", "a"]


def test_what_rows_do_not_show_is_looked_for_in_the_same_run(stage: Stage) -> None:
    stage.answered("not all named")
    stage.invoke("three")
    stage.kernel.now = stage.world.waiting[0].visible_at + 5
    stage.world.go([stage.world.hand_over(stage.world.due)])
    assert [message["reconciled"] for message in stage.published("submitted")] == [False, True]
