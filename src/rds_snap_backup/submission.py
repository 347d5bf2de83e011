"""The rules of a submission's life: the next step, and each thing that can happen. Pure: no AWS, HTTP, clock, randomness.

Theory of operation. A submission is one trigger for one target. Its record is in `record.py`: each of its backups is one
association and is in one `State`; `TRANSITIONS` lists every change of state that exists. A run loads the record and
repeats: `elapse` applies the deadlines that are over, `decide` names the next step, the shell does it, one function here
(in `sightings.py` for what Commvault shows) applies what happened, and the shell saves the record. So wherever a run is
killed, the record says what the next run does:

- an attempt is recorded (`start`) before its request leaves, an outcome (`answered`) before it is published;
- an attempt without a recorded outcome is *out*. Its start and LEASE_SECONDS are the lease of the run that sent it.
  When the lease is over, its backups are *in doubt*, because the request may have been accepted;
- a backup in doubt is sent again only when a list of jobs, read after the window of adoption, shows no job of it;
- a notice stays in the outbox until it is published.

Per subclient at most one request is out or in doubt in a stack. The `Subclient` item names the last claimer, and
`start` claims the items of all backups that it sends. Times are Unix seconds on our clock unless a name says otherwise.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import Literal

from rds_snap_backup.commvault.levels import covers
from rds_snap_backup.commvault.outcomes import (
    AlreadyRunning,
    Failed,
    Outcome,
    Rejected,
    Scheduled,
    Submitted,
    Throttled,
    Unauthorized,
    Unavailable,
    Unknown,
)
from rds_snap_backup.problems import Problem
from rds_snap_backup.record import (
    CLOCK_SKEW_SECONDS,
    COMPLETED,
    DAY,
    HOUR,
    LEASE_SECONDS,
    LOST_MESSAGE_SECONDS,
    MINUTE,
    OPEN,
    REOPENABLE,
    SUCCEEDED,
    Attempt,
    Backup,
    Change,
    Doubt,
    End,
    JobFacts,
    Notice,
    Pin,
    Policy,
    State,
    Subclient,
    Subclients,
    Submission,
    earliest_start,
    end_each,
    is_out,
    keys_of,
    map_backups,
    map_chosen,
    may_have_job,
    moved,
    names_of,
    next_pause,
    notice_of,
    on_hold,
    pruned,
    released,
    time_tried,
    with_attempt,
    with_job,
    with_job_notices,
    with_letter,
    with_notice,
)
from rds_snap_backup.targets import Association, Target
from rds_snap_backup.triggers import Trigger

MAX_CUT_OFFS = 5
# Of the queue's 14 days: a redriven message keeps its time stamp.
MAX_OPEN_SECONDS = 9 * DAY
UNASKED_SETTLE_SECONDS = 600
# A refused group is sent together once more; refused so again, each of its backups is sent alone.
ALONE = 2
AVAILABLE = frozenset({"available", "storage-optimization"})
LOOK_AT_JOBS = "Look for a job of this subclient in Commvault's job controller before you start one by hand."
RESOLVE = "Resolve that, then redrive the dead letter."

RUNS_CUT_OFF = Problem(
    "RUNS_CUT_OFF",
    "Five runs in a row were cut off while a request was out, so a job may have started.",
    f"Look for timeouts or lack of memory in the Backup function's log. {LOOK_AT_JOBS} Then redrive the dead letter.",
)
SCHEDULE_UNKNOWN = Problem(
    "OUTCOME_UNKNOWN",
    "The request to schedule a backup may have been accepted, and no job shows it.",
    "Look in Commvault whether the schedule exists. If it does not, start the target by hand.",
)
OPEN_TOO_LONG = Problem("OPEN_TOO_LONG", "The submission was open for nine days.", f"{LOOK_AT_JOBS} Then redrive.")
NOT_FOLLOWED = Problem(
    "JOB_NOT_FOLLOWED", "The job could not be followed to its end within nine days.", "Look for the job in Commvault."
)
SUBCLIENT_BUSY = Problem(
    "SUBCLIENT_BUSY", "Another submission is backing up this subclient.", "No action is needed: it waits for that one."
)
RATE_LIMITED = Problem(
    "RATE_LIMITED", "Commvault's rate limit is reached.", "No action is needed: it is sent when the limit ends."
)


# ---- The next step


@dataclass(frozen=True)
class Publish:
    """Publish the first notice of the outbox, then apply `published`."""

    notice: Notice


@dataclass(frozen=True)
class Settle:
    """Ask RDS for the status of the trigger's database, then apply `settle`."""


@dataclass(frozen=True)
class Look:
    """Read these jobs and, where clients are given, the jobs since `since`; then apply `see`.

    `keys` are the associations of the backups that it is for.
    """

    job_ids: tuple[str, ...]
    clients: tuple[str, ...]
    since: float
    keys: tuple[str, ...]


@dataclass(frozen=True)
class ReadInventory:
    """Ask which of these associations Commvault knows, then apply `take_inventory`."""

    associations: tuple[Association, ...]


@dataclass(frozen=True)
class Start:
    """Read the document, the subclient items of `keys` and their claimers, then apply `start`."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Wait:
    """Do nothing until then."""

    until: float


@dataclass(frozen=True)
class Over:
    """The submission is over: delete its message."""


type Step = Publish | Settle | Look | ReadInventory | Start | Wait | Over


def decide(submission: Submission, now: float) -> Step:
    """Return what a run does next. `elapse` has been applied before."""
    if submission.outbox:
        return Publish(submission.outbox[0])
    if submission.is_over:
        return Over()
    if submission.wake_at > now:
        return Wait(submission.wake_at)
    due = [backup for backup in submission.backups if backup.is_open and backup.due <= now]
    if any(_is_looked_for(submission, backup) for backup in due):
        return _look(submission, now)
    if refused := tuple(backup.association for backup in due if awaits_inventory(submission, backup)):
        return ReadInventory(refused)
    waiting = tuple(backup.key for backup in due if backup.state == "waiting")
    if waiting and not submission.lease_end:
        if submission.trigger.kind == "rds" and not submission.attempt_count and not submission.is_settled:
            return Settle()
        return Start(waiting)
    return Wait(max(submission.wake_at, submission.lease_end))


# ---- Beginning, deadlines, redrive


def begin(trigger: Trigger, target: Target, associations: Iterable[Association], pin: Pin, now: float) -> Submission:
    """Return a new submission; its backups are fixed from now on."""
    return Submission(
        trigger,
        target.name,
        now,
        now,
        pin,
        tuple(_new_backup(trigger, association, now) for association in associations),
    )


def reject_trigger(trigger: Trigger, target: str, problem: Problem, now: float) -> Submission:
    """Return the submission of a trigger whose target is unknown or not valid: it is rejected and has no backups."""
    submission = Submission(trigger, target, now, now, error=problem)
    return with_letter(submission, "rejected", (), problem, now)


def pin_of(target: Target, cool_down_minutes: int, retries: int) -> Pin:
    """Return what a document pins; the numbers are the stack's defaults."""
    minutes = cool_down_minutes if target.cool_down_minutes is None else target.cool_down_minutes
    return Pin(
        target.request.backup_level,
        target.request.task_type,
        target.request.notify_user_on_job_completion,
        minutes * MINUTE,
        retries if target.retry_failed_jobs is None else target.retry_failed_jobs,
    )


def reopen(submission: Submission, letter: int, fresh: Submission, now: float) -> Submission:
    """Open all rejected and abandoned backups again, for a redriven letter of a higher number than the last that did.

    `fresh` is what `begin` makes of the current document: a submission that has no backups takes them from there.
    """
    if letter <= submission.opened_letter:
        return submission
    opened = replace(submission, opened=now, opened_letter=submission.letters, cut_offs=0, error=None)
    if not submission.backups:
        return replace(opened, backups=fresh.backups, pin=fresh.pin)
    return map_backups(
        opened,
        lambda backup: (
            replace(
                moved(backup, "requested" if backup.is_in_doubt else "waiting"),
                due=now,
                since=now,
                excused=0,
                excused_before=0,
                held_since=now if backup.is_in_doubt else 0,
                pauses=0,
                failures=0,
                refusals=0,
                error=None,
            )
            if backup.state in REOPENABLE
            else backup
        ),
    )


def elapse(submission: Submission, now: float) -> Submission:
    """Apply the deadlines that are over: the lease of an attempt that is out, and the nine days of a submission."""
    for attempt in submission.attempts:
        if submission.has_out(attempt) and now >= attempt.began + LEASE_SECONDS:
            submission = _cut_off(submission, attempt, now)
    is_open = any(backup.is_open for backup in submission.backups)
    if is_open and now >= submission.opened + MAX_OPEN_SECONDS and not submission.lease_end:
        submission = _expire(submission, now)
    return submission


def _cut_off(submission: Submission, attempt: Attempt, now: float) -> Submission:
    ended = replace(attempt, ended=attempt.began + LEASE_SECONDS, doubt="unknown")
    submission = replace(with_attempt(submission, ended), cut_offs=submission.cut_offs + 1)
    submission = map_backups(
        submission,
        lambda backup: (
            replace(backup, is_in_doubt=True, due=now, pauses=0, held_since=attempt.began)
            if is_out(backup, attempt)
            else backup
        ),
    )
    if submission.pin.task_type == "SCHEDULE":
        return _end_all(submission, lambda backup: backup.attempt == attempt.number, SCHEDULE_UNKNOWN, now)
    if submission.cut_offs >= MAX_CUT_OFFS:
        return _end_all(submission, lambda backup: not may_have_job(submission, backup), RUNS_CUT_OFF, now)
    return submission


def _expire(submission: Submission, now: float) -> Submission:
    """End what is still open after nine days: what has no job is abandoned, what runs is lost."""
    lost = [backup for backup in submission.backups if backup.is_open and may_have_job(submission, backup)]
    ended = _end_all(submission, lambda backup: not may_have_job(submission, backup), OPEN_TOO_LONG, now)
    ended = map_chosen(
        ended, lost, lambda backup: replace(moved(backup, "lost"), error=NOT_FOLLOWED, is_in_doubt=False)
    )
    return with_job_notices(ended, keys_of(lost), now)


# ---- Settling


type DatabaseStatus = str | Problem | None


def settle(submission: Submission, status: DatabaseStatus, policy: Policy, now: float) -> Submission:
    """Go on, or wait for the event's database. `status` is None where RDS does not know it, a problem where it cannot be asked."""
    match status:
        case None:
            patience = 0.0
        case Problem():
            patience = min(UNASKED_SETTLE_SECONDS, policy.settle_seconds)
        case _:
            patience = 0.0 if status in AVAILABLE else policy.settle_seconds
    until = submission.trigger.moment(submission.created) + patience
    if not patience or now >= until:
        return map_backups(replace(submission, is_settled=True), lambda backup: released(backup, now))
    seen = status.message if isinstance(status, Problem) else f"Its status is {status!r}."
    problem = Problem(
        "DATABASE_NOT_AVAILABLE",
        f"The backup waits until the database {submission.trigger.database!r} is available. {seen}",
        "No action is needed. SettleMinutes sets how long it waits at most.",
    )
    pause = next_pause(policy.first_retry_seconds, max(backup.pauses for backup in submission.backups), submission, now)
    return map_backups(
        submission,
        lambda backup: on_hold(backup, problem, min(now + pause, until), now) if backup.state == "waiting" else backup,
    )


# ---- Starting an attempt


@dataclass(frozen=True)
class Surroundings:
    """What a start depends on: the subclient items, their claimers by key, and until when Commvault refuses requests."""

    subclients: Subclients
    claimers: Mapping[str, Submission]
    throttled_until: float = 0


def repin(submission: Submission, target: Target | None, pin: Pin, now: float) -> Submission:
    """Take the current document for what is waiting; None where it is not usable, so that what is pinned stays.

    A waiting backup whose association has left the document is rejected.
    """
    if target is None:
        return submission
    current = {association.key: association for association in target.request.associations}
    removed = [backup for backup in submission.backups if backup.state == "waiting" and backup.key not in current]
    submission = map_backups(
        replace(submission, pin=pin),
        lambda backup: (
            replace(backup, association=current[backup.key])
            if backup.state == "waiting" and backup.key in current
            else backup
        ),
    )
    if not removed:
        return submission
    problem = Problem(
        "ASSOCIATION_REMOVED",
        f"{names_of(removed)} is no longer in the document of the target {submission.target!r}.",
        "Nothing, if that is intended: delete the dead letter. Else add it to the document and redrive.",
    )
    keys = {backup.key for backup in removed}
    return _end_all(submission, lambda backup: backup.key in keys, problem, now, "rejected")


def start(submission: Submission, surroundings: Surroundings, policy: Policy, now: float) -> Change:
    """Join what is satisfied, hold what must wait, and begin one attempt for others, if there are any.

    It is about the waiting backups whose subclient items are in `surroundings`.
    An attempt that was begun is out: the shell saves the change, then sends `request` once.
    """
    free: list[Backup] = []
    decided: dict[str, Backup] = {}
    for backup in submission.backups:
        subclient = surroundings.subclients.get(backup.key)
        if backup.state != "waiting" or subclient is None:
            continue
        claimer = surroundings.claimers.get(subclient.claimer) if subclient.claimer != submission.key else None
        if satisfying := _satisfying(submission, backup, subclient, claimer):
            job, claimer_key = satisfying
            joined = released(moved(backup, "joined"), now)
            decided[backup.key] = replace(joined, job=job, joined=claimer_key, error=None)
        elif claimer and _is_busy(claimer, backup.key, policy, now):
            pause = next_pause(policy.first_retry_seconds, backup.pauses, submission, now)
            decided[backup.key] = on_hold(backup, SUBCLIENT_BUSY, now + pause, now)
        elif surroundings.throttled_until > now:
            decided[backup.key] = on_hold(backup, RATE_LIMITED, surroundings.throttled_until, now)
        else:
            free.append(backup)
    submission = map_backups(submission, lambda backup: decided.get(backup.key, backup))
    submission = _abandon_expired(_joined_notices(submission, decided, now), decided, policy, now)
    chosen = _one_attempt(submission, free)
    if not chosen:
        return Change(submission)
    attempt = Attempt(submission.attempt_count + 1, _level(submission, chosen[0]), now)
    keys = {backup.key for backup in chosen}

    def send(backup: Backup) -> Backup:
        if backup.key not in keys:
            return backup
        return replace(released(moved(backup, "requested"), now), attempt=attempt.number, error=None)

    submission = replace(submission, attempts=(*submission.attempts, attempt), attempt_count=attempt.number)
    claimed = tuple(replace(surroundings.subclients[key], claimer=submission.key) for key in sorted(keys))
    return Change(pruned(map_backups(submission, send)), claimed)


def out_attempt(submission: Submission) -> Attempt | None:
    """Return the attempt that is out."""
    return next((attempt for attempt in submission.attempts if submission.has_out(attempt)), None)


def _one_attempt(submission: Submission, free: list[Backup]) -> list[Backup]:
    """Choose what one request asks for: backups of one level, or one backup that is sent alone."""
    together = [backup for backup in free if backup.refusals < ALONE]
    if not together:
        return free[:1]
    level = _level(submission, together[0])
    return [backup for backup in together if _level(submission, backup) == level]


def _level(submission: Submission, backup: Backup) -> str:
    """Return the level of a backup's next attempt: the pinned one, or that of a failed job where it is fuller."""
    if backup.level and not covers(submission.pin.level, backup.level):
        return backup.level
    return submission.pin.level


def _satisfying(
    submission: Submission, backup: Backup, subclient: Subclient, claimer: Submission | None
) -> tuple[JobFacts, str] | None:
    """Return a running or completed job that satisfies a backup, and the key of the submission that follows it."""
    earliest = backup.moment
    # A retry knows no cool-down, also after its submission was opened again. Only a retry has a level.
    if submission.trigger.kind == "rds" and not backup.level:
        earliest -= submission.pin.cool_down_seconds
    level = _level(submission, backup)
    theirs = claimer.backup_of(backup.key) if claimer else None
    if claimer and theirs and theirs.job and (theirs.state in COMPLETED or theirs.state == "running"):
        attempt = claimer.attempt_of(theirs)
        began = earliest_start(attempt, theirs.job)
        if began >= earliest and covers(theirs.job.level or attempt.level, level):
            return JobFacts(theirs.job.id, started=began, level=theirs.job.level), claimer.key
    last = subclient.completed
    if last and last.started >= earliest and covers(last.level, level):
        return JobFacts(last.id, started=last.started, level=last.level), last.submission
    return None


def _is_busy(claimer: Submission, key: str, policy: Policy, now: float) -> bool:
    """Tell whether the claimer of a subclient may still get a job for it that cannot be distinguished from another's."""
    theirs = claimer.backup_of(key)
    if theirs is None:
        return False
    if theirs.state == "abandoned" and theirs.is_in_doubt:
        # Our own window begins CLOCK_SKEW_SECONDS before our attempt.
        return now < claimer.attempt_of(theirs).ended + policy.reconcile_seconds + CLOCK_SKEW_SECONDS
    if theirs.state not in OPEN or (theirs.state == "running" and theirs.job):
        return False
    return now <= claimer.last_due + LOST_MESSAGE_SECONDS + policy.reconcile_seconds


def _joined_notices(submission: Submission, joined: Mapping[str, Backup], now: float) -> Submission:
    by_claimer = attrgetter("joined")
    ended = sorted((backup for backup in joined.values() if backup.state == "joined"), key=by_claimer)
    for _, group in groupby(ended, key=by_claimer):
        backups = list(group)
        job_ids = tuple(dict.fromkeys(backup.job.id for backup in backups if backup.job))
        notice = Notice("joined", now, keys_of(backups), level=submission.pin.level, job_ids=job_ids)
        submission = with_notice(submission, notice)
    return submission


# ---- The outcome of an attempt


def answered(submission: Submission, outcome: Outcome, subclients: Subclients, policy: Policy, now: float) -> Change:
    """Apply the outcome of the attempt that is out. `subclients` are the items that it claimed, as they are now.

    This is the table "Outcomes of an attempt" of docs/architecture.md.
    """
    attempt = out_attempt(submission)
    if attempt is None:
        return Change(submission)
    sent = [backup for backup in submission.backups if is_out(backup, attempt)]
    is_schedule = submission.pin.task_type == "SCHEDULE"
    is_group = len(sent) > 1 and not is_schedule
    submission = replace(with_attempt(submission, replace(attempt, ended=now)), cut_offs=0)
    match outcome:
        case Submitted():
            return _submitted(submission, sent, outcome, subclients, now + policy.first_poll_seconds)
        case Scheduled(task_id):
            submission = map_chosen(submission, sent, lambda backup: moved(backup, "scheduled"))
            return Change(with_notice(submission, notice_of("scheduled", attempt, sent, now, task_id)))
        case AlreadyRunning(problem) if is_group:
            return Change(_doubted(submission, sent, "running", problem, policy))
        case AlreadyRunning(problem):
            return Change(_hold_all(submission, sent, problem, None, policy))
        case Rejected(problem, blames_names=True) if is_group:
            return Change(_doubted(submission, sent, "refused", problem, policy))
        case Rejected(problem):
            return Change(end_each(submission, sent, problem, now, "rejected"))
        case Failed(problem) | Unauthorized(problem) | Unavailable(problem):
            return Change(_defer_all(submission, sent, problem, policy))
        case Throttled(problem, seconds):
            return Change(_hold_all(submission, sent, problem, now + seconds, policy))
        case Unknown() if is_schedule:
            submission = map_chosen(submission, sent, lambda backup: replace(backup, is_in_doubt=True))
            return Change(end_each(submission, sent, SCHEDULE_UNKNOWN, now))
        case Unknown(problem):
            return Change(_doubted(submission, sent, "unknown", problem, policy))


def _submitted(
    submission: Submission, sent: list[Backup], outcome: Submitted, subclients: Subclients, due: float
) -> Change:
    """Keep the IDs that the answer named. Only a single ID for a single backup tells by itself whose it is."""
    job_ids = tuple(dict.fromkeys(outcome.job_ids))
    is_single = len(sent) == len(job_ids) == 1
    matched = job_ids if is_single else ()
    attempt = replace(submission.attempt_of(sent[0]), job_ids=job_ids, matched=matched, task_id=outcome.task_id)
    notice = notice_of("submitted", attempt, sent, attempt.ended, outcome.task_id)
    submission = with_attempt(submission, attempt)
    submission = with_notice(submission, replace(notice, job_ids=job_ids, error=outcome.problem))
    job = JobFacts(job_ids[0]) if is_single else None

    def take(backup: Backup) -> Backup:
        # With fewer IDs than backups it is not known yet which of them have a job.
        running = with_job(backup, job, attempt.ended) if len(job_ids) >= len(sent) else replace(backup, pauses=0)
        return replace(running, due=due)

    known = subclients.get(sent[0].key, Subclient(sent[0].key)).knowing(*job_ids)
    return Change(map_chosen(submission, sent, take), (known,) if is_single else ())


def _doubted(submission: Submission, sent: list[Backup], doubt: Doubt, problem: Problem, policy: Policy) -> Submission:
    attempt = replace(submission.attempt_of(sent[0]), doubt=doubt, error=problem)
    due = attempt.ended + min(policy.first_retry_seconds, policy.reconcile_seconds)
    return map_chosen(
        with_attempt(submission, attempt),
        sent,
        lambda backup: replace(backup, is_in_doubt=True, due=due, pauses=1, held_since=attempt.began, error=problem),
    )


def _defer_all(submission: Submission, sent: list[Backup], problem: Problem, policy: Policy) -> Submission:
    now = submission.attempt_of(sent[0]).ended
    submission = map_chosen(
        submission, sent, lambda backup: _deferred(submission, moved(backup, "waiting"), problem, policy, now)
    )
    return _abandon_expired(submission, keys_of(sent), policy, now)


def _hold_all(
    submission: Submission, sent: list[Backup], problem: Problem, until: float | None, policy: Policy
) -> Submission:
    """Let backups wait for a time that does not count as trying; `until` None: for the next pause."""
    now = submission.attempt_of(sent[0]).ended

    def hold(backup: Backup) -> Backup:
        pause = next_pause(policy.first_retry_seconds, backup.pauses, submission, now)
        return on_hold(moved(backup, "waiting"), problem, until or now + pause, now)

    return _abandon_expired(map_chosen(submission, sent, hold), keys_of(sent), policy, now)


# ---- Publishing, and the answer


def published(submission: Submission) -> Submission:
    """Remove the first notice from the outbox."""
    return replace(submission, outbox=submission.outbox[1:])


def status_of(states: Iterable[State]) -> Literal["open", "succeeded", "failed"]:
    """Return the status of a submission whose backups are in these states, joined ones in their claimers'."""
    states = list(states)
    if any(state in OPEN for state in states):
        return "open"
    return "succeeded" if states and all(state in SUCCEEDED for state in states) else "failed"


def _new_backup(trigger: Trigger, association: Association, now: float) -> Backup:
    return Backup(association, moment=trigger.moment(now), due=now, since=now)


def _is_looked_for(submission: Submission, backup: Backup) -> bool:
    if backup.state == "running":
        return True
    if backup.state != "requested" or not submission.attempt_of(backup).ended:
        return False
    return not awaits_inventory(submission, backup)


def awaits_inventory(submission: Submission, backup: Backup) -> bool:
    """Tell whether Commvault's inventory decides about a backup of a refused group."""
    return backup.state == "requested" and backup.is_in_doubt and submission.attempt_of(backup).is_none_believed


def _look(submission: Submission, now: float) -> Look:
    """Return what to read. All that is in doubt is looked for together: a long list is read once for all, page by page."""
    backups = [
        backup
        for backup in submission.backups
        if (backup.due <= now or backup.is_in_doubt) and _is_looked_for(submission, backup)
    ]
    job_ids: list[str] = []
    doubted: list[Backup] = []
    for backup in backups:
        if backup.job:
            job_ids.append(backup.job.id)
        elif unmatched := submission.unassigned(submission.attempt_of(backup)):
            job_ids += unmatched
        else:
            doubted.append(backup)
    since = min((submission.attempt_of(backup).began for backup in doubted or backups), default=0)
    clients = tuple(sorted({backup.association.client_name for backup in doubted}))
    return Look(tuple(dict.fromkeys(job_ids)), clients, since, keys_of(backups))


def _deferred(submission: Submission, backup: Backup, problem: Problem, policy: Policy, now: float) -> Backup:
    """Let a backup wait for its next try; the last one is when the time for trying is over."""
    backup = released(backup, now)
    pause = next_pause(policy.first_retry_seconds, backup.pauses, submission, now)
    left = policy.retry_seconds - time_tried(backup, now)
    return replace(backup, due=now + min(pause, max(left, 0)), pauses=backup.pauses + 1, error=problem)


def _abandon_expired(submission: Submission, tried: Iterable[str], policy: Policy, now: float) -> Submission:
    """Abandon those of the backups that were just tried, by key, whose time for trying is over."""
    keys = set(tried)
    expired = [
        backup
        for backup in submission.backups
        if backup.key in keys and backup.state == "waiting" and time_tried(backup, now) >= policy.retry_seconds
    ]
    expired.sort(key=lambda backup: backup.error.code if backup.error else "")
    for error, group in groupby(expired, key=lambda backup: backup.error):
        last = error or OPEN_TOO_LONG
        message = (
            f"The backup was not started within {policy.retry_seconds / HOUR:g} h. The last reason: {last.message}"
        )
        submission = end_each(submission, list(group), Problem(last.code, message, RESOLVE), now)
    return submission


def _end_all(
    submission: Submission, chosen: Callable[[Backup], bool], problem: Problem, now: float, state: End = "abandoned"
) -> Submission:
    return end_each(
        submission, [backup for backup in submission.backups if backup.is_open and chosen(backup)], problem, now, state
    )
