"""Any answer to a call for jobs is read row by row, and a list of any shape is read to its end."""

import time
from typing import Any

from rds_snap_backup.commvault.answers import HttpResponse
from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.clients import clients_in
from rds_snap_backup.commvault.job_lists import Page, Position
from rds_snap_backup.commvault.jobs import get_job, list_page
from rds_snap_backup.commvault.matching import adoptable, running
from rds_snap_backup.commvault.queries import JsonDocument, read
from rds_snap_backup.commvault.rows import MAX_TIME, Job
from rds_snap_backup.targets import Association, BackupRequest
from tests.fuzz import limits
from tests.fuzz.hostile import SECRET
from tests.fuzz.targets.answers import ERROR, response_of
from tests.secrets import StoredSecret

SUMMARY: dict[str, Any] = {
    "jobId": 41,
    "opType": 59,
    "jobType": "Snap Backup",
    "status": "Completed",
    "localizedStatus": "Completed",
    "pendingReason": "Waiting for the array.",
    "backupLevelName": "Full",
    "backupLevel": 1,
    "jobStartTime": 1790000000,
    "jobEndTime": "1790000100000",
    "subclient": {"clientName": "AWS", "instanceName": "RDS", "subclientName": "orders"},
}
SAMPLES: list[Any] = [
    {"totalRecordsWithoutPaging": 1, "jobs": [{"jobSummary": SUMMARY}]},
    {"totalRecordsWithoutPaging": "250", "jobs": [{"jobSummary": {**SUMMARY, "jobId": str(n)}} for n in range(100)]},
    {"totalRecordsWithoutPaging": 0},
    {"offset": 95, "clientIds": ["7", "8"]},
    {"clientProperties": [{"client": {"clientEntity": {"clientId": 7, "clientName": "AWS", "displayName": "A"}}}]},
    {"jobs": [], **ERROR},
]
FIELDS = (
    "totalRecordsWithoutPaging", "jobs", "jobSummary", *SUMMARY, "clientName", "instanceName", "subclientName", "offset",
    "clientIds", "clientProperties", "client", "clientEntity", "clientId", "displayName", *ERROR,
)  # fmt: skip
MAX_CHECKED = 20
ASSOCIATION = Association("AWS", "RDS", "AWS", "orders")
REQUEST = BackupRequest((ASSOCIATION,))


class Wire:
    """The connection, whose server answers every request with `response`."""

    response = HttpResponse(200, {}, b"{}")

    def exchange(self, *_request: Any) -> HttpResponse:
        """Answer a request."""
        return self.response


WIRE: Any = Wire()
COMMVAULT = Commvault("https://127.0.0.1:9", lambda: None, StoredSecret(SECRET).credentials())
COMMVAULT._connection = WIRE


def fuzz(data: bytes) -> None:
    """Read an answer as a page of the list, as one job, as a position and as a list of clients."""
    Wire.response = response_of(data, SAMPLES, FIELDS)
    deadline = time.monotonic() + 60
    match list_page(COMMVAULT, 3600, 100, deadline):
        case Page() as page:
            _check_page(page)
        case failure:
            limits.problem(failure.problem)
            limits.hidden(str(failure), "a failure")
    match get_job(COMMVAULT, "41", deadline):
        case Job() as job:
            check_job(job)
            limits.require(job.id == "41", "another job is returned")
        case None:
            pass
        case failure:
            limits.problem(failure.problem)
            limits.hidden(str(failure), "a failure")
    match read(Wire.response, not_found_is_empty=True):
        case JsonDocument(document):
            position = Position.from_json(document)
            limits.require(Position.from_json(position.to_json()) == position, "a position changes")
            for client in clients_in(document).values():
                limits.require(client.id and client.name is not None, "a client has no ID")


def check_job(job: Job) -> None:
    """Require a job that can be followed."""
    limits.number(job.id)
    limits.line(job.status, "a job's status")
    limits.line(job.reason, "a job's reason")
    limits.hidden(f"{job.status} {job.reason}", "a job")
    limits.require(0 <= job.started <= MAX_TIME and 0 <= job.ended <= MAX_TIME, "a job's time is not one")
    limits.require(job.has_ended == (job.end is not None) and isinstance(job.is_known, bool), "a job has half ended")


def _check_page(page: Page) -> None:
    for job in page.rows[:MAX_CHECKED]:
        check_job(job)
    limits.require(100 <= page.end <= page.total, "a page ends before it begins, or after the list")
    following = Position(100).after(page)
    limits.require(following is None or following.offset >= 100, "a list is read backwards")
    found = adoptable(REQUEST, [ASSOCIATION], page.rows, 0.0, 1.79e9, 1.79e9, 60.0, set())
    limits.require(set(found) <= {ASSOCIATION} and set(running([ASSOCIATION], page.rows)) <= {ASSOCIATION}, "of others")
