"""The functions of a deployed stack, invoked as a person would: synchronously, with an event."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.config import Config

from ops.stack import CannotRun, DeployedStack

SUBMIT = "SubmitFunctionName"  # the output
# Submit is cut off after 50 s.
READ_SECONDS = 70


def invoke_submit(stack: DeployedStack, event: Mapping[str, Any], attempts: int) -> Any:
    """Invoke the stack's Submit function and return its answer; raise `CannotRun` where it failed.

    `attempts` is how often the SDK may send the event: more than once only where the event may be handled twice.
    """
    name = stack.output(SUBMIT)
    config = Config(read_timeout=READ_SECONDS, retries={"mode": "standard", "total_max_attempts": attempts})
    answer = stack.session.client("lambda", config=config).invoke(FunctionName=name, Payload=json.dumps(event))
    match payload := json.loads(answer["Payload"].read() or b"null"):
        case {"errorMessage": str(reason)}:
            raise CannotRun(f"its Submit function failed: {reason} See the log of {name}.")
        case {"refused": {"message": str(reason), "hint": str(hint)}}:
            raise NotAccepted(f"{reason} {hint}")
        case _:
            return payload


class NotAccepted(CannotRun):
    """The function does not accept the event."""
