"""`backup`: starts a backup, waits until it is over, and until a database has a restore point.

It invokes the Backup function with a request ID. Repeating the call starts nothing and reports how the backup is doing.
The Audit function says whether a database has a restore point: a job skips a database that is not available.
"""

import re
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from rds_snap_backup.targets import NAMES
from rds_snap_backup.triggers import REQUEST_ID
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.functions import AUDIT, BACKUP, Refused, invoke, unknown_answer
from rds_snap_backup_cli.output import Row, cell
from rds_snap_backup_cli.program import Call, Target, command
from rds_snap_backup_cli.stack import DeployedStack

POLL_SECONDS = 15
# Commvault is asked for restore points once a minute at most, for ten minutes after the backup's end.
PROVE_SECONDS = 60
PROVE_MINUTES = 10
DATABASE = re.compile(r"arn:aws[a-z-]*:rds:[a-z0-9-]+:[0-9]{12}:(?:db|cluster):[A-Za-z0-9-]{1,63}")
# The same request ID: if the SDK sends the event again, it starts nothing a second time.
ATTEMPTS = 4
MINUTE = 60
OVER = frozenset({"succeeded", "failed"})
# The first of these that a target has is the status of all.
STATUSES = ("queued", "open", "failed", "succeeded")
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
Database = Annotated[
    str,
    typer.Option(
        metavar="ARN", help="With --wait: exits with 0 only if this database got a restore point.", show_default=False
    ),
]
Timeout = Annotated[int, typer.Option(min=1, help="How many minutes --wait waits.")]


@dataclass(frozen=True)
class State:
    """What is known of a backup as a whole. `reason` says why nothing was started."""

    status: str
    reason: str
    submissions: list[Any]

    @property
    def moment(self) -> str | None:
        """The time from which on a restore point is of this backup; None if no job has been started."""
        backups = [backup for submission in self.submissions for backup in submission["backups"]]
        moments = [str(backup["moment"]) for backup in backups if backup.get("moment")]
        return min(moments, default=None) if any(backup.get("jobId") for backup in backups) else None


@command(
    "backup prod orders",
    "backup prod orders --wait --request-id migration-42",
    "backup prod orders --wait --database ARN",
    "backup prod '*'",
    rows=True,
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

    With --wait it is a gate: exit status 1 if a backup failed or time is over. With --database it ends with 0 only if
    Commvault has a restore point of the database from this backup, 1 if not, 2 if nobody could be asked. --request-id makes
    it repeatable.
    """
    request_id = request_id or str(uuid.uuid4())
    if not REQUEST_ID.fullmatch(request_id):
        raise CannotRun('a request ID has 1 to 256 letters, digits, "_", ".", ":" or "-". Nothing was sent.')
    if database and not wait:
        raise CannotRun("--database needs --wait. Nothing was sent.")
    if database and not DATABASE.fullmatch(database):
        raise CannotRun(f"{database!r} is not the ARN of an RDS instance or cluster. Nothing was sent.")
    stack, until = call.stack(), time.monotonic() + timeout * MINUTE
    stack.require_target(target)
    # Before anything is sent, so that the backup can be resumed after any failure.
    call.say(f"{stack.place}: backup of {target}. To resume it: --request-id {request_id}")
    rows: list[Row] = []
    with call.progress("Waiting for the backups"):
        while True:
            state = request(stack, {"target": target, "requestId": request_id})
            before, rows = rows, rows_of(state.submissions, rows)
            for row in rows:
                if row not in before:
                    call.say(in_words(row))
            if not wait or state.status in OVER or time.monotonic() >= until:
                break
            time.sleep(POLL_SECONDS)
    call.show(COLUMNS, rows, **SHOWS)
    if database and state.status in OVER and state.moment:
        return prove(call, stack, state, database)
    return conclude(call, stack, state, is_timed_out=wait and state.status not in OVER)


def prove(call: Call, stack: DeployedStack, state: State, database: str) -> Exit:
    """Ask whether a database has a restore point of a backup that is over, print the answer, and return the exit status."""
    until = time.monotonic() + PROVE_MINUTES * MINUTE
    asked = {"prove": {"database": database, "since": state.moment}}
    with call.progress("Waiting for the restore point"):
        while True:
            match answer := invoke(stack, AUDIT, asked, ATTEMPTS):
                case {"proved": bool() | None as proved, "reason": str(reason)}:
                    pass
                case _:
                    raise unknown_answer(stack, AUDIT, answer)
            if proved or time.monotonic() >= until:
                break
            time.sleep(PROVE_SECONDS)
    begin = f"{stack.place}: the backup {state.status}"
    match answer:
        case {"proved": True, "restorePoint": {"name": name, "createdAt": created}}:
            call.conclude(f"{begin}. The restore point {cell(name)} of {cell(created)} proves {database}.", "green")
            return Exit.OK
        case {"proved": False}:
            call.conclude(f"{begin}, and {database} has no restore point of it. {cell(reason)}", "bold red")
            return Exit.FINDINGS
        case _:
            call.conclude(f"{begin}. Whether {database} has a restore point is not known. {cell(reason)}", "bold red")
            return Exit.COULD_NOT_RUN


def request(stack: DeployedStack, event: Mapping[str, str]) -> State:
    """Send the request, or ask about it."""
    try:
        answer = invoke(stack, BACKUP, event, ATTEMPTS)
    except Refused as refused:
        return State("failed", str(refused), [])
    match answer:
        case {"submissions": [_, *_] as submissions}:
            statuses = {submission["status"] for submission in submissions}
            return State(next((status for status in STATUSES if status in statuses), "failed"), "", submissions)
        case {"ignored": str(reason)}:
            return State("failed", cell(reason), [])
        case _:
            raise unknown_answer(stack, BACKUP, answer)


def conclude(call: Call, stack: DeployedStack, state: State, *, is_timed_out: bool) -> Exit:
    """Print the result, and return the exit status."""
    status, reason = state.status, state.reason
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
                    "error": f"{error['message']} {error['hint']}" if error else None,
                }
            )
    return rows


def in_words(row: Row) -> str:
    """Return a row as a line of a log."""
    named = " / ".join(filter(None, (cell(row[name]) for name in ("target", "subclient"))))
    job = f", job {cell(row['job'])}" if row["job"] else ""
    return f"{row['since']} {named}: {cell(row['state'])}{job}{': ' + cell(row['error']) if row['error'] else ''}"
