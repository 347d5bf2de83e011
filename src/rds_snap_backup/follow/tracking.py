"""A submission that is followed: its message, and what to tell of a job's end. Pure: it looks at nothing itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from rds_snap_backup.commvault.jobs import Job
from rds_snap_backup.follow.poller import Missing, Observation
from rds_snap_backup.messaging import notifications
from rds_snap_backup.problems import Problem

# How long a job that was seen before, or should be there by now, may be missing.
MISSING_SECONDS = 600

CODES = {
    "completed_with_errors": "JOB_COMPLETED_WITH_ERRORS",
    "failed": "JOB_FAILED",
    "killed": "JOB_KILLED",
}
HINTS = {
    "completed_with_errors": "Look at the job's events in Commvault for what was left out, and back up again if it matters.",
    "failed": "Mend what Commvault's job controller shows as the cause, then start the target by hand: until the next "
    "trigger nothing backs it up.",
    "killed": "Somebody in Commvault ended the job. If that was not meant, start the target by hand.",
}


class NotASubmission(ValueError):
    """A message on the Jobs queue that no submission's notification is."""


@dataclass(frozen=True, slots=True)
class TrackedSubmission:
    """A submission with jobs. `notification` is what was told of it."""

    notification: Mapping[str, Any]
    job_ids: tuple[str, ...]
    submitted_at: float

    @classmethod
    def parse(cls, body: str) -> Self:
        """Read a message's body; raise `NotASubmission`."""
        try:
            document = json.loads(body)
        except ValueError:
            raise NotASubmission("The message is not JSON.") from None
        match document:
            case {
                "target": str(),
                "trigger": {"kind": str(), "id": str()},
                "associations": [*associations],
                "jobIds": [_, *_] as job_ids,
                "submittedAt": str(time),
            }:
                pass
            case _:
                raise NotASubmission("The message is no notification of submitted jobs.")
        if not all(isinstance(one, str) and one.isascii() and one.isdecimal() for one in job_ids):
            raise NotASubmission("The message's jobIds are no job ids.")
        names = {"clientName", "instanceName", "subclientName"}
        if not all(isinstance(one, dict) and names <= one.keys() for one in associations):
            raise NotASubmission("The message's associations are none.")
        try:
            submitted_at = datetime.fromisoformat(time).timestamp()
        except ValueError:
            raise NotASubmission("The message's submittedAt is no time.") from None
        return cls(document, tuple(dict.fromkeys(job_ids)), submitted_at)

    def end_of(
        self, job_id: str, observation: Observation, missing_since: float, now: float, follow_hours: int
    ) -> dict[str, Any] | None:
        """Return the notification of a job's end, or None while it is to be looked at again.

        `missing_since` is the time of the first look in a row that did not find it.
        """
        is_over = now >= self.submitted_at + follow_hours * 3600
        match observation:
            case Job(end=str(end)) as job:
                return self._ended(job, end)
            case Missing() if is_over or now >= missing_since + MISSING_SECONDS:
                hint = (
                    "Look for it in Commvault's job history: its record may have been deleted, or the token's user may "
                    "not see it. If there is none, start the target by hand."
                )
                return self._lost(job_id, Problem("JOB_NOT_FOUND", f"Commvault shows no job {job_id}.", hint))
            case Job() as job if is_over:
                message = f"Job {job_id} has not ended within {follow_hours} h; its status is {job.status!r}."
                hint = "Look in Commvault what holds it up; it is not followed any more. FollowHours says for how long."
                return self._lost(job_id, Problem("JOB_STILL_RUNNING", message, hint), job)
            case Problem(code, message) if is_over:
                message = f"Job {job_id} could not be followed to its end within {follow_hours} h: {message}"
                hint = "Mend that, and look for the job in Commvault: it is not followed any more."
                return self._lost(job_id, Problem(code, message, hint))
        return None

    def _ended(self, job: Job, end: str) -> dict[str, Any]:
        problem = None
        if code := CODES.get(end):
            message = job.reason or f"Job {job.id} ended as {job.status!r}, and Commvault gave no reason."
            problem = Problem(code, message, HINTS[end])
        return notifications.build_end(
            self.notification,
            job.id,
            end,
            associations=self.notification["associations"],
            started=job.started,
            ended=job.ended,
            reason=job.reason,
            problem=problem,
        )

    def _lost(self, job_id: str, problem: Problem, job: Job | None = None) -> dict[str, Any]:
        return notifications.build_end(
            self.notification,
            job_id,
            "lost",
            associations=self.notification["associations"],
            started=job.started if job else 0,
            ended=0,
            reason=job.reason if job else "",
            problem=problem,
        )
