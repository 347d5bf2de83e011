"""The rules of "A submission's life", the outcomes of an attempt, and the sequences that broke a promise once.

`A`, `B`, `C` are submissions, each with a target of its own name; `X`, `Y`, `Z` associations; times are seconds.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from rds_snap_backup import record as kept
from rds_snap_backup import sightings as sighted
from rds_snap_backup import submission as core
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
from rds_snap_backup.commvault.rows import Job
from rds_snap_backup.ledger import records
from rds_snap_backup.problems import Problem
from rds_snap_backup.record import Backup, Notice, Policy, Submission
from rds_snap_backup.sightings import Sight
from rds_snap_backup.submission import Look
from rds_snap_backup.targets import Association, BackupRequest, Target
from rds_snap_backup.triggers import Kind, Trigger
from tests.property.core.shell import Ledger, SubclientChanged, run

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

    def status(self, submission: Submission) -> str | Problem | None:  # noqa: ARG002
        return self.database

    def send(self, submission: Submission, request: BackupRequest) -> Outcome:
        names = "".join(association.instance_name for association in request.associations)
        self.sent.append((submission.target, names, request.backup_level))
        answer = self.answers.pop(0)
        if isinstance(answer, type):
            raise answer
        return answer

    def look(self, submission: Submission, look: Look) -> Sight:  # noqa: ARG002
        known = {
            job_id: self.rows[job_id] for job_id in look.job_ids if job_id in self.rows and job_id not in self.unasked
        }
        absent = frozenset(job_id for job_id in look.job_ids if job_id not in self.rows and job_id not in self.unasked)
        if self.unreadable:
            return Sight(self.now, {}, problem=self.unreadable)
        if not look.clients:
            return Sight(self.now, known, absent)
        return Sight(self.now, known, absent, tuple(self.rows.values()), self.now)

    def unknown(self, associations: Iterable[Association]) -> frozenset[str] | Problem:
        if isinstance(self.unknown_names, Problem):
            return self.unknown_names
        return frozenset(
            association.key for association in associations if association.instance_name in self.unknown_names
        )

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
        self.ledger.save(kept.Change(submission))
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
        with suppress(Killed):
            self._drive(name)
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
            with suppress(Killed):
                self._drive(name)
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
        self.ledger.save(kept.Change(opened))
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


# ---- The rules of "A submission's life"


def test_rule_1_the_next_attempt_takes_the_current_document_or_what_was_pinned(world: World) -> None:
    world.begin("A", X, level="INCREMENTAL").run("A", DOWN)
    world.edit("A", X, level="FULL").go("A", 30, DOWN)
    world.documents.clear()
    world.go("A", 90, jobs("1"))
    assert [level for _, _, level in world.sent] == ["INCREMENTAL", "FULL", "FULL"]


def test_rule_1_backups_of_another_level_wait_for_an_attempt_of_their_own(world: World) -> None:
    world.begin("A", X, Y, level="INCREMENTAL").run("A", jobs("1", "2")).at(60)
    world.job("1", X, "Failed", level="FULL").job("2", Y, "Failed", level="INCREMENTAL").go("A", 960, DOWN, DOWN)
    assert world.sent[1:] == [("A", "X", "FULL"), ("A", "Y", "INCREMENTAL")]


def test_rule_2_each_step_is_recorded_before_it_can_be_seen(world: World) -> None:
    world.begin("A", X)
    world.answers = [jobs("1")]
    recorded = [(step, world.states("A"), len(world["A"].outbox)) for step in run(world, world["A"])]
    assert recorded == [
        ("read", "waiting", 0),
        ("save", "waiting", 0),
        ("send", "requested", 0),
        ("answer", "requested", 0),
        ("save", "requested", 0),
        ("publish", "running", 1),
        ("save", "running", 1),
    ]


def test_rule_3_a_busy_subclient_waits_and_the_others_go(world: World) -> None:
    world.begin("A", X).run("A", LOST).begin("B", X, Y).run("B", jobs("1"))
    assert world.states("B") == "waiting running"
    assert world.backup("B", X).error == core.SUBCLIENT_BUSY


def test_rule_3_a_claim_depends_on_the_item_that_was_read(world: World) -> None:
    world.begin("A", X).run("A", DOWN).begin("B", X).at(30)
    surroundings = world.ledger.surroundings(world["B"], [X.key])
    world.run("A", DOWN)
    change = core.start(world["B"], replace(surroundings, claimers={}), POLICY, world.now)
    with pytest.raises(SubclientChanged):
        world.ledger.save(change)


def test_rule_3_a_claimer_whose_message_is_lost_is_passed_over(world: World) -> None:
    world.begin("A", X).run("A", DOWN).at(30 + HOUR + 600).begin("B", X).run("B")
    assert world.states("B") == "waiting"
    world.at(31 + HOUR + 600).go("B", 31 + HOUR + 600 + 30, jobs("1"))
    assert world.states("B") == "running"


@pytest.mark.parametrize(
    ("kind", "job", "is_satisfied"),
    [
        ("manual", (1000, "Running", "FULL"), True),
        ("manual", (1000, "Completed w/ one or more errors", "FULL"), True),
        ("manual", (1000, "Killed", "FULL"), False),
        ("manual", (1000, "Failed", "FULL"), False),
        ("manual", (1000, "Running", "INCREMENTAL"), False),
        ("manual", (900, "Completed", "FULL"), False),
        ("schedule", (900, "Running", "FULL"), False),
        ("rds", (100, "Completed", "FULL"), True),
        ("rds", (99, "Completed", "FULL"), False),
        ("rds", (900, "Killed", "FULL"), False),
    ],
)
def test_rule_4_a_trigger_is_satisfied_by_a_job_that_begins_after_it(
    world: World, kind: Kind, job: tuple[float, str, str], is_satisfied: bool
) -> None:
    began, status, level = job
    world.begin("A", X, level=level, retries=0).at(began)
    if began < 1000:
        world.run("A", jobs("1"))
    world.at(1000).begin("B", X, kind=kind, cool_down_minutes=15)
    if began == 1000:
        world.run("A", jobs("1"))
    world.at(1100).job("1", X, status, started=began, level=level).run("A")
    world.run("B", *([] if is_satisfied else [jobs("2")]))
    assert world.states("B") == ("joined" if is_satisfied else "running")
    assert (world.backup("B").joined == world["A"].key) == is_satisfied


@pytest.mark.parametrize(
    ("status", "settled_after"),
    [
        ("available", 0),
        ("storage-optimization", 0),
        (None, 0),
        ("modifying", HOUR),
        (WHY, 600),
    ],
)
def test_rule_5_the_first_attempt_of_an_event_waits_for_its_database(
    world: World, status: str | Problem | None, settled_after: float
) -> None:
    world.database = status
    world.begin("A", X, kind="rds")
    if settled_after:
        world.go("A", settled_after - 1)
        assert world.backup("A").error
        assert "DATABASE_NOT_AVAILABLE" in str(world.backup("A").error)
    world.go("A", settled_after, jobs("1"))
    assert world.states("A") == "running"


@pytest.mark.parametrize("status", ["Failed", "Killed", "Completed w/ one or more errors", "Completed"])
def test_rule_6_only_a_failed_job_is_started_again(world: World, status: str) -> None:
    world.begin("A", X).run("A", jobs("1")).at(60).job("1", X, status)
    if status == "Failed":
        world.go("A", 60 + 15 * MINUTE, jobs("2")).at(1100).job("2", X, status).go("A", 2000)
        assert world.notices("A") == ["submitted", "retrying", "submitted", "failed"]
    else:
        world.run("A")
    assert world["A"].is_over


@pytest.mark.parametrize("outcome", [DOWN, Failed(WHY), Unauthorized(WHY)])
def test_rule_7_the_last_try_is_at_the_end_of_the_time_for_trying(world: World, outcome: Outcome) -> None:
    tries = [30 * 2**n for n in range(5)]
    world.begin("A", X).go("A", 6 * HOUR - 1, *[outcome] * 28)
    assert sum(tries) < world.time
    assert world.states("A") == "waiting"
    world.go("A", 6 * HOUR, outcome)
    assert (world.states("A"), world.time) == ("abandoned", 6 * HOUR)


def test_rule_7_time_that_is_excused_does_not_count_for_72_hours(world: World) -> None:
    throttled = Throttled(WHY, 10 * HOUR)
    world.begin("A", X).go("A", 71 * HOUR, *[throttled] * 8)
    assert world.states("A") == "waiting"
    world.go("A", 80 * HOUR, throttled)
    assert world.states("A") == "abandoned"


def test_rule_7_five_leases_in_a_row_that_expired_end_it(world: World) -> None:
    world.begin("A", X).go("A", 2 * HOUR, *[Killed] * 4, DOWN, *[Killed] * 5)
    assert [notice.error and notice.error.code for _, notice in world.published] == ["RUNS_CUT_OFF"]


def test_rule_7_a_job_that_runs_is_followed_for_the_configured_time(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).job("1", X).go("A", 24 * HOUR - 1)
    assert world.states("A") == "running"
    world.go("A", 26 * HOUR)
    assert world.states("A") == "lost"


def test_rule_7_nine_days_end_it(world: World) -> None:
    world.begin("A", X, Y).run("A", jobs("1", "2")).at(60).job("1", X).job("2", Z).run("A")
    world.unreadable = WHY
    world.go("A", 9 * DAY + 2 * HOUR)
    assert world.states("A") == "lost abandoned"


def test_rule_8_rows_tell_in_any_order_whose_a_job_is(world: World) -> None:
    world.begin("A", X, Y, Z).run("A", jobs("1", "2", "2", "3", "9"))
    assert world.states("A") == "running running running"
    world.at(60).job("3", X).job("1", Y).job("9", Association("other", "X", "default", "")).run("A")
    assert [world.job_of("A", association) for association in (X, Y, Z)] == ["3", "1", ""]
    world.job("2", Z).go("A", 200)
    assert world.job_of("A", Z) == "2"


def test_rule_8_a_job_is_lost_when_it_is_missing_from_complete_reads_for_ten_minutes(world: World) -> None:
    world.begin("A", X).begin("B", Y, Z).run("A", jobs("1")).run("B", jobs("2", "3")).at(60).job("2", Y)
    world.unasked = {"1", "3"}
    world.go("A", 2 * HOUR).go("B", 2 * HOUR)
    assert (world.states("A"), world.states("B")) == ("running", "running running")
    world.unasked = set()
    world.go("A", 4 * HOUR).go("B", 5 * HOUR)
    assert (world.states("A"), world.states("B")) == ("lost", "running lost")
    assert world.sent == [("A", "X", "FULL"), ("B", "YZ", "FULL")]


def test_rule_8_a_fresh_job_may_be_missing_for_ten_minutes(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).go("A", 600)
    assert world.states("A") == "running"
    world.go("A", 1800)
    assert world.states("A") == "lost"


@pytest.mark.parametrize(
    "row",
    [
        {"of": Y},
        {"of": X, "status": "Completed", "started": 1, "ended": 2},
    ],
)
def test_rule_8_an_id_that_was_counted_again_is_another_job(world: World, row: dict[str, Any]) -> None:
    world.at(1000).begin("A", X).run("A", jobs("1")).at(1060).job("1", **row).run("A")
    assert (world.states("A"), world.backup("A").error) == ("lost", sighted.JOB_ID_REUSED)


def test_rule_8_a_start_that_moves_or_is_unknown_proves_nothing(world: World) -> None:
    world.at(1000).begin("A", X).run("A", jobs("1")).at(1060).job("1", X, "Queued", started=None).run("A")
    world.job("1", X, started=2000).go("A", 1200)
    world.job("1", X, "Completed", started=500, ended=1500).go("A", 2000)
    assert world.states("A") == "completed"


def test_rule_9_of_two_deliveries_of_a_message_one_sends_and_one_publishes(world: World) -> None:
    world.begin("A", X)
    world.answers = [jobs("1")]
    first, second = run(world, world["A"]), run(world, world["A"])
    for step in first:
        if step == "send":
            assert [*second] == ["read", "save"]
    assert (len(world.sent), world.notices("A")) == (1, ["submitted"])


# ---- Outcomes of an attempt


@pytest.mark.parametrize(
    ("outcome", "states", "due", "notice"),
    [
        (jobs("1"), "running", 60, "submitted"),
        (jobs("1", "2"), "running running", 60, "submitted"),
        (jobs("1"), "requested requested", 60, "submitted"),
        (Scheduled(402), "scheduled", 0, "scheduled"),
        (AlreadyRunning(WHY), "waiting", 30, ""),
        (AlreadyRunning(WHY), "doubted doubted", 30, ""),
        (Rejected(WHY), "rejected rejected", 0, "rejected"),
        (REFUSED, "rejected", 0, "rejected"),
        (REFUSED, "doubted doubted", 30, ""),
        (Failed(WHY), "waiting waiting", 30, ""),
        (Unauthorized(WHY), "waiting", 30, ""),
        (Throttled(WHY, 500), "waiting waiting", 500, ""),
        (DOWN, "waiting", 30, ""),
        (LOST, "doubted doubted", 30, ""),
    ],
)
def test_each_outcome_leads_to_one_state(world: World, outcome: Outcome, states: str, due: float, notice: str) -> None:
    world.begin("A", *(X, Y)[: len(states.split())]).run("A", outcome)
    shown = ["doubted" if backup.is_in_doubt else backup.state for backup in world["A"].backups]
    assert (" ".join(shown), " ".join(world.notices("A"))) == (states, notice)
    assert world["A"].wake_at == (world.now + due if due else 0)
    kept = records.from_text(records.to_text(world["A"]), world["A"].version, world["A"].write_id)
    assert kept == world["A"]


def test_a_schedule_of_which_no_answer_came_is_never_sent_again(world: World) -> None:
    world.begin("A", X, task_type="SCHEDULE").run("A", LOST).begin("B", X, task_type="SCHEDULE").at(1000)
    world.run("B", Killed).go("B", 1100)
    assert (world.states("A"), world.states("B")) == ("abandoned", "abandoned")


def test_a_refused_group_is_sent_together_once_more_and_then_alone(world: World) -> None:
    world.unknown_names = WHY
    world.begin("A", X, Y, Z).run("A", REFUSED).go("A", 700)
    assert world.states("A") == "requested requested requested"
    world.unknown_names = {"X"}
    world.job("1", Y, started=9 * HOUR).go("A", 5000, REFUSED, jobs("1"), REFUSED)
    assert [names for _, names, _ in world.sent] == ["XYZ", "YZ", "Y", "Z"]
    assert world.states("A") == "rejected running rejected"


# ---- Sequences that broke a promise


def test_sequence_1_who_waited_for_a_doubt_sends_its_own(world: World) -> None:
    world.begin("A", X).run("A", LOST).at(10).begin("B", X).run("B")
    assert world.states("B") == "waiting"
    world.job("1", X, started=1).go("A", 40).go("B", 200, jobs("2"))
    assert (world.job_of("A"), world.job_of("B")) == ("1", "2")


def test_sequence_2_who_waited_for_a_deferred_claimer_joins_it(world: World) -> None:
    world.begin("A", X).run("A", DOWN).at(10).begin("B", X).run("B").go("A", 30, jobs("1")).go("B", 60)
    assert (world.states("B"), world.job_of("B")) == ("joined", "1")


def test_sequence_3_a_job_of_a_lesser_level_satisfies_nobody(world: World) -> None:
    world.begin("A", X, level="INCREMENTAL").run("A", DOWN).begin("B", X).go("A", 30, jobs("1"))
    world.job("1", X, level="INCREMENTAL").run("B", jobs("2"))
    assert world.states("B") == "running"


def test_sequence_4_an_event_does_not_join_a_failed_job_but_its_retry(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).at(60).job("1", X, "Failed").run("A")
    world.at(120).begin("B", X, kind="rds", cool_down_minutes=15).run("B")
    assert world.states("B") == "waiting"
    world.go("A", 960, jobs("2")).go("B", 2000)
    assert (world.states("B"), world.job_of("B")) == ("joined", "2")


def test_sequence_5_a_retry_is_of_the_level_of_the_job_that_failed(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).edit("A", X, level="INCREMENTAL").at(60).job("1", X, "Failed")
    world.go("A", 960, jobs("2"))
    assert world.sent[-1] == ("A", "X", "FULL")


def test_sequence_6_a_retry_is_not_satisfied_by_a_job_that_began_before(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).job("1", X, "Queued", started=None)
    world.at(20).begin("C", X).run("C", jobs("2")).at(100).job("2", X, "Completed", started=21).run("C")
    world.at(400).job("1", X, "Failed", started=300).go("A", 2000, jobs("3"))
    assert world.states("C") == "completed"
    assert world.job_of("A") == "3"


def test_sequence_7_a_claimer_that_ended_in_doubt_keeps_the_subclient_for_its_window(world: World) -> None:
    world.begin("A", X).go("A", 2 * HOUR, *[Killed] * 5)
    ended = max(attempt.ended for attempt in world["A"].attempts) - world.start
    world.now = world.start + ended + 700
    world.begin("B", X).run("B")
    assert world.states("B") == "waiting"
    world.go("B", ended + 1000, jobs("2"))
    world.job("2", X, started=ended + 750).redrive("A").run("A")
    assert (world.states("A"), world.backup("A").joined) == ("joined", world["B"].key)


def test_sequence_9_a_letter_opens_once_and_its_copies_continue(world: World) -> None:
    world.begin("A", X).run("A", Rejected(WHY)).redrive("A").run("A", DOWN).redrive("A").run("A")
    assert (world.states("A"), len(world.sent), world["A"].opened_letter) == ("waiting", 2, 1)


def test_sequence_11_who_has_none_of_fewer_ids_is_found_and_followed(world: World) -> None:
    world.begin("A", X, Y, Z).run("A", jobs("2", "1")).go("A", 130)
    world.job("1", X).job("2", Y).job("3", Z, started=2).go("A", 500)
    assert [world.job_of("A", association) for association in (X, Y, Z)] == ["1", "2", "3"]
    assert len(world.sent) == 1


def test_sequence_12_a_job_that_no_row_has_assigned_keeps_others_waiting(world: World) -> None:
    world.begin("A", X, Y).run("A", jobs("1", "2")).at(70).begin("B", X).run("B")
    assert world.states("B") == "waiting"
    world.job("1", X, started=1).job("2", Y).go("A", 130).go("B", 200, LOST).go("B", 300)
    assert world.job_of("B") == ""


@pytest.mark.parametrize("reconcile", [600, 3000])
def test_sequence_13_an_ineligible_name_is_rejected_alone(world: World, reconcile: float) -> None:
    world.policy = replace(POLICY, retry_seconds=HOUR, reconcile_seconds=reconcile)
    world.begin("A", X, Y, Z).go("A", 3 * reconcile, REFUSED, REFUSED, jobs("1"), jobs("2"), REFUSED)
    assert world.states("A") == "running running rejected"


def test_sequence_14_a_running_job_keeps_only_its_own_subclient_waiting(world: World) -> None:
    world.at(9 * HOUR).job("9", X, started=HOUR).begin("A", X, Y, Z)
    world.go("A", 9 * HOUR + 605, AlreadyRunning(WHY), jobs("1", "2"))
    assert world.states("A") == "waiting running running"
    world.job("1", Y).job("2", Z).go("A", 10 * HOUR, *[AlreadyRunning(WHY)] * 4)
    world.job("9", X, "Completed", started=HOUR).go("A", 11 * HOUR, jobs("3"))
    assert world.job_of("A") == "3"


def test_sequence_15_a_queued_job_is_adopted_once_whose_start_moves(world: World) -> None:
    world.begin("A", X).run("A", LOST).job("1", X, "Queued", started=None).go("A", 60)
    world.at(300).job("1", X, started=300).go("A", 1000)
    assert (world.job_of("A"), len(world.sent)) == ("1", 1)


def test_sequence_16_the_clock_of_the_commserve_may_be_two_minutes_behind(world: World) -> None:
    world.at(200).begin("A", X).run("A", LOST).job("1", X, started=80).job("2", X, started=79).go("A", 300)
    assert world.job_of("A") == "1"


def test_sequence_17_of_several_matching_rows_all_become_known(world: World) -> None:
    world.begin("A", X).run("A", LOST).job("1", X, started=1).job("2", X, started=2).go("A", 60)
    world.begin("B", X).run("B", LOST).go("B", 600)
    assert (world.job_of("A"), world.job_of("B")) == ("1", "")


def test_sequence_18_a_job_is_read_before_it_is_called_lost(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).at(30 * HOUR).job("1", X, "Completed", started=1).run("A")
    assert world.states("A") == "completed"


def test_sequence_19_a_job_is_missing_for_as_long_as_the_list_may_be_late(world: World) -> None:
    world.policy = replace(POLICY, reconcile_seconds=3000)
    world.begin("A", X).run("A", jobs("1")).go("A", 25 * MINUTE).job("1", X).go("A", 2 * HOUR)
    assert world.states("A") == "running"


def test_sequence_20_a_letter_works_after_a_neighbour_was_retried(world: World) -> None:
    world.unknown_names = {"Y"}
    world.begin("A", X, Y).go("A", 700, REFUSED, jobs("1")).job("1", X, "Failed").go("A", 2000, jobs("2"))
    world.redrive("A").job("2", X).run("A", jobs("3"))
    assert world.states("A") == "running running"


def test_sequence_22_two_deliveries_that_are_killed_start_one_job(world: World) -> None:
    world.begin("A", X)
    first, second = run(world, world["A"]), run(world, world["A"])
    world.answers = [LOST]
    for step in first:
        if step == "answer":
            break
    assert [*second] == ["read", "save"]
    world.job("1", X).go("A", 300)
    assert (world.job_of("A"), len(world.sent)) == ("1", 1)


def test_sequence_23_time_for_settling_is_not_time_for_trying(world: World) -> None:
    world.policy = replace(POLICY, retry_seconds=HOUR, settle_seconds=6 * HOUR)
    world.database = "modifying"
    world.begin("A", X, kind="rds").go("A", 2 * HOUR)
    world.database = "available"
    world.job("1", X).go("A", 3 * HOUR, jobs("1"))
    assert world.states("A") == "running"


def test_sequence_25_a_submission_whose_message_is_lost_is_stuck(world: World) -> None:
    world.begin("A", X).run("A", jobs("1")).job("1", X)
    assert [world["A"].is_stuck(world.now + seconds) for seconds in (HOUR, 60 + HOUR, 61 + HOUR)] == [
        False,
        False,
        True,
    ]


def test_sequence_26_a_removed_association_is_rejected_and_an_added_one_is_not_sent(world: World) -> None:
    world.begin("A", X, Y).run("A", DOWN).edit("A", Y, Z).go("A", 30, jobs("1"))
    assert (world.states("A"), world.sent[-1]) == ("rejected running", ("A", "Y", "FULL"))
    assert next(notice.error and notice.error.code for _, notice in world.published) == "ASSOCIATION_REMOVED"


def test_the_table_of_transitions_is_complete(world: World) -> None:
    states = {*kept.TRANSITIONS, *(state for following in kept.TRANSITIONS.values() for state in following)}
    assert states == {
        *kept.OPEN,
        *kept.COMPLETED,
        *kept.SUCCEEDED,
        *kept.REOPENABLE,
        "joined",
        "killed",
        "lost",
        "failed",
    }
    assert set(kept.TRANSITIONS) == kept.OPEN | kept.REOPENABLE
    with pytest.raises(ValueError, match="completed does not become waiting"):
        kept.moved(replace(world.begin("A", X).backup("A"), state="completed"), "waiting")


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


def test_all_that_is_in_doubt_is_looked_for_together(world: World) -> None:
    other = Association("other", "W", "default", "other")
    world.begin("A", X, other).run("A", REFUSED).go("A", 100)
    kept = world["A"]
    later = replace(world.backup("A", other), due=world.now + HOUR)
    step = core.decide(replace(kept, backups=(kept.backups[0], later)), kept.wake_at)
    assert isinstance(step, Look)
    assert (step.clients, len(step.keys)) == (("client", "other"), 2)


def test_the_last_completed_job_of_a_subclient_never_goes_backwards() -> None:
    item, later, earlier = (
        kept.Subclient("x"),
        *(kept.CompletedJob(job_id, int(job_id), "FULL", "A") for job_id in "21"),
    )
    assert item.with_completed(later).with_completed(earlier).completed == later
    assert item.with_completed(earlier).with_completed(later).completed == later
