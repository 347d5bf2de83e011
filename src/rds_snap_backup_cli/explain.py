"""`explain`: what an event would do if it arrived now.

The Backup function answers with reads only; EventBridge says whether the stack's rules let the event through.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.targets import NAMES
from rds_snap_backup.triggers import database_event
from rds_snap_backup.untrusted import NotJson, read_json
from rds_snap_backup_cli.errors import CannotRun, Exit, error_message
from rds_snap_backup_cli.functions import BACKUP, Refused, invoke, unknown_answer
from rds_snap_backup_cli.output import Format, Row, cell, write_json
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.stack import DeployedStack

STDIN = "-"
EVENT_ID = re.compile(r"RDS-EVENT-\d{4}", re.ASCII)
# It changes nothing, so the SDK may send it again.
ATTEMPTS = 4
# The rules for events of the stack's own account and region, and for all others.
OWN_RULES, RULES = ("RdsEvents",), ("RdsEvents", "MembersEvents")
# What a backup would do, the first of these that any does.
VERBS = {"submit": "would start", "join": "would join a job", "wait": "would wait"}
COLUMNS = {
    "target": "Target",
    "selectedBy": "Selected by",
    "subclient": "Group",
    "would": "Would",
    "why": "Why",
}

EventFile = Annotated[
    str, typer.Argument(metavar="EVENT_FILE", help="The event in JSON; - is standard input.", show_default=False)
]
Database = Annotated[str, typer.Option(metavar="ARN", help="Explain an event of this database.", show_default=False)]
EventId = Annotated[str, typer.Option("--event", metavar="ID", help="The ID of that event.", show_default=False)]


@dataclass(frozen=True)
class Rule:
    """A rule of the stack, and whether it lets an event through."""

    name: str
    matches: bool


@command(
    "explain prod event.json",
    "explain prod --database ARN --event RDS-EVENT-0043",
    rows=True,
    instead="database",
)
def explain(call: Call, event_file: EventFile = "", database: Database = "", event_id: EventId = "") -> Exit:
    """Show what an event would do if it arrived now, and why. Submits nothing.

    Exit status 0: a backup would start, join or wait. 1: none would, or the stack's rule lets no such event through.
    """
    if event_id and not EVENT_ID.fullmatch(event_id):
        number = re.search(r"\d{1,4}$", event_id)
        meant = f"Did you mean RDS-EVENT-{number[0]:0>4}?" if number else "Write RDS-EVENT-0043."
        raise CannotRun(f"{event_id!r} is not the ID of an RDS event. {meant}")
    if bool(event_file) == bool(database) or bool(database) != bool(event_id):
        raise CannotRun("name an event file, or a database and an event with --database and --event.")
    stack = call.stack()
    if database:
        event, asked = event_of(database, event_id), {"database": database, "event": event_id}
    else:
        event = asked = read_event(event_file)
    with call.progress("The Backup function explains the event"):
        answer, reason = ask(stack, asked)
        rules = list(asked_rules(stack, event))
    rows = rows_of(answer)
    if call.format is Format.JSON:
        write_json({**answer, "rules": [{"name": rule.name, "matches": rule.matches} for rule in rules]})
    else:
        call.show(COLUMNS, rows)
    if warning := answer.get("warning"):
        call.say(f"Warning: {cell(warning)}")
    is_let_through = not is_rds(event) or any(rule.matches for rule in rules)
    verb = next((verb for would, verb in VERBS.items() if any(row["would"] == would for row in rows)), "")
    status = Exit.OK if verb and is_let_through else Exit.FINDINGS
    begin = f"a backup {verb}" if status is Exit.OK else "no backup would start"
    said = " ".join(filter(None, [f"{stack.place}: {begin}.", reason, in_words(rules) if is_rds(event) else ""]))
    call.conclude(said, "green" if status is Exit.OK else "bold red")
    return status


def event_of(database: str, event_id: str) -> dict[str, Any]:
    """Return an event of a database that happens now, without the tags that it would bring. Raises `CannotRun`."""
    try:
        return database_event(database, event_id, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    except InvalidInput as invalid:
        raise CannotRun(f"{invalid.problem.message} {invalid.problem.hint}") from None


def read_event(file: str) -> Any:
    """Return the event in a file. Raises `CannotRun` if it is not JSON."""
    content = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    try:
        return read_json(content)
    except NotJson as error:
        name = "standard input" if file == STDIN else file
        raise CannotRun(f"{name} is not JSON: {error}. Save the event as EventBridge delivered it.") from None


def ask(stack: DeployedStack, event: Any) -> tuple[dict[str, Any], str]:
    """Return the function's answer, and why the event as a whole starts nothing."""
    try:
        answer = invoke(stack, BACKUP, {"explain": event}, ATTEMPTS)
    except Refused as refused:
        return {"submissions": [], "refused": refused.problem}, f"The event would be refused: {refused}"
    match answer:
        case {"ignored": str(reason)}:
            return answer, cell(reason)
        case {"explain": {"submissions": [*_]}}:
            return answer, ""
        case _:
            raise unknown_answer(stack, BACKUP, answer)


def rows_of(answer: Mapping[str, Any]) -> list[Row]:
    """Return a row for each association, and for each target that has none."""
    return [
        {
            "target": submission["target"],
            "selectedBy": submission["selectedBy"],
            "subclient": " / ".join(row[name] for name in NAMES if row[name]) or None,
            "would": row["would"],
            "why": row["why"],
        }
        for submission in answer.get("explain", answer)["submissions"]
        for row in submission["associations"]
    ]


def is_rds(event: Any) -> bool:
    """Tell whether an event reaches the stack through its rules."""
    return isinstance(event, dict) and event.get("source") == "aws.rds"


def asked_rules(stack: DeployedStack, event: Any) -> Iterator[Rule]:
    """Yield the stack's rules for an RDS event, each with EventBridge's verdict."""
    if not is_rds(event):
        return
    events: Any = stack.session.client("events")
    place = {"account": stack.account, "region": stack.region}
    is_own = place.items() <= (place | event).items()
    # EventBridge tests no event that lacks one of these.
    lacked = {"id": "0", "time": "2026-01-31T02:00:00Z", "resources": [], "detail-type": "", "detail": {}}
    text = json.dumps(lacked | place | event)
    for bus, name in rule_names(stack, OWN_RULES if is_own else RULES):
        found = events.describe_rule(Name=name, **({"EventBusName": bus} if bus else {}))
        is_match = events.test_event_pattern(EventPattern=found["EventPattern"], Event=text)["Result"]
        yield Rule(name, is_match and found["State"] != "DISABLED")


def rule_names(stack: DeployedStack, logical_ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the bus, empty for the default one, and the name of each of these rules that the stack has."""
    cloudformation: Any = stack.session.client("cloudformation")
    for logical_id in logical_ids:
        try:
            answer = cloudformation.describe_stack_resource(StackName=stack.name, LogicalResourceId=logical_id)
        except ClientError as error:
            if "does not exist" not in error_message(error):
                raise
            continue
        bus, _, name = answer["StackResourceDetail"]["PhysicalResourceId"].rpartition("|")
        yield bus, name


def in_words(rules: list[Rule]) -> str:
    """Say whether the rules let the event through."""
    if not rules:
        return "The stack has no rule for RDS events: its parameter RdsEventIds is off."
    if matching := ", ".join(rule.name for rule in rules if rule.matches):
        return f"The rule {matching} lets the event through."
    names = ", ".join(rule.name for rule in rules)
    return f"The rule {names} does not let the event through: compare the parameter RdsEventIds, or enable the rule."
