"""Any message of the Jobs queue is a submission whose jobs can be followed to an end that can be kept and published."""

from typing import Any

from rds_snap_backup.commvault.rows import read_job
from rds_snap_backup.follow.poller import NOT_ASKED, Missing, Observation
from rds_snap_backup.follow.tracking import Completion, NotASubmission, TrackedSubmission
from rds_snap_backup.ledger.keys import job_key
from rds_snap_backup.messaging import notifications
from rds_snap_backup.messaging.notifications import Notifications
from rds_snap_backup.problems import Problem
from rds_snap_backup.redaction import remember
from rds_snap_backup.targets import Association, BackupRequest
from rds_snap_backup.triggers import Trigger
from tests.fuzz import limits
from tests.fuzz.hostile import SECRET, Choices, edited, is_choices, text_of, written
from tests.fuzz.targets import job_lists
from tests.fuzz.triggers import NOW
from tests.fuzz.wire import Aws

REQUEST = BackupRequest((Association("AWS", "RDS", "AWS", "orders"), Association("AWS", "RDS", "AWS", "stock")))
TRIGGER = Trigger(
    "rds", "arn|RDS-EVENT-0006|2026", "2026-01-31T02:00:00Z", "RDS-EVENT-0006", "arn:aws:rds:x", "Restarted"
)
SUBMITTED = notifications.build("submitted", "orders", REQUEST, TRIGGER, now=NOW, job_ids=["41", "42"], task_id=7)
SAMPLES = [
    SUBMITTED,
    {**SUBMITTED, "associations": [], "associationCount": 900},
    {
        **SUBMITTED,
        "trigger": {"kind": "manual", "id": "1"},
        "jobIds": ["41"],
        "submittedAt": "2026-01-31T02:00:04+01:00",
    },
]
FIELDS = (*SUBMITTED, *TRIGGER.to_json(), "clientName", "instanceName", "subclientName", "displayName")
ROWS = [
    {"jobSummary": {**job_lists.SUMMARY, "status": status}} for status in ("Completed", "Failed", "Running", "Killed")
]


def fuzz(data: bytes) -> None:
    """Parse a message, and follow its first job to an end."""
    remember([SECRET])
    choices = Choices(data[1:] if is_choices(data) else b"")
    text = written(edited(choices, SAMPLES, FIELDS), choices) if is_choices(data) else text_of(data)
    if len(text.encode("utf-8", "surrogatepass")) > limits.MAX_MESSAGE:
        return
    try:
        submission = TrackedSubmission.parse(text)
    except NotASubmission as error:
        limits.line(str(error), "an error")
        return
    limits.key(submission.key)
    limits.require(submission.job_ids, "a submission without jobs is followed")
    for job_id in submission.job_ids:
        limits.number(job_id)
        limits.key(job_key(job_id))
    job_id = submission.job_ids[0]
    row = edited(choices, ROWS, job_lists.FIELDS)
    seen: list[Observation] = [Missing(), NOT_ASKED, Problem("HTTP_500", "x" * 500, "x")]
    if job := read_job(row):
        seen += [job]
    for observation in seen:
        for now in (submission.submitted_at, submission.submitted_at + 30 * 86400):
            _check(
                submission.end_of(job_id, observation, submission.submitted_at, now, 24), is_ours=not limits.shows(text)
            )
    for item in ({}, {"attemptedAt": NOW + 10**6, "submission": "other"}, {"jobStartedAt": 0}):
        _check(submission.superseded(job_id, item), is_ours=False)


def _check(completion: Completion | None, *, is_ours: bool) -> None:
    """Require an end that can be recorded and published; `is_ours`: the message has no secret, as ours have none."""
    if completion is None:
        return
    limits.key(job_key(completion.id))
    notification = completion.notification
    limits.item(notification)
    if error := notification.get("error"):
        limits.problem(Problem(**error))
    if (reason := notification["reason"]) is not None:
        limits.line(reason, "a reason")
    if is_ours:
        limits.hidden(str(notification), "a notification")
    aws: Any = Aws()
    Notifications("topic", aws).publish(notification)
