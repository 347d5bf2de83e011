"""Whose each job is, and how its end is recorded and published: what is promised of jobs while runs go on.

IDs are counted again after a CommServe was restored, so a job here is a job itself, not its ID.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from rds_snap_backup.config import Config
from tests.property.model.commvault import CommServe
from tests.property.model.jobs import Job, Names, names_of
from tests.property.model.kernel import Kernel
from tests.property.plain import SLACK, key_of, seconds

FAILED = {"failed", "killed"}
ENDED = {"completed", "completed_with_errors", *FAILED, "lost"}


class Ended(Protocol):
    """A submission's end."""

    item: str
    notification: dict[str, Any]


@dataclass(slots=True)
class Credits:
    """The watcher of jobs. `last_attempt` gives the times of a submission's last attempt."""

    kernel: Kernel
    server: CommServe
    config: Config
    last_attempt: Callable[[str], tuple[float, float]]
    claimed: dict[Job, str] = field(default_factory=dict)
    adopted: set[Job] = field(default_factory=set)
    credited: dict[tuple[str, str], Job] = field(default_factory=dict)
    associations: dict[str, set[Names]] = field(default_factory=dict)
    ended: dict[Job, tuple[float, str]] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)

    def claimed_by(self, key: str) -> set[str]:
        """Return the IDs of the jobs that a submission has claimed."""
        return {job.id for job, submission in self.claimed.items() if submission == key}

    def job_changed(self, key: str, was: dict[str, Any], now: dict[str, Any]) -> None:
        """An item about a job changed: it was claimed, or its end recorded."""
        job_id, _, superseded = key.removeprefix("job#").partition("#")
        claim = [(item.get("submission"), item.get("attemptedAt")) for item in (was, now)]
        if not superseded and claim[0] != claim[1]:
            self._claimed(job_id, now["submission"])
        if "end" in now and now["end"] != was.get("end"):
            self._must("end" not in was or claim[0] != claim[1], f"{key}: its end was recorded twice")
            self.recorded.add(now["end"])

    def _claimed(self, job_id: str, submission: str) -> None:
        job = self.server.find(job_id)
        self._must(job is not None, f"{submission} claims the job {job_id}, which does not exist")
        assert job is not None
        owner = self.claimed.setdefault(job, submission)
        self._must(owner == submission, f"job {job_id} of {owner} was taken by {submission}")
        if job.origin != submission:
            self.adopted.add(job)
            self.kernel.seen["adopted a job that is not ours"] += not job.origin
            began, ended = self.last_attempt(submission)
            latest = ended + self.config.reconcile_seconds
            self._must(
                began - 2 * SLACK <= job.started <= latest + 2 * SLACK,
                f"{submission} adopted a job that started {job.started - began:.0f} s after its attempt began "
                f"and {job.started - latest:.0f} s after its window",
            )

    def credit(self, key: str, notification: dict[str, Any], joined_from: Iterable[Ended]) -> None:
        """A submission ended: these jobs are its own, or those that it joined."""
        self.associations[key] = {names_of(one) for one in notification["associations"]}
        own = {job.id: job for job, submission in self.claimed.items() if submission == key}
        joined = {
            job_id: self.credited[end.item, job_id]
            for end in joined_from
            if end.notification["target"] == notification["target"]
            for job_id in end.notification["jobIds"]
        }
        for job_id in notification["jobIds"]:
            job = own.get(job_id) or joined.get(job_id) or self.server.find(job_id)
            self._must(job is not None, f"{key} is credited with the job {job_id}, which does not exist")
            assert job is not None
            self.credited[key, job_id] = job

    def end_published(self, end: dict[str, Any]) -> None:
        """The end of a job is published: it is recorded, and true."""
        (job_id,) = end["jobIds"]
        key = key_of(end)
        self._must(json.dumps(end) in self.recorded, f"published before it was recorded: {end}")
        self._must((key, job_id) in self.credited, f"{key} has no job {job_id}: {end}")
        job, seen = self.credited[key, job_id], self.server.find(job_id)
        self.kernel.seen[f"job: {end['status']}"] += 1
        self.ended.setdefault(job, (self.kernel.now, end["status"]))
        # A job of a subclient of the submission's that got the ID of one that is gone cannot be distinguished from it while
        # nobody has claimed it, nor by who has joined it.
        is_free = seen not in self.claimed or self.claimed.get(job) != key
        is_same = seen is job or (job.is_gone and seen is not None and seen.names in self.associations[key] and is_free)
        if end["status"] == "lost":
            is_over = self.kernel.now >= seconds(end["submittedAt"]) + self.config.follow_hours * 3600 - SLACK
            self._must(is_over or job.is_gone, f"job {job_id} is lost, and is there: {end}")
            if is_same and seen is not None:
                self.ended.setdefault(seen, (self.kernel.now, end["status"]))
            return
        self._must(is_same or (job.is_gone and self.kernel.now >= job.ends), f"this is the end of another job: {end}")
        shown = seen if seen is not None and is_same else job
        self.ended.setdefault(shown, (self.kernel.now, end["status"]))
        self.kernel.seen["end of a job with the ID of one that is gone"] += shown is not job
        started = int(shown.started + self.server.settings.ahead)
        names = [names_of(one) for one in end["associations"]]
        self._must(
            (end["status"], seconds(end["startedAt"]), names) == (shown.outcome, started, [shown.names])
            and self.kernel.now >= shown.ends - SLACK,
            f"this is not how job {job_id} ended: {end}, {shown}",
        )

    def has_failed(self, job_id: str) -> bool:
        """Tell whether a job that had this ID has failed, as far as it is published."""
        return any(status in FAILED for job, (_, status) in self.ended.items() if job.id == job_id)

    def failed_at(self, job_id: str) -> float:
        """Return when the failure of the job of an ID was published."""
        job = self.server.find(job_id)
        at, status = self.ended.get(job, (0.0, "")) if job else (0.0, "")
        return at if status in FAILED else float("inf")

    def _must(self, holds: bool, message: str) -> None:
        if not holds:
            self.kernel.fail(message)
