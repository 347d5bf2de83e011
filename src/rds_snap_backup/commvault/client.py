"""Commvault's API: CreateTask, and reading JSON.

`outcomes.py` and `queries.py` say what a response means; `jobs.py` reads jobs; how a request is authenticated is the
business of the `Auth` that a client is made with.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from rds_snap_backup.commvault import queries
from rds_snap_backup.commvault.answers import JSON, HttpRequest, HttpResponse, NoAnswer, NotSent
from rds_snap_backup.commvault.auth import Auth, Flow
from rds_snap_backup.commvault.connection import Connection
from rds_snap_backup.commvault.outcomes import classify
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.core.outcomes import Outcome, Rejected, Unauthorized, Unavailable, Unknown
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import BackupRequest

NO_AUTH = Auth()


class Commvault:
    """A client of one API base. Deadlines are values of `time.monotonic()`; one request takes at most 30 s."""

    def __init__(
        self, base_url: str, ca_certificates: Callable[[], str | None], auth: Auth = NO_AUTH, proxy: str = ""
    ) -> None:
        self._auth = auth
        self._connection = Connection(base_url, ca_certificates, proxy)
        hint = "Deploy the stack with a CommvaultApiUrl that begins with https://."
        self._flaw = (
            None
            if base_url.startswith("https://")
            else Problem("API_URL_INVALID", f"{base_url!r} is not an https:// address.", hint)
        )

    def prepare(self, deadline: float) -> None:
        """Begin a run that may send until `deadline`: a token that is about to expire is renewed before anything is sent.

        A token that is refused later in the run may take that long to be renewed, however short a call's own deadline.
        """
        if not self._flaw:
            self._drive(self._auth.prepare(deadline))

    def create_task(self, request: BackupRequest, deadline: float) -> Outcome:
        """Send CreateTask, once, and return its outcome. It is sent once more only with a token that has changed."""
        if not request.associations:
            raise ValueError("a request names at least one association")
        if self._flaw:
            return Rejected(self._flaw)
        body = json.dumps(task_body(request), separators=(",", ":")).encode()
        match self._drive(self._auth.send(HttpRequest("POST", "/CreateTask", JSON, deadline, body))):
            case HttpResponse() as response:
                return classify(response, request.task_type)
            case NotSent(problem):
                return Unavailable(problem)
            case NoAnswer(problem):
                return Unknown(problem)
            case Unauthorized() as unauthorized:
                return unauthorized

    def get(
        self,
        path: str,
        deadline: float,
        headers: Mapping[str, str] | None = None,
        *,
        listed: str = "",
    ) -> JsonDocument | Unauthorized | QueryFailed:
        """Read a JSON object; `listed` as in `queries.read`."""
        return self._read(HttpRequest("GET", path, {**JSON, **(headers or {})}, deadline), self._auth, listed)

    def query(
        self, path: str, body: Mapping[str, Any], deadline: float, *, listed: str
    ) -> JsonDocument | Unauthorized | QueryFailed:
        """Read a list that Commvault answers to a POST; it may count as a writing call. A 404 is a path that it lacks."""
        request = HttpRequest("POST", path, JSON, deadline, json.dumps(body, separators=(",", ":")).encode())
        return self._read(request, self._auth, listed, is_empty_404=False)

    def probe(self, path: str, deadline: float) -> JsonDocument | Unauthorized | QueryFailed:
        """Read without a token: the answer only shows whether the API can be reached."""
        return self._read(HttpRequest("GET", path, JSON, deadline), NO_AUTH, "")

    def _read(
        self, request: HttpRequest, auth: Auth, listed: str, *, is_empty_404: bool = True
    ) -> JsonDocument | Unauthorized | QueryFailed:
        if self._flaw:
            return QueryFailed(self._flaw)
        match self._drive(auth.send(request)):
            case HttpResponse() as response:
                return queries.read(response, listed, is_empty_404=is_empty_404)
            case NotSent(problem) | NoAnswer(problem):
                return QueryFailed(problem)
            case Unauthorized() as unauthorized:
                return unauthorized

    def _drive[T](self, flow: Flow[T]) -> T:
        """Send what a flow yields, until it returns."""
        try:
            request = next(flow)
            while True:
                request = flow.send(self._connection.exchange(request))
        except StopIteration as end:
            result: T = end.value
            return result


def task_body(request: BackupRequest) -> dict[str, Any]:
    """Return CreateTask's body in the RDS Snap Backup form of Commvault's API pages."""
    return {
        "taskInfo": {
            "associations": [
                {
                    "clientName": association.client_name,
                    "instanceName": association.instance_name,
                    "displayName": association.display_name,
                    "_type_": "SUBCLIENT_ENTITY",
                    "appName": "Cloud Apps",
                    "subclientName": association.subclient_name,
                }
                for association in request.associations
            ],
            "task": {"taskType": request.task_type},
            "subTasks": [
                {
                    "subTask": {"subTaskType": "BACKUP", "operationType": "BACKUP"},
                    "options": {
                        "backupOpts": {"backupLevel": request.backup_level},
                        "commonOpts": {"notifyUserOnJobCompletion": request.notify_user_on_job_completion},
                    },
                }
            ],
        }
    }
