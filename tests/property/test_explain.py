"""What `explain` says of an event in any state of the ledger is what the function then does, and saying it only reads."""

import copy
import os
from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import Any

from rds_snap_backup.core.record import Submission
from tests.property.world import DATABASE, DOCUMENTS, World, association, rds_event

SEEDS = int(os.environ.get("PROPERTY_EXAMPLES", "40"))
FIRST = int(os.environ.get("PROPERTY_SEED", "0"))
STEPS = 10
FAULTS = ("errlist", "reset_after", "conflict", "throttled", "unauthorized", "empty_job_ids", "forbidden")
STATUSES = ("available", "backing-up")


def test_what_is_explained_happens() -> None:
    seen: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + SEEDS):
        try:
            play(Random(seed), seen)
        except BaseException as broken:
            broken.add_note(f"PROPERTY_SEED={seed} PROPERTY_EXAMPLES=1")
            raise
    assert SEEDS < 40 or {"submit", "join", "wait", "reject", "nothing"} <= seen.keys()


def play(rng: Random, seen: Counter[str]) -> None:
    """Play steps, and judge an event after each: a new one, or one that was delivered before."""
    config: dict[str, Any] = {"settle_minutes": rng.choice((0, 60)), "reconcile_seconds": 60, "retry_failed_jobs": 1}
    with World(job_seconds=rng.choice((120.0, 600.0)), sandboxes=1, **config).at_work() as world:
        events: list[dict[str, Any]] = []
        for _ in range(STEPS):
            step(world, rng)
            if not events or rng.random() < 0.7:
                events.append(event_of(world, rng))
            judge(world, rng.choice(events[-3:]), seen)


def step(world: World, rng: Random) -> None:
    """Let something happen: time passes, an answer goes wrong, a document or a database changes, a letter is redriven."""
    name = rng.choice(tuple(DOCUMENTS))
    match rng.randrange(6):
        case 0 | 1:
            world.deliver_until(world.kernel.now + rng.choice((30, 400, 1000, 5000)))
        case 2:
            world.server.fault(rng.choice(FAULTS))
        case 3:
            group = association(rng.choice("abc"))
            changes: tuple[dict[str, Any], ...] = (
                {"enabled": False},
                {"associations": [group]},
                {"backupLevel": "INCREMENTAL"},
                {"associations": []},
                {},
            )
            world.put(name, DOCUMENTS[name] | rng.choice(changes))
        case 4:
            world.rds.statuses[DATABASE] = rng.choice(STATUSES)
        case _ if world.letters:
            world.redrive(world.letters[0])


def event_of(world: World, rng: Random) -> dict[str, Any]:
    """Return a new event: by hand or by a schedule, for one target or all, or of RDS, for a target or the database's."""
    name = rng.choice((*DOCUMENTS, "*"))
    time = datetime.fromtimestamp(world.kernel.now - rng.randrange(1000), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    match rng.randrange(3):
        case 0:
            return {"target": name, "requestId": f"by-hand-{time}"}
        case 1:
            return {"target": name, "schedule": "arn:aws:scheduler:us-east-1:000000000000:schedule/a/b", "time": time}
        case _:
            return rds_event(Date=time, **({} if name == "*" else {"Tags": {"rds-snap-backup:target": name}}))


def judge(world: World, event: dict[str, Any], seen: Counter[str]) -> None:
    """Explain an event, deliver it, and compare."""
    before, faults = state(world), world.server.faults.armed()
    answer = world.call({"explain": event})
    assert state(world) == before
    assert world.server.faults.armed() == faults
    explained = answer.get("explain", {"submissions": []})
    submissions = explained["submissions"]
    records = {**world.records}
    sent = len(world.sent())
    delivered = world.call(event)
    assert submissions or delivered == answer
    for submission in submissions:
        would = [row["would"] for row in submission["associations"]]
        seen.update(would)
        assert (submission["request"] is not None) == ("submit" in would)
        # A trigger for several targets starts none of them itself.
        if len(submissions) == 1:
            key = f"submission#{submission['target']}#{explained['kind']}#{explained['identity']}"
            asked = world.sent()[sent].split() if len(world.sent()) > sent else []
            for row in submission["associations"]:
                compare(row, records.get(key), world.records.get(key), asked)


def state(world: World) -> Any:
    """Return all that an explanation may not change."""
    queues = {url: [(message.body, message.visible_at) for message in some] for url, some in world.sqs.queues.items()}
    return copy.deepcopy(world.dynamodb.items), queues, len(world.sns.messages), len(world.server.requests)


def compare(row: dict[str, Any], before: Submission | None, after: Submission | None, asked: list[str]) -> None:
    """Compare what was explained of one association with the record after the delivery, and with what was asked for."""
    names = row["clientName"], row["instanceName"], row["subclientName"]
    was, now = (
        next((record.state_of(backup) for backup in record.backups if backup.association.names == names), None)
        if record
        else None
        for record in (before, after)
    )
    if was == "requested" or (after and after.gathering):
        return  # What Commvault shows decides; and an event is explained as if it had gathered.
    is_sent = names[2] in asked
    match row["would"]:
        case "submit":
            assert is_sent, row
        case "join":
            assert now == "joined", row
        case "wait":
            assert (now, is_sent) == ("waiting", False), row
        case "reject":
            assert now == "rejected" or (after and after.error), row
        case _:
            assert not is_sent, row
