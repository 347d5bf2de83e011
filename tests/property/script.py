"""What happens in an example: a list of steps that Hypothesis chooses, and the healing at its end."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from tests.property.accounts import Accounts
from tests.property.documents import DOCUMENTS, EDITS
from tests.property.model.commvault import CommServe, Settings
from tests.property.model.kernel import Kernel, Run, Sandbox, Schedule
from tests.property.plain import plain
from tests.property.promises import OPEN
from tests.property.wire import in_charge
from tests.property.world import DEAD_LETTERS, JOBS, JOBS_BATCH, SUBMISSIONS, Event, World

type Start = Callable[[Sandbox], Run]

RDS = {"source": "aws.rds", "detail-type": "RDS DB Instance Event"}
ARN = "arn:aws:rds:eu-west-1:111122223333:db:orders-1"
SCHEDULE = "arn:aws:scheduler:eu-west-1:111122223333:schedule/default/nightly"
# Nobody starts a job by hand within so many seconds of a request of ours.
APART_SECONDS = 20.0
STEPS = (
    *("run", "run", "run", "together", "together", "pass", "pass", "redrive", "mood", "console", "doom", "token"),
    *("edit", "edit", "restore"),
)
MOODS = ("down", "maintenance", "refuses tokens")
PAUSES = (30.0, 400.0, 1000.0, 5000.0, 30000.0)
# Restoring a CommServe takes a while, in which it is down.
RESTORE_SECONDS = 300.0

small = st.integers(0, 11)


@dataclass(frozen=True, slots=True)
class Given:
    """What Hypothesis chooses: the script, what goes wrong at which effect, and what the world is like."""

    steps: list[tuple[str, int, int, int]]
    faults: dict[str, list[tuple[int, int]]]
    switches: list[tuple[int, int]]
    settings: Settings
    config: dict[str, int]
    skews: tuple[float, ...]
    most_operations: int

    def play(self) -> Kernel:
        """Play it from its beginning to its end; return what was seen."""
        kernel = Kernel({name: Schedule(pairs) for name, pairs in self.faults.items()}, Schedule(self.switches))
        # Commvault acts on a request within ReconcileSeconds, and then its job is in the list.
        most = self.config["reconcile_seconds"] - 5.0
        listed_after = min(self.settings.listed_after, most)
        server = CommServe(
            kernel, replace(self.settings, listed_after=listed_after, latest_acceptance=most - listed_after)
        )
        world = World(kernel, server, self.config, self.skews)
        with in_charge(server, most_operations=self.most_operations):
            Example(world, kernel, server).play(self.steps)
        return kernel


givens = st.builds(
    Given,
    steps=st.lists(st.tuples(st.sampled_from(STEPS), small, small, small), min_size=1, max_size=9),
    # Requests to Commvault, and what is sent, are few among all effects, and have schedules of their own.
    faults=st.fixed_dictionaries(
        {
            name: st.lists(st.tuples(st.integers(0, longest), st.integers(0, 359)), max_size=most)
            for name, longest, most in (
                ("aws", 14, 12),
                ("create", 1, 14),
                ("publish", 2, 4),
                ("queue send", 1, 4),
                ("list", 3, 6),
                ("follow", 9, 8),
                ("renewal", 2, 6),
            )
        }
    ),
    switches=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=30),
    settings=st.builds(
        Settings,
        ahead=st.sampled_from([0.0, 3000.0, -3000.0, 0.7]),
        refuses_second=st.booleans(),
        converts=st.booleans(),
        listed_after=st.sampled_from([0.0, 0.0, 10.0]),
        job_seconds=st.sampled_from([120.0, 600.0, 8000.0]),
        newest_first=st.booleans(),
        crowd=st.sampled_from([0, 0, 0, 0, 60]),
        hides_clients=st.booleans(),
        page_seconds=st.just(2.5),
        limit=st.sampled_from([0, 0, 2]),
        has_pair=st.booleans(),
    ),
    config=st.fixed_dictionaries(
        {
            "cool_down_minutes": st.sampled_from([15, 15, 60]),
            "retry_hours": st.sampled_from([1, 6]),
            "first_retry_seconds": st.sampled_from([1, 30]),
            "reconcile_seconds": st.sampled_from([5, 60, 600]),
            "follow_hours": st.sampled_from([1, 24]),
            "first_poll_seconds": st.sampled_from([1, 60]),
        }
    ),
    skews=st.sampled_from([(0.0, 0.0, 0.0), (1.5, -1.5, 0.3), (-1.4, 0.0, 1.4)]),
    most_operations=st.sampled_from([100, 4]),
)


@dataclass(slots=True)
class Example:
    """One example: a world, and the script that is played in it."""

    world: World
    kernel: Kernel
    server: CommServe

    def play(self, script: list[tuple[str, int, int, int]]) -> None:
        """Play the script, let everything heal, and check; then redrive every dead letter, twice, and check again.

        Until it was checked once, the documents stay as their owners left them.
        """
        for step, *numbers in script:
            self._step(step, *numbers)
        self.heal()
        self.check()
        self.world.documents.restore()
        self.kernel.now += 100
        letters = [message.body for message in self.world.sqs.queues.get(DEAD_LETTERS, [])]
        for _ in range(2):
            for letter in letters:
                self.world.redrive(letter)
            self.heal()
            self.check()

    def heal(self) -> None:
        """Nothing goes wrong any more, and everything comes to its end."""
        self.kernel.faults, self.kernel.switches = {"aws": Schedule(())}, Schedule(())
        self.kernel.doomed = 0
        self.server.mood, self.server.settings.limit = "", 0
        if (chain := self.server.chain) and not chain.is_known:
            # Nothing knows the latest pair, so no token is accepted until the secret's owner has stored a new one.
            self.kernel.seen["chain lost"] += 1
            self.world.secret.value = chain.issue()
        self.world.drain()
        self._audit()
        self.server.catch_up()

    def check(self) -> None:
        """Check what is promised of the end."""
        Accounts.of(self.world).check()

    def _audit(self) -> None:
        """Put back on the queue what no message is left for, as the daily audit does.

        That is what a synchronous invoke left that could not send its safety net and was killed.
        """
        unsaved = {item for event in self.world.events if event.was_unsaved for item in event.items}
        for key, attributes in self.world.dynamodb.items.items():
            item = plain(attributes)
            if not key.startswith("submission#") or (item["status"] not in OPEN and item["published"]):
                continue
            if key in unsaved:
                self.kernel.seen["found by the audit"] += 1
                self.world.redrive(json.dumps({"target": item["target"], "trigger": json.loads(item["trigger"])}))
        self.kernel.now += 3600
        self.world.drain()

    def _step(self, step: str, a: int, b: int, c: int) -> None:
        kernel, server, world = self.kernel, self.server, self.world
        match step:
            case "run":
                world.go(self._deliveries([(a, c)]), first=b)
            case "together":
                kernel.seen["runs at one time"] += 1
                world.go(self._deliveries([(a, c), (b, c), *([(c, a)] if c % 2 else [])]), first=c)
            case "pass":
                world.deliver_until(kernel.now + PAUSES[a % len(PAUSES)])
            case "mood":
                server.mood = MOODS[a % len(MOODS)]
                kernel.seen[server.mood] += 1
                world.deliver_until(kernel.now + PAUSES[b % len(PAUSES)])
                server.mood = "" if c % 2 else server.mood
            case "console":
                self._console(a, b)
            case "redrive":
                if letters := world.sqs.queues.get(DEAD_LETTERS, []):
                    kernel.seen["redriven"] += 1
                    world.redrive(letters[a % len(letters)].body)
            case "doom":
                kernel.doomed, kernel.doomed_at = 3 + a, 2 + b % 6
                world.deliver_until(kernel.now + PAUSES[c % len(PAUSES)])
            case "token":
                if server.chain:
                    world.secret.value = server.chain.issue()
                else:
                    server.token = world.secret.value = f"fake-token-{kernel.seen['token changed']}"
                kernel.seen["token changed"] += 1
            case "edit":
                world.documents.edit(tuple(DOCUMENTS)[a % len(DOCUMENTS)], EDITS[b])
                kernel.seen[f"document: {EDITS[b]}"] += 1
            case "restore" if server.jobs:
                self._restore(a)

    def _deliveries(self, choices: list[tuple[int, int]]) -> list[Start]:
        """Turn choices into deliveries; many are of what was just delivered, since that is where they meet."""
        world, found, last = self.world, list[Start](), None
        for choice, which in choices:
            due, jobs = world.due(), world.due(JOBS)
            waiting = sorted(world.sqs.queues.get(SUBMISSIONS, []), key=lambda message: message.visible_at)
            match choice:
                case 0 | 1 | 2 | 3:
                    last = world.invoke(self._new(choice, which))
                case 4 | 5 if world.events:
                    self.kernel.seen["invoked again"] += 1
                    last = world.invoke(world.events[-1 if choice == 4 else which % len(world.events)])
                case 6 if due:
                    last = world.hand_over(due[which % len(due)])
                case 7 if jobs:
                    last = world.follow(jobs[which % len(jobs) :][:JOBS_BATCH])
                case 8 | 9 if last:
                    self.kernel.seen["delivered twice at one time"] += 1
                case _ if waiting:
                    self.kernel.now = max(self.kernel.now, waiting[0].visible_at)
                    last = world.hand_over(waiting[0])
                case _:
                    last = world.invoke(self._new(choice, which))
            found.append(last)
        return found

    def _new(self, number_of_kind: int, which: int) -> Event:
        """Make an event of a kind, and remember it."""
        number, names = len(self.world.events), tuple(DOCUMENTS)
        request_id, time = f"request-{number}", f"2026-01-31T02:{number:02}:00Z"
        targets: tuple[str, ...] = (names[which % len(names)],)
        body: dict[str, Any]
        is_named, instead = True, tuple[str, ...]()
        match number_of_kind % 4:
            case 0:
                body = {"schedule": SCHEDULE, "time": time, "target": targets[0]}
                kind, identity = "schedule", f"{SCHEDULE}|{time}"
            case 1:
                if which == 11:
                    targets, is_named = names, False
                body = {"target": targets[0] if which < 11 else "*"}
                kind, identity = "manual", request_id
                if which % 2:
                    body["requestId"] = identity = f"by-hand-{number}"
            case _:
                detail: dict[str, Any] = {
                    "SourceArn": ARN,
                    "EventID": "RDS-EVENT-0043",
                    "Date": time,
                    "SourceType": "DB_INSTANCE",
                }
                targets, is_named = ("one", "three"), False
                if which < 9:
                    targets = (names[which % 3],)
                    instead = tuple(name for name in ("one", "three") if name not in targets)
                    detail["Tags"] = {"rds-snap-backup:target": targets[0]}
                body, kind, identity = {**RDS, "detail": detail}, "rds", f"{ARN}|RDS-EVENT-0043|{time}"
        items, others = ([f"submission#{name}#{kind}#{identity}" for name in some] for some in (targets, instead))
        is_sync = kind == "manual" and which % 3 == 0
        event = Event(body, request_id, tuple(items), is_named, tuple(others), is_sync)
        self.world.events.append(event)
        return event

    def _console(self, a: int, b: int) -> None:
        """Commvault starts a job of its own: for its own schedule, or for whoever is at its console."""
        kernel, server = self.kernel, self.server
        names = ("aws-prod", ("orders", "a", "b")[b % 3], "default")
        match a % 5:
            case 0:
                server.start_job(names, "INCREMENTAL", 59, kernel.now)
            case 1:
                server.start_job(names, "FULL", 5, kernel.now)
            case 2:
                server.start_job(("aws-prod-2", *names[1:]), "FULL", 59, kernel.now)
            case 3:
                server.start_job(names, "FULL", 4 if b % 2 else 59, kernel.now)
                kernel.seen["job of Commvault's own schedule"] += 1
            case _ if not server.late:
                kernel.now += APART_SECONDS
                server.start_job(names, "FULL", 4 if b % 2 else 59, kernel.now)
                kernel.now += APART_SECONDS
                kernel.seen["job of a stranger"] += 1

    def _restore(self, kept: int) -> None:
        """The CommServe is restored from a backup, or replaced: its IDs are counted again from an earlier one."""
        server, mood = self.server, self.server.mood
        server.mood = "down"
        self.world.deliver_until(self.kernel.now + RESTORE_SECONDS)
        server.catch_up()
        server.restore(kept % len(server.jobs))
        self.kernel.seen["CommServe restored"] += 1
        self.world.deliver_until(self.kernel.now + RESTORE_SECONDS)
        server.mood = mood
