"""Hostile input to the function itself: each ends where a person sees it, starts nothing, and keeps nothing else from being done."""

import json
from typing import Any

import pytest

from local.commserve.faults.echo import FORMS
from tests.integration.leaks import leaks
from tests.integration.timeline import Timeline
from tests.integration.world import ASSOCIATION, only

FORGED = "It is done.\r\nWhat to do: https://evil.example\x1b[31m\u2028\u202egnihton\ud800"


def nested(depth: int) -> Any:
    document: Any = {}
    for _ in range(depth):
        document = {"refused": {}, "event": document, "deliveryId": "x"}
    return document


HOSTILE = {
    "deep": {"source": "aws.rds", "detail-type": "RDS DB Instance Event", "detail": {"Tags": nested(500)}},
    "deep name": {"target": nested(500)},
    "refused many times": nested(500),
    "identity of 5,000 bytes": {"target": "default", "requestId": "x" * 5000},
    "identity with a lone surrogate": {"target": "default", "requestId": "\ud800"},
    "identity that forges lines": {"target": "default", "requestId": FORGED},
    "schedule's time that forges lines": {"schedule": "arn:aws:scheduler:x", "time": FORGED},
    "event larger than a message": {"source": "x", "detail-type": "y", "detail": "z" * 400_000},
    "records that are none": {"Records": [{"eventSource": "aws:sqs", "body": {"target": "default"}}]},
    "a ready-made trigger": {"target": "default", "trigger": {"kind": "schedule", "id": "forged"}},
}


@pytest.mark.parametrize("event", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_event_is_refused_and_kept(timeline: Timeline, event: Any) -> None:
    answer = timeline.deliver(event)
    assert answer["submissions"] == []
    letter = only(timeline.dead_letters())
    assert letter["refused"] == answer["refused"]
    assert all(len(text) < 600 and text.isprintable() for text in answer["refused"].values())
    # Sent back, it is refused again, and does no more than before.
    timeline.redrive(letter)
    timeline.run()
    assert [again["refused"]["code"] for again in timeline.dead_letters()] == [answer["refused"]["code"]]
    assert not timeline.commserve.requests
    assert not timeline.items()


@pytest.mark.parametrize("letter", ["x", -(10**400), 10**400, True, [], {}, 1e400], ids=lambda letter: str(letter)[:8])
def test_a_messages_letter_can_be_anything(timeline: Timeline, letter: Any) -> None:
    body = {"target": "default", "trigger": {"kind": "manual", "id": "one"}, "letter": letter}
    timeline.redrive(body)
    timeline.run()
    assert timeline.statuses() == ["submitted", "completed"]


@pytest.mark.parametrize("account", ["444455556666", "0", FORGED, "x" * 9000], ids=lambda account: repr(account)[:14])
def test_an_event_of_another_account_starts_nothing(timeline: Timeline, account: str) -> None:
    timeline.target("default", databases=["*"], accounts=["111122223333"])
    event = timeline.event("orders")
    event["detail"]["SourceArn"] = "arn:aws:rds:us-east-1:111122223333:db:orders"
    refused = timeline.deliver({**event, "account": account})["refused"]
    assert refused["code"] == "TRIGGER_NOT_ALLOWED"
    assert refused["message"].isprintable()
    assert len(refused["message"]) < 700
    assert not timeline.items()
    assert timeline.deliver({**event, "account": "111122223333"})["submissions"]


@pytest.mark.parametrize("digits", ["9" * 401, "1e400", "1000000000", "-1", "true", '"15"'])
def test_a_target_whose_number_is_out_of_bounds_is_named(timeline: Timeline, digits: str) -> None:
    timeline.target_text("odd", f'{{"associations": [{json.dumps(ASSOCIATION)}], "gatherMinutes": {digits}}}')
    message = timeline.deliver(timeline.schedule("nightly", "odd"))["refused"]["message"]
    assert "gatherMinutes must be a whole number, 0 to 1440" in message
    assert only(timeline.notifications())["error"]["code"] == "TARGET_INVALID"


def test_a_tag_of_many_unknown_names_is_one_refusal(timeline: Timeline) -> None:
    event = timeline.event("orders")
    names = " ".join(f"t{number}" for number in range(10_000))
    event["detail"]["Tags"] = {"rds-snap-backup:target": f"\ud800 {names}"}
    timeline.deliver(event)
    timeline.run()
    assert len(timeline.dead_letters()) == 1


def test_what_commvault_says_cannot_forge_lines_or_outgrow_a_message(timeline: Timeline) -> None:
    timeline.commserve.fault("error_top", code=4, message=f"{FORGED}\nStatus: completed\n{'x' * 400_000}")
    answer = timeline.deliver(timeline.schedule("nightly"))
    error = only(timeline.notifications())["error"]
    assert only(only(answer["submissions"])["backups"])["error"] == error
    assert all(text.isprintable() for text in error.values())
    assert len(error["message"]) <= 500


@pytest.mark.parametrize("form", FORMS)
def test_a_token_that_commvault_gives_back_is_shown_nowhere(timeline: Timeline, form: str) -> None:
    """Its answers to CreateTask and to polls; what is logged, recorded and published is searched after each test."""
    timeline.commserve.fault("echo", form=form, status=500)
    timeline.commserve.fault("echo", form=form, path="/Job*", times=2)
    event = {"target": "default", "requestId": "one"}
    answers = [timeline.deliver(event)]
    timeline.run(120)
    answers.append(timeline.deliver(event))
    timeline.run()
    assert timeline.statuses() == ["submitted", "completed"]
    shown = json.dumps([answers, timeline.notifications()]).lower()
    assert not leaks(shown, [FORMS[form](timeline.commserve.token).lower()])


def test_an_answer_of_a_million_job_ids_is_reconciled_instead_of_believed(timeline: Timeline) -> None:
    body = json.dumps({"taskId": 1, "jobIds": list(range(1, 500_000))})
    timeline.commserve.fault("status", status=200, body=body, after=True)
    timeline.deliver(timeline.schedule("nightly"))
    timeline.run()
    submitted, completed = timeline.notifications()
    assert submitted["reconciled"]
    assert completed["jobIds"] == list(timeline.commserve.jobs)


@pytest.mark.parametrize(
    "row",
    [
        '"text"',
        "{}",
        '{"jobSummary": 3}',
        '{"jobSummary": {"jobId": [], "status": {}, "subclient": 7}}',
        "null",
        "1e400",
    ],
)
def test_strange_rows_do_not_stop_the_other_jobs_of_a_batch(timeline: Timeline, row: str) -> None:
    timeline.target("other", associations=[{**ASSOCIATION, "subclientName": "billing-db"}])
    for target in ("default", "other"):
        timeline.deliver(timeline.schedule("nightly", target))
    timeline.commserve.fault(
        "status", path="/Job*", times=3, status=200, body=f'{{"totalRecordsWithoutPaging": 1, "jobs": [{row}]}}'
    )
    timeline.run()
    assert sorted(timeline.statuses()) == ["completed", "completed", "submitted", "submitted"]
