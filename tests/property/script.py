"""What happens in an example: a list of steps that Hypothesis chooses, and the healing at its end."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from tests.property.documents import DOCUMENTS, EDITS
from tests.property.model.aws import Message
from tests.property.model.commvault import CommServe, Settings
from tests.property.model.kernel import Kernel, Schedule
from tests.property.promises import key_of
from tests.property.wire import in_charge
from tests.property.world import BATCH, Event, Start, World

DATABASE = "orders-1"
ARN = f"arn:aws:rds:us-east-1:000000000000:db:{DATABASE}"
RDS = {"source": "aws.rds", "detail-type": "RDS DB Instance Event", "account": "000000000000"}
SCHEDULE = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/nightly"
# Nobody starts a job by hand within so many seconds of a request of ours.
APART_SECONDS = 20.0
STEPS = (
    *("run", "run", "run", "together", "together", "together", "pass", "pass", "pass", "redrive", "mood", "console"),
    *("doom", "token", "edit", "edit", "names", "restore", "lose", "database"),
)
MOODS = ("down", "maintenance", "refuses tokens")
PAUSES = (30.0, 400.0, 1000.0, 5000.0, 10000.0)
STATUSES = ("available", "backing-up", "denied", "")
NAMES = ("orders", "a", "b", "c")
# Restoring a CommServe takes a while, in which it is down.
RESTORE_SECONDS = 300.0
# Room for calls and clocks at the end of a window.
ROOM_SECONDS = 5.0

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

    def play(self) -> Kernel:
        """Play it from its beginning to its end; return what was seen."""
        kernel = Kernel({name: Schedule(pairs) for name, pairs in self.faults.items()}, Schedule(self.switches))
        server = CommServe(kernel, self._within_the_window())
        world = World(kernel, server, self.config, self.skews)
        with in_charge(server):
            Example(world, kernel, server).play(self.steps)
        return kernel

    def _within_the_window(self) -> Settings:
        """Return the settings such that a job is accepted, starts and is listed within the window of adoption."""
        settings, left = self.settings, max(self.config["reconcile_seconds"] - ROOM_SECONDS, 0.0)
        ahead = min(settings.drift, left)
        left -= max(ahead, 0)
        queued = min(settings.queued, left)
        listed_after = min(settings.listed_after, left)
        latest = left - max(queued, listed_after)
        return replace(settings, drift=ahead, queued=queued, listed_after=listed_after, latest_acceptance=latest)


givens = st.builds(
    Given,
    steps=st.lists(st.tuples(st.sampled_from(STEPS), small, small, small), min_size=1, max_size=8),
    # Requests to Commvault, and what is sent, are few among all effects, and have schedules of their own.
    faults=st.fixed_dictionaries(
        {
            name: st.lists(st.tuples(st.integers(0, longest), st.integers(0, 359)), max_size=most)
            for name, longest, most in (
                ("aws", 12, 14),
                ("create", 1, 14),
                ("publish", 2, 4),
                ("queue send", 1, 4),
                ("list", 3, 6),
                ("renewal", 2, 6),
            )
        }
    ),
    switches=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=30),
    settings=st.builds(
        Settings,
        ahead=st.sampled_from([0.0, 3000.0, -3000.0, 0.7]),
        drift=st.sampled_from([0.0, 0.0, 60.0, -60.0, -110.0]),
        refuses_second=st.booleans(),
        converts=st.booleans(),
        listed_after=st.sampled_from([0.0, 0.0, 10.0, 500.0]),
        queued=st.sampled_from([0.0, 0.0, 300.0]),
        job_seconds=st.sampled_from([120.0, 600.0, 5000.0]),
        newest_first=st.booleans(),
        crowd=st.sampled_from([0, 0, 0, 0, 60]),
        hides_clients=st.booleans(),
        page_seconds=st.sampled_from([0.2, 2.5]),
        limit=st.sampled_from([0, 0, 2]),
        has_pair=st.booleans(),
    ),
    config=st.fixed_dictionaries(
        {
            "gather_minutes": st.sampled_from([0, 5, 60]),
            "settle_minutes": st.sampled_from([0, 60]),
            "retry_hours": st.sampled_from([1, 1, 3]),
            "retry_failed_jobs": st.sampled_from([0, 1]),
            "first_retry_seconds": st.sampled_from([5, 30, 60]),
            "reconcile_seconds": st.sampled_from([5, 60, 600, 3000]),
            "follow_hours": st.sampled_from([1, 6]),
            "first_poll_seconds": st.sampled_from([20, 60, 300]),
        }
    ),
    skews=st.sampled_from([(0.0, 0.0, 0.0), (1.5, -1.5, 0.3), (-1.4, 0.0, 1.4)]),
)


@dataclass(slots=True)
class Example:
    """One example: a world, and the script that is played in it."""

    world: World
    kernel: Kernel
    server: CommServe

    def play(self, script: list[tuple[str, int, int, int]]) -> None:
        """Play the script, let everything heal, and check; then redrive every dead letter and a copy of it, and check.

        Until it was checked once, the documents stay as their owners left them.
        """
        for step, *numbers in script:
            self._step(step, *numbers)
        self.heal()
        self.check()
        self.world.documents.restore()
        self.server.unknown.clear()
        self.server.ineligible.clear()
        self.kernel.now += 100
        for letter in list(self.world.letters):
            self.world.redrive(letter)
            self.world.redrive(letter, is_moved=False)
        self.heal()
        self.check()

    def heal(self) -> None:
        """Nothing goes wrong any more, and everything comes to its end."""
        self.kernel.faults, self.kernel.switches = {"aws": Schedule(())}, Schedule(())
        self.kernel.doomed = 0
        self.server.mood, self.server.settings.limit = "", 0
        self.world.rds.statuses[DATABASE] = "available"
        if (chain := self.server.chain) and not chain.is_known:
            # Nothing knows the latest pair, so no token is accepted until the secret's owner has stored a new one.
            self.kernel.seen["chain lost"] += 1
            self.world.secret.value = chain.issue()
        self.world.drain()
        self.server.catch_up()

    def check(self) -> None:
        """Check what is promised of the end."""
        expected: dict[str, bool] = {}
        for event in self.world.events:
            expected |= dict.fromkeys(event.keys, not (event.is_sync and event.was_cut_off))
        self.world.promises.check(expected)

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
            case "redrive" if world.letters:
                kernel.seen["redriven"] += 1
                world.redrive(world.letters[a % len(world.letters)], is_moved=bool(b % 3))
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
            case "names":
                some, name = (server.unknown, server.ineligible)[a % 2], ("aws-prod", "RDS", NAMES[b % len(NAMES)])
                some ^= {name}
            case "restore" if server.jobs:
                self._restore(a)
            case "lose" if waiting := world.waiting:
                self._lose(waiting[a % len(waiting)])
            case "database":
                world.rds.statuses[DATABASE] = STATUSES[a % len(STATUSES)]
                if not world.rds.statuses[DATABASE]:
                    del world.rds.statuses[DATABASE]

    def _deliveries(self, choices: list[tuple[int, int]]) -> list[Start]:
        """Turn choices into deliveries; many are of what was just delivered, since that is where they meet."""
        world, found, last = self.world, list[Start](), None
        for choice, which in choices:
            due, waiting = world.due, world.waiting
            match choice:
                case 0 | 1 | 2 | 3:
                    last = world.invoke(self._new(choice, which))
                case 4 | 5 if world.events:
                    self.kernel.seen["invoked again"] += 1
                    last = world.invoke(world.events[-1 if choice == 4 else which % len(world.events)])
                case 6 | 7 if due:
                    last = world.hand_over(due[which % len(due) :][:BATCH])
                case 8 | 9 if last:
                    self.kernel.seen["delivered twice at one time"] += 1
                case _ if waiting:
                    self.kernel.now = max(self.kernel.now, waiting[0].visible_at)
                    last = world.hand_over(world.due[:BATCH])
                case _:
                    last = world.invoke(self._new(choice, which))
            found.append(last)
        return found

    def _new(self, number_of_kind: int, which: int) -> Event:
        """Make an event of a kind, and remember it."""
        number, names = len(self.world.events), tuple(DOCUMENTS)
        request_id = f"request-{number}"
        time = datetime.fromtimestamp(self.kernel.now - number, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        targets: tuple[str, ...] = (names[which % len(names)],)
        body: dict[str, Any]
        match number_of_kind % 4:
            case 0:
                body = {"schedule": SCHEDULE, "time": time, "target": targets[0]}
                kind, identity = "schedule", f"{SCHEDULE}|{time}"
            case 1:
                if which == 11:
                    targets = names
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
                if which < 9:
                    detail["Tags"] = {"rds-snap-backup:target": targets[0]}
                else:
                    targets = ("one", "three")
                body, kind, identity = {**RDS, "detail": detail}, "rds", f"{ARN}|RDS-EVENT-0043|{time}"
        keys = tuple(f"submission#{name}#{kind}#{identity}" for name in targets)
        event = Event(body, request_id, keys, is_sync=kind == "manual" and which % 3 == 0)
        self.world.events.append(event)
        return event

    def _console(self, a: int, b: int) -> None:
        """Commvault starts a job of its own: for its own schedule, or for whoever is at its console."""
        kernel, server = self.kernel, self.server
        names = ("aws-prod", "RDS", NAMES[b % 3])
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

    def _lose(self, message: Message) -> None:
        """Somebody deletes a message. Without a record nothing is left of its trigger."""
        world = self.world
        world.sqs.queues[world.config.submissions_queue_url].remove(message)
        self.kernel.seen["message lost"] += 1
        body = json.loads(message.body)
        if "trigger" in body:
            world.promises.lost.add(key_of(body))
        else:
            for event in world.events:
                if body.get("requestContext", {}).get("requestId") == event.request_id:
                    world.promises.lost |= {*event.keys}
