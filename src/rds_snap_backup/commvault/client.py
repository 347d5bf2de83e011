"""Commvault's wire: one HTTPS connection, CreateTask, and reading.

What this module promises: a request is sent at most once; no redirect is followed with the token; what was surely
never sent is told from what may have arrived; and every exchange ends before its deadline.
It is not the place that knows tokens (`credentials.py`), what an answer to CreateTask means (`outcomes.py`), or what a
job looks like (`jobs.py`).
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any

from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import Url, parse_url

from rds_snap_backup.commvault import outcomes
from rds_snap_backup.commvault.outcomes import Answer, Outcome, Rejected, Unauthorized, Unavailable, Unknown
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, Target

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 30.0
MIN_SECONDS = 1.0
# A server or a middlebox may have dropped an idle connection without a word that reached a frozen sandbox.
IDLE_SECONDS = 5.0
MAX_BODY = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request surely did not leave."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The request may have arrived, and no answer came."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Read:
    """A JSON object that was read, and by how many seconds Commvault's clock is, at the least, ahead of ours."""

    document: dict[str, Any]
    clock_ahead: float


@dataclass(frozen=True, slots=True)
class QueryFailed:
    """Commvault could not be asked."""

    problem: Problem


class Commvault:
    """A client of one API base, with one connection: a sandbox handles one event at a time.

    `ca_certificates` returns the PEM bundle of a private CA, or None for the public ones; it is called before the
    first connection and may raise LookupError.
    """

    def __init__(self, base_url: str, ca_certificates: Callable[[], str | None]) -> None:
        self._base_url = base_url
        self._ca_certificates = ca_certificates
        self._context: ssl.SSLContext | None = None
        self._connection: HTTPSConnection | None = None
        self._last_used = 0.0

    def create_task(self, target: Target, associations: tuple[Association, ...], token: str, seconds: float) -> Outcome:
        """Send CreateTask, once, for these associations of a target; return its outcome within `seconds`."""
        if not self._base_url.startswith("https://"):
            hint = "Deploy the stack with a CommvaultApiUrl that begins with https://, then redrive the dead letter."
            return Rejected(Problem("API_URL_INVALID", f"{self._base_url!r} is no https:// address.", hint))
        match self._exchange("POST", "/CreateTask", token, seconds, body=task_request(target, associations)):
            case NotSent(problem):
                return Unavailable(problem)
            case NoAnswer(problem):
                return Unknown(problem)
            case Answer() as answer:
                return outcomes.classify(answer, target.task_type)

    def get(
        self,
        path: str,
        token: str,
        seconds: float,
        headers: Mapping[str, str] | None = None,
        *,
        not_found_is_empty: bool = False,
    ) -> Read | Unauthorized | QueryFailed:
        """Read a JSON object.

        Live servers answer some empty lists with 404: with `not_found_is_empty` that is an object without rows. It is
        never so for jobs, where a proxy's 404 would be believed to say that no job was started.
        """
        if not self._base_url.startswith("https://"):
            return QueryFailed(
                Problem("API_URL_INVALID", f"{self._base_url!r} is no https:// address.", outcomes.LATER)
            )
        match self._exchange("GET", path, token, seconds, headers=headers):
            case NotSent(problem) | NoAnswer(problem):
                return QueryFailed(problem)
            case Answer() as answer:
                return _read(answer, not_found_is_empty=not_found_is_empty)

    def _exchange(
        self,
        method: str,
        path: str,
        token: str,
        seconds: float,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer | NotSent | NoAnswer:
        deadline = time.monotonic() + min(seconds, REQUEST_SECONDS)
        try:
            connection = self._connected(deadline)
        except (HTTPError, OSError, ValueError, LookupError) as error:
            self._drop()
            self._context = None  # The CA may be what is wrong, and be mended by the next try.
            return NotSent(self._unreachable(error))
        # A read timeout starts anew with every byte; the watchdog ends the exchange however slowly the bytes come.
        watchdog = threading.Timer(deadline - time.monotonic(), _shut_down, [connection.sock])
        watchdog.daemon = True
        watchdog.start()
        try:
            connection.request(
                method,
                (self._address.path or "") + path,
                body=None if body is None else json.dumps(body, separators=(",", ":")).encode(),
                headers={
                    "Authtoken": token,
                    "Content-Type": "application/json",
                    "Accept": "application/json",
                    **(headers or {}),
                },
                preload_content=False,
            )
            response = connection.getresponse()
            content = response.read(MAX_BODY + 1)
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            self._drop()
            message = f"The request to {self._base_url} got no answer ({type(error).__name__})."
            return NoAnswer(Problem("NO_ANSWER", message, outcomes.LOOK_FIRST))
        finally:
            watchdog.cancel()
        self._last_used = time.time()
        if is_whole := len(content) <= MAX_BODY:
            response.release_conn()
        else:
            self._drop()
        return Answer(response.status, response.headers, content if is_whole else None)

    def _connected(self, deadline: float) -> HTTPSConnection:
        """Return a live connection; raise what the connecting raised, or TimeoutError when no time is left."""
        connection = self._connection
        # The wall clock, since it goes on while a sandbox is frozen.
        is_fresh = abs(time.time() - self._last_used) < IDLE_SECONDS
        if connection is None or not is_fresh or not _is_quiet(connection):
            self._drop()
            if self._context is None:
                self._context = _trusting(self._ca_certificates())
            host = (self._address.host or "").strip("[]")
            seconds = min(_seconds_to(deadline), CONNECT_SECONDS)
            connection = HTTPSConnection(host, self._address.port, timeout=seconds, ssl_context=self._context)
            self._connection = connection
            connection.connect()
        seconds = _seconds_to(deadline)
        connection.timeout = seconds
        connection.sock.settimeout(seconds)
        return connection

    @property
    def _address(self) -> Url:
        """The API base in parts; raises ValueError where it can not be parsed, such as for a port that is no number."""
        return parse_url(self._base_url)

    def _drop(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _unreachable(self, error: Exception) -> Problem:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            hint = (
                "Give the CA that signed the server's certificate in CaCertificateParameter, or mend the certificate."
            )
            return Problem("TLS_UNTRUSTED", f"The certificate of {self._base_url} is not trusted: {error}", hint)
        if isinstance(error, LookupError):
            return Problem(
                "CA_UNUSABLE", str(error), "Store a PEM bundle in the parameter that CaCertificateParameter names."
            )
        if isinstance(error, ssl.SSLError):
            hint = "Check the port in CommvaultApiUrl, and that the server speaks TLS 1.2 or later there."
            return Problem("TLS_FAILED", f"{self._base_url} speaks no TLS: {error}", hint)
        hint = (
            "Check CommvaultApiUrl, the server, and the way to it (subnets, security groups, DNS). It is tried again."
        )
        return Problem("UNREACHABLE", f"{self._base_url} can not be reached: {error}", hint)


def task_request(target: Target, associations: tuple[Association, ...]) -> dict[str, Any]:
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
                for one in associations
            ],
            "task": {"taskType": target.task_type},
            "subTasks": [
                {
                    "subTask": {"subTaskType": "BACKUP", "operationType": "BACKUP"},
                    "options": {
                        "backupOpts": {"backupLevel": target.backup_level},
                        "commonOpts": {"notifyUserOnJobCompletion": target.notify_user_on_job_completion},
                    },
                }
            ],
        }
    }


def _seconds_to(deadline: float) -> float:
    """Return the seconds that are left; raise TimeoutError where they are too few for a request."""
    seconds = deadline - time.monotonic()
    if seconds < MIN_SECONDS:
        raise TimeoutError("no time is left for the request")
    return seconds


def _is_quiet(connection: HTTPSConnection) -> bool:
    """Tell whether a connection is open and holds nothing unread: a goodbye, or more than the last answer."""
    connected = connection.sock
    return connection.is_connected and not (isinstance(connected, ssl.SSLSocket) and connected.pending())


def _trusting(ca_certificates: str | None) -> ssl.SSLContext:
    try:
        # A bundle's comments may be in any language; the certificates are ASCII.
        ascii_only = ca_certificates and ca_certificates.encode("ascii", "replace").decode()
        context = ssl.create_default_context(cadata=ascii_only)
    except ssl.SSLError as error:
        raise LookupError(f"CaCertificateParameter holds no PEM bundle: {error}") from None
    if ca_certificates:
        # From Python 3.13 on a CA without the newer extensions is refused, and many a company's own CA has none.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _read(answer: Answer, *, not_found_is_empty: bool) -> Read | Unauthorized | QueryFailed:
    document = outcomes.document_of(answer)
    error = next(outcomes.errors(document), None)
    problem = error or Problem(f"HTTP_{answer.status}", f"Commvault answered HTTP {answer.status}.", outcomes.LATER)
    clock_ahead = 0.0
    with suppress(ValueError):  # No date, or none that can be read.
        clock_ahead = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp() - time.time()
    match answer.status:
        case _ if outcomes.is_maintenance(answer):
            return QueryFailed(Problem("MAINTENANCE", "Commvault shows its maintenance page.", outcomes.LATER))
        case 429:
            return QueryFailed(Problem("HTTP_429", "Commvault's rate limit is reached.", outcomes.LATER))
        case 401:
            return Unauthorized(Problem(problem.code, problem.message, outcomes.NEW_TOKEN))
        case _ if error and error.code in outcomes.LOGIN_REFUSED:
            return Unauthorized(Problem(problem.code, problem.message, outcomes.NEW_TOKEN))
        case status if answer.body is None:
            message = f"Commvault's answer (HTTP {status}) is longer than {MAX_BODY >> 20} MiB."
            return QueryFailed(Problem("ANSWER_TOO_LONG", message, outcomes.LATER))
        case 404 if not_found_is_empty and (isinstance(document, dict) or not answer.body):
            return Read({}, clock_ahead)
        case status if 200 <= status < 300 and isinstance(document, dict) and not error:
            return Read(document, clock_ahead)
    return QueryFailed(problem)


def _shut_down(connected: socket.socket) -> None:
    # Not the TLS socket's own method, which the reading thread would trip over. An error: the exchange is just over.
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
