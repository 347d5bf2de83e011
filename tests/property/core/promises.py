"""The judge of the simulation: promises about what truly happened in Commvault, what is recorded, and what was published.

The rules of a single step are told by the tests in `tests/unit/core`. Here is what must hold whatever runs interleave. Only
the limits that the documentation states are exceptions: a row that appears, or a queued job's start that moves, past the
window of adoption; a foreign job inside that window; more jobs than an item knows IDs; and jobs whose IDs are counted
again after a restore.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from rds_snap_backup.core.backups import Attempt, Backup
from rds_snap_backup.core.coordinator import Send
from rds_snap_backup.core.levels import covers
from rds_snap_backup.core.phases import Doubted, Ended, Named, Out, Running, Unlisted, Waiting, name_of
from rds_snap_backup.core.policy import Policy
from rds_snap_backup.core.record import Notice, Submission
from rds_snap_backup.core.starting import StartInputs
from tests.property.core.commserve import ENDS, CommServe, TrueJob
from tests.unit.core.ledger import Ledger

MINUTE, HOUR, DAY = 60, 3600, 86400
# A step takes some seconds, and so does a save that meets another one.
SLACK = 60
SKEW = 120
RETRY_PAUSES, KNOWN_IDS = 30, 5
PASSED_OVER, OPEN = 6 * HOUR, 9 * DAY
# From this many runs on a submission goes on only after a long pause.
MANY_RUNS = 100
LETTERS = frozenset({"rejected", "abandoned"})


class Broken(AssertionError):
    """A promise was broken."""


@dataclass
class Truth:
    """What the judge knows of one backup. `since` is when the time for trying it began, last."""

    since: float = 0
    is_beyond_limits: bool = False
    is_passed_over: bool = False
    published: set[str] = field(default_factory=set)


@dataclass
class Story:
    """What the judge knows of one submission: its attempts' ends, its notices, and those that were published."""

    ends: dict[int, float] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    published: set[int] = field(default_factory=set)
    done: int = 0
    sent: set[int] = field(default_factory=set)


class Judge:
    """Judges one simulation. `seen` counts what happened."""

    def __init__(self, policy: Policy, commserve: CommServe) -> None:
        self.policy, self.commserve = policy, commserve
        self.ledger = Ledger()
        self.truths: defaultdict[tuple[str, str], Truth] = defaultdict(Truth)
        self.stories: defaultdict[str, Story] = defaultdict(Story)
        self.bad_names: set[str] = set()
        self.is_restored = False
        self.seen: Counter[str] = Counter()

    def must(self, is_kept: object, what: str) -> None:
        """Raise `Broken` unless a promise is kept."""
        if not is_kept:
            raise Broken(what)

    # ---- At each save

    def saved(self, before: Submission | None, after: Submission, now: float) -> None:
        """Judge one save."""
        self.stories[after.key].ends |= {attempt.number: attempt.ended for attempt in after.attempts if attempt.ended}
        self._outbox(before, after)
        for backup in after.backups:
            old = before.backup_of(backup.key) if before else None
            if old is None:
                self.truths[after.key, backup.key] = Truth(after.opened, is_beyond_limits=self.is_restored)
            self._backup(before, after, backup, now)
            if isinstance(backup.phase, Out) and not (before and before.out):
                self._claimed(after, backup.key, now)
        self.must(len(after.attempts) <= len(after.backups) + 1, "Attempts are never forgotten.")
        self._wakes(after, now)

    def _outbox(self, before: Submission | None, after: Submission) -> None:
        """What changes is told once, in order, and what was told is published before it is forgotten."""
        story, was = self.stories[after.key], before.outbox if before else ()
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
        numbers = [notice.letter for notice in new if notice.status in LETTERS or notice.letter]
        first = before.letters if before else 0
        self.must(numbers == list(range(first + 1, after.letters + 1)), "An end without a job has no letter.")

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

    def _wakes(self, after: Submission, now: float) -> None:
        """Every open submission wakes up in time."""
        if after.is_over:
            return
        latest = now if after.outbox else after.opened + OPEN
        pause: float = 15 * MINUTE if now < after.created + DAY else HOUR
        for backup in () if after.outbox else after.backups:
            match backup.phase:
                case Ended():
                    continue
                case Out():
                    due = after.lease_end
                case Waiting(due, "gathering"):
                    pass
                case Waiting():
                    longest = max(pause, RETRY_PAUSES * self.policy.first_retry_seconds) if backup.failures else pause
                    due = max(now + longest, after.lease_end)
                case _:
                    due = now + pause
            latest = min(latest, due)
        latest += SLACK + (HOUR if after.runs >= MANY_RUNS else 0)
        is_timely = after.wake_at <= latest and (after.wake_at or after.outbox)
        self.must(is_timely, f"It wakes up {after.wake_at - latest:.0f} s too late.")

    # ---- One backup

    def _backup(self, before: Submission | None, after: Submission, new: Backup, now: float) -> None:
        truth, old = self.truths[after.key, new.key], before.backup_of(new.key) if before else None
        was, name = name_of(old.phase) if old else "Waiting", name_of(new.phase)
        if was == name:
            return
        self.seen[f"{was} -> {name}"] += 1
        if was in LETTERS:
            truth.since = after.opened
            self.seen["opened again"] += 1
        if old and new.failures > old.failures and isinstance(new.phase, Waiting):
            truth.since = new.phase.due
        if isinstance(new.phase, Ended):
            self._ended(after, old or new, new, now)
        if before and old and new.job and name != "joined" and not (old.job and old.job.id == new.job.id):
            self._credited(before.attempt_of(old), after, new)

    def _credited(self, attempt: Attempt, after: Submission, new: Backup) -> None:
        """A backup gets the job that its own attempt started, unless nobody could know better."""
        assert new.job
        truth, item = self.truths[after.key, new.key], self.ledger.items[new.key]
        job = self.commserve.jobs.get(new.job.id)
        # Opened again in doubt, it can find its job while the subclient is another's.
        truth.is_passed_over |= item.claimer != after.key
        self.must(new.job.id in item.known_ids, f"Another can adopt job {new.job.id}.")
        if job is None or self.is_restored or truth.is_beyond_limits:
            return
        self.must(job.association.key == new.key, f"{after.key} has a job of another subclient.")
        if job.cause == (after.key, attempt.number):
            self.must(new.job.began <= job.begin, f"Job {job.id} counts as begun after it truly has.")
            return
        truth.is_beyond_limits = True
        if job.cause is None:
            latest = self.stories[after.key].ends[attempt.number] + self.policy.reconcile_seconds
            is_inside = attempt.began - SKEW <= job.begin + self.commserve.skew <= latest
            is_good = is_inside and covers(job.level, attempt.level)
            self.must(is_good, f"{after.key} adopted job {job.id}, which is foreign.")
            self.must(not item.user, f"{after.key} adopted another user's job.")
        else:
            jobs = self.commserve.jobs.values()
            later = sum(other.association == job.association and int(other.id) > int(job.id) for other in jobs)
            is_known = later < KNOWN_IDS and not self._is_given_up(job) and not self.is_beyond_window(job)
            self.must(not is_known, f"{after.key} is credited with job {job.id} of {job.cause}.")

    def _ended(self, after: Submission, old: Backup, new: Backup, now: float) -> None:
        """A backup ends as its job truly did, or for a reason that is true, and not before its time is over."""
        assert isinstance(new.phase, Ended)
        truth, key, end = self.truths[after.key, new.key], new.key, new.phase.end
        job = self.commserve.jobs.get(new.job.id) if new.job and not self.is_restored else None
        match end, new.phase.error.code if new.phase.error else "":
            case "joined", _:
                if job and job.cause and not self.is_beyond_window(job):
                    is_timely = job.begin >= new.moment - (SKEW if new.failures else 0)
                    is_good = job.association.key == key and is_timely and covers(job.level, after.pin.level)
                    self.must(is_good, f"{after.key} joined job {job.id}, which does not satisfy it.")
            case "scheduled", _:
                self.must(self.commserve.schedules[after.key, key], "It was not scheduled.")
            case "lost" | "abandoned", "OPEN_TOO_LONG" | "JOB_NOT_FOLLOWED":
                self.must(now >= after.opened + OPEN, "It was given up before nine days.")
            case "lost", "JOB_ID_REUSED":
                is_limit = self.is_restored or truth.is_beyond_limits
                is_reused = is_limit or (after.key, old.attempt) in self.commserve.misnamed
                self.must(is_reused, "A job was lost whose ID is its own.")
            case "rejected", code:
                # A schedule of several is refused as a whole.
                names = {backup.key for backup in after.backups} if after.pin.task_type == "SCHEDULE" else {key}
                is_removed = code == "ASSOCIATION_REMOVED"
                self.must(names & self.bad_names or is_removed, f"{key} was rejected, and its name is good.")
            case "lost", "JOB_MISSING" | "JOB_STILL_RUNNING" as why:
                is_missing = why == "JOB_MISSING"
                least = max(600, self.policy.reconcile_seconds) if is_missing else self.policy.follow_seconds
                self.must(now >= self.stories[after.key].ends[old.attempt] + least, f"{why}: it was lost too early.")
            case "abandoned", "RUNS_CUT_OFF" | "SCHEDULE_UNKNOWN":
                pass
            case "lost" | "abandoned", code:
                is_over = now + SLACK >= truth.since + self.policy.retry_seconds
                self.must(is_over, f"It ended as {end} ({code}) before its time was over.")
            case _:
                is_true = job is None or (job.end <= now and ENDS[job.status] == end)
                self.must(is_true, f"A job of {after.key} has not ended as {end}.")

    def _claimed(self, after: Submission, association: str, now: float) -> None:
        """At most one request for a subclient is out or in doubt, and none is sent beside a job that is followed."""
        for other in self.ledger.submissions.values():
            theirs = other.backup_of(association)
            if other.key == after.key or theirs is None or not theirs.attempt:
                continue
            attempt = other.attempt_of(theirs)
            is_over = now >= (attempt.ended or attempt.lease_end) + self.policy.reconcile_seconds + SKEW
            match theirs.phase:
                case Out() | Doubted() | Unlisted() | Ended() if not is_over:
                    raise Broken(f"Two requests for {association} are out or in doubt: {other.key}, {after.key}")
                case Named() | Running() if not self.truths[other.key, association].is_passed_over:
                    raise Broken(f"A request of {after.key} was sent beside a job of {other.key}.")

    # ---- At each request and notice, and when a run ends

    def starting(self, inputs: StartInputs, now: float) -> None:
        """Note who is passed over: it has lost the subclient, also when it goes on."""
        for key, item in inputs.subclients.items():
            claimer = inputs.claimers.get(item.claimer)
            if isinstance(claimer, Submission) and now > claimer.last_due + PASSED_OVER:
                self.truths[claimer.key, key].is_passed_over = True

    def sending(self, submission: Submission, send: Send, now: float) -> None:
        """A request is recorded, sent once, and never for what has a job, unless that failed and was of no fuller level."""
        story, level = self.stories[submission.key], send.request.backup_level
        self.must(
            self.ledger.submissions[submission.key].out == send.attempt, "A request was sent that is not recorded."
        )
        self.must(send.attempt.number not in story.sent, "A request was sent twice.")
        story.sent.add(send.attempt.number)
        for association in send.request.associations:
            truth = self.truths[submission.key, association.key]
            self.must(not self.commserve.schedules[submission.key, association.key], "A schedule is made twice.")
            for job in self.commserve.jobs.values():
                if job.association.key != association.key or not job.cause or job.cause[0] != submission.key:
                    continue
                is_limit = self.is_restored or truth.is_beyond_limits or self.is_beyond_window(job)
                is_retried = job.status == "Failed" and job.end <= now and covers(level, job.level)
                self.must(is_limit or is_retried, f"{submission.key} has job {job.id} already, of level {job.level}.")

    def publishing(self, submission: Submission, notice: Notice) -> None:
        """A notice is recorded before it is published, and published in order."""
        story = self.stories[submission.key]
        self.must(notice in story.notices, "A notice was published that is not recorded.")
        index = story.notices.index(notice)
        self.must(index <= story.done, "A notice was published before an earlier one.")
        story.published.add(index)
        for position in notice.backups:
            # Backups of one attempt are lost together: the IDs of their jobs are not known.
            key = submission.backups[position].key
            if notice.status not in {"submitted", "joined", "scheduled"}:
                self.truths[submission.key, key].published.update((*notice.job_ids, notice.status))

    def left(self, key: str, letter: int, now: float, *, is_left: bool) -> None:
        """A run leaves its submission over, or with a message, and in time. `is_left`: no message comes back."""
        stored = self.ledger.submissions.get(key)
        self.must(not is_left or (stored and stored.is_over), f"The message of {key} is gone, and it is not over.")
        if stored is None:
            return
        self.must(letter <= stored.opened_letter, f"A letter of {key} opened nothing.")
        longest = self.policy.retry_seconds + max(72 * HOUR, self.policy.follow_seconds)
        for backup in stored.backups if stored.wake_at > now and stored.runs < MANY_RUNS else ():
            if isinstance(backup.phase, (Waiting, Named, Doubted, Unlisted)) and not stored.out:
                over = self.truths[key, backup.key].since + longest
                self.must(now <= over + SLACK, f"{key} is tried {now - over:.0f} s too long.")

    def finish(self) -> None:
        """When everything is over, the end of every job was published."""
        for job in self.commserve.jobs.values() if not self.is_restored else ():
            if job.cause is None:
                continue
            truth = self.truths[job.cause[0], job.association.key]
            if not (truth.is_beyond_limits or self.is_beyond_window(job) or self._is_given_up(job)):
                is_told = job.id in truth.published or "lost" in truth.published
                self.must(is_told, f"The end of {job.id} of {job.cause[0]} was not published.")

    # ---- The limits

    def _is_given_up(self, job: TrueJob) -> bool:
        """Tell whether its submission was abandoned in doubt."""
        assert job.cause
        backup = self.ledger.submissions[job.cause[0]].backup_of(job.association.key)
        return bool(backup and isinstance(backup.phase, Ended) and backup.phase.doubted)

    def is_beyond_window(self, job: TrueJob) -> bool:
        """Tell whether a job's row came, or its start moved, past the window of adoption: the limit of the documentation."""
        assert job.cause
        latest = self.stories[job.cause[0]].ends.get(job.cause[1], 0) + self.policy.reconcile_seconds
        return job.visible > latest or job.begin + self.commserve.skew > latest
