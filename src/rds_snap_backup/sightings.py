"""Sightings: what Commvault's jobs and inventory show of a submission, and how the record changes by it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from rds_snap_backup.commvault.levels import covers
from rds_snap_backup.commvault.rows import Job
from rds_snap_backup.problems import Problem
from rds_snap_backup.record import (
    CLOCK_SKEW_SECONDS,
    HOUR,
    MAX_EXCUSED_SECONDS,
    Attempt,
    Backup,
    Change,
    CompletedJob,
    End,
    JobFacts,
    Notice,
    Policy,
    Subclient,
    Subclients,
    Submission,
    earliest_start,
    end_each,
    keys_of,
    map_backups,
    map_chosen,
    moved,
    names_of,
    next_pause,
    notice_of,
    on_hold,
    pruned,
    released,
    with_attempt,
    with_job,
    with_job_notices,
    with_notice,
)
from rds_snap_backup.submission import (
    ALONE,
    SUBCLIENT_BUSY,
    Look,
    awaits_inventory,
)

RETRY_PAUSES = 30

JOB_MISSING = Problem(
    "JOB_MISSING",
    "Commvault named the job, and does not show it.",
    "Look for it in Commvault's job history. If there is none, start the target by hand.",
)
JOB_ID_REUSED = Problem(
    "JOB_ID_REUSED",
    "Commvault has counted the job's ID again, as it does after its database was restored: the job is another one.",
    "Look in Commvault whether this backup has a job. If it has none, start the target by hand.",
)
NAME_UNKNOWN = Problem(
    "TARGET_UNKNOWN_TO_COMMVAULT",
    "Commvault does not know one of the names.",
    "Correct the client, instance and subclient names in the target's document, then redrive the dead letter.",
)


@dataclass(frozen=True)
class Sight:
    """What Commvault showed: rows by job ID, IDs that a complete read does not show, and a list for what is in doubt.

    `listed` is None where no list was read. `listed_since` is when the reading of a whole list began, 0 while it is not
    whole; `scan` is where a list that is too long is read on. `at` is when reading ended. `problem` is why not all could
    be read.
    """

    at: float
    rows: Mapping[str, Job]
    absent: frozenset[str] = frozenset()
    listed: tuple[Job, ...] | None = None
    listed_since: float = 0
    scan: Mapping[str, Any] | None = None
    problem: Problem | None = None

    @property
    def all_rows(self) -> Mapping[str, Job]:
        """The rows by job ID, those of the list too."""
        return {row.id: row for row in self.listed or ()} | dict(self.rows)


def touched(submission: Submission, look: Look, sight: Sight) -> tuple[str, ...]:
    """Return the keys of the subclient items that `see` needs: of what is in doubt, not assigned, or has ended."""
    rows = sight.all_rows

    def needs_item(backup: Backup) -> bool:
        if backup.job is None:
            return True
        row = rows.get(backup.job.id)
        return row is not None and row.has_ended

    return tuple(key for key in look.keys if (backup := submission.backup_of(key)) and needs_item(backup))


def see(submission: Submission, look: Look, sight: Sight, subclients: Subclients, policy: Policy) -> Change:
    """Apply what Commvault showed of the backups of a `Look`."""
    scan = sight.scan if look.clients else submission.scan
    reading = _Reading(replace(submission, scan=scan), sight, subclients, policy)
    numbers = sorted({backup.attempt for key in look.keys if (backup := submission.backup_of(key))})
    for number in numbers:
        reading.assign(number)
    for key in look.keys:
        reading.follow(key)
    for number in numbers:
        reading.reconcile(number, look.keys)
    return reading.change(subclients)


class _Reading:
    """One application of a `Sight`: the submission as it changes, and what is to be published of it."""

    def __init__(self, submission: Submission, sight: Sight, subclients: Subclients, policy: Policy) -> None:
        self.submission = submission
        self._sight = sight
        self._rows = sight.all_rows
        self._subclients = dict(subclients)
        self._policy = policy
        self._now = sight.at
        self._ended: list[str] = []
        self._retried: list[str] = []
        self._adopted: list[str] = []

    def change(self, before: Subclients) -> Change:
        """Return the result, with the notices in the order of what happened."""
        submission = self.submission
        by_attempt = sorted((self._backup(key) for key in self._adopted), key=lambda backup: backup.attempt)
        for number, group in groupby(by_attempt, key=lambda backup: backup.attempt):
            backups = list(group)
            attempt = self._attempt(number)
            job_ids = tuple(backup.job.id for backup in backups if backup.job)
            notice = replace(notice_of("submitted", attempt, backups, self._now), is_reconciled=True, job_ids=job_ids)
            submission = with_notice(submission, notice)
        submission = with_job_notices(submission, self._ended, self._now)
        submission = _retry_notice(submission, self.submission, self._retried, self._policy, self._now)
        retried = set(self._retried)
        submission = map_backups(submission, lambda backup: self._retry(backup) if backup.key in retried else backup)
        changed = tuple(item for key, item in sorted(self._subclients.items()) if item != before.get(key))
        return Change(pruned(submission), changed)

    def assign(self, number: int) -> None:
        """Find out whose the IDs of an attempt's answer are."""
        attempt = self._attempt(number)
        unmatched = self.submission.unassigned(attempt)
        without = [
            backup for backup in self.submission.backups if backup.attempt == attempt.number and _lacks_job(backup)
        ]
        if not without:
            return
        matched: list[str] = []
        foreign: list[str] = []
        for job_id in unmatched:
            row = self._rows.get(job_id)
            owners = [backup for backup in without if row and _may_be_of(row, backup)]
            if row is None or (not all(row.names) and len(owners) + len(unmatched) > 2):
                continue  # It tells nothing yet, or may be of several.
            if not owners or self._ended_before(row, attempt):
                foreign.append(job_id)
            else:
                owner = owners[0]
                without.remove(owner)
                matched.append(job_id)
                self._set(with_job(owner, JobFacts(job_id), self._now))
                self._know(owner.key, job_id)
        attempt = replace(attempt, matched=(*attempt.matched, *matched), foreign=(*attempt.foreign, *foreign))
        self.submission = with_attempt(self.submission, attempt)
        left = self.submission.unassigned(attempt)
        if len(left) < len(unmatched):
            attempt = replace(attempt, missing_since=0)
        if any(job_id in self._sight.absent or job_id in self._rows for job_id in left):
            self._miss(attempt, without)
        elif not left and without:
            self._without_row(attempt, without)
        else:
            for backup in without:
                self._set(self._later(backup))

    def follow(self, key: str) -> None:
        """Follow a job that is assigned to a backup."""
        backup = self._backup(key)
        if backup.state != "running" or backup.job is None:
            return
        attempt = self.submission.attempt_of(backup)
        row = self._rows.get(backup.job.id)
        if row is None:
            if backup.job.id not in self._sight.absent:
                self._set(self._later(backup))  # There was no time to ask, or Commvault could not be asked.
            elif not backup.missing_since:
                self._set(replace(self._later(backup), missing_since=self._now))
            elif self._now < backup.missing_since + self._policy.missing_seconds:
                self._set(self._later(backup))
            else:
                self._end(backup, "lost", JOB_MISSING)
            return
        if not _may_be_of(row, backup) or self._ended_before(row, attempt):
            self._end(backup, "lost", JOB_ID_REUSED)
            return
        backup = replace(backup, job=self._facts(row, backup.job), missing_since=0)
        match row.end:
            case None if self._now >= backup.running_since + self._policy.follow_seconds:
                self._end(backup, "lost", _still_running(row, self._policy))
            case None:
                self._set(self._later(backup))
            case "completed" | "completed_with_errors" as end:
                self._set(backup)
                self._complete(backup, attempt, end)
            case "failed" if backup.failures < self.submission.pin.retries:
                self._set(backup)
                self._retried.append(key)
            case end:
                self._end(backup, end, _ended(row, end))

    def reconcile(self, number: int, keys: Iterable[str]) -> None:
        """Adopt jobs for the backups of an attempt that are in doubt, or believe that there are none."""
        attempt = self._attempt(number)
        if self._sight.listed is None and self._sight.problem is None:
            return
        doubted = [
            backup for key in keys if (backup := self._backup(key)).attempt == attempt.number and backup.is_in_doubt
        ]
        if not doubted or self.submission.unassigned(attempt) or attempt.is_none_believed:
            return
        listed, policy, now = self._sight.listed, self._policy, self._now
        for backup in doubted if listed is not None else ():
            if rows := self._adoptable(backup, attempt, listed or ()):
                adopted = replace(with_job(backup, JobFacts(rows[0].id), now), is_reconciled=True)
                self._set(adopted)
                # The last IDs are kept: the adopted one is among them, however many rows match.
                self._know(backup.key, *(row.id for row in reversed(rows)))
                self._adopted.append(backup.key)
                self.follow(backup.key)
        rest = [backup for backup in doubted if self._backup(backup.key).is_in_doubt]
        believed_at = attempt.ended + policy.reconcile_seconds
        if rest and self._sight.listed_since >= believed_at:
            self._believe_none(attempt, rest)
            return
        for backup in rest:
            pause = next_pause(policy.first_retry_seconds, backup.pauses, self.submission, now)
            due = now + pause if now >= believed_at else min(now + pause, max(believed_at, now + 1))
            if self._sight.scan is not None:
                due = min(due, now + policy.first_retry_seconds)
            self._set(replace(backup, due=due, pauses=backup.pauses + 1, error=self._sight.problem or backup.error))

    def _believe_none(self, attempt: Attempt, backups: list[Backup]) -> None:
        """A whole list, read after the window of adoption, shows no job of these: no request for them was accepted."""
        if attempt.doubt == "refused":
            self.submission = with_attempt(self.submission, replace(attempt, is_none_believed=True))
            for backup in backups:
                self._set(replace(backup, due=self._now))
            return
        running = [row for row in self._sight.listed or () if not row.has_ended]
        for backup in backups:
            waiting = replace(released(moved(backup, "waiting"), self._now), is_in_doubt=False)
            if attempt.doubt == "unknown":
                self._set(replace(waiting, due=self._now, pauses=0))
            elif any(row.is_of(backup.association) for row in running):
                pause = next_pause(self._policy.first_retry_seconds, 0, self.submission, self._now)
                held = on_hold(waiting, attempt.error or SUBCLIENT_BUSY, self._now + pause, self._now)
                self._set(replace(held, refusals=ALONE))
            else:
                self._set(replace(waiting, due=self._now, pauses=0, refusals=backup.refusals + 1))

    def _adoptable(self, backup: Backup, attempt: Attempt, listed: Iterable[Job]) -> list[Job]:
        """Return the jobs that the attempt can have started for a backup: of the exact level first, then the earliest."""
        item = self._subclients.get(backup.key, Subclient(backup.key))
        # Opened again after another submission's claim: a job whose start is unknown is more likely the claimer's.
        is_claimer = item.claimer in {"", self.submission.key}
        earliest = attempt.began - CLOCK_SKEW_SECONDS
        latest = attempt.ended + self._policy.reconcile_seconds
        rows = [
            row
            for row in listed
            if row.is_of(backup.association)
            and (earliest <= row.started <= latest if row.started else is_claimer)
            and covers(row.level, attempt.level)
            and row.id not in item.known_ids
        ]
        return sorted(rows, key=lambda row: (row.level != attempt.level, row.started, int(row.id)))

    def _miss(self, attempt: Attempt, without: list[Backup]) -> None:
        since = attempt.missing_since or self._now
        self.submission = with_attempt(self.submission, replace(attempt, missing_since=since))
        for backup in without:
            if self._now < since + self._policy.missing_seconds:
                self._set(self._later(backup))
            else:
                self._end(backup, "lost", JOB_MISSING)

    def _without_row(self, attempt: Attempt, without: list[Backup]) -> None:
        """Rows have shown whose each ID is: a backup without one is in doubt, or lost where no ID was of this attempt."""
        if attempt.matched:
            self.submission = with_attempt(self.submission, replace(attempt, doubt=attempt.doubt or "unknown"))
        for backup in without:
            if attempt.matched:
                requested = backup if backup.state == "requested" else moved(backup, "requested")
                held_since = backup.held_since or attempt.began
                self._set(
                    replace(
                        requested, is_in_doubt=True, due=self._now, pauses=0, held_since=held_since, running_since=0
                    )
                )
            else:
                self._end(backup, "lost", JOB_ID_REUSED)

    def _complete(self, backup: Backup, attempt: Attempt, end: End) -> None:
        error = None if end == "completed" else _ended_with_errors(backup.job)
        self._end(backup, end, error)
        job = self._backup(backup.key).job or JobFacts("")
        level = job.level or attempt.level
        item = self._subclients.get(backup.key, Subclient(backup.key))
        completed = CompletedJob(job.id, earliest_start(attempt, job), level, self.submission.key)
        self._subclients[backup.key] = item.with_completed(completed)

    def _retry(self, backup: Backup) -> Backup:
        """Let a backup whose job has failed wait to be started again."""
        attempt, job = self.submission.attempt_of(backup), backup.job or JobFacts("")
        waiting = replace(
            moved(backup, "waiting"),
            job=None,
            level=job.level if job.level and covers(job.level, attempt.level) else attempt.level,
            moment=max(job.started, attempt.began),
            failures=backup.failures + 1,
            since=self._now,
            excused_before=min(backup.excused, MAX_EXCUSED_SECONDS),
            due=self._now + RETRY_PAUSES * self._policy.first_retry_seconds,
            pauses=0,
            refusals=0,
            running_since=0,
            is_reconciled=False,
        )
        return replace(waiting, error=_failed_job(job))

    @staticmethod
    def _facts(row: Job, before: JobFacts) -> JobFacts:
        return JobFacts(
            row.id,
            started=row.started or before.started,
            ended=row.ended if row.has_ended else 0,
            level=row.level,
            reason=row.reason if row.has_ended else "",
        )

    @staticmethod
    def _ended_before(row: Job, attempt: Attempt) -> bool:
        """Tell whether a job had ended before the attempt began: then its ID was counted again."""
        return row.has_ended and 0 < row.ended < attempt.began - CLOCK_SKEW_SECONDS

    def _later(self, backup: Backup) -> Backup:
        pause = next_pause(self._policy.first_poll_seconds, backup.pauses + 1, self.submission, self._now)
        return replace(backup, due=self._now + pause, pauses=backup.pauses + 1)

    def _end(self, backup: Backup, state: End, error: Problem | None) -> None:
        self._set(replace(moved(backup, state), error=error, is_in_doubt=False))
        self._ended.append(backup.key)

    def _know(self, key: str, *job_ids: str) -> None:
        self._subclients[key] = self._subclients.get(key, Subclient(key)).knowing(*job_ids)

    def _attempt(self, number: int) -> Attempt:
        return next(attempt for attempt in self.submission.attempts if attempt.number == number)

    def _backup(self, key: str) -> Backup:
        return next(backup for backup in self.submission.backups if backup.key == key)

    def _set(self, changed: Backup) -> None:
        self.submission = map_backups(self.submission, lambda backup: changed if backup.key == changed.key else backup)


def take_inventory(submission: Submission, unknown: frozenset[str] | Problem, policy: Policy, now: float) -> Submission:
    """Apply which associations of a refused group Commvault does not know (keys), or why that could not be read."""
    asked = [backup for backup in submission.backups if backup.due <= now and awaits_inventory(submission, backup)]
    if isinstance(unknown, Problem):
        problem = unknown
        return map_chosen(
            submission,
            asked,
            lambda backup: replace(
                backup,
                due=now + next_pause(policy.first_retry_seconds, backup.pauses, submission, now),
                pauses=backup.pauses + 1,
                error=problem,
            ),
        )
    submission = map_chosen(
        submission,
        asked,
        lambda backup: replace(
            released(moved(backup, "waiting"), now),
            is_in_doubt=False,
            due=now,
            pauses=0,
            refusals=backup.refusals + 1,
        ),
    )
    for backup in asked:
        if backup.key in unknown:
            reason = submission.attempt_of(backup).error or NAME_UNKNOWN
            message = f"Commvault does not know {names_of([backup])}. It answered: {reason.message}"
            problem = Problem(reason.code, message, NAME_UNKNOWN.hint)
            submission = end_each(submission, [backup], problem, now, "rejected")
    return submission


def _lacks_job(backup: Backup) -> bool:
    return backup.state in {"requested", "running"} and backup.job is None and not backup.is_in_doubt


def _may_be_of(row: Job, backup: Backup) -> bool:
    """Tell whether the names that a row shows are a backup's."""
    names = backup.association.names
    return all(not shown or shown == name for shown, name in zip(row.names, names, strict=True))


def _retry_notice(
    submission: Submission, before: Submission, keys: list[str], policy: Policy, now: float
) -> Submission:
    """Add one notice for the jobs that were seen failed together."""
    backups = [backup for backup in before.backups if backup.key in keys]
    if not backups:
        return submission
    attempt = before.attempt_of(backups[0])
    jobs = [backup.job for backup in backups if backup.job]
    notice = Notice(
        "retrying",
        now,
        keys_of(backups),
        attempt.number,
        attempt.level,
        job_ids=tuple(job.id for job in jobs),
        task_id=attempt.task_id,
        submitted_at=attempt.began,
        error=_failed_job(jobs[0]),
        retry_at=now + RETRY_PAUSES * policy.first_retry_seconds,
    )
    return with_notice(submission, notice)


def _still_running(row: Job, policy: Policy) -> Problem:
    return Problem(
        "JOB_STILL_RUNNING",
        f"Job {row.id} has not ended within {policy.follow_seconds / HOUR:g} h. Its status is {row.status!r}.",
        "Find out in Commvault what delays it; it is not followed any more. FollowHours sets how long it is.",
    )


def _failed_job(job: JobFacts) -> Problem:
    reason = job.reason or f"Job {job.id} failed, and Commvault gave no reason."
    return Problem("JOB_FAILED", reason, "Look at the job in Commvault. Its failure's reason decides what to do.")


def _ended(row: Job, end: End) -> Problem:
    if end == "killed":
        reason = row.reason or f"Job {row.id} was killed, and Commvault gave no reason."
        return Problem("JOB_KILLED", reason, "Ask who killed it. Start the target by hand if a backup is needed.")
    return _failed_job(JobFacts(row.id, reason=row.reason))


def _ended_with_errors(job: JobFacts | None) -> Problem:
    reason = (job and job.reason) or "The job completed with errors or warnings, and Commvault gave no reason."
    hint = (
        "Some databases of the group may lack a restore point. `rds-snap-backup report STACK` names them; the job in "
        "Commvault says why."
    )
    return Problem("JOB_COMPLETED_WITH_ERRORS", reason, hint)
