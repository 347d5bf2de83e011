"""`backup`: starts a backup, and waits until it is over.

It invokes the Backup function with a request ID. Repeating the call starts nothing and reports how the backup is doing.
"""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from rds_snap_backup.targets import NAMES
from rds_snap_backup.triggers import ALL, REQUEST_ID
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.functions import BACKUP, Refused, invoke, unknown_answer
from rds_snap_backup_cli.output import Row, Show, causes_of, cell, counted, moment
from rds_snap_backup_cli.program import Call, Target, command
from rds_snap_backup_cli.proof import moment_of, prove, require_database
from rds_snap_backup_cli.stack import DeployedStack, target_names

POLL_SECONDS = 15
# The same request ID: if the SDK sends the event again, it starts nothing a second time.
ATTEMPTS = 4
MINUTE = 60
OVER = frozenset({"succeeded", "failed"})
# The first of these that a target has is the status of all.
STATUSES = ("queued", "open", "failed", "succeeded")
COLUMNS = {
    "target": "Target",
    "subclient": "Group",
    "state": "State",
    "job": "Job",
    "since": "Since",
    "error": "Error",
    "hint": "What to do",
}
# Errors stand below the table, once for each cause.
SHOWS: Mapping[str, Show] = {
    "since": moment,
    "error": lambda text: (text or "").partition(":")[0],
    "hint": lambda _: "",
}

Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end. Exits with 0 only if every backup succeeded.")]
RequestId = Annotated[
    str, typer.Option(help="Resumes the backup that was started with it. Default: a new one.", show_default=False)
]
Database = Annotated[
    str,
    typer.Option(
        metavar="ARN", help="With --wait: exits with 0 only if it has a restore point of it.", show_default=False
    ),
]
Timeout = Annotated[int, typer.Option(min=1, help="How many minutes --wait waits.")]


@command(
    "backup prod orders",
    "backup prod orders --wait --request-id migration-42",
    "backup prod orders --wait --database ARN",
    "backup prod '*' --yes",
    rows=True,
    asks=True,
)
def backup(  # noqa: PLR0913, PLR0917 # each is an option
    call: Call,
    target: Target,
    wait: Wait = False,
    database: Database = "",
    request_id: RequestId = "",
    timeout: Timeout = 1440,
) -> Exit:
    """Start a backup of a target, and show each of its jobs.

    With --wait it is a gate: exit status 1 if a backup failed or time is over. --request-id makes it repeatable. Before "*"
    starts all targets, it asks.

    With --database only a restore point opens the gate: exit status 0 if one of this database was made after the backup was
    asked for, 1 if none is listed ten minutes after the jobs' end or no job is known, 2 if that could not be asked.
    """
    request_id = request_id or str(uuid.uuid4())
    if not REQUEST_ID.fullmatch(request_id):
        raise CannotRun('a request ID has 1 to 256 letters, digits, "_", ".", ":" or "-". Nothing was sent.')
    if database and not wait:
        raise CannotRun("--database needs --wait. Nothing was sent.")
    stack, until = call.stack(), time.monotonic() + timeout * MINUTE
    stack.require_target(target)
    if database:
        require_database(database)
    if target == ALL and not call.yes and not call.agrees(f"{stack.place}: back up {all_targets(stack)} now?"):
        raise CannotRun("the answer was no. Nothing was sent.")
    # Before anything is sent, so that the backup can be resumed after any failure.
    call.say(f"{stack.place}: backup of {target}. To resume it: --request-id {request_id}")
    call.did(f"The backup may have been started, and goes on. To see it: --request-id {request_id}")
    rows: list[Row] = []
    with call.progress("Waiting for the backups"):
        while True:
            status, reason, submissions = request(stack, {"target": target, "requestId": request_id})
            before, rows = rows, rows_of(submissions, rows)
            for row in rows:
                if row not in before:
                    call.say(in_words(row))
            if not wait or status in OVER or time.monotonic() >= until:
                break
            time.sleep(POLL_SECONDS)
    call.show(COLUMNS, rows, **SHOWS)
    call.explain(causes_of(problems_of(rows)))
    if database and status in OVER and (since := moment_of(submissions)):
        call.say(f"{stack.place}: the backup {status}. Its restore points are asked for.")
        return prove(call, stack, database, since)
    if database and status == "succeeded":
        call.conclude(
            f"{stack.place}: the backup has no known job, and no restore point proves {database}.", "bold red"
        )
        return Exit.FINDINGS
    return conclude(call, stack, status, reason=reason, is_timed_out=wait and status not in OVER)


def all_targets(stack: DeployedStack) -> str:
    """Return in words how many targets there are, where they may be listed."""
    names = target_names(stack.session.client("ssm"), stack.output("TargetsPath"))
    return f"all {counted(len(names), 'target')}" if names else "all targets"


def request(stack: DeployedStack, event: Mapping[str, str]) -> tuple[str, str, list[Any]]:
    """Send the request, or ask about it; return the status of the whole, why nothing was started, and the submissions."""
    try:
        answer = invoke(stack, BACKUP, event, ATTEMPTS)
    except Refused as refused:
        return "failed", str(refused), []
    match answer:
        case {"submissions": [_, *_] as submissions}:
            statuses = {submission["status"] for submission in submissions}
            return next((status for status in STATUSES if status in statuses), "failed"), "", submissions
        case {"ignored": str(reason)}:
            return "failed", cell(reason), []
        case _:
            raise unknown_answer(stack, BACKUP, answer)


def conclude(call: Call, stack: DeployedStack, status: str, *, reason: str, is_timed_out: bool) -> Exit:
    """Print the result, and return the exit status."""
    if is_timed_out:
        call.conclude(f"{stack.place}: time is over, and the backup is {status}. It goes on.", "bold red")
    elif reason:
        call.conclude(f"{stack.place}: nothing was started. {reason}", "bold red")
    elif status in OVER:
        call.conclude(f"{stack.place}: the backup {status}.", "green" if status == "succeeded" else "bold red")
    else:
        call.conclude(f"{stack.place}: the backup is {status}.")
    return Exit.FINDINGS if status == "failed" or is_timed_out else Exit.OK


def rows_of(submissions: Iterable[Mapping[str, Any]], before: Iterable[Row]) -> list[Row]:
    """Return a row for each backup, and for each target of which none is known yet, with the time of its last change."""
    since = {(row["target"], row["subclient"], row["state"]): row["since"] for row in before}
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    rows: list[Row] = []
    for submission in submissions:
        for backup in submission["backups"] or [{"state": submission["status"]}]:
            error = backup.get("error")
            key = {
                "target": submission["target"],
                "subclient": " / ".join(backup[name] for name in NAMES if name in backup) or None,
                "state": backup["state"],
            }
            rows.append(
                {
                    **key,
                    "job": backup.get("jobId"),
                    "since": since.get(tuple(key.values()), now),
                    "error": f"{error['code']}: {error['message']}" if error else None,
                    "hint": error["hint"] if error else None,
                }
            )
    return rows


def problems_of(rows: Iterable[Row]) -> Iterator[dict[str, str]]:
    """Yield the errors of rows."""
    for row in rows:
        if row["error"]:
            code, _, message = row["error"].partition(": ")
            yield {"code": code, "message": message, "hint": row["hint"]}


def in_words(row: Row) -> str:
    """Return a row as a line of a log."""
    named = " / ".join(filter(None, (cell(row[name]) for name in ("target", "subclient"))))
    job = f", job {cell(row['job'])}" if row["job"] else ""
    error = f". {cell(row['error']).rstrip('.')}. What to do: {cell(row['hint'])}" if row["error"] else ""
    return f"{row['since']} {named}: {cell(row['state'])}{job}{error}"
