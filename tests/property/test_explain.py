"""What `explain` says of an event in any state of the ledger is what the function then does, and saying it only reads."""

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from rds_snap_backup.core.record import Submission
from rds_snap_backup.ledger.audits import Audits, AuditState
from rds_snap_backup.messaging.notifications import iso
from tests.property.seeds import ARE_FEW, play_each
from tests.property.world import CONFIG, DATABASE, DOCUMENTS, SUBMISSIONS, World, association, rds_event
from tests.unit.documents import rows

OWN, RDS_ARN, TAG = "000000000000", "arn:aws:rds:us-east-1", "rds-snap-backup:target"

STEPS = 10
FAULTS = ("errlist", "reset_after", "conflict", "throttled", "unauthorized", "empty_job_ids", "forbidden")
STATUSES = ("available", "backing-up")


def test_what_is_explained_happens() -> None:
    seen = play_each(play, 40)
    assert ARE_FEW or {"submit", "join", "wait", "reject", "nothing"} <= seen.keys()


def play(seed: int) -> Counter[str]:
    """Play steps, and judge an event after each: a new one, or one that was delivered before."""
    rng, seen = Random(seed), Counter[str]()
    config: dict[str, Any] = {"settle_minutes": rng.choice((0, 60)), "reconcile_seconds": 60, "retry_failed_jobs": 1}
    with World(job_seconds=rng.choice((120.0, 600.0)), **config).at_work() as world:
        del world.sandboxes[1:]
        events: list[dict[str, Any]] = []
        for _ in range(STEPS):
            step(world, rng)
            if not events or rng.random() < 0.7:
                events.append(event_of(world, rng))
            judge(world, rng.choice(events[-3:]), seen)
    return seen


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
    time = str(iso(world.kernel.now - rng.randrange(1000)))
    match rng.randrange(3):
        case 0:
            return {"target": name, "requestId": f"by-hand-{time}"}
        case 1:
            return {"target": name, "schedule": "arn:aws:scheduler:us-east-1:000000000000:schedule/a/b", "time": time}
        case _:
            return rds_event(Date=time, **({} if name == "*" else {"Tags": {"rds-snap-backup:target": name}}))


def judge(world: World, event: dict[str, Any], seen: Counter[str]) -> None:
    """Explain an event, deliver it, and compare."""
    answer = explained(world, event)
    told = answer.get("explain", {"submissions": []})
    submissions = told["submissions"]
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
            key = f"submission#{submission['target']}#{told['kind']}#{told['identity']}"
            asked = world.sent()[sent].split() if len(world.sent()) > sent else []
            for row in submission["associations"]:
                compare(row, records.get(key), world.records.get(key), asked)


def state(world: World) -> Any:
    """Return all that an explanation may not change."""
    queues = {url: [(message.body, message.visible_at) for message in some] for url, some in world.sqs.queues.items()}
    server = world.server
    return (
        copy.deepcopy(world.dynamodb.items),
        queues,
        len(world.sns.messages),
        len(server.requests),
        server.faults.armed(),
    )


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


# ---- What is said: the table of docs/operations.md has what is explained here.


@pytest.fixture
def world() -> Iterator[World]:
    """A world with a target `orders`, for the databases `orders-*`."""
    with World(retry_failed_jobs=1).at_work() as world:
        world.parameters.clear()
        prepare(world)
        yield world


def prepare(world: World, **document: Any) -> None:
    world.put("orders", {"associations": [association("orders")], "databases": ["orders-*"], **document})


def event_of_rds(world: World, database: str = "orders-db", **members: Any) -> dict[str, Any]:
    arn = f"arn:aws:rds:us-east-1:{OWN}:db:{database}"
    return rds_event(SourceArn=arn, Date=str(iso(world.kernel.now)), **members)


def explained(world: World, event: Any) -> dict[str, Any]:
    """Explain an event, which changes nothing."""
    before = state(world)
    answer = world.call({"explain": event})
    assert state(world) == before
    return answer


def verdicts(answer: dict[str, Any]) -> list[tuple[str, str | None, str]]:
    return [
        (submission["target"], row["subclientName"], row["would"])
        for submission in answer["explain"]["submissions"]
        for row in submission["associations"]
    ]


def just_begun(world: World) -> dict[str, Any]:
    prepare(world, gatherMinutes=5)
    world.call(event := event_of_rds(world))
    world.kernel.now += 60
    world.start("orders")
    return event


def busy(world: World) -> dict[str, Any]:
    world.server.fault("maintenance")
    world.start("orders")
    return event_of_rds(world)


def settling(world: World) -> dict[str, Any]:
    world.rds.statuses["orders-db"] = "stopped"
    return event_of_rds(world)


def disabled(world: World) -> dict[str, Any]:
    prepare(world, enabled=False)
    return event_of_rds(world)


def duplicate(world: World) -> dict[str, Any]:
    world.call(event := event_of_rds(world))
    world.drain()
    return event


SITUATIONS: dict[str, Callable[[World], dict[str, Any]]] = {
    "its name matches a pattern": event_of_rds,
    "its tag names a target": lambda world: event_of_rds(world, "stock-db", Tags={TAG: "orders"}),
    "nothing covers it": lambda world: event_of_rds(world, "stock-db"),
    "it gathers, and a job has begun since": just_begun,
    "its subclient is busy": busy,
    "its database is not available": settling,
    "the target is disabled": disabled,
    "its tag names no target": lambda world: event_of_rds(world, "stock-db", Tags={TAG: "order"}),
    "it is of another account": lambda world: json.loads(json.dumps(event_of_rds(world)).replace(OWN, "444455556666")),
    "a backup causes it": lambda world: event_of_rds(world, EventID="RDS-EVENT-0042"),
    "it is a duplicate": duplicate,
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_runbook_shows_what_is_explained(world: World, situation: str) -> None:
    answer = explained(world, SITUATIONS[situation](world))
    shown = [
        [f"{submission['target']}, by {submission['selectedBy']}", f"`{row['would']}`", row["why"]]
        for submission in answer.get("explain", {"submissions": []})["submissions"]
        for row in submission["associations"]
    ] or [["", "`ignored`", answer["ignored"]]]
    text = (
        json.dumps(shown).replace(OWN, "111122223333").replace(CONFIG.targets_path, "/rds-snap-backup/STACK/targets/")
    )
    for job_id in world.server.jobs:
        text = text.replace(job_id, "1354")
    documented = {cells[0]: cells[1:] for cells in rows("docs/operations.md", "Explain an event")}
    assert documented.keys() == SITUATIONS.keys()
    assert json.loads(text) == [documented[situation]]


@pytest.mark.parametrize(("count", "said"), [(1, "1 database:"), (40, "40 databases:")])
def test_a_job_is_explained_with_its_number_of_databases(world: World, count: int, said: str) -> None:
    services = world.services()
    key = services.targets.load("orders").request.associations[0].key
    Audits(services.table, 90, world.kernel.time).save(AuditState(groups={key: count, "another": 7}))
    (submission,) = explained(world, event_of_rds(world))["explain"]["submissions"]
    assert submission["associations"][0]["why"].endswith(f"selected {said} one snapshot of each.")


@pytest.mark.parametrize(
    ("arn", "fault", "warning"),
    [
        (f"{RDS_ARN}:{OWN}:db:stock-db", [], ""),
        (f"{RDS_ARN}:{OWN}:db:stock-db", ["fail before"], "cannot be read"),
        (f"{RDS_ARN}:{OWN}:db:gone", [], "RDS does not know"),
        (f"{RDS_ARN}:111122223333:db:gone", [], "tags of"),
    ],
)
def test_a_databases_event_has_the_tags_that_rds_shows(world: World, arn: str, fault: list[str], warning: str) -> None:
    world.rds.statuses["stock-db"], world.rds.tags = "available", {TAG: "orders"}
    world.kernel.faults["status"] = fault
    answer = explained(world, {"database": arn, "event": "RDS-EVENT-0043"})
    if warning:
        assert (warning in answer["warning"], arn in answer["ignored"]) == (True, True)
    else:
        assert verdicts(answer) == [("orders", "orders", "submit")]
        assert "warning" not in answer
    # What RDS did not answer delays no event.
    assert verdicts(explained(world, event_of_rds(world))) == [("orders", "orders", "submit")]


NO_DATABASE = {"database": f"{RDS_ARN}:{OWN}:db:", "event": "RDS-EVENT-0043"}


@pytest.mark.parametrize("event", [{}, {"explain": {"target": "orders"}}, {"Records": []}, NO_DATABASE])
def test_what_is_no_event_is_refused_without_a_dead_letter(world: World, event: Any) -> None:
    assert explained(world, event)["refused"]["code"] == "EVENT_UNKNOWN"


def test_a_queues_message_is_not_explained(world: World) -> None:
    world.sqs.put(SUBMISSIONS, json.dumps({"explain": {"target": "orders"}}))
    world.drain()
    assert [json.loads(letter.body)["refused"]["code"] for letter in world.letters] == ["EVENT_UNKNOWN"]


def test_a_repeated_manual_call_would_only_report_or_send_a_lost_message_again(world: World) -> None:
    event = {"target": "orders", "requestId": "by-hand"}
    answer = world.call(event)
    repeated = explained(world, event)
    assert verdicts(repeated) == [("orders", "orders", "nothing")]
    assert [submission["known"] for submission in repeated["explain"]["submissions"]] == answer["submissions"]
    world.sqs.queues[SUBMISSIONS].clear()
    world.kernel.now += 2 * 3600
    assert verdicts(explained(world, event)) == [("orders", "orders", "wait")]


def test_of_two_targets_with_one_subclient_the_second_waits(world: World) -> None:
    world.put("other", {"associations": [association("a"), association("orders")]})
    answer = explained(world, {"target": "*"})
    assert verdicts(answer) == [("orders", "orders", "submit"), ("other", "a", "submit"), ("other", "orders", "wait")]
    sent = [submission["request"]["taskInfo"]["associations"] for submission in answer["explain"]["submissions"]]
    assert [[row["subclientName"] for row in rows] for rows in sent] == [["orders"], ["a"]]


def test_a_dead_letter_shows_what_its_redrive_would_do(world: World) -> None:
    world.server.fault("error_top", code=4)
    world.start("orders")
    world.drain()
    (letter,) = world.letters
    event = {"Records": [{"body": letter.body, "messageId": "1"}]}
    assert verdicts(explained(world, event)) == [("orders", "orders", "submit")]
    world.parameters[f"{CONFIG.targets_path}orders"] = "{"
    assert verdicts(explained(world, event)) == [("orders", None, "nothing")]
    # Its record has expired: it is kept as it is.
    world.dynamodb.items.clear()
    assert [would for *_, would in verdicts(explained(world, event))] == ["nothing"]
    world.redrive(letter)
    world.drain()
    (kept,) = [json.loads(kept.body) for kept in world.letters]
    assert (kept["letter"], kept["error"]["code"]) == (json.loads(letter.body)["letter"], "SUBMISSION_EXPIRED")
    assert len(world.server.requests) == 1
