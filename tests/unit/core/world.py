"""A small language for scenarios of the core: triggers, time, answers, rows and letters, over the driver in memory.

`A`, `B`, `C` are submissions, each of a target of its own name; `X`, `Y`, `Z` associations. Times are seconds since the
world's beginning.
"""

from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from rds_snap_backup.config import Config
from rds_snap_backup.core.backups import CLOCK_SKEW_SECONDS, Backup
from rds_snap_backup.core.coordinator import (
    AskStatus,
    Coordinator,
    Drop,
    Publish,
    ReadInventory,
    ReadJobs,
    ReadStart,
    ReadSubclients,
    ReadTarget,
    Request,
    Save,
    Saved,
    Send,
    Stale,
)
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.opening import DatabaseStatus, apply_status, begin
from rds_snap_backup.core.outcomes import Outcome, Rejected, Submitted, Throttled, Unavailable, Unknown
from rds_snap_backup.core.phases import name_of
from rds_snap_backup.core.policy import Pin, Policy
from rds_snap_backup.core.reading import JobsRead, JobsWanted, Listing
from rds_snap_backup.core.record import Change, Notice, Scan, Submission
from rds_snap_backup.core.starting import StartInputs
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest, Target
from rds_snap_backup.triggers import Kind, Trigger
from tests.support import ENVIRONMENT
from tests.unit.core.ledger import Ledger

MINUTE, HOUR, DAY = 60, 3600, 86400
BEGIN = 1_800_000_000.0
# As long as the template's defaults, where the tests' environment is quick.
POLICY = replace(
    Config.from_env(ENVIRONMENT).policy,
    retry_seconds=12 * HOUR,
    first_retry_seconds=30,
    first_poll_seconds=60,
    reconcile_seconds=600,
)
X, Y, Z = (Association("client", name, "default", "client") for name in "XYZ")
WHY = Problem("WHY", "why", "hint")
LOST = Unknown(WHY)
DOWN = Unavailable(WHY)
REFUSED = Rejected(WHY, blames_names=True)
# Far more requests to the driver than a run makes.
MAX_REQUESTS = 300


def jobs(*ids: str) -> Submitted:
    """Return the answer that names these jobs."""
    return Submitted(ids, 402)


class Killed(Exception):
    """The run is killed while its request is out: Commvault may have accepted it."""


type Steps = Generator[Request]
type Answer = Outcome | type[Killed]


@dataclass
class World:
    """What submissions meet: a ledger, documents, answers in turn, rows of jobs, and a clock. Notices are kept."""

    policy: Policy = POLICY
    ledger: Ledger = field(default_factory=Ledger)
    now: float = BEGIN
    documents: dict[str, Target] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    # The answer to each request for which a test gives none.
    always: Answer | None = None
    rows: dict[str, Job] = field(default_factory=dict)
    database: DatabaseStatus = "available"
    unknown_names: Problem | set[str] = field(default_factory=set)
    unreadable: Problem | None = None
    # A list is read one client after the other, one a run.
    is_long: bool = False
    unasked: set[str] = field(default_factory=set)
    sent: list[tuple[str, str, str]] = field(default_factory=list)
    published: list[tuple[str, Notice]] = field(default_factory=list)
    dropped: list[Outcome] = field(default_factory=list)
    created: dict[str, str] = field(default_factory=dict)
    # What the last run returned.
    left: object = None

    # ---- The driver

    def steps(self, name: str, letter: int = 0, *answers: Answer) -> Steps:
        """Yield each request of one run on a submission before it is answered, and a `Send` after it too."""
        self.answers += answers
        submission, answer = self[name], None
        coordinator = Coordinator(self.policy, lambda: self.now)
        steps = coordinator.run(submission, letter)
        while True:
            try:
                request = steps.send(answer)
            except StopIteration as stop:
                self.left = stop.value
                return
            yield request
            answer = self._answer(submission, request)
            match answer:
                case Saved(submission) | Stale(submission):
                    pass
            if isinstance(request, Send):
                yield request

    def _answer(self, submission: Submission, request: Request) -> Any:
        match request:
            case Save(change):
                return self.ledger.save(change)
            case Publish(notice):
                return self.published.append((submission.target, notice))
            case ReadSubclients(keys):
                return self.ledger.subclients(keys)
            case ReadStart(keys):
                return self.start_inputs(submission, keys)
            case ReadTarget():
                return self._fresh(submission)
            case AskStatus():
                return self.database
            case ReadJobs(wanted):
                return self._read_jobs(wanted)
            case ReadInventory(associations):
                return self._unknown(associations)
            case Send():
                return self._send(submission, request)
            case Drop(outcome=outcome):
                return self.dropped.append(outcome)

    def _fresh(self, submission: Submission) -> Submission | Problem:
        target = self.documents.get(submission.target)
        if target is None:
            return WHY
        associations = target.request.associations
        return begin(submission.trigger, target, associations, self.policy, self.now)

    def start_inputs(self, submission: Submission, keys: tuple[str, ...]) -> StartInputs:
        inputs, target = self.ledger.start_inputs(submission, keys), self.documents.get(submission.target)
        return replace(inputs, target=target, pin=Pin.of(target, self.policy)) if target else inputs

    def _send(self, submission: Submission, send: Send) -> Outcome:
        names = "".join(association.instance_name for association in send.request.associations)
        self.sent.append((submission.target, names, send.request.backup_level))
        answer = self.answers.pop(0) if self.answers or not self.always else self.always
        if isinstance(answer, type):
            raise answer
        if isinstance(answer, Throttled):
            self.ledger.throttled_until = self.now + answer.seconds
        return answer

    def _read_jobs(self, wanted: JobsWanted) -> JobsRead:
        if self.unreadable:
            return JobsRead(self.now, problem=self.unreadable)
        asked = [job_id for job_id in wanted.job_ids if job_id not in self.unasked]
        rows = {job_id: self.rows[job_id] for job_id in asked if job_id in self.rows}
        absent = frozenset(asked) - rows.keys()
        return JobsRead(self.now, rows, absent, self._listing(wanted) if wanted.clients else None)

    def _listing(self, wanted: JobsWanted) -> Listing:
        scan = wanted.scan or Scan(self.now, wanted.since, wanted.clients, {"left": list(wanted.clients)})
        left = list(scan.place["left"])
        read = left[:1] if self.is_long else left
        listed = tuple(
            row
            for row in self.rows.values()
            if row.client_name in {*read, ""} and not 0 < row.ended < scan.since - CLOCK_SKEW_SECONDS
        )
        rest = replace(scan, place={"left": left[len(read) :]}) if left[len(read) :] else None
        return Listing(listed, scan.begun, scan.since, scan.clients, rest)

    def _unknown(self, associations: Iterable[Association]) -> frozenset[str] | Problem:
        if isinstance(self.unknown_names, Problem):
            return self.unknown_names
        return frozenset(one.key for one in associations if one.instance_name in self.unknown_names)

    # ---- What a test does

    @property
    def time(self) -> float:
        """Seconds since the world's beginning."""
        return self.now - BEGIN

    def at(self, seconds: float) -> Self:
        """Set the clock."""
        assert BEGIN + seconds >= self.now, "Time does not run backwards."
        self.now = BEGIN + seconds
        return self

    def edit(
        self, name: str, *associations: Association, level: str = "FULL", retries: int | None = None, **fields: Any
    ) -> Self:
        """Write a target's document."""
        request = BackupRequest(associations, level, fields.pop("task_type", "IMMEDIATE"))
        self.documents[name] = Target(name, request, retry_failed_jobs=retries, **fields)
        return self

    def begin(
        self, name: str, *associations: Association, kind: Kind = "manual", ago: float = 0, **fields: Any
    ) -> Self:
        """Let a trigger arrive that happened some seconds ago; its target's document is written with it."""
        self.edit(name, *associations, **fields)
        when = datetime.fromtimestamp(self.now - ago, UTC).isoformat()
        trigger = Trigger(kind, name, time=None if kind == "manual" else when, source_arn="arn:aws:rds:r:1:db:x")
        submission = begin(trigger, self.documents[name], associations, self.policy, self.now)
        submission = apply_status(submission, self.database, self.policy, self.now)
        self.created[name] = submission.key
        self.ledger.save(Change(submission.woken(self.policy)))
        return self

    def run(self, name: str, *answers: Answer, letter: int = 0) -> Self:
        """Receive a submission's message once; its requests get these answers."""
        self.answers = list(answers)
        with suppress(Killed):
            self.finish(self.steps(name, letter))
        assert not self.answers, f"{len(self.answers)} requests were not sent"
        return self

    def go(self, names: str, until: float, *answers: Answer) -> Self:
        """Receive the messages of submissions whenever they are due, until this time; their requests get these answers."""
        self.answers = list(answers)
        while due := sorted((self[name].wake_at, name) for name in names.split() if not self[name].is_over):
            wake, name = due[0]
            if max(wake, self.now) > BEGIN + until:
                break
            self.now = max(wake, self.now)
            with suppress(Killed):
                self.finish(self.steps(name))
            assert self[name].is_over or self[name].wake_at > self.now, "It spins."
        assert not self.answers, f"{len(self.answers)} requests were not sent"
        return self.at(max(until, self.time))

    def until(self, steps: Steps, kind: type[Request]) -> Self:
        """Let a run go on to where it makes a request of this kind, or has made a `Send`."""
        assert any(isinstance(request, kind) for request in steps)
        return self

    def finish(self, steps: Steps) -> Self:
        """Let a run go on to its end."""
        for count, _ in enumerate(steps):
            assert count < MAX_REQUESTS, "It spins."
        return self

    def redrive(self, name: str, *answers: Answer) -> Self:
        """Receive the last dead letter of a submission again."""
        letter = max(notice.letter for target, notice in self.published if target == name)
        return self.run(name, *answers, letter=letter)

    def job(self, job_id: str, of: Association, status: str = "Running", **facts: Any) -> Self:
        """Show a job's row. It started now; `started` None is a row without a start."""
        started = facts.pop("started", self.time)
        ended = facts.pop("ended", self.time if status not in {"Running", "Queued"} else None)
        begun, over = (0 if time is None else BEGIN + time for time in (started, ended))
        row = Job(job_id, *of.names, facts.pop("level", "FULL"), True, status, begun, over)
        self.rows[job_id] = replace(row, **facts)
        return self

    # ---- What a test asks

    def __getitem__(self, name: str) -> Submission:
        return self.ledger.submissions[self.created[name]]

    def backup(self, name: str, of: Association = X) -> Backup:
        found = self[name].backup_of(of.key)
        assert found
        return found

    def phases(self, name: str) -> str:
        """Return the phases of a submission's backups, or their ends, in order."""
        return " ".join(name_of(backup.phase) for backup in self[name].backups)

    def states(self, name: str) -> str:
        """Return the public states of a submission's backups, in order."""
        return " ".join(self[name].state_of(backup) for backup in self[name].backups)

    def error(self, name: str, of: Association = X) -> str:
        """Return the code of a backup's last problem."""
        problem = self.backup(name, of).error
        return problem.code if problem else ""

    def notices(self, name: str) -> list[Notice]:
        """Return what was published of a submission."""
        return [notice for target, notice in self.published if target == name]

    def told(self, name: str) -> str:
        """Return the statuses that were published of a submission."""
        return " ".join(notice.status for notice in self.notices(name))

    def requests(self, name: str) -> list[str]:
        """Return the associations that each request of a submission named."""
        return [names for target, names, _ in self.sent if target == name]

    def job_of(self, name: str, of: Association = X) -> str:
        job = self.backup(name, of).job
        return job.id if job else ""

    def known(self, of: Association = X) -> tuple[str, ...]:
        """Return the job IDs that a subclient's item knows."""
        return self.ledger.subclients([of.key])[of.key].known_ids
