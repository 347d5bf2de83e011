"""A submission whose jobs are followed: its message, and what is published of a job's end. Pure: it polls nothing."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from rds_snap_backup.commvault.jobs import CLOCK_SKEW_SECONDS, Job
from rds_snap_backup.follow.poller import Missing, Observation
from rds_snap_backup.ledger.keys import own_end, submission_key
from rds_snap_backup.messaging import notifications
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.targets import LEVELS
from rds_snap_backup.triggers import TARGET_NAME, Trigger
from rds_snap_backup.untrusted import NotJson, clean_text, is_name, read_json, whole_number

# How long a job that was seen before, or should be there by now, may be missing.
MISSING_SECONDS = 600
# More than a target can start.
MAX_JOBS = 1000
# The largest message of the topic: a job's end repeats what its submission's message had, in DynamoDB too.
MAX_ASSOCIATIONS_JSON = 262_144
NAMES = ("clientName", "instanceName", "subclientName")

COMPLETED = frozenset({"completed", "completed_with_errors"})
CODES = {
    "completed_with_errors": "JOB_COMPLETED_WITH_ERRORS",
    "failed": "JOB_FAILED",
    "killed": "JOB_KILLED",
}
HINTS = {
    "completed_with_errors": "Check the job's events in Commvault for what was left out; back up again if it matters.",
    "failed": "Fix what Commvault's job controller shows as the cause, then start the target by hand: until the next "
    "trigger nothing backs it up.",
    "killed": "A user ended the job in Commvault. If that was not intended, start the target by hand.",
}
REUSED = (
    "Commvault counts job IDs again after its database was restored or replaced. Check in its job history whether the "
    "backup of this submission completed; if it did not, start the target by hand."
)


class NotASubmission(ValueError):
    """A message on the Jobs queue that is not the notification of a submission with jobs."""


@dataclass(frozen=True)
class Completion:
    """The end of a job, as it is published. The ledger keeps it under `id`.

    That is the job's ID; but where the message's job is not the one that has the ID now, it is an ID of its own, so that
    the end of the other job is published all the same.
    """

    id: str
    notification: dict[str, Any]


@dataclass(frozen=True)
class TrackedSubmission:
    """A submission with jobs. `notification` is what a job's end repeats of it, `key` its key in the ledger.

    `is_whole`: each of its associations got a job, as far as its message tells.
    """

    notification: Mapping[str, Any]
    key: str
    job_ids: tuple[str, ...]
    submitted_at: float
    is_whole: bool

    @classmethod
    def parse(cls, body: str) -> Self:
        """Read a message's body; raise `NotASubmission`."""
        try:
            document = read_json(body)
        except NotJson as error:
            raise NotASubmission(f"The message is not JSON: {error}.") from None
        match document:
            case {
                "target": str(target),
                "trigger": fired,
                "associations": [*associations],
                "jobIds": [_, *_] as job_ids,
                "submittedAt": str(time),
            } if TARGET_NAME.fullmatch(target):
                pass
            case _:
                raise NotASubmission("The message is not a notification of submitted jobs.")
        numbers = [whole_number(one, 1) if isinstance(one, str) else None for one in job_ids]
        if None in numbers or len(numbers) > MAX_JOBS:
            raise NotASubmission("The message's jobIds are not job IDs.")
        if not all(isinstance(one, dict) and all(is_name(one.get(name)) for name in NAMES) for one in associations):
            raise NotASubmission("The message's associations are not associations.")
        if len(json.dumps(associations)) > MAX_ASSOCIATIONS_JSON:
            raise NotASubmission("The message's associations are too long to be repeated.")
        try:
            trigger = Trigger.from_json(fired)
            submitted_at = datetime.fromisoformat(time).timestamp()
            time = notifications.iso(submitted_at)
        except InvalidInput:
            raise NotASubmission("The message's trigger is not a trigger.") from None
        except (ValueError, OverflowError, OSError):
            raise NotASubmission("The message's submittedAt is not a time.") from None
        level = document.get("backupLevel")
        notification = {
            "target": target,
            "trigger": trigger.to_json(),
            "taskId": whole_number(document.get("taskId")),
            "backupLevel": level if level in LEVELS else None,
            "associations": [
                {name: one[name] for name in (*NAMES, "displayName") if is_name(one.get(name))} for one in associations
            ],
            "submittedAt": time,
            "reconciled": document.get("reconciled") is True,
        }
        return cls(
            notification,
            submission_key(target, trigger),
            tuple(dict.fromkeys(map(str, numbers))),
            submitted_at,
            is_whole=document.get("error") is None,
        )

    def superseded(self, job_id: str, item: Mapping[str, Any]) -> Completion | None:
        """Return the end of a job whose ID is another job's by now, as far as its item in the ledger tells.

        That one was claimed, and began after the message; or it ended, and is of other subclients: who joined it while it
        ran has recorded that.
        """
        began = max(item.get("attemptedAt", 0), item.get("jobStartedAt", 0))
        # Published times are whole seconds, and the clocks of two sandboxes may differ.
        if self.submitted_at < began - CLOCK_SKEW_SECONDS and not self._is_own(item):
            return self._reused(job_id, "a later one")
        recorded = json.loads(item["end"])["associations"] if "end" in item else []
        ended, own = ([tuple(one[name] for name in NAMES) for one in some] for some in (recorded, self.associations))
        return self._reused(job_id, _text_of(ended[0])) if own and ended and not {*own} & {*ended} else None

    def end_of(
        self,
        job_id: str,
        observation: Observation,
        missing_since: float,
        now: float,
        follow_hours: int,
    ) -> Completion | None:
        """Return a job's end, or None while it is to be polled again.

        `missing_since` is the time of the first poll in a row that did not find it.
        """
        is_over = now >= self.submitted_at + follow_hours * 3600
        match observation:
            case Job() as job if any(job.names) and not self._associations_of(job):
                return self._reused(job_id, _text_of(job.names))
            case Job(end=str(end)) as job:
                return self._completion(job_id, end, _problem(job, end), job)
            case Missing() if is_over or now >= missing_since + MISSING_SECONDS:
                hint = (
                    "Look for it in Commvault's job history: its record may have been deleted, or the token's user may "
                    "not see it. If there is none, start the target by hand."
                )
                problem = Problem("JOB_NOT_FOUND", f"Commvault shows no job {job_id}.", hint)
                return self._completion(job_id, "lost", problem)
            case Job() as job if is_over:
                message = f"Job {job_id} has not ended within {follow_hours} h; its status is {job.status!r}."
                hint = (
                    "Check in Commvault what delays it; it is not followed any more. FollowHours sets how long it is."
                )
                return self._completion(job_id, "lost", Problem("JOB_STILL_RUNNING", message, hint), job)
            case Problem(code, message) if is_over:
                message = f"Job {job_id} could not be followed to its end within {follow_hours} h: {message}"
                hint = "Fix that, and look for the job in Commvault: it is not followed any more."
                return self._completion(job_id, "lost", Problem(code, message, hint))
        return None

    def completed_from(self, ends: Iterable[Mapping[str, Any]]) -> float | None:
        """Return since when a backup of the whole target exists, given the ends of all jobs; None where it does not.

        Of jobs that it joined that is when the first of them began.
        """
        times = [self.submitted_at]
        for end in ends:
            if end["status"] not in COMPLETED:
                return None
            times += [datetime.fromisoformat(end["startedAt"]).timestamp()] if end["startedAt"] else []
        return min(times) if self.is_whole else None

    def _reused(self, job_id: str, whose: str) -> Completion:
        problem = Problem("JOB_ID_REUSED", f"Job {job_id} is not of this submission, but of {whose}.", REUSED)
        return self._completion(job_id, "lost", problem, completion_id=own_end(job_id, self.key))

    @property
    def associations(self) -> list[dict[str, Any]]:
        """The associations of the submission; empty where they were too many for the message."""
        return list(self.notification["associations"])

    def _is_own(self, claim: Mapping[str, Any]) -> bool:
        """Return whether this submission has the claim: opened again, it claims the jobs that it has once more."""
        return bool(claim.get("submission") == self.key)

    def _associations_of(self, job: Job) -> list[dict[str, Any]]:
        """Return the association that a job ran for, by the names in its row; all where it has none."""
        listed = self.associations
        named = {name: value for name, value in zip(NAMES, job.names, strict=True) if value}
        if not named:
            return listed
        if not listed:  # They were too many for the message: what is known are the names in the row.
            shown = {name: clean_text(value) for name, value in named.items()}
            return [{**dict.fromkeys(NAMES, ""), **shown, "displayName": clean_text(job.client_name)}]
        return [one for one in listed if all(one[name] == value for name, value in named.items())]

    def _completion(
        self, job_id: str, status: str, problem: Problem | None, job: Job | None = None, *, completion_id: str = ""
    ) -> Completion:
        notification = notifications.build_end(
            self.notification,
            job_id,
            status,
            associations=self._associations_of(job) if job else self.associations,
            started=job.started if job else 0,
            ended=job.ended if job and job.has_ended else 0,
            reason=job.reason if job else "",
            problem=problem,
        )
        return Completion(completion_id or job_id, notification)


def _text_of(names: Iterable[str]) -> str:
    return clean_text(" / ".join(names))


def _problem(job: Job, end: str) -> Problem | None:
    if code := CODES.get(end):
        message = job.reason or f"Job {job.id} ended as {job.status!r}, and Commvault gave no reason."
        return Problem(code, message, HINTS[end])
    return None
