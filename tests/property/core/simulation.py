"""A deterministic simulation of the core: from a seed, triggers, runs that interleave and are killed, and every fault.

It knows what the CommServe truly did, so it sees whether a promise was broken. The limits that the documentation states
are the only exceptions: a row that appears, or a queued job's start that moves, past the window of adoption; a foreign
job inside that window; and jobs whose IDs are counted again after a restore.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import pairwise
from random import Random

from rds_snap_backup.core import record as kept
from rds_snap_backup.core.coordinator import Coordinator, ReadInventory, ReadStart, Request, Send
from rds_snap_backup.core.levels import covers
from rds_snap_backup.core.opening import DatabaseStatus, Defaults, apply_status, begin
from rds_snap_backup.core.outcomes import Outcome, Throttled
from rds_snap_backup.core.phases import Doubted, Ended, Named, Out, Running, Unlisted, name_of
from rds_snap_backup.core.reading import JobsRead, JobsWanted, Listing
from rds_snap_backup.core.record import Attempt, Backup, Change, Notice, Policy, Scan, Submission
from rds_snap_backup.core.starting import StartInputs
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest, Target
from rds_snap_backup.triggers import Kind, Trigger
from tests.property.core.commserve import UNREADABLE, CommServe, Faults, TrueJob
from tests.property.core.shell import Ledger, run

MINUTE, HOUR, DAY = 60, 3600, 86400
BEGIN = 1_800_000_000.0
ASSOCIATIONS = tuple(Association(f"client-{n % 2}", f"database-{n}", "default", "client") for n in range(4))
LEVELS = ("FULL", "FULL", "FULL", "INCREMENTAL", "DIFFERENTIAL", "SYNTHETIC_FULL")
TARGETS = "abc"
RUN_SECONDS, SEND_SECONDS, VISIBILITY = 50, 38, 90
MAX_STEPS = 20_000
MAX_RETRIES = 2
JOB_ENDS = frozenset({"completed", "completed_with_errors", "failed", "killed", "lost", "retrying"})
ALIVE = frozenset({"running", "completed", "completed_with_errors"})
# Steps of a run take this long, in seconds; a request, and its answer, can take longer.
PAUSES = (0.01, 0.01, 0.2, 0.2, 1, 3)
WIRE_PAUSES = (0.2, 0.2, 1, 5, 14)


class Broken(AssertionError):
    """A promise was broken."""


@dataclass
class Message:
    """A submission's message on the queue."""

    trigger: Trigger
    target: str
    associations: tuple[Association, ...]
    visible: float
    letter: int = 0

    @property
    def key(self) -> str:
        """The key of its submission."""
        return kept.submission_key(self.target, self.trigger)


@dataclass
class Run:
    """A run of the function. Without a message it is a direct delivery."""

    steps: Generator[Request, None, float | Problem | None]
    key: str
    deadline: float
    message: Message | None


@dataclass
class Truth:
    """What the simulation knows of one backup: its attempts' ends, and why a promise does not hold for it."""

    is_beyond_limits: bool = False
    changed: float = 0
    # When its time for trying began: it was created, opened again, or its job was seen failed.
    since: float = 0
    ends: dict[int, float] = field(default_factory=dict)
    published: set[str] = field(default_factory=set)


class Simulation:
    """One simulation; `play` plays it to its end or raises `Broken`."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = Random(seed)
        self.now = BEGIN
        self.steps = 0
        self.policy = Policy(
            retry_seconds=rng.choice((1, 6, 6, 72)) * HOUR,
            follow_seconds=rng.choice((1, 24, 24, 168)) * HOUR,
            first_retry_seconds=rng.choice((1, 30, 30, 900)),
            first_poll_seconds=rng.choice((1, 60, 60, 900)),
            reconcile_seconds=rng.choice((5, 60, 600, 600, 3000)),
            settle_seconds=rng.choice((0, 600, HOUR, 6 * HOUR)),
        )
        self.commserve = CommServe(
            rng,
            Faults.draw(rng),
            skew=rng.choice((0, 0, rng.uniform(-100, 100))),
            reconcile=self.policy.reconcile_seconds,
            when_busy=rng.choice(("refuse", "queue", "both run")),
            shows_users=rng.random() < 0.3,
        )
        self.ledger = Ledger(judge=self.judge)
        self.commserve.items = self.ledger.items
        self.kills = rng.choice((0, 0, 0.01, 0.05, 0.3))
        self.documents: dict[str, Target | None] = {name: self._draw_document(name) for name in TARGETS}
        self.defaults = Defaults(rng.choice((0, 5, 5, 60)), 1)
        self.coordinator = Coordinator(self.policy, lambda: self.now)
        self.messages: list[Message] = []
        self.letters: list[Message] = []
        self.runs: list[Run] = []
        self.truths: dict[tuple[str, str], Truth] = {}
        self.lost_messages: set[str] = set()
        self.busy_until = 0.0
        self.is_restored = False
        self.events: list[tuple[float, int, str]] = []
        self._draw_events()

    # ---- What the core's shell asks

    def fresh(self, submission: Submission) -> Submission | Problem:
        """Return what the current document begins."""
        return submission if self.documents[submission.target] else UNREADABLE

    def start_inputs(self, submission: Submission, keys: tuple[str, ...]) -> StartInputs:
        """Return what a start depends on; a document that is not usable leaves what is pinned."""
        inputs, target = self.ledger.start_inputs(submission, keys), self.documents[submission.target]
        return replace(inputs, target=target, pin=self.defaults.pin_of(target)) if target else inputs

    def status(self, submission: Submission) -> DatabaseStatus:  # noqa: ARG002
        """Return the status of the trigger's database."""
        return (
            "modifying" if self.now < self.busy_until else self.rng.choice(("available", "available", None, UNREADABLE))
        )

    def send(self, submission: Submission, send: Send) -> Outcome:
        """Send a request to the CommServe."""
        request = send.request
        for association in request.associations:
            for job in self._jobs_of(submission.key, association.key):
                if job.has_failed and not covers(request.backup_level, job.level) and job.end <= self.now:
                    self._check_level(submission, association, request.backup_level, job)
        outcome = self.commserve.create_task(request, (submission.key, send.attempt.number), self.now)
        if isinstance(outcome, Throttled):
            self.ledger.throttled_until = max(self.ledger.throttled_until, self.now + outcome.seconds)
        return outcome

    def read_jobs(self, wanted: JobsWanted) -> JobsRead:
        """Read jobs: some cannot be asked for, lists are read client by client."""
        rng, faults, now = self.rng, self.commserve.faults, self.now
        if rng.random() < faults.unreadable:
            return JobsRead(now, problem=UNREADABLE)
        asked = [job_id for job_id in wanted.job_ids if rng.random() >= faults.unreadable]
        rows = {job_id: row for job_id in asked if (row := self.commserve.row(job_id, now))}
        absent = frozenset(asked) - rows.keys()
        if not wanted.clients:
            return JobsRead(now, rows, absent)
        scan = wanted.scan or Scan(now, wanted.since, wanted.clients, {"left": list(wanted.clients)})
        left = list(scan.place["left"])
        read = left[:1] if rng.random() < faults.paged else left
        listed = tuple(row for client in read for row in self.commserve.rows(client, now))
        rest = None
        if left := left[len(read) :]:
            is_nameless = any(not all(row.names) and not row.has_ended for row in listed)
            rest = replace(scan, place={"left": left}, has_nameless=scan.has_nameless or is_nameless)
        listing = Listing(listed, scan.begun, scan.since, scan.clients, rest, scan.has_nameless)
        return JobsRead(now, rows, absent, listing)

    def drop(self, submission: Submission, attempt: Attempt, outcome: Outcome) -> None:
        """Hear of an outcome that finds its attempt no longer out: a run is killed before its lease is over."""
        raise Broken(f"{outcome} of attempt {attempt.number} of {submission.key} found nothing out.")

    def unknown(self, associations: Iterable[Association]) -> frozenset[str] | Problem:
        """Return the keys of the associations that Commvault does not know."""
        if self.rng.random() < self.commserve.faults.unreadable:
            return UNREADABLE
        return frozenset(association.key for association in associations) & self.commserve.unknown

    def publish(self, submission: Submission, notice: Notice) -> None:
        """Keep which ends were published, and dead letters."""
        for job_id in notice.job_ids if notice.is_reconciled else ():
            job = self.commserve.jobs.get(job_id)
            if job and job.cause is None and not self.is_restored:
                truth = self._truth(submission.key, job.association.key)
                truth.is_beyond_limits = True
                latest = truth.ends.get(notice.attempt, 0) + self.policy.reconcile_seconds
                if not notice.submitted_at - kept.CLOCK_SKEW_SECONDS <= job.begin + self.commserve.skew <= latest:
                    raise Broken(f"{submission.key} adopted job {job_id}, which began outside its window.")
        if notice.status in JOB_ENDS:
            for position in notice.backups:
                # Backups of one attempt are lost together: the IDs of their jobs are not known.
                key = submission.backups[position].key
                self._truth(submission.key, key).published.update((*notice.job_ids, notice.status))
        if notice.letter:
            associations = tuple(backup.association for backup in submission.backups)
            self.letters.append(Message(submission.trigger, submission.target, associations, 0, notice.letter))

    # ---- The world's steps

    def play(self) -> int:
        """Play to the end; return the number of steps. Raises `Broken`."""
        while self.events or self.messages or self.runs or self._is_any_open():
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise Broken("It does not come to an end.")
            while self.events and self.events[0][0] <= self.now:
                self._happen(heappop(self.events)[2])
            self._deliver()
            if self.runs:
                self._step(self.rng.choice(self.runs))
            else:
                times = [message.visible for message in self.messages] + [time for time, _, _ in self.events[:1]]
                if not times:
                    self._audit()
                    self.now += HOUR
                else:
                    self.now = max(self.now, min(times))
        self._judge_end()
        return self.steps

    def _step(self, chosen: Run) -> None:
        """Let one run go on to its next effect, or kill it."""
        if self.now > chosen.deadline or self.rng.random() < self.kills:
            chosen.steps.close()
            self.runs.remove(chosen)
            return
        try:
            step = next(chosen.steps)
        except StopIteration as stop:
            self.runs.remove(chosen)
            self._leave(chosen, stop.value)
            return
        if isinstance(step, (ReadStart, ReadInventory)) and self.now > chosen.deadline - SEND_SECONDS:
            chosen.steps.close()
            self.runs.remove(chosen)
            self._leave(chosen, self.now)
            return
        self.now += self.rng.choice(WIRE_PAUSES if isinstance(step, Send) else PAUSES)

    def _leave(self, finished: Run, until: float | Problem | None) -> None:
        message, submission = finished.message, self.ledger.submissions.get(finished.key)
        if not message or message not in self.messages:
            return
        if isinstance(until, Problem):
            self.messages.remove(message)
            self.letters.append(message)
        elif until is None:
            if submission and not submission.is_over:
                raise Broken(f"The message of {finished.key} is gone, and it is not over.")
            self.messages.remove(message)
        else:
            message.visible = max(until, self.now + 0.01)

    def _deliver(self) -> None:
        for message in self.messages:
            if message.visible <= self.now and len(self.runs) < 3:
                message.visible = self.now + VISIBILITY
                if submission := self._open(message):
                    self._run(submission, message)

    def _open(self, message: Message) -> Submission | None:
        """Return the submission of a message; a redriven letter opens it again."""
        return self.ledger.submissions.get(message.key) or self._begin(message)

    def _begin(self, message: Message) -> Submission:
        target = self.documents[message.target] or self._draw_document(message.target)
        submission = begin(message.trigger, target, message.associations, self.defaults, self.now)
        return apply_status(submission, self.status(submission), self.policy, self.now)

    def _run(self, submission: Submission, message: Message | None) -> None:
        letter = message.letter if message else 0
        self.runs.append(Run(run(self, submission, letter), submission.key, self.now + RUN_SECONDS, message))

    # ---- Events

    def _draw_events(self) -> None:
        rng = self.rng
        span = rng.choice((600, HOUR, 6 * HOUR, 40 * HOUR))
        kinds = ["schedule", "manual", "event", "event"] * rng.randint(1, 3)
        for fault in ("edit", "foreign", "lose message", "copy message", "name", "busy database"):
            kinds += [fault] * rng.choice((0, 0, 1, 2))
        kinds += ["restore"] * (rng.random() < 0.1)
        for number, kind in enumerate(kinds):
            heappush(self.events, (BEGIN + rng.random() * span, number, kind))
        for number in range(rng.choice((0, 1, 4))):
            heappush(self.events, (BEGIN + rng.random() * (span + 12 * HOUR), 100 + number, "redrive"))
        for number in range(3):
            heappush(self.events, (BEGIN + number * DAY + rng.random() * DAY, 200 + number, "audit"))

    def _happen(self, kind: str) -> None:
        rng = self.rng
        match kind:
            case "schedule" | "manual" as kind:
                name = rng.choice(TARGETS)
                self._trigger(kind, name, self._associations(name))
            case "event":
                chosen = rng.choice(ASSOCIATIONS)
                trigger = self._new_trigger("rds")
                for name in TARGETS:
                    if chosen in self._associations(name):
                        self._arrive(Message(trigger, name, (chosen,), self.now))
            case "edit":
                name = rng.choice(TARGETS)
                self.documents[name] = rng.choice((None, self._draw_document(name), self._draw_document(name)))
            case "foreign":
                self.commserve.start_foreign(rng.choice(ASSOCIATIONS), self.now, rng.choice((60, 600, 8 * HOUR)))
            case "restore":
                # IDs that are counted again may be taken for what was known before: few promises hold from here on.
                self.is_restored = bool(self.commserve.restore(rng.randint(1, 3))) or self.is_restored
            case "lose message" if self.messages:
                lost = self.messages.pop(rng.randrange(len(self.messages)))
                self.lost_messages.add(lost.key)
            case "copy message" if self.messages:
                self.messages.append(replace(rng.choice(self.messages), visible=self.now))
            case "redrive" if self.letters:
                letter = rng.choice(self.letters)
                self.messages.append(replace(letter, visible=self.now))
            case "name":
                names = rng.choice((self.commserve.unknown, self.commserve.ineligible))
                names ^= {rng.choice(ASSOCIATIONS).key}
            case "busy database":
                self.busy_until = self.now + rng.choice((60, HOUR, 10 * HOUR))
            case "audit":
                self._audit()

    def _audit(self) -> None:
        """Send the messages of stuck submissions again."""
        for submission in self.ledger.submissions.values():
            if submission.is_stuck(self.now):
                associations = tuple(backup.association for backup in submission.backups)
                self.messages.append(Message(submission.trigger, submission.target, associations, self.now))

    def _trigger(self, kind: Kind, name: str, associations: tuple[Association, ...]) -> None:
        if associations:
            self._arrive(Message(self._new_trigger(kind), name, associations, self.now))

    def _new_trigger(self, kind: Kind) -> Trigger:
        happened = datetime.fromtimestamp(self.now - self.rng.choice((0, 1, 30)), UTC).isoformat()
        return Trigger(kind, str(self.steps) + kind + str(self.now), None if kind == "manual" else happened)

    def _arrive(self, message: Message) -> None:
        """Deliver directly: the message is sent first; some deliveries come twice, some runs are killed at once."""
        for _ in range(self.rng.choice((1, 1, 1, 2))):
            self.messages.append(replace(message, visible=self.now + self.policy.first_poll_seconds))
            if self.rng.random() >= self.kills:
                self._run(self.ledger.submissions.get(message.key) or self._begin(message), None)

    def _draw_document(self, name: str) -> Target:
        rng = self.rng
        associations = tuple(rng.sample(ASSOCIATIONS, rng.choice((1, 1, 2, 3, 4))))
        request = BackupRequest(associations, rng.choice(LEVELS))
        return Target(
            name,
            request,
            retry_failed_jobs=rng.choice((0, 1, 1, MAX_RETRIES)),
            gather_minutes=rng.choice((None, 0, 5, 60)),
        )

    def _associations(self, name: str) -> tuple[Association, ...]:
        document = self.documents[name]
        return document.request.associations if document else ()

    # ---- Judging

    def _truth(self, key: str, association: str) -> Truth:
        return self.truths.setdefault((key, association), Truth(self.is_restored))

    def _jobs_of(self, key: str, association: str) -> list[TrueJob]:
        jobs = self.commserve.jobs.values()
        return [job for job in jobs if job.cause and job.cause[0] == key and job.association.key == association]

    def _is_any_open(self) -> bool:
        return any(not submission.is_over for submission in self.ledger.submissions.values())

    def judge(self, before: Submission | None, saved: Submission, change: Change) -> None:
        """Judge one save."""
        for attempt in saved.attempts:
            if attempt.ended:
                for backup in saved.backups:
                    self._truth(saved.key, backup.key).ends[attempt.number] = attempt.ended
        for index, backup in enumerate(saved.backups):
            old = before.backups[index] if before and before.backups else None
            if old != backup:
                self._judge_backup(saved, old, backup)
        if saved.out and not (before and before.out):
            for item in change.subclients:
                if item.claimer == saved.key:
                    self._judge_claim(saved, item.key)

    def _judge_claim(self, submission: Submission, association: str) -> None:
        """At most one request for a subclient is out or in doubt."""
        for other in self.ledger.submissions.values():
            theirs = other.backup_of(association)
            if other.key == submission.key or theirs is None or not theirs.attempt:
                continue
            attempt = other.attempt_of(theirs)
            ended = attempt.ended or attempt.lease_end
            is_over = self.now >= ended + self.policy.reconcile_seconds + kept.CLOCK_SKEW_SECONDS
            match theirs.phase:
                case Out() | Doubted() | Unlisted() | Ended() if not is_over:
                    raise Broken(f"Two requests for {association} are out or in doubt: {other.key}, {submission.key}")
                case Named() | Running() if other.key not in self.lost_messages:
                    raise Broken(f"A request of {submission.key} was sent beside a job of {other.key}.")

    def _judge_backup(self, submission: Submission, old: Backup | None, backup: Backup) -> None:
        truth = self._truth(submission.key, backup.key)
        state, was = submission.state_of(backup), old and name_of(old.phase)
        if state == "joined":
            if was != "joined":
                self._judge_join(submission, backup)
            return
        if backup.failures > MAX_RETRIES:
            raise Broken(f"{submission.key} is retried too often.")
        if backup.job and (not old or not old.job or old.job.id != backup.job.id):
            self._judge_credit(submission, backup, truth)
        if not old or (backup.is_open and (not old.is_open or backup.failures > old.failures)):
            truth.since = self.now
        if old and was != name_of(backup.phase):
            truth.changed = self.now
            self._judge_end_of(submission, backup, truth)

    def _judge_credit(self, submission: Submission, backup: Backup, truth: Truth) -> None:
        assert backup.job
        job = self.commserve.jobs.get(backup.job.id)
        if job is None or job.cause is None:
            return
        if job.cause[0] != submission.key and not truth.is_beyond_limits and not self.is_restored:
            others = [other for other in self.commserve.jobs.values() if other.association == job.association]
            is_forgotten = len([other for other in others if int(other.id) > int(job.id)]) >= kept.MAX_KNOWN_IDS
            owner = self._truth(job.cause[0], backup.key)
            if is_forgotten or self._is_given_up(job) or self._is_beyond_window(job, owner):
                truth.is_beyond_limits = True  # The item knows the last five IDs only, or nobody could find the job.
                return
            raise Broken(f"{submission.key} is credited with job {job.id} of {job.cause[0]}.")

    def _judge_end_of(self, submission: Submission, backup: Backup, truth: Truth) -> None:
        job = self.commserve.jobs.get(backup.job.id) if backup.job else None
        state = submission.state_of(backup)
        if state in {"completed", "completed_with_errors", "killed", "failed"}:
            if job and job.association.key != backup.key:
                raise Broken(f"{submission.key} was told the end of a job of another subclient.")
            if job and job.end > self.now and not self.is_restored:
                raise Broken("An end was seen of a job that runs.")
        elif state == "lost" and job and backup.error and not (truth.is_beyond_limits or self.is_restored):
            code = backup.error.code
            if code == "JOB_MISSING" and job.visible + self.policy.missing_seconds < self.now - RUN_SECONDS:
                raise Broken(f"Job {job.id} is shown and was said to be missing.")
            if code == "JOB_MISSING" and self.now - job.created < self.policy.missing_seconds:
                raise Broken(f"Job {job.id} was said to be missing too early.")
            if code == "JOB_STILL_RUNNING" and job.end < self.now - RUN_SECONDS:
                raise Broken(f"Job {job.id} was said to be running.")
        elif state == "abandoned" and backup.error and backup.error.code != "RUNS_CUT_OFF":
            is_early = self.now - truth.since < self.policy.retry_seconds - 1
            if is_early:
                raise Broken("It was abandoned before the time for trying was over.")

    def _judge_join(self, submission: Submission, backup: Backup) -> None:
        """A join names a job that satisfies: of its association and level, running or completed, begun after the moment."""
        assert backup.job
        job = self.commserve.jobs.get(backup.job.id)
        if job is None or job.cause is None or self.is_restored:
            return
        if self._is_beyond_window(job, self._truth(job.cause[0], backup.key)):
            return  # It was adopted for a later attempt.
        earliest = submission.trigger.moment(submission.created)
        level = submission.pin.level
        failed = [
            earlier
            for earlier in self._jobs_of(submission.key, backup.key)
            if earlier.has_failed and earlier.end <= self.now
        ]
        if failed:
            earliest = max(earliest, *(earlier.begin for earlier in failed))
            # A retry is of the document's level, or of the failed job's where that is fuller or another.
            level = job.level if all(covers(job.level, earlier.level) for earlier in failed) else level
        assert isinstance(backup.phase, Ended)
        claimer = self.ledger.submissions.get(backup.phase.by)
        theirs = claimer.backup_of(backup.key) if claimer else None
        if job.association.key != backup.key or not covers(job.level, level):
            raise Broken(f"{submission.key} joined job {job.id}, which is another subclient's or of a lesser level.")
        if job.begin < earliest:
            raise Broken(f"{submission.key} joined job {job.id}, which began {earliest - job.begin:.0f} s too early.")
        # The claimer's record was read a moment before.
        is_new = claimer and self._truth(claimer.key, backup.key).changed > self.now - RUN_SECONDS
        if (
            theirs
            and theirs.job
            and theirs.job.id == job.id
            and claimer
            and claimer.state_of(theirs) not in ALIVE
            and not is_new
        ):
            raise Broken(f"{submission.key} joined job {job.id}, which is {claimer.state_of(theirs)}.")

    def _check_level(self, submission: Submission, association: Association, level: str, failed: TrueJob) -> None:
        backup = submission.backup_of(association.key)
        if backup and backup.failures and not self._truth(submission.key, association.key).is_beyond_limits:
            raise Broken(f"A retry of job {failed.id} has the level {level}, and the job had {failed.level}.")

    def _judge_end(self) -> None:
        """Judge what is true when everything is over."""
        causes: dict[tuple[str, str], list[TrueJob]] = {}
        for job in self.commserve.jobs.values():
            if job.cause:
                causes.setdefault((job.cause[0], job.association.key), []).append(job)
        for (key, association), jobs in causes.items():
            truth = self._truth(key, association)
            if self.is_restored:
                break
            if truth.is_beyond_limits or any(self._is_beyond_window(job, truth) for job in jobs):
                continue
            if self._is_given_up(jobs[-1]):
                continue
            for earlier, later in pairwise(jobs):
                if not earlier.has_failed or later.created < earlier.end:
                    raise Broken(f"{key} started {later.id} though {earlier.id} was {earlier.status}.")
            for job in jobs:
                if job.id not in truth.published and "lost" not in truth.published:
                    raise Broken(f"The end of {job.id} of {key} was not published.")
        opened = max((submission.opened for submission in self.ledger.submissions.values()), default=BEGIN)
        if self.now > opened + 12 * DAY:
            raise Broken("It took too long.")

    def _is_given_up(self, job: TrueJob) -> bool:
        """Tell whether its submission was abandoned in doubt."""
        assert job.cause
        backup = self.ledger.submissions[job.cause[0]].backup_of(job.association.key)
        return bool(backup and isinstance(backup.phase, Ended) and backup.phase.doubted)

    def _is_beyond_window(self, job: TrueJob, truth: Truth) -> bool:
        """Tell whether a job's row came, or its start moved, past the window of adoption: the limit of the documentation."""
        assert job.cause
        latest = truth.ends.get(job.cause[1], 0) + self.policy.reconcile_seconds
        named = job.visible if job.has_names else max(job.visible, job.end)
        return named > latest or job.begin + self.commserve.skew > latest
