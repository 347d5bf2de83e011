"""What Commvault's jobs and inventory show of a submission, and how the record changes by it. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import groupby

from rds_snap_backup.core.backups import CLOCK_SKEW_SECONDS, Attempt, Backup, names_of
from rds_snap_backup.core.elapsing import end_each, lose
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.levels import covers
from rds_snap_backup.core.phases import Absence, Doubted, End, Ended, JobRef, Named, Running, Unlisted, Waiting
from rds_snap_backup.core.policy import HOUR, Policy
from rds_snap_backup.core.reading import JobsRead, JobsWanted, Listing
from rds_snap_backup.core.record import Change, Submission
from rds_snap_backup.core.starting import ALONE, SUBCLIENT_BUSY
from rds_snap_backup.core.subclients import CompletedJob, Subclient, Subclients
from rds_snap_backup.problems import Problem

RETRY_PAUSES = 30
# A job is missing after this many complete reads without it, and read again so often while it is not shown.
MISSING_READS = 3
READS_WHILE_MISSING = 4

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


def apply_jobs(
    submission: Submission, wanted: JobsWanted, read: JobsRead, subclients: Subclients, policy: Policy
) -> Change:
    """Apply what Commvault showed of the backups that it was read for."""
    if wanted.clients:
        submission = replace(submission, scan=read.listing.scan if read.listing else submission.scan)
    application = _Application(submission, read, subclients, policy)
    numbers = sorted({backup.attempt for backup in submission.backups if backup.key in wanted.keys})
    for number in numbers:
        application.assign(number)
    for number in numbers:
        application.reconcile(number, wanted.keys)
    for backup in submission.backups:
        if backup.key in wanted.keys:
            application.follow(backup.key)
    return application.change(subclients)


class _Application:
    """One application of `JobsRead`: the submission as it changes, and what is to be published of it."""

    def __init__(self, submission: Submission, read: JobsRead, subclients: Subclients, policy: Policy) -> None:
        self.submission = submission
        self._read = read
        self._rows = read.all_rows
        self._subclients = dict(subclients)
        self._policy = policy
        self._now = read.at
        self._adopted: list[Backup] = []
        self._retried: list[tuple[Attempt, Problem, Backup, str]] = []
        self._lost: list[tuple[Backup, Problem]] = []
        self._ended: list[tuple[Attempt, Backup, Job]] = []

    # ---- The jobs that an answer named

    def assign(self, number: int) -> None:
        """Find out whose the IDs of an attempt's answer are."""
        attempt = self._attempt(number)
        without = [b for b in self.submission.backups if isinstance(b.phase, Named) and b.phase.attempt == number]
        if not without:
            return
        untold: list[str] = []
        for job_id in attempt.untold:
            row = self._rows.get(job_id)
            owners = [backup for backup in without if row and row.may_be_of(backup.association)]
            if row is None or (not all(row.names) and len(owners) + len(attempt.untold) > 2):
                untold.append(job_id)  # It tells nothing yet, or may be of several.
            elif owners and not _ended_before(row, attempt):
                without.remove(owners[0])
                attempt = replace(attempt, has_matched=True)
                job = JobRef(job_id, attempt.level, attempt.began)
                running = owners[0].moved_to(Running(number, job, attempt.ended, self._now), self._now)
                self._set(replace(running, pauses=0))
                self._know(running.key, job_id)
            else:
                self._know_surplus(row, attempt)
        if len(untold) < len(attempt.untold):
            attempt = replace(attempt, untold=tuple(untold), absence=None)
        if any(job_id in self._read.absent or job_id in self._rows for job_id in untold):
            absence = self._longer(attempt.absence)
            attempt = replace(attempt, absence=absence)
            if self._is_missing(absence):
                self._lost += [(backup, JOB_MISSING) for backup in without]
            else:
                for backup in without:
                    self._set(self._polled(backup, is_missing=True))
        elif untold:
            for backup in without:
                self._set(self._polled(backup))
        elif attempt.has_matched:
            # Rows show whose each ID is: a backup without one may have a job nevertheless.
            for backup in without:
                self._set(backup.moved_to(Doubted(number, "unanswered", self._now), self._now))
        else:
            self._lost += [(backup, JOB_ID_REUSED) for backup in without]
        self.submission = self.submission.with_attempt(attempt)

    def _know_surplus(self, row: Job, attempt: Attempt) -> None:
        """Let the group of a job that the answer named beyond its backups know it, so that nobody takes it for theirs."""
        for backup in self.submission.backups:
            is_its = backup.attempt == attempt.number and row.is_of(backup.association)
            if is_its and backup.key in self._subclients and not _ended_before(row, attempt):
                self._know(backup.key, row.id)

    # ---- Jobs that are known

    def follow(self, key: str) -> None:
        """Follow a job that is a backup's."""
        backup = self._backup(key)
        phase = backup.phase
        if not isinstance(phase, Running):
            return
        row, attempt = self._rows.get(phase.job.id), self._attempt(phase.attempt)
        if row is None:
            self._miss(backup, phase)
            return
        if not row.may_be_of(backup.association) or _ended_before(row, attempt):
            self._lost.append((backup, JOB_ID_REUSED))
            return
        phase = replace(phase, job=_shown(phase.job, row, attempt, self._now), absence=None)
        backup = backup.moved_to(phase, self._now)
        if row.user and phase.job.id in attempt.job_ids and key in self._subclients:
            self._subclients[key] = replace(self._item(key), user=row.user)
        match row.end:
            case None if self._now >= phase.since + self._policy.follow_seconds:
                self._lost.append((backup, self._still_running(row)))
            case None:
                self._set(self._polled(backup))
            case "failed" if backup.failures < attempt.retries:
                self._set(self._retry(backup, phase, row, attempt))
            case end:
                self._end(backup, phase, row, end)

    def _miss(self, backup: Backup, phase: Running) -> None:
        if phase.job.id not in self._read.absent:
            self._set(self._polled(backup))  # There was no time to ask, or Commvault could not be asked.
            return
        absence = self._longer(phase.absence)
        missing = backup.moved_to(replace(phase, absence=absence), self._now)
        if self._is_missing(absence):
            self._lost.append((missing, JOB_MISSING))
        else:
            self._set(self._polled(missing, is_missing=True))

    def _longer(self, absence: Absence | None) -> Absence:
        return replace(absence, reads=absence.reads + 1) if absence else Absence(self._now)

    def _is_missing(self, absence: Absence) -> bool:
        return absence.reads >= MISSING_READS and self._now >= absence.since + self._policy.missing_seconds

    def _polled(self, backup: Backup, *, is_missing: bool = False) -> Backup:
        pause = self.submission.pause(self._policy.first_poll_seconds, backup.pauses + 1, self._now)
        if is_missing:
            pause = min(pause, self._policy.missing_seconds / READS_WHILE_MISSING)
        if not isinstance(backup.phase, (Named, Running)):
            raise TypeError("only a backup with a job is polled")
        return backup.moved_to(replace(backup.phase, due=self._now + pause), self._now).paused()

    def _end(self, backup: Backup, phase: Running, row: Job, end: End) -> None:
        error = self._problem_of(row, end)
        self._set(backup.moved_to(Ended(end, phase.job, error=error), self._now))
        self._ended.append((self._attempt(phase.attempt), self._backup(backup.key), row))
        if end in {"completed", "completed_with_errors"}:
            job = phase.job
            completed = CompletedJob(job.id, job.began, job.level, self.submission.key)
            self._subclients[backup.key] = self._item(backup.key).with_completed(completed)

    def _retry(self, backup: Backup, phase: Running, row: Job, attempt: Attempt) -> Backup:
        """Let a backup whose job has failed wait to be started again."""
        problem = self._problem_of(row, "failed")
        due = self._now + RETRY_PAUSES * self._policy.first_retry_seconds
        waiting = backup.moved_to(Waiting(due, error=problem), self._now)
        self._retried.append((attempt, problem or NAME_UNKNOWN, waiting, phase.job.id))
        return replace(
            waiting,
            moment=max(min(row.started, self._now), attempt.began),
            tried=waiting.tried.again(due, self._policy),
            level=phase.job.level if covers(phase.job.level, attempt.level) else attempt.level,
            failures=backup.failures + 1,
            refusals=0,
            pauses=0,
        )

    # ---- What is in doubt

    def reconcile(self, number: int, keys: Collection[str]) -> None:
        """Adopt jobs for the backups of an attempt that are in doubt, or believe that there are none."""
        attempt, listing = self._attempt(number), self._read.listing
        if listing is None and self._read.problem is None:
            return
        for backup in self.submission.backups:
            phase = backup.phase
            if backup.key not in keys or not isinstance(phase, Doubted) or phase.attempt != number:
                continue
            rows = self._adoptable(backup, attempt, listing.rows) if listing else []
            if rows:
                job = JobRef(rows[0].id, rows[0].level or attempt.level, attempt.earliest_start(rows[0].started))
                self._set(replace(backup.moved_to(Running(number, job, self._now, self._now), self._now), pauses=0))
                # The last IDs are kept: the adopted one is among them, however many rows match.
                self._know(backup.key, *(row.id for row in reversed(rows)))
                self._adopted.append(self._backup(backup.key))
            elif (
                listing
                and listing.proves_absence(backup, attempt, self._policy)
                and not self._is_nameless(backup, attempt, listing)
            ):
                self._set(self._without_job(backup, phase, listing))
            else:
                self._set(self._looked_for(backup, phase, attempt))

    def _adoptable(self, backup: Backup, attempt: Attempt, listed: Iterable[Job]) -> list[Job]:
        """Return the jobs that the attempt can have started for a backup: of the exact level first, then the earliest."""
        item = self._item(backup.key)
        rows = [
            row
            for row in listed
            if row.is_of(backup.association)
            and self._is_in_window(row, backup, attempt)
            and not (row.user and item.user and row.user != item.user)
        ]
        return sorted(rows, key=lambda row: (row.level != attempt.level, row.started, int(row.id)))

    def _is_in_window(self, row: Job, backup: Backup, attempt: Attempt) -> bool:
        item = self._item(backup.key)
        # Opened again after another submission's claim: a job whose start is unknown is more likely the claimer's.
        is_claimer = item.claimer in {"", self.submission.key}
        earliest = attempt.began - CLOCK_SKEW_SECONDS
        latest = attempt.ended + self._policy.reconcile_seconds
        is_in_time = earliest <= row.started <= latest if row.started else is_claimer
        return is_in_time and covers(row.level, attempt.level) and row.id not in item.known_ids

    def _is_nameless(self, backup: Backup, attempt: Attempt, listing: Listing) -> bool:
        """Tell whether a row without names may be a backup's job."""
        return listing.has_nameless or any(
            row.is_backup
            and not all(row.names)
            and row.may_be_of(backup.association)
            and self._is_in_window(row, backup, attempt)
            for row in listing.rows
        )

    def _without_job(self, backup: Backup, phase: Doubted, listing: Listing) -> Backup:
        """A whole list, read after the window of adoption, shows no job: no request for it was accepted."""
        match phase.doubt:
            case "refused":
                return backup.moved_to(Unlisted(phase.attempt, self._now, phase.error), self._now)
            case "unanswered":
                return backup.moved_to(Waiting(self._now), self._now)
            case "running" if any(row.is_of(backup.association) and not row.has_ended for row in listing.rows):
                pause = self.submission.pause(self._policy.first_retry_seconds, backup.pauses, self._now)
                waiting = Waiting(self._now + pause, "busy", phase.error or SUBCLIENT_BUSY)
                return replace(backup.moved_to(waiting, self._now), refusals=ALONE).paused()
            case "running":
                return replace(backup.moved_to(Waiting(self._now), self._now), refusals=backup.refusals + 1)

    def _looked_for(self, backup: Backup, phase: Doubted, attempt: Attempt) -> Backup:
        """Look again: when "none" can be believed at the latest."""
        first, believed = self._policy.first_retry_seconds, attempt.ended + self._policy.reconcile_seconds
        due = self._now + self.submission.pause(first, backup.pauses, self._now)
        if (self._read.listing.begun if self._read.listing else self._now) < believed:
            due = min(due, max(believed, self._now + 1))
        if self.submission.scan is not None:
            due = min(due, self._now + first)
        changed = replace(phase, due=due, error=self._read.problem or phase.error)
        return backup.moved_to(changed, self._now).paused()

    # ---- The result

    def change(self, before: Subclients) -> Change:
        """Return the result, with the notices in the order of what happened."""
        submission, now = self.submission, self._now
        for number, adopted in groupby(sorted(self._adopted, key=lambda b: b.attempt), key=lambda b: b.attempt):
            backups = list(adopted)
            attempt = self._attempt(number)
            job_ids = tuple(backup.job.id for backup in backups if backup.job)
            submission = submission.with_attempt_notice(
                "submitted", attempt, backups, now, job_ids=job_ids, is_reconciled=True
            )
        for attempt, backup, row in self._ended:
            submission = submission.with_attempt_notice(
                submission.state_of(backup),
                attempt,
                [backup],
                now,
                job_ids=(row.id,),
                error=backup.error,
                started=row.started,
                ended=row.ended,
                reason=submission.short(row.reason),
            )
        lost: dict[Problem, list[Backup]] = {}
        for backup, problem in self._lost:
            lost.setdefault(problem, []).append(backup)
        for problem, backups in lost.items():
            submission = lose(submission, backups, problem, now)
        submission = self._retry_notices(submission)
        changed = tuple(item for key, item in sorted(self._subclients.items()) if item != before.get(key))
        return Change(submission.without_old_attempts(), changed)

    def _retry_notices(self, submission: Submission) -> Submission:
        """Add one notice for the jobs of an attempt that were seen failed together for one reason."""
        together: dict[tuple[int, Problem], list[tuple[Attempt, Backup, str]]] = {}
        for attempt, problem, backup, job_id in self._retried:
            together.setdefault((attempt.number, problem), []).append((attempt, backup, job_id))
        for (_, problem), retried in together.items():
            retried.sort(key=lambda entry: submission.position_of(entry[1]))
            submission = submission.with_attempt_notice(
                "retrying",
                retried[0][0],
                [backup for _, backup, _ in retried],
                self._now,
                job_ids=tuple(job_id for _, _, job_id in retried),
                error=problem,
                retry_at=self._now + RETRY_PAUSES * self._policy.first_retry_seconds,
            )
        return submission

    def _problem_of(self, row: Job, end: End) -> Problem | None:
        reason = self.submission.short(row.reason)
        match end:
            case "completed":
                return None
            case "completed_with_errors":
                return Problem(
                    "JOB_COMPLETED_WITH_ERRORS",
                    reason or "The job completed with errors or warnings, and Commvault gave no reason.",
                    "Some databases of the group may lack a restore point. `rds-snap-backup report STACK` names them; the job in "
                    "Commvault says why.",
                )
            case "killed":
                return Problem(
                    "JOB_KILLED",
                    reason or f"Job {row.id} was killed, and Commvault gave no reason.",
                    "Ask who killed it. Start the target by hand if a backup is needed.",
                )
            case _:
                return Problem(
                    "JOB_FAILED",
                    reason or f"Job {row.id} failed, and Commvault gave no reason.",
                    "Look at the job in Commvault. Its failure's reason decides what to do.",
                )

    def _still_running(self, row: Job) -> Problem:
        return Problem(
            "JOB_STILL_RUNNING",
            f"Job {row.id} has not ended within {self._policy.follow_seconds / HOUR:g} h. Its status is {row.status!r}.",
            "Find out in Commvault what delays it; it is not followed any more. FollowHours sets how long it is.",
        )

    def _attempt(self, number: int) -> Attempt:
        return next(attempt for attempt in self.submission.attempts if attempt.number == number)

    def _backup(self, key: str) -> Backup:
        return next(backup for backup in self.submission.backups if backup.key == key)

    def _set(self, changed: Backup) -> None:
        self.submission = self.submission.with_backup(changed)

    def _item(self, key: str) -> Subclient:
        return self._subclients.get(key, Subclient(key))

    def _know(self, key: str, *job_ids: str) -> None:
        self._subclients[key] = self._item(key).knowing(*job_ids)


def apply_inventory(
    submission: Submission, unknown: frozenset[str] | Problem, policy: Policy, now: float
) -> Submission:
    """Apply which associations of a refused group Commvault does not know (keys), or why that could not be read."""
    for backup in submission.backups:
        phase = backup.phase
        if not isinstance(phase, Unlisted) or phase.due > now:
            continue
        if isinstance(unknown, Problem):
            due = now + submission.pause(policy.first_retry_seconds, backup.pauses, now)
            submission = submission.with_backup(backup.moved_to(replace(phase, due=due), now).paused())
        elif backup.key in unknown:
            reason = phase.error or NAME_UNKNOWN
            message = submission.short(f"Commvault does not know {names_of([backup])}. It answered: {reason.message}")
            problem = Problem(reason.code, message, NAME_UNKNOWN.hint)
            submission = end_each(submission, [backup], problem, now, "rejected")
        else:
            waiting = backup.moved_to(Waiting(now), now)
            submission = submission.with_backup(replace(waiting, refusals=backup.refusals + 1))
    return submission


def _shown(job: JobRef, row: Job, attempt: Attempt, now: float) -> JobRef:
    """Return a job's facts as its row shows them. It began before it was first seen, also by a clock that is ahead."""
    seen = job.seen or now
    began = attempt.earliest_start(min(row.started, seen)) if row.started else job.began
    return JobRef(job.id, row.level or job.level, began, seen)


def _ended_before(row: Job, attempt: Attempt) -> bool:
    """Tell whether a job had ended before the attempt began: then its ID was counted again."""
    return row.has_ended and 0 < row.ended < attempt.began - CLOCK_SKEW_SECONDS
