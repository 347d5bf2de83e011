"""Invokes the functions of a deployed stack, as a person would: synchronously, with an event."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.config import Config

from rds_snap_backup.untrusted import clean_text, whole_number
from rds_snap_backup_cli.errors import NO_LEDGER, NO_TABLE, CannotRun
from rds_snap_backup_cli.stack import DeployedStack

# The outputs with their names.
BACKUP, AUDIT = "BackupFunctionName", "AuditFunctionName"
# Lambda ends the functions after 50 s and 600 s.
READ_SECONDS = {BACKUP: 70, AUDIT: 630}


class Refused(CannotRun):
    """The function refuses the event, for this problem."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(clean_text(f"{problem['message']} {problem['hint']}"))
        self.problem = problem


def invoke(stack: DeployedStack, function: str, event: Mapping[str, Any], attempts: int = 1) -> Any:
    """Invoke a function, named by its output, and return its answer. Raises `CannotRun` if it failed.

    `attempts` is how often the SDK may send the event: more than once only if it may be handled twice.
    """
    name = stack.output(function)
    # Without keep-alive a connection that is idle for minutes can be cut on the way.
    # https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
    config = Config(
        read_timeout=READ_SECONDS[function],
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    answer = stack.session.client("lambda", config=config).invoke(FunctionName=name, Payload=json.dumps(event))
    match payload := json.loads(answer["Payload"].read() or b"null"):
        case {"errorMessage": str(reason)} if NO_TABLE.search(reason):
            raise CannotRun(NO_LEDGER)
        case {"errorMessage": str(reason)}:
            failed = f"its {function.removesuffix('FunctionName')} function failed: {clean_text(reason)}"
            raise CannotRun(f"{failed} See the log of {name}.")
        case {"refused": {"message": str(), "hint": str()} as problem}:
            raise Refused(problem)
        case _:
            return payload


def pages_of(stack: DeployedStack, event: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the pages of the Audit function's answer to a question. Each may be of another reading, so a row can come twice."""
    page = pages = 1
    while page <= pages:
        answer = invoke(stack, AUDIT, {**event, "page": page} if page > 1 else event)
        pages = whole_number(answer.pop("pages", 1), 1) or 1 if isinstance(answer, dict) else 1
        yield answer
        page += 1


def unknown_answer(stack: DeployedStack, function: str, answer: Any) -> CannotRun:
    """Return the error for an answer in another form than this command reads."""
    return CannotRun(
        f"{stack.output(function)} returned an answer that this command does not understand: "
        f"{clean_text(json.dumps(answer))} See its log."
    )
