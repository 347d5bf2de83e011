"""Commvault's API: CreateTask, and reading JSON. Authentication belongs here: no caller ever sees a token.

What a response means is decided in `outcomes.py` and `queries.py`; jobs are read by `jobs.py`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from rds_snap_backup.commvault import queries
from rds_snap_backup.commvault.answers import HttpResponse
from rds_snap_backup.commvault.connection import Connection, NoAnswer, NotSent
from rds_snap_backup.commvault.credentials import Credentials, TokenReport
from rds_snap_backup.commvault.hints import PERSISTS
from rds_snap_backup.commvault.outcomes import Outcome, Rejected, Unauthorized, Unavailable, Unknown, classify
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.commvault.token import Pair
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import BackupRequest

JSON = {"Content-Type": "application/json", "Accept": "application/json"}


class Commvault:
    """A client of one API base. Deadlines are values of `time.monotonic()`; one request takes at most 30 s."""

    def __init__(
        self, base_url: str, ca_certificates: Callable[[], str | None], credentials: Credentials, proxy: str = ""
    ) -> None:
        self._base_url = base_url
        self._connection = Connection(base_url, ca_certificates, proxy)
        self._credentials = credentials
        self._run_deadline = 0.0

    def create_task(self, request: BackupRequest, deadline: float) -> Outcome:
        """Send CreateTask, once, and return its outcome. It is sent once more only with a token that has changed."""
        if not request.associations:
            raise ValueError("a request names at least one association")
        if not self._base_url.startswith("https://"):
            hint = "Deploy the stack with a CommvaultApiUrl that begins with https://, then redrive the dead letter."
            return Rejected(self._not_https(hint))
        body = json.dumps(task_body(request), separators=(",", ":")).encode()

        def send(token: str) -> Outcome:
            match self._exchange("POST", "/CreateTask", token, deadline, body=body):
                case NotSent(problem):
                    return Unavailable(problem)
                case NoAnswer(problem):
                    return Unknown(problem)
                case HttpResponse() as response:
                    return classify(response, request.task_type)

        return self._authorized(send, deadline)

    def prepare(self, deadline: float) -> None:
        """Begin a run that may ask until `deadline`: renew a token that is about to expire before anything is sent.

        A token that is refused later in the run may take that long to be renewed, however short a call's own deadline.
        """
        self._run_deadline = deadline
        self._credentials.prepare(self._present, deadline)

    def get(
        self,
        path: str,
        deadline: float,
        headers: Mapping[str, str] | None = None,
        *,
        not_found_is_empty: bool = False,
    ) -> JsonDocument | Unauthorized | QueryFailed:
        """Read a JSON object; `not_found_is_empty` as in `queries.read`."""
        return self._authorized(
            lambda token: self._get(path, token, deadline, headers, not_found_is_empty=not_found_is_empty), deadline
        )

    def probe(self, path: str, deadline: float) -> JsonDocument | Unauthorized | QueryFailed:
        """Read without a token: the answer only shows whether the API can be reached."""
        return self._get(path, "", deadline, None, not_found_is_empty=True)

    def unusable_secret(self) -> Problem | None:
        """Return what is wrong with the secret as it is now, past the cache; None where it holds a token."""
        token = self._credentials.read(past_cache=True)
        return token.problem if isinstance(token, Unauthorized) else None

    def token_report(self) -> TokenReport | Problem:
        """Return what is known of the token: its kind and age, and whether it can be renewed."""
        return self._credentials.report()

    def _authorized[T](self, call: Callable[[str], T], deadline: float) -> T | Unauthorized:
        return self._credentials.authorized(call, self._present, max(deadline, self._run_deadline))

    def _present(self, pair: Pair, deadline: float) -> HttpResponse | NotSent | NoAnswer:
        """Send a pair to be renewed (https://documentation.commvault.com, "Renewing an Access Token")."""
        body = json.dumps({"accessToken": pair.access, "refreshToken": pair.refresh}).encode()
        headers = {"Authorization": pair.header, **JSON}
        return self._connection.exchange("POST", "/V4/AccessToken/Renew", headers, body, deadline)

    def _get(
        self, path: str, token: str, deadline: float, headers: Mapping[str, str] | None, *, not_found_is_empty: bool
    ) -> JsonDocument | Unauthorized | QueryFailed:
        if not self._base_url.startswith("https://"):
            return QueryFailed(self._not_https(PERSISTS))
        match self._exchange("GET", path, token, deadline, headers=headers):
            case NotSent(problem) | NoAnswer(problem):
                return QueryFailed(problem)
            case HttpResponse() as response:
                return queries.read(response, not_found_is_empty=not_found_is_empty)

    def _exchange(
        self,
        method: str,
        path: str,
        token: str,
        deadline: float,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse | NotSent | NoAnswer:
        sent = {"Authtoken": token, **JSON, **(headers or {})}
        return self._connection.exchange(method, path, sent, body, deadline)

    def _not_https(self, hint: str) -> Problem:
        return Problem("API_URL_INVALID", f"{self._base_url!r} is not an https:// address.", hint)


def task_body(request: BackupRequest) -> dict[str, Any]:
    """Return CreateTask's body in the RDS Snap Backup form of Commvault's API pages."""
    return {
        "taskInfo": {
            "associations": [
                {
                    "clientName": one.client_name,
                    "instanceName": one.instance_name,
                    "displayName": one.display_name,
                    "_type_": "SUBCLIENT_ENTITY",
                    "appName": "Cloud Apps",
                    "subclientName": one.subclient_name,
                }
                for one in request.associations
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
