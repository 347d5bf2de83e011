"""Proof of a backup: whether a database got a restore point of it. A job skips a database that is not available."""

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.functions import AUDIT, invoke, unknown_answer
from rds_snap_backup_cli.output import cell
from rds_snap_backup_cli.program import Call
from rds_snap_backup_cli.stack import DeployedStack

# Commvault is asked once a minute at most, for ten minutes after the backup's end.
PROVE_SECONDS = 60
PROVE_FOR_SECONDS = 600
# It changes nothing, so the SDK may send it again.
ATTEMPTS = 4
DATABASE = re.compile(r"arn:aws[a-z-]*:rds:[a-z0-9-]+:[0-9]{12}:(?:db|cluster):[A-Za-z0-9-]{1,63}")


def require_database(arn: str) -> None:
    """Raise `CannotRun` unless this is the ARN of an RDS instance or cluster."""
    if not DATABASE.fullmatch(arn):
        raise CannotRun(f"{arn!r} is not the ARN of an RDS instance or cluster. Nothing was sent.")


def moment_of(submissions: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the time after which a restore point is of these submissions; None if they have no job."""
    backups = [backup for submission in submissions for backup in submission["backups"]]
    moments = [str(backup["moment"]) for backup in backups if backup.get("moment")]
    return min(moments, default=None) if any(backup.get("jobId") for backup in backups) else None


def prove(call: Call, stack: DeployedStack, database: str, since: str) -> Exit:
    """Ask until a restore point of a database was made after a time, or ten minutes are over; print the answer.

    Returns the exit status: 0 proved, 1 not, 2 not known.
    """
    until = time.monotonic() + PROVE_FOR_SECONDS
    with call.progress("Waiting for the restore point"):
        while True:
            answer = invoke(stack, AUDIT, {"prove": {"database": database, "since": since}}, ATTEMPTS)
            match answer:
                case {"proved": True, "restorePoint": {"name": name, "createdAt": created}, "reason": str(reason)}:
                    said = f"the restore point {cell(name)} of {cell(created)} proves {database}. {cell(reason)}"
                    call.conclude(f"{stack.place}: {said.rstrip()}", "green")
                    return Exit.OK
                case {"proved": False | None as proved, "reason": str(reason)}:
                    pass
                case _:
                    raise unknown_answer(stack, AUDIT, answer)
            if time.monotonic() >= until:
                break
            time.sleep(PROVE_SECONDS)
    if proved is None:
        said = f"whether {database} has a restore point of this backup is not known."
    else:
        said = f"{database} has no restore point of this backup."
    call.conclude(f"{stack.place}: {said} {cell(reason)}", "bold red")
    return Exit.COULD_NOT_RUN if proved is None else Exit.FINDINGS
