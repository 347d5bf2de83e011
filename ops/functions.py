"""The functions of a deployed stack, invoked as a person would: synchronously, with an event."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.config import Config

from ops.stack import CannotRun, DeployedStack
from ops.text import one_line

# The outputs with their names.
BACKUP, AUDIT = "BackupFunctionName", "AuditFunctionName"
# How long an answer is waited for: the functions are cut off after 50 s and 600 s.
READ_SECONDS = {BACKUP: 70, AUDIT: 630}


def invoke(stack: DeployedStack, function: str, event: Mapping[str, Any], attempts: int) -> Any:
    """Invoke one of the stack's functions, named by its output, and return its answer; raise `CannotRun` where it failed.

    `attempts` is how often the SDK may send the event: more than once only where the event may be handled twice.
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
        case {"errorMessage": str(reason)}:
            said = f"its {function.removesuffix('FunctionName')} function failed: {one_line(reason)}"
            raise CannotRun(f"{said} See the log of {name}.")
        case {"refused": {"message": str(reason), "hint": str(hint)}}:
            raise NotAccepted(f"{reason} {hint}")
        case _:
            return payload


class NotAccepted(CannotRun):
    """The function does not accept the event."""
