"""What subscribers get: one JSON object for programs, plain text for people, attributes for filters."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from rds_snap_backup.core.backups import Backup, Tried
from rds_snap_backup.core.phases import JobRef, Phase, Running, Waiting
from rds_snap_backup.core.record import Notice, Submission
from rds_snap_backup.messaging.notifications import Notifications, iso, render
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association
from rds_snap_backup.triggers import Trigger
from tests.unit.documents import samples

TOPIC = "arn:aws:sns:us-east-1:000000000000:notifications"
NOW = 1769824804.9
FIRST, SECOND = Association("c", "i", "s", "d"), Association("c", "i2", "s", "c")
TRIGGER = Trigger("rds", "arn|RDS-EVENT-0043|now", "now", "RDS-EVENT-0043", "arn:aws:rds:x:1:db:o", "Restored")
PROBLEM = Problem("587207178", "No eligible subclients.", "Check the names, then redrive.")
WAITING = Waiting(NOW)


def running(job_id: str) -> Running:
    """Return the phase of a backup that has this job."""
    return Running(1, JobRef(job_id, "FULL", NOW), NOW, NOW)


def submission(first: Phase = WAITING) -> Submission:
    """Return a submission of two backups, of which the second one waits."""
    phases = zip((FIRST, SECOND), (first, WAITING), strict=True)
    backups = tuple(Backup(association, NOW, phase, Tried(NOW)) for association, phase in phases)
    return Submission(TRIGGER, "default", NOW, NOW, backups=backups)


def notice(status: str = "submitted", **fields: Any) -> Notice:
    """Return a notice about both backups."""
    facts: dict[str, Any] = {"backups": (0, 1), "attempt": 1, "level": "FULL", **fields}
    return Notice(status, NOW, **facts)


def published(notification: dict[str, Any]) -> dict[str, Any]:
    """Return what the SDK is to send to SNS."""
    sent: list[dict[str, Any]] = []
    client: Any = SimpleNamespace(publish=lambda **call: sent.append(call))
    Notifications(TOPIC, client).publish(notification)
    (request,) = sent
    return request


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, None),
        (1769824804.9, "2026-01-31T02:00:04Z"),
        (1e12, "9999-12-31T23:59:59Z"),
        (-1e12, "0001-01-01T00:00:00Z"),
    ],
)
def test_any_time_can_be_told(seconds: float, told: str | None) -> None:
    assert iso(seconds) == told


EVENT = Trigger("rds", "…", "…", "RDS-EVENT-0043", "…", "…")
NIGHTLY = Trigger("schedule", "…", "2026-01-31T02:00:00Z")
FAILURE: dict[str, Any] = {"error": Problem("JOB_FAILED", "…", "…"), "reason": "The snapshot quota is reached."}
FAILURE |= {"started": NOW + 1, "ended": NOW + 841}


@pytest.mark.parametrize(
    ("shown_in", "trigger", "target", "told"),
    [
        (("docs/reference.md", "Notifications"), EVENT, "default", ("submitted", {"task_id": 402})),
        (("examples/events-out/README.md", ""), NIGHTLY, "orders", ("failed", FAILURE)),
    ],
)
def test_the_documents_show_what_is_published(
    shown_in: tuple[str, str], trigger: Trigger, target: str, told: Any
) -> None:
    association = Association("aws-prod", "RDS", "nightly", "aws-prod")
    backups = (Backup(association, NOW, running("1354"), Tried(NOW)),)
    status, facts = told
    notified = notice(status, backups=(0,), job_ids=("1354",), submitted_at=NOW, **facts)
    example, *_ = samples(*shown_in)
    assert example.get("detail", example) == render(Submission(trigger, target, NOW, NOW, backups=backups), notified)


@pytest.mark.parametrize(
    ("record", "told", "expected"),
    [
        (submission(running("1354")), notice(job_ids=("1354", "1355")), ["1354", None]),
        # The record may have gone on since the notice was made.
        (submission(running("1400")), notice(job_ids=("1354", "1355")), [None, None]),
        # What waits to be started again has no job any more.
        (submission(), notice("retrying", job_ids=("1354", "1355"), retry_at=NOW), ["1354", "1355"]),
    ],
)
def test_an_association_has_its_job_as_far_as_it_is_known(
    record: Submission, told: Notice, expected: list[str | None]
) -> None:
    assert [association["jobId"] for association in render(record, told)["associations"]] == expected


def test_the_end_of_a_job_has_its_times_and_reason_and_a_retry_its_time() -> None:
    record = submission(running("1354"))
    fields = {"job_ids": ("1354",), "error": PROBLEM, "started": NOW - 60, "ended": NOW, "reason": "No space."}
    shown = render(record, notice("failed", backups=(0,), **fields))
    assert len(shown["associations"]) == 1
    assert (shown["startedAt"], shown["endedAt"]) == ("2026-01-31T01:59:04Z", "2026-01-31T02:00:04Z")
    assert (shown["durationSeconds"], shown["reason"], shown["error"]) == (60, "No space.", PROBLEM.to_json())
    unknown = render(record, notice("lost"))
    assert {unknown[name] for name in ("startedAt", "endedAt", "durationSeconds", "reason")} == {None}
    assert render(record, notice("retrying", retry_at=NOW))["retryAt"] == "2026-01-31T02:00:04Z"
    assert "retryAt" not in unknown


@pytest.mark.parametrize(
    ("status", "level"),
    [
        *((status, "info") for status in ("submitted", "scheduled", "joined", "retrying", "completed")),
        *((status, "problem") for status in ("rejected", "abandoned", "completed_with_errors", "failed", "killed", "lost")),
    ],
)  # fmt: skip
def test_attributes_serve_filters(status: str, level: str) -> None:
    request = published(render(submission(), notice(status)))
    attributes = {name: attribute["StringValue"] for name, attribute in request["MessageAttributes"].items()}
    assert attributes == {"status": status, "target": "default", "trigger": "rds", "level": level}


def test_a_message_is_json_for_programs_and_text_for_people() -> None:
    shown = render(
        submission(running("1354")), notice(job_ids=("1354", "1355"), task_id=402, submitted_at=NOW, error=PROBLEM)
    )
    request = published(shown)
    assert (request["TopicArn"], request["MessageStructure"]) == (TOPIC, "json")
    message = json.loads(request["Message"])
    assert json.loads(message["default"]) == shown
    assert message["email"].splitlines() == [
        "Status: submitted",
        "Target: default",
        "Attempt: 1",
        "Jobs: 1354, 1355",
        "Task: 402",
        "Level: FULL",
        "Submitted: 2026-01-31T02:00:04Z",
        "Error: 587207178: No eligible subclients.",
        "What to do: Check the names, then redrive.",
        "Trigger: rds",
        "Event: RDS-EVENT-0043 Restored",
        "Database: arn:aws:rds:x:1:db:o",
        "Trigger time: now",
        "Trigger id: arn|RDS-EVENT-0043|now",
        "Subclients:",
        "  c / i / s: job 1354",
        "  c / i2 / s",
    ]


@pytest.mark.parametrize("jobs", [0, 1, 90])
@pytest.mark.parametrize("name", ["a", "x" * 64])
def test_a_title_is_one_line_and_a_subject_one_that_sns_accepts(name: str, jobs: int) -> None:
    told = notice(job_ids=tuple(str(1000000 + number) for number in range(jobs)))
    shown = render(replace(submission(), target=name), told)
    assert (" and 85 more" in shown["title"]) is (jobs == 90)
    subject = published(shown)["Subject"]
    assert 0 < len(subject) < 100
    assert subject.isascii()
    assert subject.isprintable()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("orders_db-1.eu", "orders_db-1.eu"),
        ("<!channel>", "??channel?"),
        ("@here <@U024BE7LH> <at>all</at>", "?here ??U024BE7LH? ?at?all??at?"),
        ("*bold* ~old~ `code` > quote", "?bold? ?old? ?code? ? quote"),
        ("[link](https://example.com)|:fire:&lt;", "?link??https???example.com???fire??lt?"),
        ('quote" back\\slash\n\u202eleft', "quote? back?slash??left"),
    ],
)
def test_names_in_a_title_have_no_quotes_markup_or_mentions(name: str, shown: str) -> None:
    notification = render(replace(submission(), target=name), notice("rejected", error=Problem(name, "m", "h")))
    assert notification["title"] == f"rejected: {shown}, {shown}"
