"""Faults of time and of the connection: late, partial, endless or no answers."""

import gzip
from itertools import chain, cycle

from local.commserve.answers import JSON, Answer
from local.commserve.faults.book import Exchange, behaviour

CHUNK = 64 * 1024


@behaviour
def slow(exchange: Exchange, *, seconds: float = 5.0, after: bool = False) -> None:
    """The proper answer, late. The job is made before the wait (`after=True`) or after it, even if the client left."""
    proper = exchange.act() if after else None
    if exchange.pause(seconds, ignore_client=True):
        exchange.send(proper or exchange.act())
    else:
        exchange.close()


@behaviour
def stall_before(exchange: Exchange) -> None:
    """The request is neither carried out nor answered until released; if the client leaves first, it never is."""
    if exchange.pause(float("inf")):
        exchange.send(exchange.act())
    else:
        exchange.close()


@behaviour
def stall_after(exchange: Exchange) -> None:
    """The request is carried out, and not answered until released."""
    proper = exchange.act()
    if exchange.pause(float("inf")):
        exchange.send(proper)
    else:
        exchange.close()


@behaviour
def reset_before(exchange: Exchange) -> None:
    """TCP RST; the request is not carried out."""
    exchange.reset()


@behaviour
def reset_after(exchange: Exchange) -> None:
    """The request is carried out, then TCP RST."""
    exchange.act()
    exchange.reset()


@behaviour
def close(exchange: Exchange, *, after: bool = False) -> None:
    """A clean close without an answer."""
    if after:
        exchange.act()
    exchange.close()


@behaviour
def garbage(
    exchange: Exchange,
    *,
    text: str = "\x00\x01 this is not HTTP \r\n\r\n",
    after: bool = False,
    is_kept: bool = False,
) -> None:
    """Bytes that are not HTTP, then a close unless the connection is kept."""
    if after:
        exchange.act()
    exchange.raw(text.encode())
    if not is_kept:
        exchange.close()


@behaviour
def truncated(exchange: Exchange, *, missing: int = 10) -> None:
    """The proper answer without its last bytes, although its head gives the whole length."""
    head, body = exchange.render(exchange.act())
    exchange.raw(head + body[: max(0, len(body) - missing)])
    exchange.close()


@behaviour
def huge(exchange: Exchange, *, size: int = 64 * 1024 * 1024, after: bool = False) -> None:
    """A well-formed JSON object of `size` bytes."""
    if after:
        exchange.act()
    start, end = b'{"padding":"', b'"}'
    head, _ = exchange.render(Answer(body=b"", content_type=JSON))
    exchange.raw(head.replace(b"Content-Length: 0", b"Content-Length: %d" % max(size, len(start + end))) + start)
    left = size - len(start) - len(end)
    while left > 0:
        exchange.raw(b"x" * min(CHUNK, left))
        left -= CHUNK
    exchange.raw(end)


@behaviour
def trickle(exchange: Exchange, *, interval: float = 1.0) -> None:
    """The proper answer; each byte of its body is sent `interval` seconds after the previous one."""
    head, body = exchange.render(exchange.act())
    exchange.raw(head)
    for at in range(len(body)):
        if not exchange.pause(interval):
            exchange.close()
            return
        exchange.raw(body[at : at + 1])


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
# What comes first, and what is repeated.
ENDLESS = {
    "headers": (OK, b"X-Padding: x\r\n" * 1000),
    "line": (OK + b"X-Padding: ", b"x" * CHUNK),
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "body": (OK + b"\r\n", b" " * CHUNK),
    "chunks": (CHUNKED, b"1\r\n \r\n" * 1000),
    "negative": (CHUNKED + b"-1\r\n", b" " * CHUNK),
    "trailers": (CHUNKED + b"0\r\n", b"X-Padding: x\r\n" * 1000),
}


@behaviour
def endless(exchange: Exchange, *, what: str = "body", after: bool = False) -> None:
    """An answer of which one part does not end before the client leaves."""
    if after:
        exchange.act()
    first, again = ENDLESS[what]
    for part in chain((first,), cycle((again,))):
        exchange.raw(part)
        if not exchange.pause(0.001):
            break
    exchange.close()


@behaviour
def bomb(exchange: Exchange, *, size: int = 1024 * 1024 * 1024, after: bool = False) -> None:
    """A small compressed body of `size` blanks when it is unpacked, although no compression was asked for."""
    if after:
        exchange.act()
    member = 1024 * 1024
    body = gzip.compress(b" " * member) * (size // member)
    head, _ = exchange.render(Answer(body=b"", content_type=JSON))
    exchange.raw(head.replace(b"Content-Length: 0", b"Content-Encoding: gzip\r\nContent-Length: %d" % len(body)) + body)
