"""Faults of time and of the connection: late, partial, endless or no answers."""

from local.commserve.answers import JSON, Answer
from local.commserve.faults.book import Exchange, behaviour

CHUNK = 64 * 1024


@behaviour
def slow(exchange: Exchange, *, seconds: float = 5.0, after: bool = False) -> None:
    """The proper answer, late. The job is made before the wait (`after=True`) or after it, even if the client left."""
    proper = exchange.act() if after else None
    if exchange.pause(seconds, alone=True):
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
def garbage(exchange: Exchange, *, text: str = "\x00\x01 this is not HTTP \r\n\r\n", after: bool = False) -> None:
    """Bytes that are not HTTP, then a close."""
    if after:
        exchange.act()
    exchange.raw(text.encode())
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
    _drip(exchange, body, interval)


@behaviour
def trickle_headers(exchange: Exchange, *, interval: float = 1.0) -> None:
    """The proper answer, byte by byte from its status line on."""
    head, body = exchange.render(exchange.act())
    _drip(exchange, head + body, interval)


def _drip(exchange: Exchange, data: bytes, interval: float) -> None:
    for at in range(len(data)):
        if not exchange.pause(interval):
            exchange.close()
            return
        exchange.raw(data[at : at + 1])
