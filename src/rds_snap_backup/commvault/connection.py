"""The one HTTPS connection to Commvault.

It promises: a request is sent at most once; no redirect is followed; what certainly never left is distinguished from
what may have arrived; every exchange ends before its deadline. It knows neither the token nor what a response means.
"""

import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import HTTPException

from urllib3.exceptions import HTTPError
from urllib3.util import Url, parse_url

from rds_snap_backup.commvault.answers import MAX_BODY, Answer, HttpRequest, HttpResponse, NoAnswer, NotSent
from rds_snap_backup.commvault.failures import unanswered, unreachable
from rds_snap_backup.commvault.hints import PERSISTS
from rds_snap_backup.commvault.proxy import Proxy, ProxyFailed, ProxyInvalid, read_proxy
from rds_snap_backup.commvault.sockets import HTTPSConnection, ended_at
from rds_snap_backup.commvault.trust import tls_context
from rds_snap_backup.problems import Problem

HTTPS_PORT = 443
CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 30.0
MIN_SECONDS = 1.0
# A server or a middlebox may have dropped an idle connection without a word that reached a frozen sandbox.
IDLE_SECONDS = 5.0
# A date further off is some proxy's fault: Commvault itself does not work across such a difference.
MAX_CLOCK_AHEAD = 86400.0

NO_TIME = Problem("OUT_OF_TIME", "No time was left for a request to Commvault.", PERSISTS)


class Connection:
    """One connection to one API base: a sandbox handles one event at a time.

    `ca_certificates` returns the PEM bundle of a private CA, or None for the public ones; it is called before the
    first connection and may raise LookupError. `proxy` is empty or `http://HOST:PORT`.
    """

    def __init__(self, base_url: str, ca_certificates: Callable[[], str | None], proxy: str = "") -> None:
        self._base_url = base_url
        self._ca_certificates = ca_certificates
        self._proxy_setting = proxy
        self._proxy: Proxy | None = None
        self._context: ssl.SSLContext | None = None
        self._connection: HTTPSConnection | None = None
        self._last_used = 0.0

    def exchange(self, request: HttpRequest) -> Answer:
        """Send a request, once, and return the answer to it, before its deadline and within 30 s."""
        deadline = min(request.deadline, time.monotonic() + REQUEST_SECONDS)
        if deadline - time.monotonic() < MIN_SECONDS:
            return NotSent(NO_TIME)
        try:
            connection = self._connected(deadline)
        except (HTTPError, OSError, ValueError, LookupError, ProxyFailed, ProxyInvalid) as error:
            self._drop()
            self._context = None  # The CA may be what is wrong, and be corrected by the next try.
            return NotSent(unreachable(error, self._base_url, self._proxy))
        try:
            with ended_at(deadline, connection.sock):
                path = (self._address.path or "") + request.path
                connection.request(
                    request.method, path, body=request.body, headers=request.headers, preload_content=False
                )
                response = connection.getresponse()
                # Taken now: however slowly the body comes, it does not shift Commvault's clock.
                clock_ahead = _clock_ahead(response.headers.get("Date", ""))
                content = response.read(MAX_BODY + 1)
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            self._drop()
            return NoAnswer(unanswered(error, self._base_url, is_late=time.monotonic() >= deadline))
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
                self._context = tls_context(self._ca_certificates())
            connection = self._connection = self._unconnected(min(_seconds_to(deadline), CONNECT_SECONDS))
            connection.connect()
        seconds = _seconds_to(deadline)
        connection.timeout = seconds
        connection.sock.settimeout(seconds)
        return connection

    def _unconnected(self, seconds: float) -> HTTPSConnection:
        """Return a connection that has this many seconds to connect."""
        name, port = self._address.host or "", self._address.port or HTTPS_PORT
        host = name.strip("[]")
        self._proxy = proxy = read_proxy(self._proxy_setting)
        if proxy is None:
            return HTTPSConnection(host, port, timeout=seconds, ssl_context=self._context)
        connection = HTTPSConnection(proxy.host, proxy.port, timeout=seconds, ssl_context=self._context)
        connection.set_tunnel(host, port, headers={"Host": f"{name}:{port}"}, scheme="http")
        return connection

    @property
    def _address(self) -> Url:
        """The API base in parts; raises ValueError where it cannot be parsed, such as for a port that is not a number."""
        return parse_url(self._base_url)

    def _drop(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


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


def _clock_ahead(date: str) -> float:
    """Return how far a `Date` header is ahead of our clock; 0 where there is none that can be read or believed."""
    # What the parser and datetime raise for texts that are not dates, and for dates and offsets out of their range.
    with suppress(ValueError, TypeError, OverflowError, OSError, IndexError):
        sent_at = parsedate_to_datetime(date)
        # A date without an offset, which HTTP's obsolete formats are, is in UTC.
        ahead = (sent_at if sent_at.tzinfo else sent_at.replace(tzinfo=UTC)).timestamp() - time.time()
        return ahead if abs(ahead) <= MAX_CLOCK_AHEAD else 0.0
    return 0.0
