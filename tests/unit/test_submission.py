"""The rules of "A submission's life", the outcomes of an attempt, and the sequences that broke a promise once.

`A`, `B`, `C` are submissions, each with a target of its own name; `X`, `Y`, `Z` associations; times are seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from rds_snap_backup import submission as core
from rds_snap_backup.commvault.outcomes import (
    Outcome,
    Rejected,
    Submitted,
    Throttled,
    Unavailable,
    Unknown,
)
from rds_snap_backup.commvault.rows import Job
from rds_snap_backup.problems import Problem
from rds_snap_backup.submission import Backup, Look, Notice, Policy, Sight, Submission
from rds_snap_backup.targets import Association, BackupRequest, Target
from rds_snap_backup.triggers import Kind, Trigger
from tests.property.core.shell import Ledger, run

MINUTE, HOUR, DAY = 60, 3600, 86400
POLICY = Policy(6 * HOUR, 24 * HOUR, 30, 60, 600, HOUR)
X, Y, Z = (Association("client", name, "default", "client") for name in "XYZ")
WHY = Problem("WHY", "why", "hint")
LOST = Unknown(WHY)
DOWN = Unavailable(WHY)
REFUSED = Rejected(WHY, blames_names=True)


def jobs(*ids: str) -> Submitted:
    """Return the answer that names these jobs."""
    return Submitted(ids, 402)


class Killed(Exception):
    """The run is killed while its request is out."""


@dataclass
class World:
    """What a submission meets: a ledger, documents, answers in turn, rows of jobs, and a clock. Notices are kept."""

    policy: Policy = POLICY
    ledger: Ledger = field(default_factory=Ledger)
    now: float = 1_800_000_000
    documents: dict[str, Target] = field(default_factory=dict)
    answers: list[Outcome | type[Killed]] = field(default_factory=list)
    rows: dict[str, Job] = field(default_factory=dict)
    database: str | Problem | None = "available"
    unknown_names: Problem | set[str] = field(default_factory=set)
    unreadable: Problem | None = None
    unasked: set[str] = field(default_factory=set)
    sent: list[tuple[str, str, str]] = field(default_factory=list)
    published: list[tuple[str, Notice]] = field(default_factory=list)
    created: dict[str, str] = field(default_factory=dict)
    start: float = 1_800_000_000

    # ---- What the core's shell asks

    def document(self, target: str) -> Target | None:
        return self.documents.get(target)

    def status(self, submission: Submission) -> str | Problem | None:
        return self.database

    def send(self, submission: Submission, request: BackupRequest) -> Outcome:
        names = "".join(one.instance_name for one in request.associations)
        self.sent.append((submission.target, names, request.backup_level))
        answer = self.answers.pop(0)
        if isinstance(answer, type):
            raise answer
        return answer

    def look(self, submission: Submission, look: Look) -> Sight:
        known = {one: self.rows[one] for one in look.job_ids if one in self.rows and one not in self.unasked}
        absent = frozenset(one for one in look.job_ids if one not in self.rows and one not in self.unasked)
        if self.unreadable:
            return Sight(self.now, {}, problem=self.unreadable)
        if not look.clients:
            return Sight(self.now, known, absent)
        return Sight(self.now, known, absent, tuple(self.rows.values()), self.now)

    def unknown(self, associations: Iterable[Association]) -> frozenset[str] | Problem:
        if isinstance(self.unknown_names, Problem):
            return self.unknown_names
        return frozenset(one.key for one in associations if one.instance_name in self.unknown_names)

    def publish(self, submission: Submission, notice: Notice) -> None:
        self.published.append((submission.target, notice))

    # ---- What a test says

    @property
    def time(self) -> float:
        """Seconds since the world's beginning."""
        return self.now - self.start

    def begin(self, name: str, *associations: Association, kind: Kind = "manual", **fields: Any) -> "World":
        """Let a trigger arrive. An RDS event or schedule happened now; the document is written with it."""
        self.edit(name, *associations, **fields)
        when = datetime.fromtimestamp(self.now, UTC).isoformat()
        trigger = Trigger(kind, name, time=None if kind == "manual" else when, source_arn="arn:aws:rds:r:1:db:x")
        target = self.documents[name]
        submission = core.begin(trigger, target, associations, core.pin_of(target, 0, 0), self.now)
        self.created[name] = submission.key
        self.ledger.save(core.Change(submission))
        return self

    def edit(
        self, name: str, *associations: Association, level: str = "FULL", retries: int = 1, **fields: Any
    ) -> "World":
        """Write a target's document."""
        request = BackupRequest(associations, level, fields.pop("task_type", "IMMEDIATE"))
        self.documents[name] = Target(name, request, retry_failed_jobs=retries, **fields)
        return self

    def run(self, name: str, *answers: Outcome | type[Killed]) -> "World":
        """Let a message of a submission be received; requests get these answers."""
        self.answers = list(answers)
        try:
            self._drive(name)
        except Killed:
            pass
        assert not self.answers, f"{len(self.answers)} requests were not sent"
        return self

    def _drive(self, name: str) -> None:
        for count, _ in enumerate(run(self, self[name])):
            assert count < 200, "It spins."

    def at(self, seconds: float) -> "World":
        """Set the clock."""
        assert self.start + seconds >= self.now
        self.now = self.start + seconds
        return self

    def go(self, name: str, until: float, *answers: Outcome | type[Killed]) -> "World":
        """Receive a submission's message whenever it is due, until this time."""
        left = list(answers)
        while not self[name].is_over and (wake := max(self[name].wake_at, self.now)) <= self.start + until:
            self.now = wake
            before = len(self.sent)
            self.answers = left
            try:
                self._drive(name)
            except Killed:
                pass
            assert len(self.sent) > before or self[name].is_over or self[name].wake_at > self.now, "It spins."
            if self[name].wake_at <= self.now and not self[name].is_over:
                self.now = max(self[name].lease_end, self.now + 1)
        assert not left, f"{len(left)} requests were not sent"
        self.now = max(self.now, self.start + until)
        return self

    def job(self, job_id: str, of: Association, status: str = "Running", **times: Any) -> "World":
        """Show a job's row; times are seconds, `started` is 0 where the row does not tell."""
        started = times.get("started", self.time)
        ended = times.get("ended", self.time if status not in {"Running", "Queued"} else 0)
        self.rows[job_id] = Job(
            job_id,
            times.get("client", of.client_name),
            times.get("instance", of.instance_name),
            times.get("subclient", of.subclient_name),
            times.get("level", "FULL"),
            True,
            status,
            self.start + started if started is not None else 0,
            self.start + ended if ended else 0,
        )
        return self

    def redrive(self, name: str) -> "World":
        """Receive the last dead letter of a submission again."""
        letter = max(notice.letter for of, notice in self.published if of == name)
        opened = core.reopen(self[name], letter, self[name], self.now)
        self.ledger.save(core.Change(opened))
        return self

    def __getitem__(self, name: str) -> Submission:
        return self.ledger.submissions[self.created[name]]

    def backup(self, name: str, of: Association = X) -> Backup:
        found = self[name].backup_of(of.key)
        assert found
        return found

    def states(self, name: str) -> str:
        """Return the states of a submission's backups, in order."""
        return " ".join(backup.state for backup in self[name].backups)

    def notices(self, name: str) -> list[str]:
        """Return the statuses that were published of a submission."""
        return [notice.status for of, notice in self.published if of == name]

    def job_of(self, name: str, of: Association = X) -> str:
        found = self.backup(name, of).job
        return found.id if found else ""


@pytest.fixture
def world() -> World:
    return World()


# ---- Corners of the rules


def test_a_request_that_is_out_after_nine_days_is_not_given_up(world: World) -> None:
    world.begin("A", X).at(9 * DAY - 10).run("A", Killed).at(9 * DAY + 1).run("A")
    assert world.states("A") == "requested"
    world.go("A", 9 * DAY + HOUR)
    assert (world.states("A"), world.backup("A").is_in_doubt) == ("abandoned", True)
    version = world[("A")].version
    assert world.run("A")["A"].version == version


def test_a_backup_in_doubt_is_looked_for_though_a_neighbour_is_retried(world: World) -> None:
    world.begin("A", X, Y, Z).run("A", jobs("1", "2"))
    world.at(60).job("1", X, "Failed").job("2", Y).run("A")
    assert world.states("A") == "waiting running requested"
    world.at(70).job("3", Z, started=1).go("A", 300)
    assert world.job_of("A", Z) == "3"
    assert not any(attempt.foreign for attempt in world["A"].attempts)


def test_an_answer_that_names_a_job_of_an_earlier_attempt_leads_to_an_end(world: World) -> None:
    world.begin("A", X, Y, Z).run("A", jobs("1", "2", "3"))
    world.at(60).job("1", X, "Completed").job("2", Y, "Failed").job("3", Z, "Failed").run("A")
    world.go("A", 2 * HOUR, jobs("1"))
    assert world.states("A") == "completed lost lost"


def test_a_retry_knows_no_cool_down_also_after_a_redrive(world: World) -> None:
    world.begin("A", X, kind="rds", cool_down_minutes=60).run("A", jobs("1"))
    world.at(30).begin("B", X).run("B", jobs("2")).at(60).job("1", X, "Failed", started=40).job("2", X, "Completed")
    world.run("A").run("B").go("A", HOUR, REFUSED).redrive("A").run("A", jobs("3"))
    assert world.job_of("A") == "3"


def test_a_job_is_followed_from_its_own_start(world: World) -> None:
    world.begin("A", X, Y).run("A", jobs("1", "2")).at(60).job("1", X).job("2", Z, started=0).run("A")
    assert world.states("A") == "running requested"
    del world.rows["2"]
    world.job("1", X, "Completed").job("3", Y, started=22 * HOUR)
    world.go("A", 23 * HOUR, Throttled(WHY, 22 * HOUR), jobs("3")).go("A", 40 * HOUR)
    assert world.states("A") == "completed running"


def test_an_adopted_job_stays_known_however_many_rows_match(world: World) -> None:
    world.begin("A", X).run("A", LOST)
    for number in range(1, 8):
        world.job(str(number), X, started=number)
    world.go("A", 60)
    assert world.job_of("A") == "1"
    assert "1" in world.ledger.items[X.key].known_ids


def test_a_row_without_names_tells_nothing_while_it_may_be_of_several(world: World) -> None:
    world.begin("A", X, Y).run("A", jobs("1", "2")).at(60)
    world.job("1", X, client="", instance="", subclient="").job("2", X).run("A")
    assert (world.job_of("A", X), world.job_of("A", Y)) == ("2", "")
    world.go("A", 600)
    assert world.job_of("A", Y) == "1"


def test_a_job_that_began_before_a_trigger_by_our_clock_does_not_satisfy_it(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).at(30).begin("B", X).at(60)
    world.job("1", X, started=100).run("A").run("B", jobs("2"))
    assert world.states("B") == "running"


def test_what_is_opened_again_leaves_a_job_without_a_start_to_the_claimer(world: World) -> None:
    world.begin("A", X).go("A", 2 * HOUR, *[Killed] * 5)
    assert world.states("A") == "abandoned"
    world.begin("B", X).run("B", LOST)
    world.job("2", X, "Queued", started=None).redrive("A").run("A")
    assert world.job_of("A") == ""


def test_a_claimer_that_works_on_is_not_passed_over_though_a_neighbour_waits(world: World) -> None:
    world.begin("A", X, Y).at(3 * HOUR).run("A", LOST)
    starved = replace(world.backup("A", Y), due=world.start)
    kept = world["A"]
    world.ledger.submissions[kept.key] = replace(kept, backups=(kept.backups[0], starved))
    assert world.begin("B", X).run("B").states("B") == "waiting"
