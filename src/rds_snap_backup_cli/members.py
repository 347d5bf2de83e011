"""`members`: each account and region that a hub audits, asked from its Audit function, and the last trigger recorded there."""

import time
from collections.abc import Iterable, Mapping
from itertools import batched
from typing import TYPE_CHECKING, Any

from rds_snap_backup.core.record import Submission
from rds_snap_backup.ledger.keys import subclient_key
from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.targets import parse_target
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.functions import AUDIT, invoke, unknown_answer
from rds_snap_backup_cli.output import counted, duration
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.stack import DeployedStack
from rds_snap_backup_cli.status import MAX_READ, iso, open_submissions, read_items, seconds_of, submission_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ssm import SSMClient

COLUMNS = {
    "account": "Account",
    "region": "Region",
    "role": "Role",
    "databases": "Databases",
    "undelivered": "Undelivered events",
    "lastTrigger": "Last trigger",
    "lastTriggerAt": "Age",
    "problem": "What to do",
}

WAITING = "Correct MembersBusArn there; read its queue, delete the messages, start the targets."

type Place = tuple[str, str]


@command("members prod", "members prod --format json", rows=True)
def members(call: Call) -> Exit:
    """Show each account and region that the stack audits: its role, its undelivered events, the last trigger recorded.

    Of each subclient the last submission counts, and every open one. Exit status 1: a member could not be read, or events wait.
    """
    stack = call.stack()
    with call.progress("The Audit function reads the members"):
        found = list_members(stack)
    with call.progress("Reading the ledger"):
        last = last_triggers(stack)
    rows = [row_of(member, last.get((member["account"], member["region"]))) for member in found]
    now = time.time()
    call.show(COLUMNS, rows, lastTriggerAt=lambda text: duration(now - seconds_of(text)) if text else "")
    problems = sum(row["problem"] is not None for row in rows)
    state = f"{problems} with a problem" if problems else "no problem"
    call.conclude(f"{stack.place}: {counted(len(rows), 'member')}, {state}.", "bold red" if problems else "green")
    return Exit.FINDINGS if problems else Exit.OK


def list_members(stack: DeployedStack) -> list[dict[str, Any]]:
    """Return account, region, role, databases, undelivered and error of each member, as the Audit function answers."""
    match answer := invoke(stack, AUDIT, {"members": True}):
        case {"members": [*rows]} if all(
            isinstance(row, dict) and {"account", "region", "role", "databases", "undelivered", "error"} <= row.keys()
            for row in rows
        ):
            return list(rows)
        case _:
            raise unknown_answer(stack, AUDIT, answer)


def row_of(member: Mapping[str, Any], last: Submission | None) -> dict[str, Any]:
    """Return a member's row."""
    problem = None
    if error := member["error"]:
        problem = f"{error['message']} {error['hint']}"
    elif member["undelivered"]:
        problem = WAITING
    what = None
    if last:
        trigger = last.trigger
        what = (
            f"{trigger.rds_event_id} of {trigger.database}"
            if trigger.rds_event_id
            else f"{trigger.kind} of {last.target}"
        )
    return {
        **{name: member[name] for name in ("account", "region", "role", "databases", "undelivered")},
        "lastTrigger": what,
        "lastTriggerAt": iso(last.created) if last else None,
        "problem": problem,
    }


def last_triggers(stack: DeployedStack) -> Mapping[Place, Submission]:
    """Return the last submission of each account and region: of the open ones, and of each subclient's last one."""
    client: DynamoDBClient = stack.session.client("dynamodb")
    table = stack.output("LedgerTableName")
    places = places_by_association(stack)
    subclients = read_all(client, table, map(subclient_key, places))
    claimers = {item["claimer"]["S"] for item in subclients} - {""}
    recorded = map(submission_of, read_all(client, table, claimers))
    last: dict[Place, Submission] = {}
    for submission in sorted([*recorded, *open_submissions(stack)], key=lambda item: item.created):
        backups = (places.get(backup.association.key, set()) for backup in submission.backups)
        arn = submission.trigger.source_arn
        last |= dict.fromkeys(places_of([arn]) if arn else set().union(*backups), submission)
    return last


def places_by_association(stack: DeployedStack) -> Mapping[str, set[Place]]:
    """Return where the databases of all valid targets' associations are, by the association's key, as the documents say."""
    ssm: SSMClient = stack.session.client("ssm")
    found: dict[str, set[Place]] = {}
    for page in ssm.get_paginator("get_parameters_by_path").paginate(Path=stack.output("TargetsPath")):
        for row in page["Parameters"]:
            try:
                target = parse_target(row["Name"].rpartition("/")[2], row["Name"], row["Value"])
            except InvalidInput:
                continue
            # A name without an ARN is a database of these accounts.
            own = {(account, stack.region) for account in target.accounts or (stack.account,)}
            for association in target.request.associations:
                patterns = association.databases or target.databases
                found.setdefault(association.key, set()).update(places_of(patterns) or own)
    return found


def places_of(patterns: Iterable[str]) -> set[Place]:
    """Return account and region of each ARN that names them."""
    parts = [pattern.split(":", 5) for pattern in patterns if pattern.count(":") >= 5]
    return {(account, region) for _, _, _, region, account, _ in parts}


def read_all(client: "DynamoDBClient", table: str, keys: Iterable[str]) -> Iterable[Any]:
    """Yield the items of these keys that exist."""
    for batch in batched(sorted(keys), MAX_READ):  # noqa: B911 # 3.12 has no `strict`
        yield from read_items(client, table, batch)
