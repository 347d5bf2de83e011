"""The one HTTPS connection to Commvault.

It promises: a request is sent at most once; no redirect is followed; what certainly never left is distinguished from
what may have arrived; every exchange ends before its deadline. It knows neither the token nor what a response means.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import HTTPException

from urllib3.exceptions import HTTPError
from urllib3.util import Url, parse_url

from rds_snap_backup.commvault.answers import HttpResponse
from rds_snap_backup.commvault.hints import CHECK_JOBS, RETRIED
from rds_snap_backup.commvault.sockets import HTTPSConnection
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import clean_text

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 30.0
MIN_SECONDS = 1.0
# A server or a middlebox may have dropped an idle connection without a word that reached a frozen sandbox.
IDLE_SECONDS = 5.0
MAX_BODY = 4 * 1024 * 1024
# A date further off is some proxy's fault: Commvault itself does not work across such a difference.
MAX_CLOCK_AHEAD = 86400.0

NO_TIME = Problem("OUT_OF_TIME", "No time was left for a request to Commvault.", RETRIED)


@dataclass(frozen=True)
class NotSent:
    """The request certainly did not leave."""

    problem: Problem


@dataclass(frozen=True)
class NoAnswer:
    """The request may have arrived, and no answer came: in time, or at all."""

    problem: Problem


class Connection:
    """One connection to one API base: a sandbox handles one event at a time.

    `ca_certificates` returns the PEM bundle of a private CA, or None for the public ones; it is called before the
    first connection and may raise LookupError.
    """

    def __init__(self, base_url: str, ca_certificates: Callable[[], str | None]) -> None:
        self._base_url = base_url
        self._ca_certificates = ca_certificates
        self._context: ssl.SSLContext | None = None
        self._connection: HTTPSConnection | None = None
        self._last_used = 0.0

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline: float
    ) -> HttpResponse | NotSent | NoAnswer:
        """Send a request, once, and return its response, before `deadline` and within 30 s."""
        deadline = min(deadline, time.monotonic() + REQUEST_SECONDS)
        if deadline - time.monotonic() < MIN_SECONDS:
            return NotSent(NO_TIME)
        try:
            connection = self._connected(deadline)
        except (HTTPError, OSError, ValueError, LookupError) as error:
            self._drop()
            self._context = None  # The CA may be what is wrong, and be corrected by the next try.
            return NotSent(self._unreachable(error))
        # A read timeout starts again with every byte; the watchdog ends the exchange however slowly the bytes come.
        watchdog = threading.Timer(deadline - time.monotonic(), _shut_down, [connection.sock])
        watchdog.daemon = True
        watchdog.start()
        try:
            connection.request(
                method, (self._address.path or "") + path, body=body, headers=headers, preload_content=False
            )
            response = connection.getresponse()
            # Taken now: however slowly the body comes, it does not shift Commvault's clock.
            clock_ahead = _clock_ahead(response.headers.get("Date", ""))
            content = response.read(MAX_BODY + 1)
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            self._drop()
            return NoAnswer(self._unanswered(error, is_late=time.monotonic() >= deadline))
        finally:
            watchdog.cancel()
        self._last_used = time.time()
        if is_whole := len(content) <= MAX_BODY:
            response.release_conn()
        else:
            self._drop()
        return HttpResponse(response.status, response.headers, content if is_whole else None, clock_ahead)

    def _connected(self, deadline: float) -> HTTPSConnection:
        """Return a live connection; raise what the connecting raised, TimeoutError when it left too little time."""
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
        """The API base in parts; raises ValueError where it cannot be parsed, such as for a port that is not a number."""
        return parse_url(self._base_url)

    def _drop(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _unanswered(self, error: Exception, *, is_late: bool) -> Problem:
        if is_late or isinstance(error, TimeoutError):
            return Problem("TIMED_OUT", f"{self._base_url} did not answer the request in time.", CHECK_JOBS)
        message = f"The request to {self._base_url} got no answer ({type(error).__name__})."
        return Problem("NO_ANSWER", message, CHECK_JOBS)

    def _unreachable(self, error: Exception) -> Problem:
        text = clean_text(str(error))
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in text:
            hint = "Give the CA that signed the server's certificate in CaCertificateParameter, or fix the certificate."
            return Problem("TLS_UNTRUSTED", f"The certificate of {self._base_url} is not trusted: {text}", hint)
        if isinstance(error, LookupError):
            hint = "Store a PEM bundle in the parameter that CaCertificateParameter names."
            return Problem("CA_UNUSABLE", text, hint)
        if isinstance(error, ssl.SSLError):
            hint = "Check the port in CommvaultApiUrl, and that the server supports TLS 1.2 or later there."
            return Problem("TLS_FAILED", f"{self._base_url} does not speak TLS: {text}", hint)
        hint = "Check CommvaultApiUrl, the server, and the route to it (subnets, security groups, DNS). It is retried."
        return Problem("UNREACHABLE", f"{self._base_url} cannot be reached: {text}", hint)


def _seconds_to(deadline: float) -> float:
    """Return the seconds that are left; raise TimeoutError where they are too few for a request."""
    seconds = deadline - time.monotonic()
    if seconds < MIN_SECONDS:
        raise TimeoutError("connecting left no time for the request")
    return seconds


def _is_quiet(connection: HTTPSConnection) -> bool:
    """Return whether a connection is open and holds nothing unread: a goodbye, or more than the last answer."""
    connected = connection.sock
    return connection.is_connected and not (isinstance(connected, ssl.SSLSocket) and connected.pending())


def _trusting(ca_certificates: str | None) -> ssl.SSLContext:
    try:
        # A bundle's comments may be in any language; the certificates are ASCII.
        ascii_only = ca_certificates and ca_certificates.encode("ascii", "replace").decode()
        context = ssl.create_default_context(cadata=ascii_only)
    except ssl.SSLError as error:
        raise LookupError(f"CaCertificateParameter does not hold a PEM bundle: {error}") from None
    if ca_certificates:
        # From Python 3.13 on a CA without the newer extensions is refused, and many a company's own CA lacks them.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _clock_ahead(date: str) -> float:
    """Return how far a `Date` header is ahead of our clock; 0 where there is none that can be read or believed."""
    # What the parser and datetime raise for texts that are not dates, and for dates and offsets out of their range.
    with suppress(ValueError, TypeError, OverflowError, OSError, IndexError):
        sent_at = parsedate_to_datetime(date)
        # A date without an offset, which HTTP's obsolete formats are, is in UTC.
        ahead = (sent_at if sent_at.tzinfo else sent_at.replace(tzinfo=UTC)).timestamp() - time.time()
        return ahead if abs(ahead) <= MAX_CLOCK_AHEAD else 0.0
    return 0.0


def _shut_down(connected: socket.socket) -> None:
    # Not the TLS socket's own method, which the reading thread would trip over. An error: the exchange is just over.
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
