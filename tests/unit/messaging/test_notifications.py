"""What subscribers get: one JSON object for programs, plain text for people, attributes for filters."""

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from rds_snap_backup.messaging.notifications import Notifications, build, build_end, iso
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest
from rds_snap_backup.triggers import Trigger

TOPIC = "arn:aws:sns:us-east-1:000000000000:notifications"
NOW = 1769824804.9
REQUEST = BackupRequest((Association("c", "i", "d", "s"), Association("c", "i2", "c", "s")))
TRIGGER = Trigger("rds", "arn|RDS-EVENT-0043|now", "now", "RDS-EVENT-0043", "arn:aws:rds:x:1:db:o", "Restored")
PROBLEM = Problem("587207178", "No eligible subclients.", "Check the names, then redrive.")


def published(notification: dict[str, Any]) -> dict[str, Any]:
    """Return what reaches SNS, as the SDK checked and would have sent it."""
    client = boto3.client("sns")
    sent: list[dict[str, Any]] = []
    client.meta.events.register("provide-client-params.sns.Publish", lambda params, **_: sent.append(params))
    with Stubber(client) as stubber:
        stubber.add_response("publish", {"MessageId": "1"})
        Notifications(TOPIC, client).publish(notification)
    (request,) = sent
    return request


def test_a_submission_has_the_documented_form() -> None:
    assert build("submitted", "default", REQUEST, TRIGGER, now=NOW, job_ids=("1354",), task_id=402) == {
        "version": "1",
        "status": "submitted",
        "target": "default",
        "jobIds": ["1354"],
        "taskId": 402,
        "backupLevel": "FULL",
        "associations": [
            {"clientName": "c", "instanceName": "i", "displayName": "d", "subclientName": "s"},
            {"clientName": "c", "instanceName": "i2", "displayName": "c", "subclientName": "s"},
        ],
        "trigger": {
            "kind": "rds",
            "id": "arn|RDS-EVENT-0043|now",
            "time": "now",
            "rdsEventId": "RDS-EVENT-0043",
            "sourceArn": "arn:aws:rds:x:1:db:o",
            "message": "Restored",
        },
        "submittedAt": "2026-01-31T02:00:04Z",
        "reconciled": False,
    }


@pytest.mark.parametrize(
    ("status", "is_submitted"),
    [("submitted", True), ("joined", True), ("scheduled", True), ("rejected", False), ("abandoned", False)],
)
def test_only_what_was_submitted_has_a_time(status: str, is_submitted: bool) -> None:
    notification = build(
        status, "default", REQUEST, Trigger("manual", "mine"), now=NOW, problem=PROBLEM, reconciled=True
    )
    assert (notification["submittedAt"] is not None) is is_submitted
    assert notification["jobIds"] == []
    assert notification["taskId"] is None
    assert notification["trigger"] == {"kind": "manual", "id": "mine"}
    assert notification["reconciled"] is True
    assert notification["error"] == {
        "code": "587207178",
        "message": "No eligible subclients.",
        "hint": "Check the names, then redrive.",
    }


def test_a_message_is_json_for_programs_and_text_for_people() -> None:
    notification = build(
        "submitted", "default", REQUEST, TRIGGER, now=NOW, job_ids=("1354", "1355"), task_id=0, problem=PROBLEM
    )
    request = published(notification)
    assert request["TopicArn"] == TOPIC
    assert request["MessageStructure"] == "json"
    message = json.loads(request["Message"])
    assert set(message) == {"default", "email"}
    assert json.loads(message["default"]) == notification
    assert message["email"].splitlines() == [
        "Target: default",
        "Status: submitted",
        "Jobs: 1354, 1355",
        "Task: 0",
        "Level: FULL",
        "Submitted: 2026-01-31T02:00:04Z",
        "Trigger: rds",
        "Event: RDS-EVENT-0043 Restored",
        "Database: arn:aws:rds:x:1:db:o",
        "Trigger time: now",
        "Trigger id: arn|RDS-EVENT-0043|now",
        "Error: 587207178: No eligible subclients.",
        "What to do: Check the names, then redrive.",
        "Subclients:",
        "  c / i / s",
        "  c / i2 / s",
    ]
    assert request["Subject"] == "RDS backup submitted: default (job 1354, 1355)"
    assert request["MessageAttributes"] == {
        name: {"DataType": "String", "StringValue": value}
        for name, value in (("status", "submitted"), ("target", "default"), ("trigger", "rds"), ("followed", "yes"))
    }


@pytest.mark.parametrize("status", ["submitted", "joined", "rejected", "abandoned"])
def test_a_submission_with_jobs_is_followed_whatever_became_of_it_and_has_the_time_of_its_submission(
    status: str,
) -> None:
    started, without = (build(status, "default", REQUEST, TRIGGER, now=NOW, job_ids=ids) for ids in (("1354",), ()))
    assert published(started)["MessageAttributes"]["followed"] == {"DataType": "String", "StringValue": "yes"}
    assert started["submittedAt"] == "2026-01-31T02:00:04Z"
    assert "followed" not in published(without)["MessageAttributes"]


def test_the_end_of_a_job_is_not_followed_again() -> None:
    submission = build("submitted", "default", REQUEST, TRIGGER, now=NOW, job_ids=("1354",))
    end = build_end(submission, "1354", "completed", associations=[], started=0, ended=0, reason="", problem=None)
    assert "followed" not in published(end)["MessageAttributes"]


def test_associations_too_many_for_sns_are_counted_instead_of_listed() -> None:
    many = tuple(Association("client" * 100, f"instance-{number}", "display" * 100, "default") for number in range(300))
    message = published(build("submitted", "default", BackupRequest(many), TRIGGER, now=NOW, job_ids=("1354",)))[
        "Message"
    ]
    assert len(message.encode()) < 256 * 1024
    notification = json.loads(json.loads(message)["default"])
    assert (notification["associations"], notification["associationCount"]) == ([], 300)
    assert "Subclients: 300" in json.loads(message)["email"].splitlines()


def test_lines_without_a_value_are_left_out_of_the_text() -> None:
    text = json.loads(published(build("rejected", "default", REQUEST, Trigger("manual", "mine"), now=NOW))["Message"])[
        "email"
    ]
    assert [line.partition(":")[0] for line in text.splitlines()[:-3]] == [
        "Target",
        "Status",
        "Level",
        "Trigger",
        "Trigger id",
    ]


@pytest.mark.parametrize("jobs", [0, 1, 60])
@pytest.mark.parametrize("name", ["a", "x" * 64])
@pytest.mark.parametrize("status", ["submitted", "completed_with_errors"])
def test_a_subject_is_one_that_sns_accepts(status: str, name: str, jobs: int) -> None:
    subject = published(
        build(status, name, REQUEST, TRIGGER, now=NOW, job_ids=[str(1000000 + n) for n in range(jobs)])
    )["Subject"]
    # "Less than 100 characters long", with no line breaks or control characters.
    assert 0 < len(subject) < 100
    assert subject.isascii()
    assert subject.isprintable()
    assert subject.startswith(f"RDS backup {status.replace('_', ' ')}: {name}"[:99])


def test_a_message_about_a_hundred_associations_is_one_that_sns_accepts() -> None:
    many = tuple(
        Association("client-" * 4, f"instance-{number:050}", "display-" * 4, "default") for number in range(100)
    )
    jobs = [str(1000000 + number) for number in range(100)]
    request = published(build("submitted", "default", BackupRequest(many), TRIGGER, now=NOW, job_ids=jobs))
    assert len(request["Message"].encode()) < 256 * 1024


def test_the_end_of_a_job_names_its_submission_and_the_associations_that_it_ran_for() -> None:
    submission = build(
        "submitted", "default", REQUEST, TRIGGER, now=NOW, job_ids=("1354", "1355"), task_id=402, problem=PROBLEM
    )
    associations = submission["associations"][1:]
    end = build_end(
        submission,
        "1355",
        "failed",
        associations=associations,
        started=NOW,
        ended=NOW + 90,
        reason="No space.",
        problem=Problem("X", "m", "h"),
    )
    assert end["status"] == "failed"
    assert end["jobIds"] == ["1355"]
    assert (end["startedAt"], end["endedAt"]) == ("2026-01-31T02:00:04Z", "2026-01-31T02:01:34Z")
    assert (end["durationSeconds"], end["reason"]) == (90, "No space.")
    assert end["error"]["code"] == "X"
    assert end["associations"] == associations
    for name in ("target", "taskId", "backupLevel", "trigger", "submittedAt", "version"):
        assert end[name] == submission[name]
    text = json.loads(published(end)["Message"])["email"]
    assert "Reason: No space." in text
    assert "Duration (s): 90" in text


def test_an_end_without_times_says_nothing_of_them() -> None:
    submission = build("joined", "default", REQUEST, TRIGGER, now=NOW)
    end = build_end(submission, "1", "lost", associations=[], started=0, ended=0, reason="", problem=None)
    assert {end[name] for name in ("startedAt", "endedAt", "durationSeconds", "reason")} == {None}
    assert "error" not in end
    assert published(end)["Subject"] == "RDS backup lost: default (job 1)"


def test_times_are_utc_to_the_second() -> None:
    assert iso(0) == "1970-01-01T00:00:00Z"
    assert iso(1769824804.999) == "2026-01-31T02:00:04Z"
