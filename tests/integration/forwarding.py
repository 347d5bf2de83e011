"""A wire between a function and AWS that keeps every call."""

import http.client
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from tests.answering import Request, Response, answering

# What the server sets itself.
OWN_HEADERS = {"content-length", "connection", "transfer-encoding", "date", "server"}


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it was sent: the service that it was signed for, AWS's name of the operation, and its parameters."""

    service: str
    operation: str
    body: bytes

    @property
    def text(self) -> str:
        """The parameters as text."""
        return self.body.decode()


class ForwardingWire:
    """Forwards to an AWS endpoint, and keeps every call."""

    url = ""

    def __init__(self, endpoint_url: str = "") -> None:
        self.address = urlsplit(endpoint_url).netloc
        self.calls: list[Call] = []
        self._server = answering(self._answer)

    def __enter__(self) -> Self:
        self.url = self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__(None, None, None)

    def _takes(self, _call: Call) -> bool:
        """Tell whether a call reaches AWS; the connection of any other is closed."""
        return True

    def _answer(self, request: Request) -> Response | None:
        # The fourth part of the credential's scope; the JSON protocols' header, or the query protocol's body.
        service = request.headers["authorization"].partition("Credential=")[2].split("/")[3]
        in_body = re.search(rb"(?:^|&)Action=(\w+)", request.body)
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2] or (
            in_body[1].decode() if in_body else ""
        )
        call = Call(service, operation, request.body)
        self.calls.append(call)
        return self._forward(request) if self._takes(call) else None

    def _forward(self, request: Request) -> Response:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request(request.method, request.path, request.body, dict(request.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in OWN_HEADERS}
        return Response(answer.status, content, headers)
