"""AWS at the wire: each operation gets the answer that a test gave for it, and every call is recorded."""

import functools
import json
import re
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import botocore.session
import cbor2

from tests.answering import Request, Response, answering

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import ServiceModel

PLACE = "prod (account 111122223333, eu-central-1)"
# The query protocol, which CloudFormation, SNS and STS speak.
ERROR = "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
RESULT = "<{0}Response><{0}Result>{1}</{0}Result></{0}Response>"
STACK = (
    "<StackName>{name}</StackName><StackId>arn:aws:cloudformation:eu-central-1:111122223333:stack/prod/1</StackId>"
    "<CreationTime>2026-01-31T02:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>{more}"
    "<Outputs>{outputs}</Outputs>"
)
OUTPUT = "<OutputKey>{}</OutputKey><OutputValue>{}</OutputValue>"

# Status and body, and headers where a test needs some.
type Answer = tuple[int, str] | tuple[int, str, dict[str, str]]


@functools.cache
def model(service: str) -> "ServiceModel":
    """The SDK's own description of a service."""
    return botocore.session.get_session().get_service_model(service)


class AwsWire:
    """`answers` holds, by operation, what makes the answer out of a call's parameters."""

    url = ""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[Mapping[str, Any]], Answer]] = {}
        self.calls: list[tuple[str, dict[str, Any], str]] = []  # operation, parameters, the credential's scope
        self._server = answering(self._answer)

    def __enter__(self) -> Self:
        self.url = self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__(None, None, None)

    def _answer(self, request: Request) -> Response:
        operation, parameters = understand(request)
        self.calls.append((operation, parameters, request.headers["authorization"]))
        status, text, *more = self.answers[operation](parameters)
        if "smithy-protocol" in request.headers:
            content = cbor2.dumps(json.loads(text, object_hook=with_times))
            headers = {"Content-Type": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor"}
        else:
            content = text.encode()
            headers = {"Content-Type": "text/xml" if text.startswith("<") else "application/x-amz-json-1.0"}
        return Response(status, content, headers | (more[0] if more else {}))

    @property
    def operations(self) -> list[str]:
        """The operations that were called."""
        return [operation for operation, _, _ in self.calls]

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """Return the parameters of every call of an operation."""
        return [parameters for name, parameters, _ in self.calls if name == operation]

    def answer(self, operation: str, *bodies: object) -> None:
        """Answer an operation with these JSON bodies in turn, and with the last one from then on."""
        left = list(bodies)
        self.answers[operation] = lambda _: (200, json.dumps(left.pop(0) if len(left) > 1 else left[0]))

    def fail(self, operation: str, status: int, code: str, message: str) -> None:
        """Let an operation of the JSON protocols fail."""
        text = json.dumps({"__type": code, "message": message})
        self.answers[operation] = lambda _: (status, text, {"X-Amzn-ErrorType": code})

    def result(self, operation: str, result: str) -> None:
        """Answer an operation of the query protocol with a result."""
        self.answers[operation] = lambda _: (200, RESULT.format(operation, result))

    def refuse(self, operation: str, status: int, code: str, message: str) -> None:
        """Let an operation of the query protocol fail."""
        self.answers[operation] = lambda _: (status, ERROR.format(code=code, message=message))

    def stack(self, more: str = "", /, **outputs: str) -> None:
        """Every stack exists, with these outputs."""
        found = members(*(OUTPUT.format(*item) for item in ({"Version": "2.0.0"} | outputs).items()))

        def describe(asked: Any) -> Answer:
            name = asked["StackName"].partition(":stack/")[2].partition("/")[0] or asked["StackName"]
            return 200, stacks(STACK.format(name=name, outputs=found, more=more))

        self.answers["DescribeStacks"] = describe

    def no_stack(self, name: str = "prod") -> None:
        """The stack does not exist."""
        self.refuse("DescribeStacks", 400, "ValidationError", f"Stack with id {name} does not exist")


def members(*items: str) -> str:
    """Return a list's items in the query protocol."""
    return "".join(f"<member>{item}</member>" for item in items)


def stacks(*descriptions: str) -> str:
    """Return CloudFormation's answer with these stacks."""
    return RESULT.format("DescribeStacks", f"<Stacks>{members(*descriptions)}</Stacks>")


def with_times(members: dict[str, Any]) -> dict[str, Any]:
    """Tag the times of an object, Unix seconds in JSON, as CBOR has them."""
    return {name: cbor2.CBORTag(1, value) if name.endswith("Timestamp") else value for name, value in members.items()}


def understand(request: Request) -> tuple[str, dict[str, Any]]:
    """Return operation and parameters of a call, whichever of AWS's protocols it is made in."""
    headers, body = request.headers, request.body
    if target := headers.get("x-amz-target"):
        return target.rpartition(".")[2], json.loads(body)
    if "smithy-protocol" in headers:
        return request.path.rpartition("/")[2], cbor2.loads(body)
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        parameters: dict[str, Any] = dict(parse_qsl(body.decode()))
        return parameters["Action"], parameters
    service = headers["authorization"].split("/")[3]
    url = urlsplit(request.path)
    for name in model(service).operation_names:
        http = model(service).operation_model(name).http
        pattern = re.sub(r"\{(\w+)\+?\}", r"(?P<\1>[^/]+)", http["requestUri"].partition("?")[0])
        if http["method"] == request.method and (found := re.fullmatch(pattern, url.path)):
            named = {key: unquote(value) for key, value in found.groupdict().items()}
            return name, named | dict(parse_qsl(url.query)) | (json.loads(body) if body else {})
    raise AssertionError(f"no operation of {service} is {request.method} {request.path}")
