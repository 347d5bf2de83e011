"""`status`: the open submissions, read from the ledger with the operator's own rights."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING, Any

from rds_snap_backup.core.record import Submission, Unreadable
from rds_snap_backup.ledger.keys import OPEN, OPEN_INDEX
from rds_snap_backup.ledger.records import UnreadableRecordError, from_text
from rds_snap_backup.problems import Problem
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.output import causes_of, counted, duration
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.stack import DeployedStack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_READ = 100
READ_TRIES = 5
COLUMNS = {
    "target": "Target",
    "trigger": "Trigger",
    "backups": "Backups",
    "jobs": "Jobs",
    "created": "Age",
    "wakeAt": "Next try",
    "error": "Last error",
    "hint": "What to do",
}


@command("status prod", "status prod --format json", rows=True)
def status(call: Call) -> Exit:
    """Show what is open now: one line a submission, the oldest first.

    Reads the ledger only. A next try that is overdue by more than an hour means that the submission's message is lost.
    A record that this version cannot read is named, with the reason.
    """
    stack, now = call.stack(), time.time()
    with call.progress("Reading the ledger"):
        found = list(open_submissions(stack))
    submissions = sorted((item for item in found if isinstance(item, Submission)), key=lambda item: item.created)
    unreadable = [item for item in found if isinstance(item, Unreadable)]
    rows = [row_of(submission) for submission in submissions]
    call.show(
        COLUMNS,
        rows,
        error=lambda text: (text or "").partition(":")[0],
        hint=lambda _: "",
        created=lambda text: duration(now - seconds_of(text)),
        wakeAt=lambda text: next_try(seconds_of(text) - now),
    )
    call.explain(causes_of(error.to_json() for submission in submissions if (error := last_error(submission))))
    for record in unreadable:
        call.say(f"{record.key}: {record.reason}")
    stuck = sum(submission.is_stuck(now) for submission in submissions)
    lost = f", {stuck} without a message: the next audit sends it again" if stuck else ""
    unread = f", {len(unreadable)} that cannot be read" if unreadable else ""
    call.conclude(f"{stack.place}: {counted(len(found), 'open submission')}{lost}{unread}.")
    return Exit.OK


def open_submissions(stack: DeployedStack) -> Iterator[Submission | Unreadable]:
    """Yield the open submissions, and those that cannot be read. The index may be a moment old, the items are not."""
    client: DynamoDBClient = stack.session.client("dynamodb")
    table = stack.output("LedgerTableName")
    pages = client.get_paginator("query").paginate(
        TableName=table,
        IndexName=OPEN_INDEX,
        KeyConditionExpression="#open = :yes",
        ExpressionAttributeNames={"#open": OPEN},
        ExpressionAttributeValues={":yes": {"S": "yes"}},
    )
    keys = [item["pk"]["S"] for page in pages for item in page["Items"]]
    for batch in batched(keys, MAX_READ):  # noqa: B911 # 3.12 has no `strict`
        for item in read_items(client, table, batch):
            submission = submission_of(item)
            if isinstance(submission, Unreadable) or not submission.is_over:
                yield submission


def submission_of(item: Any) -> Submission | Unreadable:
    """Return the submission of a ledger's item."""
    try:
        return from_text(item["record"]["S"], int(item["version"]["N"]), item["writeId"]["S"])
    except UnreadableRecordError as error:
        return Unreadable(item["pk"]["S"], str(error))


def read_items(client: "DynamoDBClient", table: str, keys: tuple[str, ...]) -> Iterator[Any]:
    """Yield the items of these keys that exist."""
    asked: dict[str, Any] = {table: {"Keys": [{"pk": {"S": key}} for key in keys], "ConsistentRead": True}}
    for number in range(READ_TRIES):
        time.sleep(number * number / 10)
        answer = client.batch_get_item(RequestItems=asked)
        yield from answer["Responses"].get(table, [])
        asked = dict(answer.get("UnprocessedKeys", {}))
        if not asked:
            return
    raise CannotRun("DynamoDB throttles the ledger's reads. Try again in a minute.")


def row_of(submission: Submission) -> dict[str, Any]:
    """Return a submission's row."""
    backups, error = submission.backups, last_error(submission)
    return {
        "target": submission.target,
        "trigger": f"{submission.trigger.kind} {submission.trigger.id}",
        "backups": dict(Counter(submission.state_of(backup) for backup in backups)),
        "jobs": [backup.job.id for backup in backups if backup.job],
        "created": iso(submission.created),
        "wakeAt": iso(submission.wake_at),
        "error": f"{error.code}: {error.message}" if error else None,
        "hint": error.hint if error else None,
    }


def last_error(submission: Submission) -> Problem | None:
    """Return the last error of an open backup, else of the submission."""
    errors = [backup.error for backup in submission.backups if backup.error and backup.is_open]
    return errors[-1] if errors else submission.error


def next_try(seconds: float) -> str:
    """Return in words when something is due."""
    if seconds >= 1:
        return f"in {duration(seconds)}"
    return "now" if seconds > -60 else f"overdue {duration(-seconds)}"


def iso(seconds: float) -> str:
    """Return Unix seconds as an ISO 8601 time."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def seconds_of(text: str) -> float:
    """Return the Unix seconds of `iso`'s time."""
    return datetime.fromisoformat(text).timestamp()
