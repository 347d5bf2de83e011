"""`python -m ops.backup STACK --target NAME [--wait] [--request-id ID]`: start a backup, and wait until it is completed.

It invokes the Submit function with a request ID; repeating that starts nothing and reports how the backup is doing. With
`--wait` it exits with 0 only if every job completed, so that it can stand before what must not happen without a backup.
"""

import sys
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Any

from rich.console import Console

from ops.command import Exit, execute, parser
from ops.functions import NotAccepted, invoke_submit
from ops.stack import CannotRun, DeployedStack
from ops.text import one_line

POLL_SECONDS = 15
# The same request ID: sent again by the SDK, the event starts nothing a second time.
ATTEMPTS = 4


class Outcome(Enum):
    """What is known of a backup; the last that applies to one of its targets is that of all."""

    COMPLETED = "completed"
    UNKNOWN = "cannot be followed"
    FAILED = "did not complete"
    OPEN = "is not over"


def main(arguments: Sequence[str]) -> Exit:
    """Back up a target of the stack that is named; return the exit status."""
    understood = parser("backup", "Start a backup of a target; with --wait, wait until its jobs have ended.")
    understood.add_argument("--target", required=True, help='"*" for all targets')
    understood.add_argument("--wait", action="store_true", help="exit with 0 only if every job completed")
    understood.add_argument("--request-id", help="resumes the backup that was started with it; default: a new one")
    options = understood.parse_args(arguments)
    request_id = options.request_id or str(uuid.uuid4())
    return execute(lambda stack: backup(stack, options.target, request_id, wait=options.wait), options)


def backup(stack: DeployedStack, target: str, request_id: str, *, wait: bool) -> Exit:
    """Start the backup, or report on the one that has this request ID, and with `wait` ask until it is over."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    # Before anything is sent: whatever happens from here on, the backup can be asked about.
    console.print(
        f"{stack.name}: backup of {target}, request ID {request_id} (with it, the command resumes this backup)"
    )
    outcome, shown = Outcome.OPEN, ""
    with console.status("Waiting"):
        while True:
            try:
                outcome, text = judge(invoke_submit(stack, {"target": target, "requestId": request_id}, ATTEMPTS))
            except NotAccepted as problem:
                outcome, text = Outcome.FAILED, str(problem)
            if text != shown:
                console.print(f"{time.strftime('%H:%M:%S')} {text}")
                shown = text
            if outcome is not Outcome.OPEN or not wait:
                break
            time.sleep(POLL_SECONDS)
    return conclude(stack, target, outcome, wait=wait)


def conclude(stack: DeployedStack, target: str, outcome: Outcome, *, wait: bool) -> Exit:
    """Print what became of the backup, and return the exit status."""
    if outcome is Outcome.UNKNOWN and wait:
        raise CannotRun(
            f"the backup of {target} was submitted and cannot be waited for: the stack follows no jobs (FollowHours is 0), "
            'or the target\'s taskType is "SCHEDULE". Look for the job in Commvault.'
        )
    if outcome is not Outcome.OPEN:
        print(f"{stack.name}: the backup of {target} {outcome.value}.")
    return Exit.FINDINGS if outcome is Outcome.FAILED else Exit.OK


def judge(answer: Any) -> tuple[Outcome, str]:
    """Return what the Submit function's answer says of the backup, and that in words."""
    match answer:
        case {"submissions": [_, *_] as submissions}:
            judged = [_judge(one) for one in submissions]
            outcomes = {outcome for outcome, _ in judged}
            return next(one for one in reversed(Outcome) if one in outcomes), "; ".join(text for _, text in judged)
        case {"ignored": str(reason)}:
            return Outcome.FAILED, f"Nothing was started: {one_line(reason)}"
        case _:
            raise CannotRun("its Submit function returned no submission: the stack is of another version. See its log.")


def _judge(submission: Mapping[str, Any]) -> tuple[Outcome, str]:
    """Judge one target's submission: the function's notification, report, or notice that it is not made yet."""
    jobs = {job["id"]: job["status"] for job in submission.get("jobs", ())}
    error = submission.get("error")
    named = ", ".join(f"job {job} {status}" for job, status in jobs.items())
    parts = [f"{submission['target']} {submission['status']}", named, error and f"{error['message']} {error['hint']}"]
    text = one_line(": ".join(filter(None, parts)))
    match submission["status"]:
        case "deferred" | "queued":
            outcome = Outcome.OPEN
        case "submitted" | "joined":
            outcome = _judge_jobs(jobs.values(), is_whole=error is None) if "jobs" in submission else Outcome.OPEN
        case "scheduled":
            outcome = Outcome.UNKNOWN
        case _:
            outcome = Outcome.FAILED
    return outcome, text


def _judge_jobs(statuses: Collection[str], *, is_whole: bool) -> Outcome:
    """Judge a submission by its jobs' statuses; `is_whole` where every association has a job.

    Completed with errors is not completed: something was left out, and only a person can say whether that matters.
    """
    if "running" in statuses:
        return Outcome.OPEN
    if not is_whole:
        return Outcome.FAILED
    match set(statuses):
        case found if found == {"completed"}:
            return Outcome.COMPLETED
        case found if found == {"unknown"}:
            return Outcome.UNKNOWN
        case _:
            return Outcome.FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
