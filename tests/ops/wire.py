"""AWS at the wire: each operation gets the answer that a test gave for it, and every call is recorded."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# CloudFormation speaks the query protocol with XML, SQS the JSON protocol.
ERROR = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
)
STACK = (
    "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>prod</StackName>"
    "<CreationTime>2026-01-31T02:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>"
    "<Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
)
OUTPUT = "<member><OutputKey>{}</OutputKey><OutputValue>{}</OutputValue></member>"


class AwsWire:
    """`answers` holds, by operation, what makes status and body out of a call's parameters."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[Mapping[str, Any]], tuple[int, str]]] = {}
        self.calls: list[tuple[str, dict[str, Any], str]] = []  # operation, parameters, the credential's scope
        wire = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                target = self.headers.get("X-Amz-Target", "")
                parameters = json.loads(body) if target else dict(parse_qsl(body))
                operation = target.rpartition(".")[2] or parameters["Action"]
                wire.calls.append((operation, parameters, self.headers["Authorization"]))
                status, text = wire.answers[operation](parameters)
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0" if target else "text/xml")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def stack(self, **outputs: str) -> None:
        """There is a stack with these outputs, whatever its name."""
        members = "".join(OUTPUT.format(name, value) for name, value in outputs.items())
        self.answers["DescribeStacks"] = lambda _: (200, STACK.format(outputs=members))

    def no_stack(self, status: int, code: str, message: str) -> None:
        """Describing the stack fails."""
        self.answers["DescribeStacks"] = lambda _: (status, ERROR.format(code=code, message=message))
