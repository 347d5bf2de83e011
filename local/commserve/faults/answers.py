"""Faults that are an answer other than the proper one. With `after=True` the request is carried out first."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from local.commserve import answers
from local.commserve.answers import HTML, JSON, XML, Answer
from local.commserve.faults.book import ALL, Exchange, behaviour

CODE, MESSAGE = 19, "An internal error occurred."


def _placed(
    place: str,
    text: str,
    exchange: Exchange,
    *,
    code: Any = CODE,
    message: str = MESSAGE,
    status: int = 200,
    after: bool = False,
) -> None:
    entry = {"errorCode": code, text: message}
    bodies: dict[str, Any] = {
        "error_top": entry,
        "error_response": {"response": entry},
        "error_object": {"error": entry},
        "error_list": {"error": [entry]},
        "errlist": {"errList": [entry]},
        "errorlist": {"errorList": [entry]},
        "errors_errlist": {"errors": [{"errList": [entry]}]},
    }
    _answer(exchange, Answer(status, bodies[place]), after=after)


ALL.update(
    {
        place: partial(_placed, place, text)
        for place, text in {
            "error_top": "errorMessage",
            "error_response": "errorString",
            "error_object": "errorMessage",
            "error_list": "errorMessage",
            "errlist": "errLogMessage",
            "errorlist": "errorMessage",
            "errors_errlist": "errLogMessage",
        }.items()
    }
)


def _answer(exchange: Exchange, answer: Answer, *, after: bool) -> None:
    if after:
        exchange.act()
    exchange.send(answer)


@behaviour
def status(
    exchange: Exchange,
    *,
    status: int = 500,
    body: str = "",
    content_type: str = JSON,
    headers: dict[str, str] | None = None,
    after: bool = False,
) -> None:
    """Answer with any status and body."""
    answer = Answer(status, body=body.encode(), content_type=content_type, headers=headers or {})
    _answer(exchange, answer, after=after)


@behaviour
def bare_string_400(exchange: Exchange, *, message: str = "Request body is empty or format is invalid") -> None:
    """400 with a JSON string as its whole body."""
    exchange.send(answers.bare_string(message))


@behaviour
def xml_error(
    exchange: Exchange, *, code: int = 587204050, message: str = "No associations.", status: int = 200
) -> None:
    """The old XML error."""
    text = answers.to_xml("TMMsg_GenericResp", {"errorCode": code, "errorMessage": message})
    exchange.send(Answer(status, body=text.encode(), content_type=XML))


@behaviour
def maintenance(exchange: Exchange, *, status: int = 200, after: bool = False) -> None:
    """The HTML page of a restarting web tier."""
    _answer(exchange, answers.page("Scheduled Maintenance", "The server will be back soon.", status), after=after)


@behaviour
def created_201_error(
    exchange: Exchange, *, code: int = 4, message: str = "Failed to get any subclient for given association"
) -> None:
    """201 with an error."""
    exchange.send(answers.error(code, message, 201))


@behaviour
def unauthorized(exchange: Exchange) -> None:
    """401 for any token."""
    exchange.send(answers.access_denied())


@behaviour
def forbidden(exchange: Exchange, *, message: str = "The user has no permission for this operation.") -> None:
    """403 with a text and no code."""
    exchange.send(Answer(403, {"errorMessage": message}))


@behaviour
def not_found(exchange: Exchange) -> None:
    """404 with the web server's page."""
    exchange.send(answers.page("404 - Not Found", "The resource does not exist.", 404))


@behaviour
def conflict(exchange: Exchange, *, message: str = "A backup is already running for the subclient.") -> None:
    """409 with a text and no code."""
    exchange.send(Answer(409, {"errorMessage": message}))


@behaviour
def already_running(exchange: Exchange, *, status: int = 200) -> None:
    """Error code 2, as the SDK's backup endpoint returns it."""
    exchange.send(answers.error(2, "Another backup is already running for the subclient.", status))


@behaviour
def throttled(
    exchange: Exchange, *, limit: int = 100, period: int | str = 3600, headers: dict[str, str] | None = None
) -> None:
    """429 with its headers; `headers` replaces them."""
    exchange.send(answers.too_many_requests(limit, period, headers))


@behaviour
def redirect(exchange: Exchange, *, location: str = "https://localhost:9/elsewhere", status: int = 302) -> None:
    """Redirect the client."""
    exchange.send(Answer(status, body=b"", content_type=HTML, headers={"Location": location}))


@behaviour
def bad_gateway_after(exchange: Exchange, *, status: int = 502) -> None:
    """The request is carried out, and a proxy answers 502."""
    exchange.act()
    exchange.send(answers.page("Bad Gateway", "The proxy did not get a valid answer in time.", status))


def _changed(exchange: Exchange, status: int | None = None, **fields: Any) -> None:
    proper = exchange.act()
    value = proper.value | fields if isinstance(proper.value, dict) else proper.value
    exchange.send(Answer(status or proper.status, value, headers=proper.headers, root=proper.root))


@behaviour
def jobs_and_error(exchange: Exchange, *, code: int = CODE, message: str = MESSAGE, status: int = 200) -> None:
    """Job IDs and an error."""
    _changed(exchange, status, errorCode=code, errorMessage=message)


@behaviour
def int_job_ids(exchange: Exchange) -> None:
    """Job IDs that are numbers."""
    proper = exchange.act()
    identifiers = [int(job_id) for job_id in (proper.value or {}).get("jobIds", [])]
    exchange.send(Answer(proper.status, proper.value | {"jobIds": identifiers}, root=proper.root))


@behaviour
def task_id_zero(exchange: Exchange) -> None:
    """`taskId` 0 and real job IDs."""
    _changed(exchange, taskId=0)


@behaviour
def empty_job_ids(exchange: Exchange, *, task_id: int = 402) -> None:
    """No job was started, and the answer is 200 with an empty list."""
    exchange.send(Answer(value={"taskId": task_id, "jobIds": []}))


@behaviour
def missing_job_ids(exchange: Exchange, *, task_id: int = 402) -> None:
    """No job was started, and the answer is 200 with only a task ID."""
    exchange.send(Answer(value={"taskId": task_id}))


@behaviour
def job_ids(exchange: Exchange, *, named: Sequence[int] = (0,), surplus: Sequence[str] = ()) -> None:
    """All jobs are started; the answer names those at the positions `named`, in that order, then the `surplus` IDs."""
    proper = exchange.act()
    made = (proper.value or {}).get("jobIds", [])
    identifiers = [made[at] for at in named if at < len(made)] + list(surplus)
    exchange.send(Answer(proper.status, proper.value | {"jobIds": identifiers}, root=proper.root))
