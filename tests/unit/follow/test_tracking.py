"""Which messages are followed, and what is published of a job's end."""

import json
from typing import Any

import pytest

from rds_snap_backup.commvault.rows import Job
from rds_snap_backup.follow.poller import Missing
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


def job(status: str, started: int = 100, ended: int = 0, names: tuple[str, str, str] = ("c", "i", "s")) -> Job:
    return Job("1354", *names, "FULL", is_backup=True, status=status, started=started, ended=ended)


def tracked(**fields: Any) -> TrackedSubmission:
    return TrackedSubmission.parse(json.dumps({**SUBMISSION, **fields}))


def notification(observation: Job, **fields: Any) -> dict[str, Any]:
    completion = tracked(**fields).end_of("1354", observation, 0, SUBMITTED_AT, 24)
    assert completion is not None
    return completion.notification


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
        {"associations": [{"clientName": 1, "instanceName": "i", "subclientName": "s"}]},
        {"associations": [[]]},
        {"submittedAt": "0001-01-01T00:00:00"},
        {"submittedAt": "9999-12-31T23:59:59-23:00"},
        {"jobIds": ["1" * 100_000]},
        {"jobIds": [str(number) for number in range(1, 1002)]},
        {"target": "\ud800"},
        {"target": "x" * 65},
        {"trigger": {"kind": "manual", "id": "\ud800"}},
        {"trigger": {"kind": "manual", "id": "x" * 5000}},
        {"trigger": []},
        {"associations": [{"clientName": "c\n", "instanceName": "i", "subclientName": "s"}]},
        {"associations": [{"clientName": "c" * 501, "instanceName": "i", "subclientName": "s"}]},
    ],
)
def test_anything_else_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(NotASubmission):
        TrackedSubmission.parse(json.dumps({**SUBMISSION, **broken}))


@pytest.mark.parametrize(
    "odd",
    [
        {"taskId": []},
        {"taskId": 10**400},
        {"backupLevel": {"a": [1]}},
        {"backupLevel": "x" * 9000},
        {"trigger": {"kind": "rds", "id": "x", "message": 5, "time": ["x"], "sourceArn": {}, "rdsEventId": 7}},
        {"reconciled": "yes"},
        {"submittedAt": "2026-01-31\n02:00:04"},
        {"more": "x" * 200_000},
    ],
    ids=str,
)
def test_odd_values_never_reach_the_message_of_an_end(odd: dict[str, Any]) -> None:
    end = notification(job("Completed"), **odd)
    assert end["trigger"]["id"] in {"m-1", "x"}
    assert (end["taskId"], end["backupLevel"]) == (
        None if "taskId" in odd else 402,
        None if "backupLevel" in odd else "FULL",
    )
    assert len(json.dumps(end)) < 1000
    assert "\\n" not in json.dumps(end)


def test_an_end_carries_what_was_published_of_the_submission_and_not_its_error() -> None:
    assert notification(job("Completed", started=100, ended=160)) == {
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
    completion = tracked().end_of("1354", observation, missing_since, now, HOURS)
    if code is None:
        assert completion is None
    else:
        assert completion is not None
        assert completion.id == "1354"
        end = completion.notification
        assert (end["status"], end["error"]["code"]) == ("lost", code)
        assert end["error"]["hint"]
        assert end["durationSeconds"] is None


MANY = [
    {"clientName": "c", "instanceName": f"i{number}", "displayName": "C", "subclientName": "s"} for number in range(80)
]


@pytest.mark.parametrize("status", ["Completed", "Failed", "Killed"])
def test_an_end_carries_only_the_association_that_its_job_ran_for(status: str) -> None:
    end = notification(job(status, names=("c", "i7", "s")), associations=MANY)
    assert end["associations"] == [MANY[7]]
    assert end["status"] != "lost"


def test_a_row_without_names_is_of_all_associations() -> None:
    assert notification(job("Failed", names=("", "", "")), associations=MANY)["associations"] == MANY


def test_a_row_with_some_names_is_of_the_associations_that_have_them() -> None:
    assert notification(job("Failed", names=("", "i7", "")), associations=MANY)["associations"] == [MANY[7]]


def test_a_message_that_lists_no_associations_takes_them_from_the_row() -> None:
    expected = [{"clientName": "c", "instanceName": "i7", "subclientName": "s", "displayName": "c"}]
    assert notification(job("Failed", names=("c", "i7", "s")), associations=[])["associations"] == expected


def test_a_job_still_running_when_its_time_is_over_names_its_association() -> None:
    completion = tracked(associations=MANY).end_of("1354", job("Running", names=("c", "i7", "s")), 0, OVER, HOURS)
    assert completion is not None
    assert completion.notification["associations"] == [MANY[7]]


@pytest.mark.parametrize("status", ["Running", "Completed", "Pondering"])
@pytest.mark.parametrize("names", [("c", "other", "s"), ("other", "i", "s"), ("c", "i", "S")])
def test_a_job_of_other_names_is_lost_and_kept_apart_from_the_end_of_the_job(
    status: str, names: tuple[str, str, str]
) -> None:
    completion = tracked().end_of("1354", job(status, names=names), 0, SUBMITTED_AT, HOURS)
    assert completion is not None
    end = completion.notification
    assert (end["status"], end["jobIds"], end["error"]["code"]) == ("lost", ["1354"], "JOB_ID_REUSED")
    assert end["associations"] == SUBMISSION["associations"]
    assert end["startedAt"] is None
    assert " / ".join(names) in end["error"]["message"]
    assert completion.id != "1354"


@pytest.mark.parametrize(
    ("names", "associations", "is_other"),
    [
        (("c", "other", "s"), SUBMISSION["associations"], True),
        (("c", "i", "s"), SUBMISSION["associations"], False),
        (("c", "other", "s"), [], False),
        (None, SUBMISSION["associations"], False),
    ],
)
def test_an_end_that_is_recorded_of_a_job_of_other_subclients_is_another_job_s(
    names: tuple[str, str, str] | None, associations: Any, *, is_other: bool
) -> None:
    """Whoever joined a job that runs under an ID that was counted again records its end, unlike the submission's own."""
    ended = [dict(zip(("clientName", "instanceName", "subclientName"), names, strict=True))] if names else []
    completion = tracked(associations=associations).superseded("1354", {"end": json.dumps({"associations": ended})})
    assert (completion is not None) is is_other
    if completion:
        assert (completion.notification["status"], completion.id != "1354") == ("lost", True)
        assert "c / other / s" in completion.notification["error"]["message"]


def test_a_message_published_before_the_job_that_has_the_claim_began_is_superseded() -> None:
    claim = {"attemptedAt": SUBMITTED_AT - 9, "submission": "submission#default#manual#m-2"}
    assert tracked().superseded("1354", {**claim, "jobStartedAt": SUBMITTED_AT - 1}) is None
    completion = tracked().superseded("1354", {**claim, "jobStartedAt": SUBMITTED_AT + 60})
    assert completion is not None
    assert completion.notification["error"]["code"] == "JOB_ID_REUSED"


def test_a_message_published_before_the_attempt_that_has_the_claim_is_superseded() -> None:
    claim = {"attemptedAt": SUBMITTED_AT + 60, "submission": "submission#default#manual#m-2"}
    completion = tracked().superseded("1354", claim)
    assert completion is not None
    end = completion.notification
    assert (end["status"], end["jobIds"], end["error"]["code"]) == ("lost", ["1354"], "JOB_ID_REUSED")
    assert completion.id not in {"1354", ""}
    # Another submission that has joined the earlier job, and one whose job had the ID in between, have ends of their own.
    other = tracked(trigger={"kind": "manual", "id": "m-3"}).superseded("1354", claim)
    assert other is not None
    assert other.id != completion.id
    # The same end whichever reuse of the ID it is met by.
    later = tracked().superseded("1354", {**claim, "attemptedAt": SUBMITTED_AT + 9000})
    assert later is not None
    assert later.id == completion.id


@pytest.mark.parametrize(
    "claim",
    [
        {},
        {"submission": "submission#default#manual#m-2"},
        {"submission": "submission#default#manual#m-2", "attemptedAt": SUBMITTED_AT - 1},
        # Whole seconds and different clocks.
        {"submission": "submission#default#manual#m-2", "attemptedAt": SUBMITTED_AT + 5},
        # Opened again, it claims its own jobs once more.
        {"submission": "submission#default#manual#m-1", "attemptedAt": SUBMITTED_AT + 9000},
    ],
)
def test_any_other_message_is_not(claim: dict[str, Any]) -> None:
    assert tracked().superseded("1354", claim) is None


@pytest.mark.parametrize("status", ["rejected", "abandoned", "joined", "submitted"])
def test_every_submission_with_jobs_is_followed_whatever_became_of_it(status: str) -> None:
    assert tracked(status=status).job_ids == ("1354", "1355")
    assert notification(job("Completed"), status=status)["status"] == "completed"


def test_a_text_nested_too_deeply_is_not_a_submission() -> None:
    with pytest.raises(NotASubmission):
        TrackedSubmission.parse("[" * 100_000)


def ended(status: str, started: str | None = "2026-01-31T02:00:09Z") -> dict[str, Any]:
    return {"status": status, "startedAt": started}


WHOLE: dict[str, Any] = {"error": None}


@pytest.mark.parametrize("statuses", [["completed", "completed"], ["completed", "completed_with_errors"]])
def test_a_submission_all_of_whose_jobs_completed_backed_its_target_up_from_its_start(statuses: list[str]) -> None:
    assert tracked(**WHOLE).completed_from(map(ended, statuses)) == SUBMITTED_AT


@pytest.mark.parametrize("status", ["failed", "killed", "lost"])
def test_one_job_that_did_not_complete_leaves_the_target_without_a_backup(status: str) -> None:
    assert tracked(**WHOLE).completed_from([ended("completed"), ended(status)]) is None


def test_a_submission_that_lacks_the_jobs_of_some_associations_is_none_either() -> None:
    assert tracked().completed_from([ended("completed"), ended("completed")]) is None


def test_jobs_that_were_joined_are_as_old_as_the_first_of_them() -> None:
    joined = tracked(**WHOLE, status="joined")
    ends = [ended("completed", "2026-01-31T01:55:00Z"), ended("completed", None)]
    assert joined.completed_from(ends) == SUBMITTED_AT - 304
