"""Corners of the function's deliveries and its loop, and promises about single effects: a script each, in a world in memory."""

import json

import pytest

from rds_snap_backup.backup.polling import READ_SECONDS
from rds_snap_backup.ledger.table import CONFLICT_PAUSES
from tests.property.model.line import NO_SUBCLIENT
from tests.property.world import DATABASE, DOCUMENTS, SUBMISSIONS, World, association, rds_event

HOUR = 3600.0


def made(world: World) -> list[str]:
    """Return the kinds of the effects since they were last cleared."""
    return [kind for kind, _ in world.kernel.made]


def test_the_message_is_sent_before_the_record_is_made_and_the_request_leaves(world: World) -> None:
    world.start("one")
    wanted = ("queue send", "ledger transaction", "request", "publish")
    assert [kind for kind in made(world) if kind in wanted] == [*wanted[:3], "ledger transaction", "publish"]


def test_a_manual_call_answers_with_the_job_and_its_repetition_only_reports(world: World) -> None:
    first = world.start("one", requestId="mine")
    world.kernel.made.clear()
    assert world.start("one", requestId="mine") == first
    assert {"queue send", "request", "ledger update", "ledger transaction", "publish"}.isdisjoint(made(world))
    (submission,) = first["submissions"]
    (backup,) = submission["backups"]
    (job_id,) = world.server.jobs
    assert (submission["status"], backup["state"], backup["jobId"]) == ("open", "running", job_id)
    world.drain()
    assert world.start("one", requestId="mine")["submissions"][0]["status"] == "succeeded"


def test_a_manual_call_sends_the_lost_message_of_a_stuck_submission(world: World) -> None:
    world.start("one", requestId="mine")
    world.sqs.queues[SUBMISSIONS].clear()
    world.kernel.now += 3 * HOUR
    world.start("one", requestId="mine")
    assert len(world.waiting) == 1
    world.drain()
    assert world.published("completed")


def test_a_run_that_leaves_neither_message_nor_record_fails(world: World) -> None:
    """Lambda then puts the event on the queue. RDS takes so long that there is no time for a request."""
    world.rds.statuses[DATABASE] = "available"
    world.kernel.faults |= {"queue send": ["fail before"] * 2, "status": ["slow"]}
    world.call(rds_event(Tags={"rds-snap-backup:target": "one"}))
    assert (world.records, len(world.waiting)) == ({}, 1)
    world.drain()
    assert world.sent() == ["orders"]


@pytest.mark.parametrize("is_event", [False, True])
def test_a_trigger_that_was_rejected_without_backups_gets_them_and_waits(world: World, is_event: bool) -> None:
    """Neither the document that it is opened with nor the batch is lost while Commvault is down, or its event gathers."""
    if is_event:
        for name in DOCUMENTS:
            world.put(name, {"associations": [association("a")]})
        world.call(rds_event(Tags={"rds-snap-backup:target": "new"}))
    else:
        world.start("new")
    (letter,) = world.letters
    world.put("new", {"associations": [association("orders")], "gatherMinutes": 10})
    world.kernel.now += 60
    world.redrive(letter)
    world.server.fault("maintenance")
    world.deliver()
    assert (world.errors, world.sent()) == ([], [] if is_event else ["orders"])
    world.drain()
    world.check()
    assert world.published("completed")


def test_no_read_lasts_beyond_its_run_though_the_token_is_renewed_before_it() -> None:
    with World(job_seconds=3 * HOUR, has_pair=True).at_work() as world:
        world.kernel.now += 1800  # The first renewal says when the next one is due.
        world.start("one")
        world.server.fault("slow", None, path="/Job*", seconds=20)
        world.server.fault("slow", None, path="/V4/AccessToken/Renew", seconds=24)
        # A run in which reading takes too long lets the next one read longer, and then the token has expired.
        for pause in (100, 1800):
            world.kernel.now += pause
            world.deliver()
        assert (world.server.tokens.renewals, world.errors) == (2, [])


def test_a_token_that_expires_while_jobs_run_is_renewed() -> None:
    with World(job_seconds=2 * HOUR, has_pair=True).at_work() as world:
        world.start("one")
        world.drain()
        assert world.published("completed")
        assert world.server.tokens.renewals > 2


def test_copies_of_a_message_cost_receives_only(world: World) -> None:
    world.start("one")
    (message,) = world.waiting
    for _ in range(3):
        world.sqs.put(SUBMISSIONS, message.body)
    world.kernel.made.clear()
    world.deliver_until(world.kernel.now + 5)
    assert {*made(world)} == {"ledger read", "queue visibility"}
    world.drain()
    assert len(world.published("completed")) == 1


def test_one_message_that_fails_does_not_stop_its_batch(world: World) -> None:
    """The ledger cannot be read for the first message of ten."""
    for number in range(10):
        world.put(f"t{number}", {"associations": [association("a" if number else "b")], "retryFailedJobs": 1})
        body = {"target": f"t{number}", "trigger": {"kind": "manual", "id": f"batch-{number}"}}
        world.sqs.put(SUBMISSIONS, json.dumps(body))
    world.kernel.faults["ledger read"] = ["fail before"]
    world.deliver()
    assert "a" in world.sent()
    # What joined is over: its message is gone. The failed one is received again, in its own time.
    assert max(message.visible_at for message in world.waiting) > world.kernel.now + 80
    assert {json.loads(message.body)["target"] for message in world.waiting} == {"t0", "t1"}


def test_polls_and_requests_progress_where_commvault_takes_25_s(world: World) -> None:
    groups = [f"i{number}" for number in range(20)]
    world.server.extend({"aws-prod": {"RDS": groups}})
    for group in groups:
        world.put(group, {"associations": [association(group)]})
    for group in groups[:10]:
        world.start(group)
    world.wire.answer_seconds = 25.0
    for group in groups[10:]:
        world.sqs.put(SUBMISSIONS, json.dumps({"target": group, "trigger": {"kind": "manual", "id": group}}))
    world.deliver_until(world.kernel.now + HOUR)
    world.drain()
    world.check()
    assert sorted(world.sent()) == sorted(groups)
    assert len(world.published("completed")) == 20
    assert all(record.cut_offs == 0 for record in world.records.values())


@pytest.mark.parametrize("page_seconds", [0.0, 6.0])
def test_what_rows_do_not_show_is_looked_for_in_the_same_run(world: World, page_seconds: float) -> None:
    """Rows show whose the named job is; those that were not named are looked for in the list, if it comes in time."""
    world.server.fault("job_ids", named=(0, 1))
    world.start("three")
    begun = world.kernel.now = world.waiting[0].visible_at + 5
    world.wire.page_seconds = page_seconds
    world.deliver()
    assert page_seconds <= world.kernel.now - begun < READ_SECONDS + 1
    assert len(world.published("submitted")) == (1 if page_seconds else 2)
    world.wire.page_seconds = 0.0
    world.drain()
    assert [message["reconciled"] for message in world.published("submitted")] == [False, True]


def test_an_event_whose_targets_take_too_long_to_read_goes_on_the_queue(world: World) -> None:
    world.rds.statuses[DATABASE] = "available"
    world.kernel.faults["parameters"] = ["slow"]
    assert world.call(rds_event()) == {"submissions": []}
    world.drain()
    assert sorted(world.sent()) == ["a b", "orders"]


def test_an_event_waits_until_its_database_is_available(world: World) -> None:
    world.rds.statuses[DATABASE] = "backing-up"
    world.call(rds_event(Tags={"rds-snap-backup:target": "one"}))
    world.deliver_until(world.kernel.now + 1000)
    assert not world.sent()
    world.rds.statuses[DATABASE] = "available"
    world.drain()
    assert world.sent() == ["orders"]


def test_a_name_that_commvault_does_not_know_is_rejected_alone(world: World) -> None:
    world.server.refuse_subclient("aws-prod", "b")
    world.put(
        "three", {**DOCUMENTS["three"], "associations": [association(name) for name in ("a", "unknown", "b", "c")]}
    )
    world.start("three")
    world.drain()
    assert world.sent()[:2] == ["a unknown b c", "a b c"]
    rejected = world.published("rejected")
    assert [entry["subclientName"] for message in rejected for entry in message["associations"]] == ["unknown", "b"]
    assert {message["error"]["code"] for message in rejected} == {str(NO_SUBCLIENT)}
    assert [json.loads(letter.body)["letter"] for letter in world.letters] == [1, 2]


def test_a_list_that_takes_longer_than_a_run_is_read_on_by_the_next(world: World) -> None:
    """Sixty rows of others in pages of three, each of which takes its time, and no client's own list to be had."""
    world.server.fault("not_found", None, "/Client/byName*")
    world.server.fault("reset_after")
    world.start("one")
    for _ in range(60):
        world.server.add_job("elsewhere", "erp", seconds=9 * HOUR)
    world.wire.page_seconds = 2.0
    world.drain()
    (submitted,) = world.published("submitted")
    assert (submitted["reconciled"], world.sent()) == (True, ["orders"])


def test_a_target_of_many_associations_with_long_names_is_recorded_and_published(world: World) -> None:
    names = [f"{number:03}-{'n' * 450}" for number in range(90)]
    world.server.extend({"aws-prod": {name: [name] for name in names}})
    associations = [
        {"clientName": "aws-prod", "instanceName": name, "displayName": f"Of {name}", "subclientName": name}
        for name in names
    ]
    world.put("one", {"associations": associations})
    world.start("one")
    (message,) = world.published("submitted")
    assert len(message["jobIds"]) == 90
    world.drain()
    assert len({message["jobIds"][0] for message in world.published("completed")}) == 90


def test_an_envelope_becomes_the_submissions_message_and_its_copy_continues_it_though_the_target_is_disabled(
    world: World,
) -> None:
    """The direct run was killed before its message was sent."""
    request = {"requestId": "request-0", "condition": "RetriesExhausted"}
    envelope = json.dumps({"version": "1.0", "requestContext": request, "requestPayload": {"target": "one"}})
    world.sqs.put(SUBMISSIONS, envelope)
    world.deliver_until(world.kernel.now + 30)
    (message,) = world.waiting
    assert json.loads(message.body).keys() == {"target", "trigger"}
    world.put("one", {**DOCUMENTS["one"], "enabled": False})
    world.sqs.put(SUBMISSIONS, envelope)
    world.drain()
    assert (world.sent(), len(world.published("completed"))) == (["orders"], 1)


def test_a_record_of_another_form_waits_and_others_go_on(world: World) -> None:
    world.start("one", requestId="newer")
    item = world.dynamodb.items["submission#one#manual#newer"]
    text = item["record"]["S"]
    item["record"]["S"] = text.replace('"form":', '"form":1')
    world.start("three")
    world.deliver_until(world.kernel.now + 600)
    assert world.sent() == ["orders", "a b c"]
    last = world.waiting[-1]
    assert (json.loads(last.body)["target"], last.visible_at > world.kernel.now + HOUR / 2) == ("one", True)
    item["record"]["S"] = text
    world.drain()
    assert len(world.published("completed")) == 4


def test_a_rate_limit_is_noted_for_all_submissions(world: World) -> None:
    world.server.fault("throttled", period=700)
    world.start("one")
    world.start("three")
    world.deliver_until(world.kernel.now + 600)
    assert world.sent() == ["orders"]
    world.deliver_until(world.kernel.now + 200)
    assert sorted(world.sent()) == ["a b c", "orders", "orders"]


def test_a_redriven_letter_reads_the_document_past_the_cache(world: World) -> None:
    world.sandboxes = world.sandboxes[:1]
    world.server.fault("errlist", code=99)
    world.start("two")
    world.put("two", {**DOCUMENTS["two"], "associations": [association("orders")]})
    world.kernel.now += 61
    world.deliver_until(world.kernel.now + 5)
    (letter,) = world.letters
    world.put("two", DOCUMENTS["two"])
    world.redrive(letter)
    world.deliver_until(world.kernel.now + 1)
    assert world.sent() == ["a orders", "orders", "a"]


def test_all_targets_are_queued_those_that_were_just_stored_too_except_those_with_a_record(world: World) -> None:
    world.parameters.clear()
    world.put("one", DOCUMENTS["one"])
    world.start("*", requestId="warm")
    world.drain()
    names = [f"target-{number}" for number in range(24)]
    for name in names:
        world.put(name, DOCUMENTS["one"])

    def statuses() -> dict[str, str]:
        answer = world.start("*", requestId="all")
        return {submission["target"]: submission["status"] for submission in answer["submissions"]}

    world.start("one", requestId="all")
    assert statuses() == {"one": "open", **dict.fromkeys(names, "queued")}
    assert len(world.waiting) == 1 + len(names)
    world.drain()
    assert statuses() == dict.fromkeys(["one", *names], "succeeded")
    assert not world.waiting


@pytest.mark.parametrize(
    ("tag", "target", "reads"),
    [
        ("two", "two", ["parameter"]),
        ("gone two", "two", ["parameter", "parameter"]),
        ("closed a,b", "one", ["parameter", "parameters"]),
    ],
)
def test_an_event_whose_tag_names_its_target_reads_the_named_documents_and_no_list(
    world: World, tag: str, target: str, reads: list[str]
) -> None:
    world.put("closed", {**DOCUMENTS["two"], "allowTag": False})
    world.put("three", {"associations": [association("a")]})
    answer = world.call(rds_event(Tags={"rds-snap-backup:target": tag}))
    assert [submission["target"] for submission in answer["submissions"]] == [target]
    assert [kind for kind in made(world) if kind.startswith("parameter")] == reads


def test_a_batch_sends_while_time_is_left_and_what_it_did_not_reach_is_visible_at_once(world: World) -> None:
    for name in "abc":
        world.put(name, {"associations": [association(name)]})
        world.sqs.put(SUBMISSIONS, json.dumps({"target": name, "trigger": {"kind": "manual", "id": name}}))
    world.wire.answer_seconds = 25.0
    world.deliver()
    assert world.sent() == ["a"]
    assert [json.loads(message.body)["target"] for message in world.due] == ["b", "c"]


def test_a_contended_save_leaves_the_submission_alone_for_the_rest_of_the_run(world: World) -> None:
    world.start("one")
    world.kernel.now += HOUR
    world.kernel.faults["update in the way"] = ["another write"] * (len(CONFLICT_PAUSES) + 1)
    world.deliver()
    assert len(world.published("completed")) == 1, "the end is published once in this run"
    (message,) = world.waiting
    assert 30 <= message.visible_at - world.kernel.now <= 33
    world.drain()
    assert len(world.published("completed")) == 2


def test_the_answer_follows_a_submission_that_joined_another_one_itself(world: World) -> None:
    world.put("one", {**DOCUMENTS["one"], "retryFailedJobs": 1})
    world.server.plan_jobs(ending="Failed")
    world.server.fault("maintenance")
    first, joined = (
        rds_event(EventID=f"RDS-EVENT-{number}", Tags={"rds-snap-backup:target": "one"}) for number in ("0043", "0014")
    )
    world.call(first)
    world.call(joined)
    world.deliver_until(world.kernel.now + 120)
    world.server.fault("error_top", code=4)
    world.drain()
    (letter,) = world.letters
    world.start("one", requestId="by-hand")
    world.redrive(letter)
    world.deliver_until(world.kernel.now + 1)
    told = [message["status"] for message in world.sns.messages]
    assert told == ["submitted", "joined", "retrying", "rejected", "submitted", "joined"]
    (submission,) = world.call(joined)["submissions"]
    assert submission["backups"][0]["state"] == "running"
    world.drain()
    assert world.call(joined)["submissions"][0]["status"] == "succeeded"


def test_a_run_counts_what_it_defers_starts_and_finds_once(world: World) -> None:
    def counted() -> dict[str, int]:
        found = dict(world.kernel.counted)
        world.kernel.counted.clear()
        return found

    world.server.fault("maintenance")
    world.start("three")
    assert counted() == {"SubmissionDeferred": 1, "CommvaultUnreachable": 1}
    # A backup is counted as submitted once it has a job, and the answer names two of three.
    world.server.fault("job_ids", named=[0, 1])
    world.deliver_until(world.kernel.now + 60)
    assert counted() == {"BackupSubmitted": 2}
    world.deliver_until(world.kernel.now + 180)
    assert counted() == {"BackupSubmitted": 1, "SubmissionReconciled": 1}
    world.drain()
    assert counted() == {"BackupCompleted": 3}
