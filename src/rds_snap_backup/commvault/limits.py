"""http.client's response with one head, and a limit on its lines: the lengths of its chunks, and what follows them.

http.client limits a line to 64 KiB and a head to 100 lines, but not the lines after the last chunk. The body's limit is
`connection.py`'s matter.
"""

import io
import socket
from http.client import HTTPException, HTTPResponse

MAX_LINES = 256 * 1024
# Lower ones announce a response that follows. http.client skips 100, and takes any other for the answer: the connection's
# next answer would be this one's. No request asks for one. https://www.rfc-editor.org/rfc/rfc9110#section-15.2
FINAL_STATUS = 200


class TooManyLines(HTTPException):
    """The lines of an answer are longer, taken together, than is read."""


class InterimResponse(HTTPException):
    """A response below 200 came."""


class NegativeLength(HTTPException):
    """A chunk's length is below zero."""


class _Lines(io.BufferedReader):
    left = MAX_LINES

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        self.left -= len(line)
        if self.left < 0:
            raise TooManyLines(f"got more than {MAX_LINES} bytes of lines")
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        # http.client takes "-1" for the length of a chunk, and would read until the server closes.
        if size is None or size < 0:
            raise NegativeLength("got a chunk of negative length")
        return super().read(size)


class Response(HTTPResponse):
    """A response whose lines are limited, and which no interim response precedes."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fp = _Lines(self.fp.detach())

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        if status < FINAL_STATUS:
            raise InterimResponse(f"{status} {reason.strip()} came before the answer")
        return version, status, reason
