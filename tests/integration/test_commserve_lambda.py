"""The Backup function with the simulator behind a function URL, whose front is made here: HTTPS in, Lambda events out."""

import base64
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from local.commserve import DEFAULT_CLIENTS
from local.commserve_lambda.handler import SIMULATOR, lambda_handler
from local.emulator import Emulator
from tests.integration.world import World, only, scheduled

POLLS = 60


class FunctionUrl(BaseHTTPRequestHandler):
    """Invokes the handler as a function URL does: header names in lower case, bodies as text, errors as 502.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        event = {
            "rawPath": url.path,
            "rawQueryString": url.query,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "requestContext": {"http": {"method": self.command}},
            "body": self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode(),
            "isBase64Encoded": False,
        }
        try:
            answer = lambda_handler(event, None)
        except OSError:
            answer = {"statusCode": 502}
        content = base64.b64decode(answer.get("body", ""))
        self.send_response_only(answer["statusCode"])
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 (the standard library's name)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def world(aws: Emulator) -> Iterator[World]:
    """A world whose Commvault is the function URL."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), FunctionUrl)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    control("clear")
    control("set", token="fake-token-of-a-url", job_seconds=0)
    control("extend", clients=DEFAULT_CLIENTS)
    url = f"https://localhost:{server.server_port}/commandcenter/api"
    tokens = SIMULATOR.tokens
    front: Any = SimpleNamespace(
        url=url, ca_pem=authority.cert_pem.bytes().decode(), token=tokens.access, tokens=tokens
    )
    yield World(aws, front)
    server.shutdown()
    server.server_close()


def control(name: str, /, **parameters: Any) -> Any:
    answer = lambda_handler({"control": name, "parameters": parameters}, SimpleNamespace(log_stream_name="one"))
    assert answer["status"] == 200
    return answer["value"]


@pytest.mark.parametrize("fault", ["", "bad_gateway_after", "reset_after"])
def test_one_trigger_starts_one_job(world: World, fault: str) -> None:
    if fault:
        control("fault", name=fault)
    for _ in range(2):
        world.deliver(scheduled("one"))
    for _ in range(POLLS):
        world.poll(wait=1)
        if not world.waiting():
            break
    assert world.statuses() == ["submitted", "completed"]
    assert [job["by"] for job in control("jobs")] == ["CreateTask"]
    assert only(world.items())["pk"].startswith("submission#")
