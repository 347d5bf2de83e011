"""A deterministic simulation of the core: from a seed, triggers, runs that interleave and are killed, and every fault.

`Simulation(seed).play()` plays until everything is over. `quiet_from` is the step from which on nothing goes wrong any
more: then all must end in few steps and a bounded time, whatever state they are in.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from heapq import heappop, heappush
from random import Random
from typing import Any

from rds_snap_backup.core.coordinator import (
    AskStatus,
    Conflict,
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
    SaveResult,
    Send,
    Stale,
)
from rds_snap_backup.core.opening import DatabaseStatus, apply_status, begin, reject_trigger
from rds_snap_backup.core.outcomes import Outcome, Throttled
from rds_snap_backup.core.policy import Pin
from rds_snap_backup.core.reading import JobsRead, JobsWanted, Listing
from rds_snap_backup.core.record import Change, Scan, Submission, submission_key
from rds_snap_backup.core.starting import StartInputs
from rds_snap_backup.fields import read
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import FIELDS, Association, BackupRequest, Target
from rds_snap_backup.triggers import Kind, Trigger
from tests.property.core.commserve import UNREADABLE, CommServe, Faults
from tests.property.core.promises import DAY, HOUR, MAX_RECEIVES, MINUTE, Broken, Judge, Learned
from tests.target_documents import values
from tests.unit.core.world import POLICY

BEGIN = 1_800_000_000.0
ASSOCIATIONS = tuple(Association(f"client-{n % 2}", f"database-{n}", "default", "client") for n in range(4))
LEVELS = ("FULL", "FULL", "FULL", "INCREMENTAL", "DIFFERENTIAL", "SYNTHETIC_FULL")
TARGETS = "abc"
RUN_SECONDS, SEND_SECONDS, VISIBILITY = 50, 38, 90
MAX_RUNS, MAX_RETRIES, NIGHTS = 3, 2, 14
MAX_STEPS, MAX_QUIET_STEPS, MAX_QUIET_SECONDS = 100_000, 400, 48 * HOUR
# Steps of a run take this long, in seconds; a request, and its answer, can take longer.
PAUSES = (0.01, 0.01, 0.2, 0.2, 1, 3)
WIRE_PAUSES = (0.2, 0.2, 1, 5, 14)


@dataclass
class Message:
    """A submission's message on the queue; `letter` is its number where it is a dead letter that was redriven."""

    trigger: Trigger
    target: str
    associations: tuple[Association, ...]
    visible: float
    letter: int = 0
    receives: int = 0

    @property
    def key(self) -> str:
        """The key of its submission."""
        return submission_key(self.target, self.trigger)


@dataclass
class Run:
    """A run of the function. Without a message it is a direct delivery. Until `waits` it has nothing to do."""

    steps: Generator[Request, None, float | Problem | None]
    key: str
    deadline: float
    message: Message | None
    learned: Learned
    waits: float = 0


class Simulation:
    """One simulation; `play` plays it to its end or raises `Broken`."""

    def __init__(self, seed: int, quiet_from: int | None = None) -> None:
        rng = self.rng = Random(seed)
        self.now, self.steps, self.max_steps = BEGIN, 0, MAX_STEPS
        self.quiet_from, self.quiet_at = quiet_from, 0.0
        self.policy = replace(
            POLICY,
            gather_minutes=rng.choice((0, 5, 5, 60)),
            retry_seconds=rng.choice((1, 6, 6, 72)) * HOUR,
            follow_seconds=rng.choice((1, 24, 24, 168, 336)) * HOUR,
            first_retry_seconds=rng.choice((1, 30, 30, 900)),
            first_poll_seconds=rng.choice((1, 60, 60, 900)),
            reconcile_seconds=rng.choice((5, 60, 600, 600, 3000)),
            settle_seconds=rng.choice((0, 600, HOUR, 6 * HOUR)),
        )
        self.commserve = CommServe(
            rng,
            replace(Faults.draw(rng), paged=rng.choice((0, 0, 0.7)), cached=rng.choice((0, 0, 0.7))),
            skew=rng.choice((0, 0, rng.uniform(-120, 120))),
            reconcile=self.policy.reconcile_seconds,
            when_busy=rng.choice(("refuse", "queue", "both run")),
            shows_users=rng.random() < 0.3,
        )
        self.judge = Judge(self.policy, self.commserve)
        self.ledger = self.judge.ledger
        self.commserve.items = self.ledger.items
        self.kills = rng.choice((0, 0, 0.01, 0.05, 0.3))
        self.documents: dict[str, Target | None] = {name: self._draw_document(name) for name in TARGETS}
        self.coordinator = Coordinator(self.policy, lambda: self.now)
        self.messages: list[Message] = []
        self.letters: list[Message] = []
        self.runs: list[Run] = []
        self.listing: Listing | None = None
        self.busy_until = self.stopped_until = 0.0
        self.events: list[tuple[float, int, str]] = []
        self._draw_events()

    # ---- A run, and what it is answered

    def _save(self, change: Change, learned: Learned) -> SaveResult:
        """Save a change, and have it judged."""
        before = self.ledger.submissions.get(change.submission.key)
        result = self.ledger.save(change)
        if isinstance(result, Saved):
            self.judge.saved(before, result.submission, learned)
        return result

    def _drive(self, submission: Submission, letter: int, learned: Learned) -> Generator[Request, None, Any]:
        """Take a submission as far as it goes now. Yields each request before it is answered, and a `Send` after it too.

        There time passes, or the run is killed.
        """
        steps = self.coordinator.run(submission, letter)
        answer: Any = None
        while True:
            try:
                request = steps.send(answer)
            except StopIteration as stop:
                return stop.value
            yield request
            match request:
                case Save(change):
                    is_contended = self.rng.random() < self.commserve.faults.contended
                    answer = Conflict() if is_contended else self._save(change, learned)
                    self.judge.seen[type(answer).__name__] += 1
                case ReadSubclients(keys):
                    answer = self.ledger.subclients(keys)
                case _:
                    answer = self._answer(submission, request, learned)
            match answer:
                case Saved(submission):
                    learned.request, learned.looks = None, []
                case Stale(submission):
                    learned.request, learned.looks = learned.request if isinstance(learned.request, Send) else None, []
                case Conflict() if isinstance(learned.request, AskStatus):
                    learned.request, _ = None, learned.looks.pop()  # It is asked again.
                case Conflict() if isinstance(learned.request, (ReadStart, ReadInventory)):
                    learned.request = None
            if isinstance(request, Send):
                yield request
            is_again = isinstance(answer, Conflict) or (isinstance(answer, Stale) and isinstance(learned.request, Send))
            if not isinstance(request, ReadSubclients) and not is_again:
                learned.at = self.now

    def _answer(self, submission: Submission, request: Request, learned: Learned) -> Any:
        learned.request = None
        match request:
            case Publish(notice):
                self.judge.publishing(submission, notice)
                if notice.letter:
                    self._keep_letter(submission, notice.letter)
                return None
            case Drop(attempt, outcome):
                is_out = self.ledger.submissions[submission.key].out == attempt
                self.judge.must(is_out, f"{outcome} of attempt {attempt.number} of {submission.key} found nothing out.")
                return None
            case ReadTarget():
                return self._fresh(submission, learned)
            case AskStatus():
                status = self._status()
                learned.looks.append((self.now, status))
                answer: Any = status
            case ReadStart(keys):
                answer = self._start_inputs(submission, keys)
            case ReadJobs(wanted):
                answer = self._read_jobs(wanted)
            case ReadInventory(associations):
                answer = frozenset(association.key for association in associations) & self.commserve.unknown
                if self.rng.random() < self.commserve.faults.unreadable:
                    answer = UNREADABLE
            case Send():
                answer = self._send(submission, request)
            case _:
                raise AssertionError(request)
        learned.request, learned.answer = request, answer
        return answer

    def _keep_letter(self, submission: Submission, number: int) -> None:
        associations = tuple(backup.association for backup in submission.backups) or ASSOCIATIONS[:1]
        letter = Message(submission.trigger, submission.target, associations, self.now, number)
        self.letters.append(letter)
        if not self.quiet_at and self.rng.random() < 0.05:
            self.messages.append(replace(letter))  # It is redriven while its own run goes on.

    def _fresh(self, submission: Submission, learned: Learned) -> Submission | Problem:
        """Return what the current document begins."""
        if not self.documents[submission.target]:
            return UNREADABLE
        message = Message(submission.trigger, submission.target, ASSOCIATIONS[:1], self.now)
        return submission if submission.backups else self._begin(message, learned)

    def _start_inputs(self, submission: Submission, keys: tuple[str, ...]) -> StartInputs:
        """Return what a start depends on; a document that is not usable leaves what is pinned."""
        inputs, target = self.ledger.start_inputs(submission, keys), self.documents[submission.target]
        return replace(inputs, target=target, pin=Pin.of(target, self.policy)) if target else inputs

    def _status(self) -> DatabaseStatus:
        is_busy = self.now < self.busy_until
        return "modifying" if is_busy else self.rng.choice(("available", "available", None, UNREADABLE))

    def _send(self, submission: Submission, send: Send) -> Outcome:
        self.judge.sending(submission, send, self.now)
        outcome = self.commserve.create_task(send.request, (submission.key, send.attempt.number), self.now)
        if isinstance(outcome, Throttled):
            self.ledger.throttled_until = max(self.ledger.throttled_until, self.now + outcome.seconds)
        return outcome

    def _read_jobs(self, wanted: JobsWanted) -> JobsRead:
        """Read jobs: some cannot be asked for, lists are read client by client, and used again where that is allowed."""
        rng, faults, now = self.rng, self.commserve.faults, self.now
        if rng.random() < faults.unreadable:
            return JobsRead(now, problem=UNREADABLE)
        asked = [job_id for job_id in wanted.job_ids if rng.random() >= faults.unreadable]
        rows = {job_id: row for job_id in asked if (row := self.commserve.row(job_id, now))}
        absent = frozenset(asked) - rows.keys()
        if not wanted.clients:
            return JobsRead(now, rows, absent)
        last = self.listing
        if last and not wanted.scan and rng.random() < faults.cached:
            is_recent = last.begun >= max(wanted.fresh, now - 5 * MINUTE)
            if is_recent and last.since <= wanted.since and set(wanted.clients) <= set(last.clients):
                self.judge.seen["a list is used again"] += 1
                return JobsRead(now, rows, absent, last)
        scan = wanted.scan or Scan(now, wanted.since, wanted.clients, {"left": list(wanted.clients)})
        left = list(scan.place["left"])
        read = left[:1] if rng.random() < faults.paged else left
        listed = tuple(row for client in read for row in self.commserve.rows(client, scan.since, now))
        rest = None
        if left := left[len(read) :]:
            is_nameless = any(not all(row.names) and not row.has_ended for row in listed)
            rest = replace(scan, place={"left": left}, has_nameless=scan.has_nameless or is_nameless)
        listing = Listing(listed, scan.begun, scan.since, scan.clients, rest, scan.has_nameless)
        if not wanted.scan and not rest:
            self.listing = listing
        self.judge.seen["a list is read in parts"] += rest is not None
        return JobsRead(now, rows, absent, listing)

    # ---- The world's steps

    def play(self) -> int:
        """Play to the end; return the number of steps. Raises `Broken`."""
        while self.events or self.messages or self.runs or self._is_any_open():
            self.steps += 1
            if self.steps == self.quiet_from:
                self._calm()
            is_late = bool(self.quiet_at) and self.now > self.quiet_at + MAX_QUIET_SECONDS
            if is_late or self.steps > self.max_steps:
                raise Broken("It does not come to an end.")
            while self.events and self.events[0][0] <= self.now:
                self._happen(heappop(self.events)[2])
            self._deliver()
            if self.runs:
                self._step(self.rng.choice(self.runs))
            else:
                times = [max(message.visible, self.stopped_until) for message in self.messages]
                times += [time for time, _, _ in self.events[:1]]
                if not times:
                    self._audit()
                    self.now += HOUR
                else:
                    self.now = max(self.now, min(times))
        self.judge.finish()
        return self.steps

    def _step(self, chosen: Run) -> None:
        """Let one run go on to its next effect, or kill it."""
        if self.now > chosen.deadline or self.rng.random() < self.kills:
            chosen.steps.close()
            self.runs.remove(chosen)
            if self.rng.random() < 0.005:
                self._happen("standstill")
            return
        is_early, chosen.waits = chosen.waits > self.now, 0
        try:
            step = next(chosen.steps)
        except StopIteration as stop:
            self._leave(chosen, stop.value)
            return
        self.judge.must(not is_early or isinstance(step, Save), f"{chosen.key} does not wait.")
        if isinstance(step, (ReadStart, ReadInventory, AskStatus)) and self.now > chosen.deadline - SEND_SECONDS:
            chosen.steps.close()
            self._leave(chosen, self.now, is_done=False)
            return
        self.now += self.rng.choice(WIRE_PAUSES if isinstance(step, Send) else PAUSES)

    def _leave(self, finished: Run, until: float | Problem | None, *, is_done: bool = True) -> None:
        self.runs.remove(finished)
        message = finished.message
        is_recorded = not is_done or not isinstance(finished.learned.request, Send)
        self.judge.must(is_recorded, f"The answer of a request of {finished.key} is forgotten.")
        if is_done and not isinstance(until, Problem):
            # Of two messages, one can find it over while the other opens it again.
            is_left = until is None and all(other.key != finished.key or other is message for other in self.messages)
            self.judge.left(finished.key, message.letter if message else 0, self.now, is_left=is_left)
        if not message or message not in self.messages:
            return
        if isinstance(until, Problem):
            self.messages.remove(message)
            self.letters.append(message)
        elif until is None:
            self.messages.remove(message)
        else:
            message.visible, message.receives = max(until, self.now + 0.01), message.receives + 1
            self.judge.must(message.receives < MAX_RECEIVES, f"The message of {message.key} is received too often.")

    def _deliver(self) -> None:
        for message in self.messages if self.now >= self.stopped_until else ():
            if message.visible <= self.now and len(self.runs) < MAX_RUNS:
                message.visible = self.now + VISIBILITY
                if message.key in self.ledger.unreadable:
                    message.visible = self.now + HOUR
                else:
                    self._run(message)

    def _begin(self, message: Message, learned: Learned) -> Submission:
        target = self.documents[message.target]
        if target is None:
            rejected = reject_trigger(message.trigger, message.target, UNREADABLE, self.now)
            match self._save(Change(rejected), learned):
                case Saved(submission) | Stale(submission):
                    return submission
                case Conflict():
                    return rejected
        submission = begin(message.trigger, target, message.associations, self.policy, self.now)
        status = self._status()
        if submission.gathering:
            learned.looks, learned.gather_seconds = [(self.now, status)], submission.gathering.seconds
        return apply_status(submission, status, self.policy, self.now)

    def _run(self, message: Message, *, is_direct: bool = False) -> None:
        learned, letter = Learned(self.now), message.letter
        submission = self.ledger.submissions.get(message.key) or self._begin(message, learned)
        others = [run for run in self.runs if run.key == message.key]
        self.judge.seen["overlapping deliveries"] += bool(others)
        waits = 0.0 if submission.outbox or letter > submission.opened_letter else submission.wake_at
        steps, deadline = self._drive(submission, letter, learned), self.now + RUN_SECONDS
        self.runs.append(Run(steps, message.key, deadline, None if is_direct else message, learned, waits))

    def _is_any_open(self) -> bool:
        return any(not submission.is_over for submission in self.ledger.submissions.values())

    def _calm(self) -> None:
        """Let nothing go wrong, and nothing new happen, from now on."""
        self.commserve.calm(self.now)
        self.kills, self.busy_until, self.stopped_until, self.quiet_at = 0, 0.0, 0.0, self.now
        self.ledger.unreadable.clear()
        self.events = [(self.now + day * DAY, day, "audit") for day in range(3)]
        open_ones = sum(not submission.is_over for submission in self.ledger.submissions.values())
        self.max_steps = self.steps + MAX_QUIET_STEPS * (1 + open_ones)

    # ---- Events

    def _draw_events(self) -> None:
        rng = self.rng
        if rng.random() < 0.04:
            self._draw_nights()
            return
        span = rng.choice((600, HOUR, 6 * HOUR, 40 * HOUR))
        kinds = ["schedule", "manual", "event", "event"] * rng.randint(1, 3)
        for fault in (
            "edit",
            "foreign",
            "lose message",
            "copy message",
            "name",
            "busy database",
            "newer",
            "standstill",
        ):
            kinds += [fault] * rng.choice((0, 0, 1, 2))
        kinds += ["restore"] * (rng.random() < 0.1)
        kinds += ["outage"] * (rng.random() < 0.15)
        kinds += ["storm"] * (rng.random() < 0.03)
        for number, kind in enumerate(kinds):
            heappush(self.events, (BEGIN + rng.random() * span, number, kind))
        for number in range(rng.choice((0, 1, 4))):
            heappush(self.events, (BEGIN + rng.random() * (span + 12 * HOUR), 100 + number, "redrive"))
        for number in range(3):
            heappush(self.events, (BEGIN + number * DAY + rng.random() * DAY, 200 + number, "audit"))
        if rng.random() < 0.05 and "storm" not in kinds:
            self.commserve.durations += (10 * DAY,)

    def _draw_nights(self) -> None:
        """Weeks of nights: every target's schedule, storms of events, and jobs of four hours."""
        rng = self.rng
        self.commserve.durations = (600, 600, 4 * HOUR)
        self.kills = min(self.kills, 0.01)
        for night in range(NIGHTS):
            at = BEGIN + night * DAY + 2 * HOUR
            kinds = ["schedule"] * 3 + ["storm"] * (rng.random() < 0.2) + ["event"] * rng.randint(0, 2)
            kinds += [rng.choice(("edit", "foreign", "busy database", "lose message", "name", "redrive", "standstill"))]
            for number, kind in enumerate([*kinds, "audit"]):
                heappush(self.events, (at + rng.random() * HOUR, night * 100 + number, kind))

    def _happen(self, kind: str) -> None:
        rng = self.rng
        self.judge.seen[kind] += 1
        match kind:
            case "schedule" | "manual" as kind:
                self._arrive(kind, rng.choice(TARGETS), None)
            case "event":
                self._arrive("rds", "", rng.choice(ASSOCIATIONS))
            case "storm":
                chosen = rng.choice(ASSOCIATIONS)
                for number in range(rng.choice((10, 40))):
                    heappush(self.events, (self.now + rng.random() * 3 * MINUTE, 10_000 + number, f"of {chosen.key}"))
            case _ if kind.startswith("of "):
                self._arrive("rds", "", next(a for a in ASSOCIATIONS if a.key == kind[3:]))
            case "edit":
                name = rng.choice(TARGETS)
                self.documents[name] = rng.choice((None, self._draw_document(name), self._draw_document(name)))
            case "foreign":
                seconds = rng.choice((60, 600, 8 * HOUR))
                self.commserve.start_foreign(rng.choice(ASSOCIATIONS), rng.choice(LEVELS), self.now, seconds)
            case "restore":
                # IDs that are counted again may be taken for what was known before: few promises hold from here on.
                self.judge.is_restored |= bool(self.commserve.restore(rng.randint(1, 3)))
            case "lose message" if self.messages:
                self.messages.pop(rng.randrange(len(self.messages)))
            case "copy message" if self.messages:
                self.messages.append(replace(rng.choice(self.messages), visible=self.now, receives=0))
            case "redrive" if self.letters:
                self.messages.append(replace(rng.choice(self.letters), visible=self.now, receives=0))
            case "outage":
                # Days in which no answer arrives, nothing can be read, or no request is taken.
                lasting = rng.choice((("lost",), ("unreadable",), ("lost", "unreadable"), ("refused",)))
                heappush(self.events, (self.now + rng.choice((HOUR, 2 * DAY, 5 * DAY)), 30_000, "outage over"))
                self.faults = self.commserve.faults
                self.commserve.faults = replace(self.faults, **dict.fromkeys(lasting, 1))
            case "outage over":
                self.commserve.faults = self.faults
            case "name":
                names, key = (
                    rng.choice((self.commserve.unknown, self.commserve.ineligible)),
                    rng.choice(ASSOCIATIONS).key,
                )
                names ^= {key}
                self.judge.bad_names.add(key)
            case "busy database":
                self.busy_until = self.now + rng.choice((60, HOUR, 10 * HOUR))
            case "newer":
                self.ledger.unreadable ^= {rng.choice([*self.ledger.submissions, ""])}
                heappush(self.events, (self.now + 5 * HOUR, 20_000 + self.steps, "older"))
            case "older":
                self.ledger.unreadable.clear()
            case "standstill":
                self.stopped_until = self.now + rng.choice((70 * MINUTE, 5 * HOUR, 8 * HOUR))
            case "audit":
                self._audit()

    def _audit(self) -> None:
        """Send the messages of stuck submissions again."""
        for submission in self.ledger.submissions.values():
            if submission.is_stuck(self.now) and submission.key not in self.ledger.unreadable:
                associations = tuple(backup.association for backup in submission.backups)
                self.messages.append(Message(submission.trigger, submission.target, associations, self.now))
                self.judge.seen["sent again"] += 1

    def _arrive(self, kind: Kind, name: str, chosen: Association | None) -> None:
        """Deliver directly: the message is sent first; some deliveries come twice, some runs are killed at once."""
        rng = self.rng
        happened = datetime.fromtimestamp(self.now - rng.choice((0, 1, 30, -60, 3000)), UTC).isoformat()
        trigger = Trigger(kind, f"{self.steps}-{kind}-{self.now}", None if kind == "manual" else happened)
        for target in TARGETS if chosen else name:
            document = self.documents[target]
            associations = document.request.associations if document else ASSOCIATIONS[:1]
            if chosen and chosen not in associations:
                continue
            associations = (chosen,) if chosen else associations
            visible = self.now + self.policy.first_poll_seconds
            for _ in range(rng.choice((1, 1, 1, 2))):
                message = Message(trigger, target, associations, visible)
                self.messages.append(message)
                if rng.random() >= self.kills and self.now >= self.stopped_until:
                    self._run(message, is_direct=True)

    def _draw_document(self, name: str) -> Target:
        rng = self.rng
        associations = tuple(rng.sample(ASSOCIATIONS, rng.choice((1, 1, 2, 3, 4))))
        drawn: dict[str, Any] = {name: rng.choice(values(field)) for name, field in FIELDS.items()}
        drawn["backupLevel"] = rng.choice(LEVELS)
        drawn["taskType"] = rng.choice(("IMMEDIATE",) * 9 + ("SCHEDULE",))
        drawn["retryFailedJobs"] = rng.choice((0, 1, 1, MAX_RETRIES))
        drawn["gatherMinutes"] = rng.choice((None, 0, 5, 60))
        request = read(BackupRequest, drawn, associations=associations)
        return read(Target, drawn, name=name, request=request)
