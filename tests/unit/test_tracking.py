"""What a job's status means, what is told of its end, and which messages are followed."""

import json
from typing import Any

import pytest

from rds_snap_backup.commvault.jobs import PAGE, Job
from rds_snap_backup.follow.poller import Missing, Window
from rds_snap_backup.follow.tracking import MISSING_SECONDS, NotASubmission, TrackedSubmission
from rds_snap_backup.problems import Problem

SUBMITTED_AT = 1769824804.0
SUBMISSION: dict[str, Any] = {
    "version": "1",
    "status": "submitted",
    "target": "default",
    "jobIds": ["1354", "1355"],
    "taskId": 402,
    "backupLevel": "FULL",
    "associations": [{"clientName": "c", "instanceName": "i", "displayName": "c", "subclientName": "s"}],
    "trigger": {"kind": "manual", "id": "m-1"},
    "submittedAt": "2026-01-31T02:00:04Z",
    "reconciled": True,
    "error": {"code": "19", "message": "One of two.", "hint": "-"},
}


def job(status: str, started: int = 100, ended: int = 0) -> Job:
    return Job("1354", "c", "i", "s", "FULL", is_backup=True, status=status, reason="", started=started, ended=ended)


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ("Completed", "completed"),
        ("completed", "completed"),
        ("Completed w/ one or more errors", "completed_with_errors"),
        ("Completed w/ one or more warnings", "completed_with_errors"),
        ("Committed", "completed_with_errors"),
        ("Killed", "killed"),
        ("Failed", "failed"),
        ("Failed to Start", "failed"),
        ("Running", None),
        ("Waiting", None),
        ("Pending", None),
        ("Queued", None),
        ("Suspend Pending", None),
        ("Suspended", None),
        ("Kill Pending", None),
        ("Interrupt Pending", None),
        ("Interrupted", None),
        ("Running (cannot be verified)", None),
        ("Abnormal Terminated Cleanup", None),
    ],
)
def test_every_documented_status_is_known_and_an_end_or_not(status: str, end: str | None) -> None:
    assert job(status).end == end
    assert job(status).has_ended == (end is not None)
    assert job(status).is_known


@pytest.mark.parametrize("status", ["", "Pondering", "Commit pending"])
def test_any_other_status_goes_on(status: str) -> None:
    assert not job(status).has_ended
    assert not job(status).is_known


def test_a_submission_is_read_from_its_notification() -> None:
    followed = TrackedSubmission.parse(json.dumps({**SUBMISSION, "jobIds": ["1354", "1355", "1354"]}))
    assert (followed.job_ids, followed.submitted_at) == (("1354", "1355"), SUBMITTED_AT)


@pytest.mark.parametrize(
    "broken",
    [
        {"jobIds": []},
        {"jobIds": [1354]},
        {"jobIds": ["../Client"]},
        {"jobIds": None},
        {"submittedAt": None},
        {"submittedAt": "yesterday"},
        {"trigger": {"kind": "manual"}},
        {"target": None},
        {"associations": None},
        {"associations": [{"clientName": "c"}]},
    ],
)
def test_anything_else_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(NotASubmission):
        TrackedSubmission.parse(json.dumps({**SUBMISSION, **broken}))


def test_an_end_carries_what_the_submission_told_and_not_its_error() -> None:
    followed = TrackedSubmission.parse(json.dumps(SUBMISSION))
    end = followed.end_of("1354", job("Completed", started=100, ended=160), 0, SUBMITTED_AT, 24)
    assert end == {
        "version": "1",
        "status": "completed",
        "target": "default",
        "jobIds": ["1354"],
        "taskId": 402,
        "backupLevel": "FULL",
        "associations": SUBMISSION["associations"],
        "trigger": SUBMISSION["trigger"],
        "submittedAt": "2026-01-31T02:00:04Z",
        "reconciled": True,
        "startedAt": "1970-01-01T00:01:40Z",
        "endedAt": "1970-01-01T00:02:40Z",
        "durationSeconds": 60,
        "reason": None,
    }


HOURS = 24
OVER = SUBMITTED_AT + HOURS * 3600


@pytest.mark.parametrize(
    ("observation", "missing_since", "now", "code"),
    [
        (job("Running"), 0, OVER - 1, None),
        (job("Running"), 0, OVER, "JOB_STILL_RUNNING"),
        (job("Pondering"), 0, OVER, "JOB_STILL_RUNNING"),
        (Missing(), OVER - 9000, OVER - 9000 + MISSING_SECONDS - 1, None),
        (Missing(), OVER - 9000, OVER - 9000 + MISSING_SECONDS, "JOB_NOT_FOUND"),
        (Missing(), OVER, OVER, "JOB_NOT_FOUND"),
        (Problem("HTTP_429", "Too many.", "Wait."), 0, OVER - 1, None),
        (Problem("HTTP_429", "Too many.", "Wait."), 0, OVER, "HTTP_429"),
    ],
)
def test_a_job_is_lost_when_its_time_is_over_or_it_is_missing_for_long(
    observation: Any, missing_since: float, now: float, code: str | None
) -> None:
    end = TrackedSubmission.parse(json.dumps(SUBMISSION)).end_of("1354", observation, missing_since, now, HOURS)
    if code is None:
        assert end is None
    else:
        assert end is not None
        assert (end["status"], end["error"]["code"]) == ("lost", code)
        assert end["error"]["hint"]
        assert end["durationSeconds"] is None


@pytest.mark.parametrize(
    ("end", "total", "pages"), [(0, 1, 1), (PAGE, PAGE, 0), (PAGE, PAGE + 1, 1), (PAGE, 3 * PAGE, 2), (5, 3, 0)]
)
def test_a_window_knows_how_much_of_the_list_is_left(end: int, total: int, pages: int) -> None:
    assert Window(0, 0, end, total).pages_left == pages
