"""The judge of the simulation: every promise in both directions, from what truly happened and what a run was told.

Only the limits that the documentation states are exceptions: a row that appears, or a queued job's start that moves, past
the window of adoption; a foreign job inside that window; more jobs than an item knows IDs; and jobs whose IDs are counted
again after a restore.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rds_snap_backup.core.backups import Backup
from rds_snap_backup.core.coordinator import ReadJobs, ReadStart, Request, Send
from rds_snap_backup.core.levels import covers
from rds_snap_backup.core.opening import AVAILABLE, DatabaseStatus
from rds_snap_backup.core.outcomes import Throttled
from rds_snap_backup.core.phases import Doubted, Ended, Named, Out, Phase, Running, Unlisted, Waiting, name_of
from rds_snap_backup.core.policy import Policy
from rds_snap_backup.core.reading import JobsRead
from rds_snap_backup.core.record import Notice, Submission, Unreadable
from rds_snap_backup.core.starting import StartInputs
from rds_snap_backup.problems import Problem
from tests.property.core.commserve import ENDS, CommServe, TrueJob
from tests.unit.core.ledger import Ledger

MINUTE, HOUR, DAY = 60, 3600, 86400
# A step takes some seconds, and so does a save that meets another one.
SLACK = 60
SKEW = 120
RETRY_PAUSES, LEASES, MISSING_READS, KNOWN_IDS = 30, 5, 3, 5
PASSED_OVER, OPEN = 6 * HOUR, 9 * DAY
# From this many runs on a submission goes on only after a long pause.
MANY_RUNS, MAX_RECEIVES = 100, 500
LETTERS = frozenset({"rejected", "abandoned"})
# The phases without a job whose time does not count as trying.
UNTRIED = frozenset({"gathering", "settling", "busy", "throttled", "Named", "Doubted", "Unlisted"})


class Broken(AssertionError):
    """A promise was broken."""


@dataclass
class Truth:
    """What the judge knows of one backup. `counted` and `uncounted` are its time without a job up to `at`.

    `followed` is since when its job is; `absent` since when, and in how many reads in a row, it is not shown.
    """

    moment: float = 0
    at: float = 0
    level: str = ""
    failures: int = 0
    counted: float = 0
    uncounted: float = 0
    followed: float = 0
    absent: tuple[float, int] = (0, 0)
    is_beyond_limits: bool = False
    is_passed_over: bool = False
    ends: dict[int, float] = field(default_factory=dict)
    published: set[str] = field(default_factory=set)

    def over(self, phase: Phase, policy: Policy) -> float:
        """Return when a backup that stays in a phase without a job has been tried for as long as is promised."""
        spare = max(72 * HOUR, policy.follow_seconds) - self.uncounted
        left = max(policy.retry_seconds - self.counted + min(spare, 0), 0)
        return self.at + left + (max(spare, 0) if kind_of(phase) in UNTRIED else 0)


@dataclass
class Story:
    """What the judge knows of one submission: the looks at its database, its notices, and those that were published."""

    gather_seconds: float = 0
    looks: list[tuple[float, object]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    published: set[int] = field(default_factory=set)
    done: int = 0
    cut_offs: int = 0
    sent: set[int] = field(default_factory=set)


@dataclass
class Learned:
    """What a run has been told since its last save: the last request and its answer, and the database's statuses.

    `at` is when the save was decided; `gather_seconds` what the document said when the submission began.
    """

    at: float
    request: Request | None = None
    answer: Any = None
    looks: list[tuple[float, DatabaseStatus]] = field(default_factory=list)
    gather_seconds: float = 0


def kind_of(phase: Phase) -> str:
    """Return why a backup waits, or the name of its phase."""
    return phase.reason if isinstance(phase, Waiting) else name_of(phase)


class Judge:
    """Judges one simulation. `seen` counts what happened."""

    def __init__(self, policy: Policy, commserve: CommServe) -> None:
        self.policy, self.commserve = policy, commserve
        self.ledger = Ledger()
        self.missing = max(600, policy.reconcile_seconds)
        self.truths: dict[tuple[str, str], Truth] = {}
        self.stories: dict[str, Story] = {}
        self.completed: dict[str, float] = {}
        self.bad_names: set[str] = set()
        # Subclients whose jobs' user is known.
        self.users: set[str] = set()
        self.plans: set[tuple[str, int]] = set()
        self.is_restored = False
        self.seen: Counter[str] = Counter()

    def truth(self, key: str, association: str) -> Truth:
        """Return what is known of a backup."""
        return self.truths.setdefault((key, association), Truth())

    def story(self, key: str) -> Story:
        """Return what is known of a submission."""
        return self.stories.setdefault(key, Story())

    def must(self, is_kept: object, what: str) -> None:
        """Raise `Broken` unless a promise is kept."""
        if not is_kept:
            raise Broken(what)

    # ---- At each save

    def saved(self, before: Submission | None, after: Submission, learned: Learned) -> None:
        """Judge one save."""
        story, at = self.story(after.key), learned.at
        pairs = [(before.backup_of(backup.key) if before else None, backup) for backup in after.backups]
        for old, backup in pairs:
            if old is None:
                moment = after.trigger.moment(after.opened)
                self.truths[after.key, backup.key] = Truth(moment, after.opened, is_beyond_limits=self.is_restored)
        if before is None or not before.backups:
            story.gather_seconds = learned.gather_seconds
        story.looks += learned.looks
        self.plans |= {(after.key, attempt.number) for attempt in after.attempts if attempt.task_type == "SCHEDULE"}
        self._outbox(before, after)
        if before and (out := before.out) and not after.out:
            is_told = isinstance(learned.request, Send)
            story.cut_offs = 0 if is_told else story.cut_offs + 1
            for backup in after.backups:
                self.truth(after.key, backup.key).ends[out.number] = at if is_told else out.lease_end
            reasons = {backup.phase.reason for backup in after.backups if isinstance(backup.phase, Waiting)}
            is_throttled = is_told and isinstance(learned.answer, Throttled)
            self.must(not is_throttled or "throttled" in reasons, "A rate limit counts as trying.")
        if before and after.opened_letter > before.opened_letter:
            story.cut_offs = 0
            self.must(after.opened == at, "It is opened again with the deadlines of before.")
            self.seen["opened again"] += 1
            self.must(after.opened_letter == before.letters, "An older letter can open it once more.")
        if after.trigger.kind == "rds" and after.backups and not (before and before.backups and not before.gathering):
            self._gathered(story, after, at)
        for old, backup in pairs:
            if before and old:
                self._time(before, old, backup, at)
        if isinstance(learned.request, ReadJobs) and before:
            self._absences(before, learned.request, learned.answer)
        for old, backup in pairs:
            self._backup(before, after, old, backup, learned)
        if isinstance(learned.request, ReadStart):
            self._started(before, after, learned.request, learned.answer, at)
        elif after.out and not (before and before.out):
            raise Broken("An attempt was begun without asking.")
        if isinstance(learned.request, ReadJobs) and before:
            self._read(before, after, learned.request, learned.answer)
        self.must(len(after.attempts) <= len(after.backups) + 1, "Attempts are never forgotten.")
        if before and before.out and not after.out and story.cut_offs >= LEASES:
            without = [backup for backup in after.backups if isinstance(backup.phase, (Waiting, Doubted, Unlisted))]
            self.must(not without, "Its runs are cut off for ever.")
        self._wakes(after, at)

    def _time(self, before: Submission, old: Backup, new: Backup, at: float) -> None:
        """Add the time since the last save to the time that the backup was tried, or was not."""
        truth = self.truth(before.key, old.key)
        passed, truth.at = max(at - truth.at, 0), max(at, truth.at)
        match old.phase:
            case Ended():
                if new.is_open:
                    truth.counted = truth.uncounted = truth.failures = 0
            case Out() if isinstance(new.phase, (Doubted, Ended)) and at > before.lease_end:
                late = at - before.lease_end
                truth.counted, truth.uncounted = truth.counted + passed - late, truth.uncounted + late
            case phase if kind_of(phase) in UNTRIED:
                truth.uncounted += passed
            case Out() | Waiting():
                truth.counted += passed
        if new.failures > old.failures:
            truth.counted, truth.at = 0, at + RETRY_PAUSES * self.policy.first_retry_seconds
            truth.uncounted = min(truth.uncounted, max(72 * HOUR, self.policy.follow_seconds))

    def _gathered(self, story: Story, after: Submission, at: float) -> None:
        """An RDS event gathers, then settles; its moment is the first look since which all showed the database available."""
        happened, (looked, last) = after.trigger.moment(after.created), story.looks[-1]
        is_unasked, since = isinstance(last, Problem), 0.0
        for time, status in reversed(story.looks):
            if isinstance(status, Problem) or (status is not None and status not in AVAILABLE):
                break
            since = time
        gathered = happened + story.gather_seconds + (600 if is_unasked else 0)
        settled = gathered + self.policy.settle_seconds
        if after.gathering:
            is_late = looked >= (gathered if is_unasked or since else settled)
            self.must(not is_late, "It gathers or settles for too long.")
            latest = gathered if looked < gathered else settled
            self.must(
                all(b.phase == Ended("rejected") or _due(b) <= latest for b in after.backups), "It looks too late."
            )
            return
        self.must(at >= gathered, "It has not gathered.")
        is_unsettled = not is_unasked and not since
        self.must(not is_unsettled or looked >= settled, "Its database has not settled.")
        self.must(after.is_unsettled == is_unsettled, "It says wrongly whether its database has settled.")
        for backup in after.backups:
            self.truth(after.key, backup.key).moment = happened + 600 if is_unasked else since or looked

    def _outbox(self, before: Submission | None, after: Submission) -> None:
        """What changes is told once, in order, and what was told is published before it is forgotten."""
        story, was = self.story(after.key), before.outbox if before else ()
        new = after.outbox[len(was) :]
        if after.outbox[: len(was)] != was:
            self.must(after.outbox == was[1:], "A notice was forgotten, or another came before it.")
            self.must(story.done in story.published, "A notice was forgotten before it was published.")
            story.done += 1
            new = ()
        story.notices += new
        told = Counter((notice.status, position) for notice in new for position in notice.backups or (-1,))
        expected: Counter[tuple[str, int]] = Counter()
        for position, backup in enumerate(after.backups):
            old = before.backup_of(backup.key) if before else None
            expected.update((status, position) for status in self._changes(after, old, backup))
        if before is None and after.error:
            expected["rejected", -1] = 1
        self.must(told == expected, f"It told {dict(told - expected)}, and not {dict(expected - told)}.")
        numbers = [notice.letter for notice in new if notice.status in LETTERS]
        first = before.letters if before else 0
        self.must(numbers == list(range(first + 1, after.letters + 1)), "An end without a job has no letter.")
        self.must(all(n.status in LETTERS or not n.letter for n in new), "There is a letter too many.")
        retrying = [(notice.attempt, notice.error) for notice in new if notice.status == "retrying"]
        self.must(len(set(retrying)) == len(retrying), "The retries of one attempt and reason were told twice.")
        for notice in new:
            for position in notice.backups if before and notice.status not in {"joined", *LETTERS} else ():
                old = before.backups[position]  # type: ignore[union-attr]
                self.must(notice.attempt == old.attempt, f"A notice is of another attempt: {notice}")
            if notice.status == "retrying":
                dues = {_due(after.backups[position]) for position in notice.backups}
                self.must(dues == {notice.retry_at}, "A retry was told for another time.")

    def _changes(self, after: Submission, old: Backup | None, new: Backup) -> list[str]:
        """Return what must be told of the change of one backup."""
        has_failed = old is not None and new.failures > old.failures
        has_job = has_failed or (isinstance(new.phase, Ended) and new.job) or isinstance(new.phase, Running)
        changes = []
        match old.phase if old else Waiting(0):
            case Out() if isinstance(new.phase, (Named, Running)):
                changes = ["submitted"]
            case Doubted() if has_job:
                changes = ["submitted"]
            case Named(number) if isinstance(new.phase, Running):
                # Rows told whose the jobs are, it had none, and was found in the same list.
                attempt = next(attempt for attempt in after.attempts if attempt.number == number)
                changes = [] if new.phase.job.id in attempt.job_ids else ["submitted"]
        if has_failed:
            changes.append("retrying")
        if isinstance(new.phase, Ended) and not (old and isinstance(old.phase, Ended)):
            changes.append(new.phase.end)
        return changes

    def _wakes(self, after: Submission, at: float) -> None:
        """Every open submission wakes up in time."""
        if after.is_over:
            return
        if after.outbox:
            self.must(after.wake_at <= at + SLACK, "What is unpublished waits.")
            return
        latest = after.opened + OPEN
        for backup in after.backups:
            pause: float = 15 * MINUTE if at < after.created + DAY else HOUR
            phase = backup.phase
            over = self.truth(after.key, backup.key).over(phase, self.policy) if backup.is_open else latest
            match phase:
                case Ended():
                    continue
                case Out():
                    due = after.lease_end
                case Running():
                    due = at + pause
                case Waiting(due, "gathering"):
                    pass
                case Waiting():
                    pause = max(pause, RETRY_PAUSES * self.policy.first_retry_seconds) if backup.failures else pause
                    due = max(min(over, at + pause), after.lease_end)
                case _:
                    due = min(over, at + pause)
            latest = min(latest, due)
        latest += SLACK + (HOUR if after.runs >= MANY_RUNS else 0)
        self.must(0 < after.wake_at <= latest, f"It wakes up {after.wake_at - latest:.0f} s too late.")

    # ---- One backup

    def _backup(
        self, before: Submission | None, after: Submission, old: Backup | None, new: Backup, learned: Learned
    ) -> None:
        truth = self.truth(after.key, new.key)
        was, name = kind_of(old.phase) if old else "trying", kind_of(new.phase)
        if was != name:
            self.seen[f"{was} -> {name}"] += 1
        if old and new.failures > old.failures:
            self._failed(after, old, new, learned.answer)
        self.must(new.failures == truth.failures, "Its failures are counted wrongly.")
        if new.job and name != "joined" and before and old and not (old.job and old.job.id == new.job.id):
            self._credited(before, after, old, new, learned)
        if isinstance(new.phase, Running):
            self._began(after, new, new.phase)
        if not after.gathering and after.backups:
            self.must(abs(new.moment - truth.moment) <= 0.001, f"Its moment is {new.moment - truth.moment:.0f} s off.")
        if isinstance(new.phase, Ended) and was != name and before and old:
            self._ended(before, after, old, new.phase, learned)
        if was == "Doubted" and name in {"trying", "busy", "Unlisted"} and old and new.failures == old.failures:
            self._believed(after, old, learned)

    def _failed(self, after: Submission, old: Backup, new: Backup, read: JobsRead) -> None:
        """A failed job is started again, later, as long as tries are left."""
        truth, number = self.truth(after.key, new.key), old.attempt
        truth.failures += 1
        self.must(truth.failures <= after.pin.retries, "It is retried too often.")
        pause = RETRY_PAUSES * self.policy.first_retry_seconds
        self.must(abs(_due(new) - read.at - pause) < 1, "The retry is due at another time.")
        notice = next(n for n in after.outbox if n.status == "retrying" and after.position_of(new) in n.backups)
        rows = [
            row for job_id in notice.job_ids if (row := read.all_rows.get(job_id)) and row.may_be_of(old.association)
        ]
        row = next(row for row in rows if row.end == "failed")
        began = next((attempt.began for attempt in after.attempts if attempt.number == number), notice.submitted_at)
        moment = max(min(row.started, read.at), began)
        truth.moment, truth.level = moment, row.level

    def _credited(self, before: Submission, after: Submission, old: Backup, new: Backup, learned: Learned) -> None:
        """A backup gets the job that its own attempt started, unless nobody could know better."""
        assert new.job
        truth, job, attempt = (
            self.truth(after.key, new.key),
            self.commserve.jobs.get(new.job.id),
            before.attempt_of(old),
        )
        if isinstance(new.phase, Running):
            is_named = isinstance(old.phase, Out) or (isinstance(old.phase, Named) and new.job.id in attempt.job_ids)
            truth.followed, truth.absent = truth.ends[new.attempt] if is_named else learned.at, (0, 0)
            # Opened again in doubt, it can find its job while the subclient is another's.
            truth.is_passed_over |= self.ledger.items[new.key].claimer != after.key
        self.must(new.job.id in self.ledger.items[new.key].known_ids, f"Another can adopt job {new.job.id}.")
        if job is None or self.is_restored or truth.is_beyond_limits:
            return
        self.must(job.association.key == new.key, f"{after.key} has a job of another subclient.")
        if job.cause is None:
            truth.is_beyond_limits = True
            latest = truth.ends[attempt.number] + self.policy.reconcile_seconds
            is_inside = attempt.began - SKEW <= job.begin + self.commserve.skew <= latest
            self.must(is_inside, f"{after.key} adopted job {job.id}, which began outside its window.")
            self.must(covers(job.level, attempt.level), f"{after.key} adopted job {job.id}, of a lesser level.")
            self.must(new.key not in self.users, f"{after.key} adopted another user's job.")
        elif job.cause[0] != after.key:
            later = [
                o for o in self.commserve.jobs.values() if o.association == job.association and int(o.id) > int(job.id)
            ]
            is_known = len(later) < KNOWN_IDS and not self._is_given_up(job) and not self.is_beyond_window(job)
            self.must(not is_known, f"{after.key} is credited with job {job.id} of {job.cause[0]}.")
            truth.is_beyond_limits = True
        elif job.cause[1] != old.attempt:
            self.must(self.is_beyond_window(job), f"{after.key} is credited with job {job.id} of an earlier attempt.")
            truth.is_beyond_limits = True

    def _began(self, after: Submission, new: Backup, phase: Running) -> None:
        """A job counts as begun no later than it truly did, and not much earlier."""
        job, attempt = self.commserve.jobs.get(phase.job.id), after.attempt_of(new)
        if job is None or self.is_restored or job.cause != (after.key, attempt.number):
            return
        self.must(attempt.began <= phase.job.began <= job.begin, f"Job {job.id} counts as begun at another time.")
        if phase.job.seen > job.begin:
            self.must(phase.job.began >= job.begin - 2 * SKEW - SLACK, f"Job {job.id} counts as begun too early.")

    def _ended(self, before: Submission, after: Submission, old: Backup, phase: Ended, learned: Learned) -> None:
        """A backup ends as its job did, or for the reason that its error says, and not before."""
        truth, at, key = self.truth(after.key, old.key), learned.at, old.key
        match phase.end, phase.error.code if phase.error else "":
            case "joined", code:
                self.must(not code, "It joined, and keeps its error.")
            case "scheduled", _:
                self.must(self.commserve.schedules[after.key, key], "It was not scheduled.")
            case "lost" | "abandoned", "OPEN_TOO_LONG" | "JOB_NOT_FOLLOWED":
                self.must(at >= after.opened + OPEN, "It was given up before nine days.")
            case "lost", "JOB_MISSING":
                since, reads = truth.absent
                is_missing = reads >= MISSING_READS and at >= since + self.missing
                self.must(is_missing, f"A job was lost after {reads} reads in {at - since:.0f} s.")
            case "lost", "JOB_ID_REUSED":
                is_limit = self.is_restored or truth.is_beyond_limits
                is_reused = is_limit or (after.key, old.attempt) in self.commserve.misnamed
                self.must(is_reused, "A job was lost whose ID is its own.")
            case "lost", "JOB_STILL_RUNNING":
                row = learned.answer.all_rows[phase.job.id] if phase.job else None
                is_late = at >= truth.followed + self.policy.follow_seconds - 1
                self.must(row and row.end is None and is_late, "A job was followed for too short a time.")
            case "abandoned", "RUNS_CUT_OFF":
                self.must(self.story(after.key).cut_offs >= LEASES, "Its runs were not cut off so often.")
            case "abandoned", "SCHEDULE_UNKNOWN":
                number = phase.doubted.attempt if phase.doubted else 0
                self.must((after.key, number) in self.plans, "It was abandoned as a schedule, and is none.")
            case "rejected", "ASSOCIATION_REMOVED":
                target = learned.answer.target
                self.must(key not in {a.key for a in target.request.associations}, "It is still in the document.")
            case "rejected", _:
                # A schedule of several is refused as a whole.
                is_plan = (after.key, old.attempt) in self.plans
                names = {backup.key for backup in after.backups} if is_plan else {key}
                self.must(names & self.bad_names, f"{key} was rejected, and its name is good.")
            case "lost" | "abandoned", code:
                is_over = at + SLACK >= truth.over(old.phase, self.policy)
                self.must(is_over, f"It ended as {phase.end} ({code}) before its time was over.")
            case _:
                self._completed(after, old, phase, at)
        if isinstance(old.phase, Named) and phase.end == "lost" and not phase.job:
            ids = set(before.attempt_of(old).untold)
            self.must(ids <= set(self.ledger.items[key].known_ids), "A lost job may be adopted by another.")

    def _completed(self, after: Submission, old: Backup, phase: Ended, at: float) -> None:
        """What ended ended so, with no tries left, and the subclient's item knows the last completed job."""
        truth, key = self.truth(after.key, old.key), old.key
        job = self.commserve.jobs.get(phase.job.id) if phase.job else None
        if job and not self.is_restored:
            self.must(job.end <= at and ENDS[job.status] == phase.end, f"Job {job.id} has not ended so.")
        self.must(phase.end != "failed" or truth.failures >= after.pin.retries, "It had tries left.")
        if phase.job and phase.end.startswith("completed"):
            self.completed[key] = max(self.completed.get(key, 0), phase.job.began)
            known = self.ledger.items[key].completed
            self.must(known and known.started == self.completed[key], "The last completed job is another one.")

    def _believed(self, after: Submission, old: Backup, learned: Learned) -> None:
        """That there is no job is believed of a whole list that was read after the window of adoption."""
        truth, read = self.truth(after.key, old.key), learned.answer
        listing = read.listing if isinstance(read, JobsRead) else None
        self.must(listing and not listing.scan, "It was believed without a list that there is no job.")
        if listing:
            is_late = listing.begun >= truth.ends[old.attempt] + self.policy.reconcile_seconds
            is_of_it = old.association.client_name in listing.clients
            self.must(is_late and is_of_it, "A list proves nothing about an attempt.")

    # ---- A start

    def _started(
        self, before: Submission | None, after: Submission, asked: ReadStart, inputs: StartInputs, at: float
    ) -> None:
        """Each waiting backup joins, waits or goes: exactly as the subclient's claimer and the limits say."""
        pin = inputs.pin if inputs.target else before and before.pin
        self.must(pin is None or after.pin == pin, "It pins what the document does not say.")
        for key in asked.keys:
            old, new, claimer = before and before.backup_of(key), after.backup_of(key), None
            assert new
            if (old and not isinstance(old.phase, Waiting)) or kind_of(new.phase) in LETTERS:
                continue
            item = inputs.subclients[key]
            claimer = inputs.claimers.get(item.claimer) if item.claimer != after.key else None
            satisfying = self._satisfying(after, new, inputs, claimer)
            if isinstance(new.phase, Ended):
                self.must(new.job and new.job.id in satisfying, f"{after.key} joined a job that does not satisfy it.")
                self._joined(after, new)
                continue
            self.must(not satisfying, f"{after.key} could join job {satisfying}.")
            is_busy = self._is_busy(after, claimer, key, at)
            match kind_of(new.phase):
                case "Out":
                    self.must(not is_busy and not after.gathering, f"{after.key} does not wait for {item.claimer}.")
                    self.must(inputs.throttled_until <= at, "It was sent beside a rate limit.")
                    self.must(not old or _due(old) <= at, "It was sent before it was due.")
                    named = inputs.target.request.associations if inputs.target else ()
                    self.must(not named or key in {a.key for a in named}, "It has left the document.")
                    self._claimed(after, key, at)
                case _ if old and new.phase == old.phase:
                    self.must(after.out, "It does not go.")
                case "busy":
                    self.must(is_busy, f"{after.key} waits needlessly for {item.claimer}.")
                case "throttled":
                    self.must(at < inputs.throttled_until == _due(new), "It waits for no rate limit.")
                case kind:
                    self.must(after.out and not before, f"It does not go, but is {kind}.")

    def _satisfying(
        self, after: Submission, new: Backup, inputs: StartInputs, claimer: Submission | Unreadable | None
    ) -> set[str]:
        """Return the jobs that satisfy a backup: of the claimer, which completed or may be retried, or completed last."""
        truth, last = self.truth(after.key, new.key), inputs.subclients[new.key].completed
        level = truth.level if truth.level and not covers(after.pin.level, truth.level) else after.pin.level
        jobs = [(last.id, last.level, last.started)] if last else []
        theirs = claimer.backup_of(new.key) if isinstance(claimer, Submission) else None
        if theirs and theirs.job and isinstance(claimer, Submission):
            is_retried = isinstance(theirs.phase, Running) and theirs.failures < claimer.pin.retries
            if is_retried or claimer.state_of(theirs).startswith("completed"):
                jobs.append((theirs.job.id, theirs.job.level, theirs.job.began))
        return {job_id for job_id, has, began in jobs if began >= truth.moment and covers(has, level)}

    def _joined(self, after: Submission, new: Backup) -> None:
        """What was joined truly began after the moment."""
        job, moment = self.commserve.jobs.get(new.job.id) if new.job else None, self.truth(after.key, new.key).moment
        if job and job.cause and not self.is_restored and not self.is_beyond_window(job):
            is_good = job.association.key == new.key and job.begin >= moment - (SKEW if new.failures else 0)
            self.must(is_good, f"{after.key} joined job {job.id}, which began too early.")

    def _is_busy(self, after: Submission, claimer: Submission | Unreadable | None, key: str, at: float) -> bool:
        """Tell whether the claimer of a subclient still has, or may still get, a job for it."""
        if claimer is None or isinstance(claimer, Unreadable):
            return claimer is not None
        theirs, is_alive = claimer.backup_of(key), at <= claimer.last_due + PASSED_OVER
        # Who is passed over once has lost the subclient, also when it goes on.
        self.truth(claimer.key, key).is_passed_over |= not is_alive
        match theirs.phase if theirs else None:
            case Ended(doubted=Doubted(attempt=number)):
                return at < self.truth(claimer.key, key).ends[number] + self.policy.reconcile_seconds + SKEW
            case None | Ended() | Waiting(reason="gathering" | "settling"):
                return False
            case Waiting():
                return is_alive and claimer.created <= after.created
            case _:
                return is_alive

    def _claimed(self, after: Submission, association: str, at: float) -> None:
        """At most one request for a subclient is out or in doubt, and none is sent beside a job that is followed."""
        for other in self.ledger.submissions.values():
            theirs = other.backup_of(association)
            if other.key == after.key or theirs is None or not theirs.attempt:
                continue
            attempt = other.attempt_of(theirs)
            is_over = at >= (attempt.ended or attempt.lease_end) + self.policy.reconcile_seconds + SKEW
            truth = self.truth(other.key, association)
            match theirs.phase:
                case Out() | Doubted() | Unlisted() | Ended() if not is_over:
                    raise Broken(f"Two requests for {association} are out or in doubt: {other.key}, {after.key}")
                case Named() | Running() if not truth.is_passed_over:
                    raise Broken(f"A request of {after.key} was sent beside a job of {other.key}.")

    # ---- What is read

    def _absences(self, before: Submission, asked: ReadJobs, read: JobsRead) -> None:
        """Count the reads in a row that do not show a job, or do not tell whose the jobs of an answer are."""
        for backup in before.backups:
            ids, rows = {backup.job.id} if backup.job else set(), read.all_rows
            if isinstance(backup.phase, Named):
                ids = set(before.attempt_of(backup).untold)
            if backup.key not in asked.wanted.keys or not isinstance(backup.phase, (Named, Running)):
                continue
            truth = self.truth(before.key, backup.key)
            shown = {row.id for job_id in ids if (row := rows.get(job_id)) and (backup.job or all(row.names))}
            if shown:
                truth.absent = (0, 0)
            if ids - shown & (read.absent | rows.keys()):
                truth.absent = (truth.absent[0] or read.at, truth.absent[1] + 1)

    def _read(self, before: Submission, after: Submission, asked: ReadJobs, read: JobsRead) -> None:
        """What is read is believed at once, and what is not shown is looked for in time."""
        listing = read.listing
        if asked.wanted.clients and listing:
            self.must(after.scan == listing.scan, "The place in a long list is lost.")
        for backup in after.backups:
            truth, old = self.truth(after.key, backup.key), before.backup_of(backup.key)
            if backup.key not in asked.wanted.keys or old is None:
                continue
            if isinstance(old.phase, Doubted) and not self.is_restored and listing:
                self._adopted(after, old, backup, read)
            row = read.all_rows.get(backup.job.id) if backup.job else None
            since, reads = truth.absent
            ids = {backup.job.id} if backup.job else set()
            if isinstance(backup.phase, Named):
                ids = set(after.attempt_of(backup).untold)
            is_absent = bool(ids & read.absent)
            match backup.phase:
                case Running() if row:
                    self.users |= {old.key} if row.user and row.id in after.attempt_of(backup).job_ids else set()
                    is_late = read.at >= truth.followed + self.policy.follow_seconds
                    self.must(row.end is None and not is_late, f"The end of job {row.id} was read, and not recorded.")
                case Running(due=due) | Named(due=due) if is_absent:
                    is_lost = reads >= MISSING_READS and read.at >= since + self.missing
                    self.must(not is_lost, "A job is missing for ever.")
                    self.must(due <= read.at + self.missing / 3, "A missing job is not read again soon.")
                case Doubted(due=due) if isinstance(old.phase, Doubted) and not self._is_nameless(backup, read):
                    believable = truth.ends[backup.attempt] + self.policy.reconcile_seconds
                    latest = max(believable, read.at + (self.policy.first_retry_seconds if after.scan else 0)) + SLACK
                    self.must(due <= latest or read.problem, f"None can be believed {due - latest:.0f} s earlier.")
                    is_whole = listing and not listing.scan and read.at >= believable + SLACK
                    self.must(not is_whole, "None can be believed.")

    def _adopted(self, after: Submission, old: Backup, new: Backup, read: JobsRead) -> None:
        """A job that a list shows inside the window of its attempt is adopted."""
        attempt = before_attempt = next((a for a in after.attempts if a.number == old.attempt), None)
        if isinstance(new.phase, (Doubted, Waiting)) and before_attempt and attempt and new.failures == old.failures:
            latest = self.truth(after.key, old.key).ends[old.attempt] + self.policy.reconcile_seconds
            for row in read.listing.rows if read.listing else ():
                job = self.commserve.jobs[row.id]
                is_its = job.cause == (after.key, old.attempt) and row.is_of(old.association)
                is_its = is_its and row.id not in self.ledger.items[old.key].known_ids
                is_inside = bool(row.started) and attempt.began - SKEW <= row.started <= latest
                self.must(not (is_its and is_inside), f"Job {row.id} was listed, and not adopted.")

    def _is_nameless(self, backup: Backup, read: JobsRead) -> bool:
        """Tell whether a list shows a row without names that may be a backup's."""
        rows = read.listing.rows if read.listing else ()
        is_shown = any(not all(row.names) and row.may_be_of(backup.association) for row in rows)
        return is_shown or bool(read.listing and read.listing.has_nameless)

    # ---- At each request and notice, and when a run ends

    def sending(self, submission: Submission, send: Send, now: float) -> None:
        """A request is recorded, sent once, as the document says, and never for what has a job."""
        story, stored = self.story(submission.key), self.ledger.submissions[submission.key]
        self.must(stored.out == send.attempt, "A request was sent that is not recorded.")
        self.must(send.attempt.number not in story.sent, "A request was sent twice.")
        story.sent.add(send.attempt.number)
        self.must(send.request.task_type == stored.pin.task_type, "It sends another type of task.")
        for association in send.request.associations:
            truth = self.truth(submission.key, association.key)
            level = truth.level if truth.level and not covers(stored.pin.level, truth.level) else stored.pin.level
            self.must(send.request.backup_level == level, f"It sends {send.request.backup_level}, and not {level}.")
            self.must(not self.commserve.schedules[submission.key, association.key], "A schedule is made twice.")
            for job in self.jobs_of(submission.key, association.key):
                is_limit = self.is_restored or truth.is_beyond_limits or self.is_beyond_window(job)
                is_retried = job.has_failed and job.end <= now
                self.must(is_limit or is_retried, f"{submission.key} has job {job.id} already.")

    def publishing(self, submission: Submission, notice: Notice) -> None:
        """A notice is recorded before it is published, and published in order."""
        story = self.story(submission.key)
        self.must(notice in story.notices, "A notice was published that is not recorded.")
        index = story.notices.index(notice)
        self.must(index <= story.done, "A notice was published before an earlier one.")
        story.published.add(index)
        for position in notice.backups:
            # Backups of one attempt are lost together: the IDs of their jobs are not known.
            key = submission.backups[position].key
            if notice.status not in {"submitted", "joined", "scheduled"}:
                self.truth(submission.key, key).published.update((*notice.job_ids, notice.status))

    def left(self, key: str, letter: int, now: float, *, is_left: bool) -> None:
        """A run leaves its submission over, or with a message, and in time. `is_left`: no message comes back."""
        stored = self.ledger.submissions.get(key)
        if stored is None:
            self.must(not is_left, f"The message of {key} is gone, and it has no record.")
            return
        self.must(letter <= stored.opened_letter, f"A letter of {key} opened nothing.")
        self.must(not is_left or stored.is_over, f"The message of {key} is gone, and it is not over.")
        for backup in stored.backups if stored.wake_at > now and stored.runs < MANY_RUNS else ():
            if isinstance(backup.phase, (Waiting, Named, Doubted, Unlisted)) and not stored.out:
                over = self.truth(key, backup.key).over(backup.phase, self.policy)
                self.must(now <= over + SLACK, f"{key} is tried {now - over:.0f} s too long.")

    def finish(self) -> None:
        """Judge what is true when everything is over."""
        for job in self.commserve.jobs.values() if not self.is_restored else ():
            if job.cause is None:
                continue
            truth = self.truth(job.cause[0], job.association.key)
            if not (truth.is_beyond_limits or self.is_beyond_window(job) or self._is_given_up(job)):
                is_told = job.id in truth.published or "lost" in truth.published
                self.must(is_told, f"The end of {job.id} of {job.cause[0]} was not published.")
        for submission in self.ledger.submissions.values():
            self.must(submission.is_over, f"{submission.key} is not over.")

    # ---- The limits

    def jobs_of(self, key: str, association: str) -> list[TrueJob]:
        """Return the jobs that a submission's attempts have started for an association."""
        jobs = self.commserve.jobs.values()
        return [job for job in jobs if job.cause and job.cause[0] == key and job.association.key == association]

    def _is_given_up(self, job: TrueJob) -> bool:
        """Tell whether its submission was abandoned in doubt."""
        assert job.cause
        backup = self.ledger.submissions[job.cause[0]].backup_of(job.association.key)
        return bool(backup and isinstance(backup.phase, Ended) and backup.phase.doubted)

    def is_beyond_window(self, job: TrueJob) -> bool:
        """Tell whether a job's row came, or its start moved, past the window of adoption: the limit of the documentation."""
        assert job.cause
        truth = self.truth(job.cause[0], job.association.key)
        latest = truth.ends.get(job.cause[1], 0) + self.policy.reconcile_seconds
        return job.visible > latest or job.begin + self.commserve.skew > latest


def _due(backup: Backup) -> float:
    return backup.phase.due if isinstance(backup.phase, Waiting) else 0
