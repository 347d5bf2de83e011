"""The controls over HTTP, for other processes: `/_control/NAME` on the simulator's own port, JSON both ways, no token.

GET  /_control/requests[?path=/CreateTask]   the requests seen, each with the `status` of its answer
GET  /_control/jobs, /_control/state         the jobs; url, CA, clock, settings and armed faults
GET  /_control/tokens                        how often the pair was renewed, and whether its chain is deleted
POST /_control/fault       {"name", "times", "path", "parameters": {…}}
POST /_control/clear_faults, /_control/release, /_control/clear
POST /_control/advance     {"seconds"}
POST /_control/set         any of token, token_lifetime, front_end_sleeps_after, speed, clock_offset, job_seconds, busy,
                           frozen
POST /_control/issue_pair  {"renewable"}      creates an access and a refresh token and returns them
POST /_control/rate_limit  {"writes", "reads", "period"}
POST /_control/plan_jobs   {"times", …fields of Plan}
POST /_control/change_job  {"identifier", …fields of Plan}
POST /_control/end_job     {"identifier", "status", "reason"}
POST /_control/add_job     {"client", "instance", "subclient", "level", "start"}
POST /_control/extend      {"clients": {client: {instance: [subclient, …]}}}
POST /_control/outage      {"seconds"}        stops listening for so many real seconds
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from threading import Timer
from typing import Any
from urllib.parse import parse_qs

from local.commserve.answers import Answer
from local.commserve.control.controls import Controls

CONTROL = "/_control/"
SETTINGS = (
    "token",
    "token_lifetime",
    "front_end_sleeps_after",
    "speed",
    "clock_offset",
    "job_seconds",
    "busy",
    "frozen",
)


def answer_control(server: Controls, method: str, path: str, query: str, body: bytes) -> Answer:
    """Do what a control call asks for; an invalid call is answered 400 with the reason."""
    name = path.removeprefix(CONTROL)
    try:
        if method == "GET":
            return Answer(value=READINGS[name](server, parse_qs(query)))
        done = ACTIONS[name](server, **(json.loads(body) if body else {}))
        return Answer(value={"done": name} if done is None else done)
    except (KeyError, TypeError, ValueError) as problem:
        return Answer(HTTPStatus.BAD_REQUEST, {"error": f"{type(problem).__name__}: {problem}"})


def _requests(server: Controls, query: Mapping[str, list[str]]) -> Any:
    path, statuses = query.get("path", [""])[0].lower(), server.statuses
    return [
        one.as_dict() | {"status": statuses.get(one.id)} for one in server.requests if path in ("", one.path.lower())
    ]


def _jobs(server: Controls, _query: Mapping[str, list[str]]) -> Any:
    return [job.as_dict() for job in server.jobs.values()]


def _state(server: Controls, _query: Mapping[str, list[str]]) -> Any:
    return {
        "url": server.url,
        "ca": server.ca_pem,
        "now": server.clock.now(),
        "speed": server.speed,
        "clock_offset": server.clock_offset,
        "job_seconds": server.job_seconds,
        "busy": server.busy,
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


def _set(server: Controls, **settings: Any) -> None:
    if unknown := set(settings) - set(SETTINGS):
        raise ValueError(f"unknown settings: {sorted(unknown)}; the settings are {SETTINGS}")
    for name, value in settings.items():
        setattr(server, name, value)


def _fault(
    server: Controls,
    name: str,
    times: int | None = 1,
    path: str = "/CreateTask",
    parameters: dict[str, Any] | None = None,
) -> None:
    server.fault(name, times, path, **(parameters or {}))


def _outage(server: Controls, seconds: float) -> None:
    # Later and in another thread: stopping cuts the connection that carries this answer.
    timer = Timer(0.05, server.outage, [seconds])
    timer.daemon = True
    timer.start()


READINGS: dict[str, Callable[..., Any]] = {"requests": _requests, "jobs": _jobs, "state": _state, "tokens": _tokens}
ACTIONS: dict[str, Callable[..., Any]] = {
    "fault": _fault,
    "set": _set,
    "outage": _outage,
    "clear_faults": lambda server: server.clear_faults(),
    "release": lambda server: server.release(),
    "clear": lambda server: server.clear(),
    "advance": lambda server, seconds: server.advance(seconds),
    "rate_limit": lambda server, **limits: server.rate_limit(**limits),
    "issue_pair": lambda server, **pair: server.issue_pair(**pair),
    "plan_jobs": lambda server, **plan: server.plan_jobs(**plan),
    "change_job": lambda server, identifier, **plan: server.change_job(identifier, **plan).as_dict(),
    "end_job": lambda server, identifier, **end: server.end_job(identifier, **end).as_dict(),
    "add_job": lambda server, **job: server.add_job(**job).as_dict(),
    "extend": lambda server, clients: server.catalogue.extend(clients),
}
