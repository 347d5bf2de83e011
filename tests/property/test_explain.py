"""What `explain` says of an event in any state of the ledger is what the function then does, and saying it only reads."""

import copy
import os
from collections import Counter
from random import Random
from typing import Any

from rds_snap_backup.core.record import Submission
from tests.property.model.answers import ANSWERS
from tests.property.model.commvault import CommServe, Settings
from tests.property.model.kernel import Kernel, Schedule
from tests.property.script import STEPS, Example
from tests.property.wire import in_charge
from tests.property.world import Event, World

# Each is as long as ten examples of the function's property test.
SEEDS = int(os.environ.get("PROPERTY_EXAMPLES", "400")) // 10
FIRST = int(os.environ.get("PROPERTY_SEED", "0"))
CALM = {"aws": Schedule(())}


class Explained(Example):
    """An example whose deliveries are explained first."""

    def judge(self, event: Event, seen: Counter[str]) -> None:
        """Explain an event, deliver it, and compare."""
        faults, self.kernel.faults = self.kernel.faults, CALM
        answer = self.explain(event)
        explained = answer.get("explain", {"submissions": []})
        keys = [
            f"submission#{submission['target']}#{explained['kind']}#{explained['identity']}"
            for submission in explained["submissions"]
        ]
        before, begun = self.records(keys), {*self.world.promises.begun}
        delivered = self.receive(event)
        after, sent = self.records(keys), {key for _, key, _ in self.world.promises.begun - begun}
        for submission in explained["submissions"]:
            assert (submission["request"] is not None) == any(
                row["would"] == "submit" for row in submission["associations"]
            )
        rows = [row for submission in explained["submissions"] for row in submission["associations"]]
        seen.update(row["would"] for row in rows)
        # A trigger for several targets starts none of them itself.
        for row in rows if len(keys) == 1 else ():
            compare(row, before.get(keys[0]), after.get(keys[0]), sent)
        assert keys or delivered == answer
        self.kernel.faults = faults

    def explain(self, event: Event) -> dict[str, Any]:
        """Explain an event; nothing changes."""
        before = self.state()
        answer = self.receive(Event({"explain": event.body}, event.request_id, ()))
        assert self.state() == before
        return answer

    def receive(self, event: Event) -> dict[str, Any]:
        """Deliver an event directly, always to the same sandbox; return the answer."""
        self.world.go([self.world.invoke(event)])
        return self.world.answers[event.request_id]

    def state(self) -> Any:
        queues = {
            url: [(message.body, message.visible_at) for message in some] for url, some in self.world.sqs.queues.items()
        }
        sent = len(self.world.sns.messages), len(self.server.requests)
        return copy.deepcopy(self.world.dynamodb.items), queues, sent, self.world.secret.value

    def records(self, keys: list[str]) -> dict[str, Submission]:
        return self.world.services().submissions.load_all(keys)


def compare(row: dict[str, Any], before: Submission | None, after: Submission | None, sent: set[str]) -> None:
    """Compare what was explained of one association with the record after the delivery, and with what was sent."""
    names, would = (row["clientName"], row["instanceName"], row["subclientName"]), row["would"]
    backups = {backup.association.names: backup for backup in after.backups} if after else {}
    earlier = {backup.association.names: backup for backup in before.backups} if before else {}
    backup, was = backups.get(names), earlier.get(names)
    state = after.state_of(backup) if after and backup else None
    is_sent = bool(backup and backup.key in sent)
    if (before and was and before.state_of(was) == "requested") or (after and after.gathering):
        return  # What Commvault shows decides; and an event is explained as if it had gathered.
    match would:
        case "submit":
            assert is_sent, row
        case "join":
            assert state == "joined", row
        case "wait":
            assert (state, is_sent) == ("waiting", False), row
        case "reject":
            assert state == "rejected" or (after and after.error), row
        case _:
            assert not is_sent, row


def test_what_is_explained_happens() -> None:
    seen: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + SEEDS):
        try:
            play(Random(seed), seen)
        except BaseException as broken:
            broken.add_note(f"PROPERTY_SEED={seed} PROPERTY_EXAMPLES=10")
            raise
    assert SEEDS < 40 or {"submit", "join", "wait", "reject", "nothing"} <= seen.keys()


def play(rng: Random, seen: Counter[str]) -> None:
    """Play steps, and judge an event after each: a new one, or one that was delivered before."""
    kernel = Kernel(
        {**CALM, "create": Schedule([(rng.randrange(3), rng.randrange(len(ANSWERS))) for _ in range(9)])}, Schedule(())
    )
    server = CommServe(kernel, Settings(job_seconds=rng.choice((120.0, 600.0)), refuses_second=rng.random() < 0.5))
    config = {"settle_minutes": rng.choice((0, 60)), "first_retry_seconds": 30, "first_poll_seconds": 60}
    world = World(kernel, server, config | {"gather_minutes": 0, "reconcile_seconds": 60, "retry_failed_jobs": 1})
    with in_charge(server):
        example = Explained(world, kernel, server)
        for _ in range(10):
            step = rng.choice([name for name in STEPS if name not in {"doom", "restore", "lose", "token"}])
            example._step(step, *(rng.randrange(12) for _ in range(3)))
            is_again = world.events and rng.random() < 0.3
            event = rng.choice(world.events) if is_again else example._new(rng.randrange(4), rng.randrange(12))
            example.judge(event, seen)
