"""Authentication as a flow that belongs to the client: no caller ever sees a token.

A flow is a generator. It yields a request to send, receives the answer, and may send others before it returns.
"""

from collections.abc import Generator

from rds_snap_backup.commvault.answers import Answer, HttpRequest
from rds_snap_backup.core.outcomes import Unauthorized

type Flow[T] = Generator[HttpRequest, Answer, T]


class Auth:
    """No authentication. Subclasses add it."""

    def prepare(self, deadline: float) -> Flow[None]:  # noqa: ARG002 - for subclasses
        """Begin a run that may send requests until `deadline`."""
        yield from ()

    def send(self, request: HttpRequest) -> Flow[Answer | Unauthorized]:
        """Send one request, and return the answer to it, or why the token cannot be used."""
        return (yield request)
