"""`python -m ops.check STACK`: ask a deployed stack for its preflight, and show what it says.

The region and the credentials are those of the shell, as for `sam deploy`. It exits with 1 unless all is well.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table
from rich.text import Text

# The function has 50 s; one call is enough.
PATIENT = Config(read_timeout=70, retries={"total_max_attempts": 1})


class CheckError(RuntimeError):
    """The stack could not be asked."""


def main(arguments: Sequence[str]) -> int:
    """Print the preflight of the stack that is named; return the exit status."""
    match arguments:
        case [str(stack)] if stack:
            pass
        case _:
            print("Say which stack: make check STACK=rds-snap-backup", file=sys.stderr)
            return 1
    try:
        answer = ask(stack)
    except (BotoCoreError, ClientError, CheckError) as error:
        print(f"The stack {stack!r} could not be asked: {error}", file=sys.stderr)
        return 1
    show(stack, answer, Console())
    return 0 if answer["ok"] else 1


def ask(stack: str) -> Mapping[str, Any]:
    """Invoke the stack's Submit function with `{"check": true}` and return its answer."""
    found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    if "SubmitFunctionName" not in outputs:
        raise CheckError(
            "it has no output SubmitFunctionName, so it is no stack of this template, or not deployed yet."
        )
    answer = boto3.client("lambda", config=PATIENT).invoke(
        FunctionName=outputs["SubmitFunctionName"], Payload=json.dumps({"check": True})
    )
    payload = json.loads(answer["Payload"].read() or b"null")
    if "FunctionError" in answer or not isinstance(payload, dict) or "checks" not in payload:
        raise CheckError(f"its Submit function failed: {payload}")
    return payload


def show(stack: str, answer: Mapping[str, Any], console: Console) -> None:
    """Print a row for each thing that was checked."""
    table = Table()
    for heading in ("", "Check", "Target", "Found", "What to do"):
        table.add_column(heading, overflow="fold")
    for row in answer["checks"]:
        mark = Text("ok", "green") if row["ok"] else Text("!!", "bold red")
        # As texts: square brackets in a name are no markup.
        table.add_row(mark, *(Text(row[name] or "") for name in ("name", "target", "detail", "hint")))
    console.print(table)
    wrong = sum(not row["ok"] for row in answer["checks"])
    console.print(f"{stack}: all is well." if answer["ok"] else f"{stack}: {wrong} to mend.", markup=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
