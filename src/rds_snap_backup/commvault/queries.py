"""What a response to a reading call means: a JSON object, a refused token, or a failed query. Pure."""

from dataclasses import dataclass
from typing import Any

from rds_snap_backup.commvault.answers import MAX_BODY, HttpResponse
from rds_snap_backup.commvault.hints import NEW_TOKEN, PERSISTS
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.problems import Problem


@dataclass(frozen=True)
class JsonDocument:
    """A JSON object that was read; `clock_ahead` as in `HttpResponse`."""

    document: dict[str, Any]
    clock_ahead: float


@dataclass(frozen=True)
class QueryFailed:
    """Commvault could not be asked, or its answer is not usable."""

    problem: Problem


def is_of_the_call(problem: Problem) -> bool:
    """Return whether Commvault refused this call alone, and may well answer another one."""
    code = problem.code
    return code.isdecimal() or code in {"ANSWER_TOO_LONG", "UNREADABLE_ANSWER", "HTTP_400", "HTTP_403", "HTTP_500"}


def read(
    response: HttpResponse, listed: str = "", *, is_empty_404: bool = True
) -> JsonDocument | Unauthorized | QueryFailed:
    """Return the JSON object of a response to a reading call.

    `listed` names the list that the object must have: without it nothing is known of its rows. Live servers answer some
    empty lists with 404. Jobs are read without it: a proxy's 404 would be taken to say that no job was started.
    """
    document, error, status = response.document, response.error, response.status
    problem = error or Problem(f"HTTP_{status}", f"Commvault answered HTTP {status}.", PERSISTS)
    match status:
        case _ if response.is_maintenance:
            return QueryFailed(Problem("MAINTENANCE", "Commvault shows its maintenance page.", PERSISTS))
        case 429:
            return QueryFailed(Problem("HTTP_429", "Commvault's rate limit is reached.", PERSISTS))
        case _ if response.refuses_token:
            return Unauthorized(Problem(problem.code, problem.message, NEW_TOKEN))
        case _ if response.body is None:
            message = f"Commvault's answer (HTTP {status}) is longer than {MAX_BODY >> 20} MiB."
            return QueryFailed(Problem("ANSWER_TOO_LONG", message, PERSISTS))
        case 404 if listed and is_empty_404 and (isinstance(document, dict) or not response.body):
            return JsonDocument({listed: []}, response.clock_ahead)
        case _ if response.is_success and isinstance(document, dict) and not error:
            if listed and not isinstance(document.get(listed), list):
                return QueryFailed(
                    Problem("UNREADABLE_ANSWER", f"Commvault's answer has no list {listed!r}.", PERSISTS)
                )
            return JsonDocument(document, response.clock_ahead)
    return QueryFailed(problem)
