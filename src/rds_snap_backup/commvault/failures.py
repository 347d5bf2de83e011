"""Problems of requests that were not sent or not answered. Pure: nothing is sent here.

The other side's text is quoted only for failures before the request was sent. For an answer that cannot be read only the
kind of the failure is shown: its text may hold the token.
"""

import ssl
from http.client import BadStatusLine, HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected, UnknownProtocol

from urllib3.exceptions import DecodeError, ProtocolError

from rds_snap_backup.commvault.hints import CHECK_JOBS
from rds_snap_backup.commvault.limits import MAX_LINES, InterimResponse, NegativeLength, TooManyLines
from rds_snap_backup.commvault.proxy import Proxy, ProxyFailed, ProxyInvalid
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import clean_text


def unreachable(error: Exception, address: str, proxy: Proxy | None) -> Problem:
    """Return why nothing was sent to an address."""
    text = clean_text(str(error))
    through = f" through the proxy {proxy}" if proxy else ""
    match error:
        case ProxyInvalid():
            hint = "Deploy the stack with an HttpsProxy of the form http://HOST:PORT, or an empty one."
            return Problem("PROXY_INVALID", "HttpsProxy is not http://HOST:PORT without a user or password.", hint)
        case ProxyFailed():
            hint = (
                "Check HttpsProxy, the route to the proxy, and that it lets the functions connect to Commvault's host "
                "and port without a login."
            )
            return Problem("PROXY_FAILED", f"The proxy {proxy} does not connect to {address}: {text}", hint)
        case LookupError():
            hint = "Store a PEM bundle in the parameter that CaCertificateParameter names."
            return Problem("CA_UNUSABLE", text, hint)
        case ssl.SSLCertVerificationError():
            hint = "Give the CA that signed the server's certificate in CaCertificateParameter, or fix the certificate."
            message = f"The certificate of {address}{through} is not trusted: {text}"
            return Problem("TLS_UNTRUSTED", message, hint)
        case ssl.SSLError():
            hint = "Check the port in CommvaultApiUrl, and that the server supports TLS 1.2 or later there."
            return Problem("TLS_FAILED", f"{address}{through} does not speak TLS as required: {text}", hint)
    hint = "Check CommvaultApiUrl, the server, and the route to it (subnets, security groups, DNS)."
    return Problem("UNREACHABLE", f"{address} cannot be reached{through}: {text}", hint)


def unanswered(error: Exception, address: str, *, is_late: bool) -> Problem:
    """Return why a request that was sent has no answer that can be read."""
    if is_late or isinstance(error, TimeoutError):
        return Problem("TIMED_OUT", f"{address} did not answer the request in time.", CHECK_JOBS)
    # urllib3 wraps what goes wrong within a body.
    is_wrapped = isinstance(error, ProtocolError) and isinstance(error.__cause__, Exception)
    cause = error.__cause__ if is_wrapped else error
    message = f"The request to {address} got no answer that can be read: {_reason(cause)}."
    return Problem("NO_ANSWER", message, CHECK_JOBS)


def _reason(cause: BaseException | None) -> str:
    """Name a failure without a word of the other side's."""
    match cause:
        case TooManyLines():
            return f"its headers, with what frames its body, are longer than {MAX_LINES >> 10} KiB"
        case LineTooLong():
            return "a line of its headers is longer than 64 KiB"
        case RemoteDisconnected() | ConnectionError() | ssl.SSLEOFError():
            return "the connection was closed"
        case InterimResponse():
            return "an interim response came first"
        case BadStatusLine() | UnknownProtocol() | NegativeLength():
            return "it is not HTTP"
        case IncompleteRead():
            return "it ends too early"
        case DecodeError():
            return "its compression is broken"
        case HTTPException() if type(cause) is HTTPException:
            return "it has more than 100 headers"
        case _:
            return type(cause).__name__
