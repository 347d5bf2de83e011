"""http.client's response with a limit on its lines: its heads, the lengths of its chunks, and what follows them.

http.client limits a line to 64 KiB and a head to 100 lines, but not how many heads of `100 Continue` come first, nor the
lines after the last chunk. The body's limit is `connection.py`'s matter.
"""

import io
import socket
from http.client import HTTPException, HTTPResponse

MAX_LINES = 256 * 1024


class TooManyLines(HTTPException):
    """The lines of an answer are longer, taken together, than is read."""


class InterimResponse(HTTPException):
    """A response below 200 came, other than `100 Continue`."""


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
    """A response whose lines are limited."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fp = _Lines(self.fp.detach())
