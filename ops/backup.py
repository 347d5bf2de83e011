"""`python -m ops.backup STACK --target NAME [--wait] [--request-id ID]`: start a backup, and wait until it is over.

It invokes the Backup function with a request ID; repeating that starts nothing and reports how the backup is doing. With
`--wait` it exits with 0 only if every backup succeeded, so that it can stand before what must not happen without one.
"""

import re
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from ops.command import Exit, execute, parser
from ops.functions import BACKUP, NotAccepted, invoke
from ops.stack import CannotRun, DeployedStack
from ops.text import one_line

POLL_SECONDS = 15
# The same request ID: sent again by the SDK, the event starts nothing a second time.
ATTEMPTS = 4
REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,256}")
# The worst status of a target is that of all; what is not over yet comes before any end.
STATUSES = ("queued", "open", "failed", "succeeded")


def main(arguments: Sequence[str]) -> Exit:
    """Back up a target of the stack that is named; return the exit status."""
    understood = parser("backup", "Start a backup of a target; with --wait, wait until its jobs have ended.")
    understood.add_argument("--target", required=True, help='"*" for all targets')
    understood.add_argument("--wait", action="store_true", help="exit with 0 only if every backup succeeded")
    understood.add_argument("--request-id", help="resumes the backup that was started with it; default: a new one")
    options = understood.parse_args(arguments)
    request_id = str(uuid.uuid4()) if options.request_id is None else options.request_id
    return execute(lambda stack: backup(stack, options.target, request_id, wait=options.wait), options)


def backup(stack: DeployedStack, target: str, request_id: str, *, wait: bool) -> Exit:
    """Start the backup, or report on the one that has this request ID, and with `wait` ask until it is over."""
    if not REQUEST_ID.fullmatch(request_id):
        raise CannotRun('a request ID has 1 to 256 letters, digits, "_", ".", ":" or "-". Nothing was started.')
    console = Console(highlight=False, markup=False, soft_wrap=True)
    # Before anything is sent, so that the backup can be resumed after any failure.
    console.print(
        f"{stack.name}: backup of {one_line(target)}, request ID {request_id} (with it, the command resumes this backup)"
    )
    shown = ""
    with console.status("Waiting"):
        while True:
            try:
                answer = invoke(stack, BACKUP, {"target": target, "requestId": request_id}, ATTEMPTS)
                status, text = judge(answer)
            except NotAccepted as problem:
                status, text = "failed", str(problem)
            if text != shown:
                console.print(f"{time.strftime('%H:%M:%S')} {text}")
                shown = text
            if not wait or status in {"succeeded", "failed"}:
                break
            time.sleep(POLL_SECONDS)
    if status in {"succeeded", "failed"}:
        print(f"{stack.name}: the backup of {one_line(target)} {status}.")
    return Exit.FINDINGS if status == "failed" else Exit.OK


def judge(answer: Any) -> tuple[str, str]:
    """Return the status in the Backup function's answer, and the answer in words."""
    match answer:
        case {"submissions": [_, *_] as submissions}:
            statuses = {one["status"] for one in submissions}
            text = "; ".join(map(_in_words, submissions))
            return next((status for status in STATUSES if status in statuses), "failed"), text
        case {"ignored": str(reason)}:
            return "failed", f"Nothing was started: {one_line(reason)}"
        case _:
            raise CannotRun("its Backup function returned no submission: the stack is of another version. See its log.")


def _in_words(submission: Mapping[str, Any]) -> str:
    backups = ", ".join(map(_backup_in_words, submission["backups"]))
    return one_line(f"{submission['target']} {submission['status']}") + (f": {backups}" if backups else "")


def _backup_in_words(backup: Mapping[str, Any]) -> str:
    job, error = backup.get("jobId"), backup.get("error")
    named = f"{backup['instanceName']} {backup['state']}" + (f" (job {job})" if job else "")
    return one_line(f"{named}: {error['message']} {error['hint']}" if error else named)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
