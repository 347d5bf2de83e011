"""The controls over HTTP, for other processes: `/_control/NAME` on the simulator's own port, JSON both ways, no token.

GET  /_control/requests[?path=/CreateTask]   the requests seen, each with the `status` of its answer
GET  /_control/jobs, /_control/state         the jobs; url, CA, clock, settings and armed faults
GET  /_control/tokens                        how often the pair was renewed, and whether its chain is deleted
POST /_control/set                           any of `SETTINGS`
POST /_control/NAME                          a method of `Controls` in `ACTIONS`, with its parameters
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from local.commserve.answers import Answer
from local.commserve.control.controls import Controls
from local.commserve.jobs import Job

CONTROL = "/_control/"
SETTINGS = (
    "token",
    "frozen",
    "clock_offset",
    "row_offset",
    "job_seconds",
    "busy",
    "unknown",
    "user",
    "lists_content",
    "paged_by",
    "front_end_sleeps_after",
)
ACTIONS = (
    "fault",
    "clear_faults",
    "release",
    "clear",
    "advance",
    "rate_limit",
    "issue_pair",
    "plan_jobs",
    "change_job",
    "end_job",
    "add_job",
    "restore_database",
    "convert_level",
    "refuse_subclient",
    "extend",
    "set_content",
    "set_instance_type",
    "put_database",
    "add_restore_point",
)


def answer_control(server: Controls, method: str, path: str, query: str, body: bytes) -> Answer:
    """Do what a control call asks for; an invalid call is answered 400 with the reason."""
    name = path.removeprefix(CONTROL)
    try:
        if method == "GET":
            return Answer(value=READINGS[name](server, parse_qs(query)))
        return Answer(value=_act(server, name, json.loads(body) if body else {}))
    except (KeyError, TypeError, ValueError) as problem:
        return Answer(HTTPStatus.BAD_REQUEST, {"error": f"{type(problem).__name__}: {problem}"})


def _act(server: Controls, name: str, parameters: dict[str, Any]) -> Any:
    if name == "set":
        if unknown := set(parameters) - set(SETTINGS):
            raise ValueError(f"unknown settings: {sorted(unknown)}; the settings are {SETTINGS}")
        for setting, value in parameters.items():
            setattr(server, setting, value)
        return {"done": name}
    if name not in ACTIONS:
        raise ValueError(f"no control is called {name!r}; there are {ACTIONS}")
    match getattr(server, name)(**parameters):
        case Job() as job:
            return job.as_dict()
        case dict() as found:
            return found
        case _:
            return {"done": name}


def _requests(server: Controls, query: Mapping[str, list[str]]) -> Any:
    path, statuses = query.get("path", [""])[0].lower(), server.statuses
    return [
        request.as_dict() | {"status": statuses.get(request.id)}
        for request in server.requests
        if path in ("", request.path.lower())
    ]


def _jobs(server: Controls, _query: Mapping[str, list[str]]) -> Any:
    return [job.as_dict() for job in server.jobs.values()]


def _state(server: Controls, _query: Mapping[str, list[str]]) -> Any:
    return {name: getattr(server, name) for name in SETTINGS if name != "token"} | {
        "url": server.url,
        "ca": server.ca_pem,
        "now": server.clock.now(),
        "requests": len(server.requests),
        "jobs": len(server.jobs),
        "refusals": server.refusals,
        "faults": [asdict(fault) for fault in server.faults.armed()],
    }


def _tokens(server: Controls, _query: Mapping[str, list[str]]) -> Any:
    tokens = server.tokens
    return {
        "renewals": tokens.renewals,
        "refused": tokens.refused,
        "deleted": tokens.deleted,
        "expires": tokens.expires,
        "renewable_until": tokens.renewable_until,
    }


READINGS: dict[str, Callable[..., Any]] = {"requests": _requests, "jobs": _jobs, "state": _state, "tokens": _tokens}
