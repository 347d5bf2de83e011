"""Runs inside a package under test: `python -P -S driver.py module.handler`, one JSON command a line on standard input.

It imports the handler as Lambda's runtime does, calls it with each event and measures only its own process: CPU and wall
time of each call. It imports nothing of the project. Recording notes every AWS and HTTP call that the handler makes.
"""

import importlib
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any


class Context:
    """What a handler may ask its Lambda context."""

    function_name = "function"
    function_version = "$LATEST"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:function"

    def __init__(self) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self._until = time.monotonic() + 50

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function would be killed."""
        return int((self._until - time.monotonic()) * 1000)


def main() -> None:
    """Answer commands until the input ends: `{"events": [...], "record": bool}`."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    log = os.open(os.environ["LOG_FILE"], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.dup2(log, 1)  # A function's output goes to its log, not to a terminal.
    module, _, name = sys.argv[1].rpartition(".")
    handler = getattr(importlib.import_module(module), name)
    for line in sys.stdin:
        command = json.loads(line)
        calls: list[Any] = []
        undo = record(calls) if command.get("record") else None
        measured = [measure(handler, event) for event in command["events"]]
        if undo:
            undo()
        answers.write(json.dumps({"measured": measured, "calls": calls, "log": os.fstat(log).st_size}))
        answers.write("\n")


def measure(handler: Callable[[Any, Any], Any], event: Any) -> dict[str, Any]:
    """Call the handler once."""
    context = Context()
    wall, cpu = time.perf_counter(), time.process_time()
    answer = handler(event, context)
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "answer": answer}


def record(calls: list[Any]) -> Callable[[], None]:
    """Note every call from now on, in the form in which the floor makes it; return what ends that."""
    from botocore import xform_name
    from botocore.client import BaseClient
    from urllib3.connection import HTTPSConnection

    aws: Any = BaseClient
    http: Any = HTTPSConnection
    call, request = aws._make_api_call, http.request

    def noted_call(client: Any, operation: str, parameters: Any) -> Any:
        calls.append(
            [client.meta.service_model.service_name, xform_name(operation), json.loads(json.dumps(parameters))]
        )
        return call(client, operation, parameters)

    def noted_request(connection: Any, method: str, url: str, **more: Any) -> Any:
        full = f"https://{connection.host}:{connection.port}{url}"
        body = (more.get("body") or b"").decode()
        calls.append(["http", method, {"url": full, "headers": dict(more["headers"]), "body": body}])
        return request(connection, method, url, **more)

    def undo() -> None:
        aws._make_api_call, http.request = call, request

    aws._make_api_call, http.request = noted_call, noted_request
    return undo


if __name__ == "__main__":
    main()
