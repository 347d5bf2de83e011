"""`backup`: starts a backup, and waits until it is over.

It invokes the Backup function with a request ID. Repeating the call starts nothing and reports how the backup is doing.
"""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.live import Live

from rds_snap_backup.triggers import REQUEST_ID
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.functions import BACKUP, Refused, invoke, unknown_answer
from rds_snap_backup_cli.output import cell, rows_to_table, stderr
from rds_snap_backup_cli.program import Call, Target, command
from rds_snap_backup_cli.stack import DeployedStack

POLL_SECONDS = 15
# The same request ID: if the SDK sends the event again, it starts nothing a second time.
ATTEMPTS = 4
MINUTE = 60
OVER = frozenset({"succeeded", "failed"})
# The first of these that a target has is the status of all.
STATUSES = ("queued", "open", "failed", "succeeded")
NAMES = ("clientName", "instanceName", "subclientName")
COLUMNS = {
    "target": "Target",
    "subclient": "Subclient",
    "state": "State",
    "job": "Job",
    "since": "Since",
    "error": "Error",
}
SHOWS = {"since": lambda text: datetime.fromisoformat(text).astimezone().strftime("%H:%M:%S")}

Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end. Exits with 0 only if every backup succeeded.")]
RequestId = Annotated[
    str, typer.Option(help="Resumes the backup that was started with it. Default: a new one.", show_default=False)
]
Timeout = Annotated[int, typer.Option(min=1, help="How many minutes --wait waits.")]


@dataclass
class Backups:
    """The backups of one request as they were last seen, each with the time since when it is in its state."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def update(self, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Take over an answer of the Backup function; return the rows that changed."""
        known = {(row["target"], row["subclient"]): row for row in self.rows}
        self.rows = [row for submission in answer["submissions"] for row in rows_of(submission)]
        changed = []
        for row in self.rows:
            before = known.get((row["target"], row["subclient"]), {})
            if before.get("state") == row["state"]:
                row["since"] = before["since"]
            if before != row:
                changed.append(row)
        return changed


@command("backup prod orders", "backup prod orders --wait --request-id migration-42", "backup prod '*'", rows=True)
def backup(call: Call, target: Target, wait: Wait = False, request_id: RequestId = "", timeout: Timeout = 1440) -> Exit:
    """Start a backup of a target, and show each of its jobs.

    With --wait it is a gate: exit status 1 if a backup failed or time is over. --request-id makes it repeatable.
    """
    request_id = request_id or str(uuid.uuid4())
    if not REQUEST_ID.fullmatch(request_id):
        raise CannotRun('a request ID has 1 to 256 letters, digits, "_", ".", ":" or "-". Nothing was sent.')
    stack, until = call.stack(), time.monotonic() + timeout * MINUTE
    stack.require_target(target)
    # Before anything is sent, so that the backup can be resumed after any failure.
    call.say(f"{stack.place}: backup of {target}. To resume it: --request-id {request_id}")
    backups = Backups()
    with watching(call, backups) as shown:
        while True:
            status, reason = request(stack, {"target": target, "requestId": request_id}, shown)
            if not wait or status in OVER or time.monotonic() >= until:
                break
            time.sleep(POLL_SECONDS)
    call.show(COLUMNS, backups.rows, **SHOWS)
    return conclude(call, stack, status, reason=reason, is_timed_out=wait and status not in OVER)


def request(stack: DeployedStack, event: Mapping[str, str], shown: Any) -> tuple[str, str]:
    """Send the request, or ask about it; return the status of the whole, and why nothing was started."""
    try:
        answer = invoke(stack, BACKUP, event, ATTEMPTS)
    except Refused as refused:
        return "failed", str(refused)
    match answer:
        case {"submissions": [_, *_] as submissions}:
            shown(answer)
            statuses = {one["status"] for one in submissions}
            return next((status for status in STATUSES if status in statuses), "failed"), ""
        case {"ignored": str(reason)}:
            return "failed", cell(reason)
        case _:
            raise unknown_answer(stack, BACKUP, answer)


@contextmanager
def watching(call: Call, backups: Backups) -> Iterator[Any]:
    """Give what shows an answer: a live table on a terminal, elsewhere a line for each change, on standard error."""
    console = stderr()
    if call.quiet:
        yield backups.update
        return
    if not console.is_terminal:

        def say(answer: Mapping[str, Any]) -> None:
            for row in backups.update(answer):
                call.say(in_words(row))

        yield say
        return
    with Live(console=console, transient=True) as live:

        def show(answer: Mapping[str, Any]) -> None:
            backups.update(answer)
            live.update(rows_to_table(COLUMNS, backups.rows, SHOWS), refresh=True)

        yield show


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


def rows_of(submission: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each backup of a target; one for the target if none is known yet."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    nothing = {"state": submission["status"]}
    return [
        {
            "target": submission["target"],
            "subclient": " / ".join(backup[name] for name in NAMES if name in backup) or None,
            "state": backup["state"],
            "job": backup.get("jobId"),
            "since": now,
            "error": f"{error['message']} {error['hint']}" if (error := backup.get("error")) else None,
        }
        for backup in submission["backups"] or [nothing]
    ]


def in_words(row: Mapping[str, Any]) -> str:
    """Return a row as a line of a log."""
    named = " / ".join(filter(None, (cell(row[name]) for name in ("target", "subclient"))))
    job = f", job {cell(row['job'])}" if row["job"] else ""
    return f"{row['since']} {named}: {cell(row['state'])}{job}{': ' + cell(row['error']) if row['error'] else ''}"
