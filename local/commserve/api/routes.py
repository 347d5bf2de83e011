"""The endpoint that answers a request, once its token and the rate limits have been checked."""

import re
from collections.abc import Callable

from local.commserve.answers import Answer, access_denied, error, page, too_many_requests
from local.commserve.api import discovery, jobs, restore_points, sdk
from local.commserve.api.create_task import create_task
from local.commserve.api.tokens import renew_access_token
from local.commserve.recorded import Recorded
from local.commserve.state import State
from local.commserve.tokens import RENEW

type Endpoint = Callable[..., Answer]

ENDPOINTS: list[tuple[str, str, Endpoint]] = [
    ("POST", r"/CreateTask", create_task),
    ("GET", r"/Job/(\d+)", jobs.get_job),
    ("GET", r"/Job", jobs.list_jobs),
    ("POST", r"/Jobs", jobs.search_jobs),
    ("POST", r"/Job/(\d+)/action/kill", jobs.kill_job),
    ("GET", r"/Client", discovery.list_clients),
    ("GET", r"/Client/byName\(clientName='(.*)'\)", discovery.get_client),
    ("GET", r"/Instance", discovery.list_instances),
    ("GET", r"/Subclient", discovery.list_subclients),
    ("GET", r"/Subclient/(\d+)", discovery.show_subclient),
    ("POST", r"/BrowseRDSBackups", restore_points.browse),
    ("POST", f"/?{RENEW}", renew_access_token),
    *sdk.ROUTES,
]
ROUTES = [(method, re.compile(pattern, re.IGNORECASE), endpoint) for method, pattern, endpoint in ENDPOINTS]
# Calls that do not need a token.
OPEN = re.compile(f"/|/?{RENEW}", re.IGNORECASE)


def answer(state: State, request: Recorded) -> Answer:
    """Return the proper answer to a request, having done what it asks for."""
    if state.front_end.wakes(request.clock):
        return page("Service Unavailable", "The service is starting.", 503)
    if not request.authorized and not OPEN.fullmatch(request.path):
        return access_denied()
    if refused := _limited(state, request):
        return refused
    for method, pattern, endpoint in ROUTES:
        if method == request.method and (found := pattern.fullmatch(request.path)):
            return endpoint(state, request, *found.groups())
    return error(0, f"No endpoint {request.method} {request.path}", 404)


def _limited(state: State, request: Recorded) -> Answer | None:
    kind = "reads" if request.method == "GET" else "writes"
    with state.lock:
        limit = state.limits.get(kind)
        if limit is None or limit.admits(state.clock.now()):
            return None
    return too_many_requests(limit.limit, limit.period)
