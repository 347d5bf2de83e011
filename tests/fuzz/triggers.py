"""What follows from an event: its outcome, and every message and key that is made of it."""

import json
from typing import Any

from rds_snap_backup.ledger.steps import Submission
from rds_snap_backup.messaging import notifications
from rds_snap_backup.messaging.notifications import Notifications
from rds_snap_backup.messaging.queues import Queues
from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.triggers import ALL, TARGET_NAME, Arrival, Check, Ignored, Request, parse, unwrap
from tests.fuzz import limits
from tests.fuzz.wire import Aws

NOW = 1_790_000_000.0
# RDS's tag values have at most 256 characters.
MAX_TAG = 256
MAX_TAGGED = 128


def handle(event: Any, arrival: Arrival) -> None:
    """Read an event and require that whatever it is can be acted on."""
    aws: Any = Aws()
    queues = Queues("submissions", "dead-letters", lambda: aws)
    try:
        outcome = parse(event, arrival)
    except InvalidInput as invalid:
        limits.problem(invalid.problem)
        queues.refuse(event, arrival.id, invalid.problem.to_json())
        _redrive(aws.bodies[0])
        return
    match outcome:
        case Ignored(reason):
            limits.line(reason, "a reason")
        case Check(target):
            limits.require(target is None or _is_name(target), "a check is not of a target")
        case Request(trigger, names, tagged, attempt, account):
            limits.trigger(trigger)
            limits.line(account or "", "an account")
            limits.require(all(map(_is_name, names)), "a request names something else than targets")
            limits.require(len(tagged) <= MAX_TAGGED, "a tag names more targets than fit into one")
            limits.require(attempt is None or 0 <= attempt < 10**9, "an attempt has no usable number")
            named = [name for name in (*names, *tagged) if name != ALL] or ["orders"]
            queues.fan_out(trigger, named)
            for name in named:
                limits.line(name, "a target's name", MAX_TAG)
                limits.key(Submission(trigger, name).key)
                queues.enqueue(trigger, name, 1)
                queues.dead_letter(trigger, name, attempt or 0, {"code": "X", "message": "x" * 500, "hint": "x" * 500})
                notification = notifications.build("rejected", name, None, trigger, now=NOW)
                limits.item(notification)
                Notifications("topic", aws).publish(notification)


def _is_name(name: str) -> bool:
    return name == ALL or TARGET_NAME.fullmatch(name) is not None


def _redrive(body: str) -> None:
    """Require that a dead letter, redriven, is read as what it holds would be if it came from outside: as no more."""
    letter, arrival = unwrap(body, "redriven", NOW)
    limits.require(arrival.is_message and isinstance(letter, dict), "a dead letter is not a message any more")
    kept = json.loads(body)
    while _is_letter(kept["event"]):
        kept = kept["event"]
    outside = _outcome(kept["event"], Arrival(kept["deliveryId"], NOW))
    limits.require(_outcome(letter, arrival) == outside, "a dead letter is believed more than what it holds")


def _is_letter(event: Any) -> bool:
    match event:
        case {"refused": dict(), "event": _, "deliveryId": str()}:
            return True
    return False


def _outcome(event: Any, arrival: Arrival) -> object:
    try:
        return parse(event, arrival)
    except InvalidInput as invalid:
        return invalid.problem
