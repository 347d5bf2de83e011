"""The fault `echo`: a server or a proxy that gives back what it was sent, in every place where a client may read it."""

from local.commserve import answers
from local.commserve.answers import HTML, Answer
from local.commserve.faults.book import Exchange, behaviour

END = b"\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"


@behaviour
def echo(exchange: Exchange, *, where: str = "text", status: int = 500) -> None:
    """Give back what was sent. The places `status_line` to `chunk` are no proper HTTP."""
    said = f"Refused: {exchange.sent()}"
    line = said.encode()
    match where:
        case "text":
            exchange.send(answers.error(19, said, status))
        case "page":
            exchange.send(answers.page("Bad Gateway", said, status))
        case "header":
            exchange.send(Answer(status, {"errorCode": 19, "errorMessage": "No."}, headers={"X-Refused": said}))
        case "redirect":
            location = f"https://localhost:9/?{said.replace(' ', '%20')}"
            exchange.send(Answer(302, body=b"", content_type=HTML, headers={"Location": location}))
        case "status_line":
            _raw(exchange, line + END)
        case "malformed_header":
            _raw(exchange, b"HTTP/1.1 500 No\r\n" + line.replace(b":", b"") + END)
        case "length":
            _raw(exchange, b"HTTP/1.1 500 No\r\nContent-Length: 7, " + line + b"\r\n\r\n{}")
        case "chunk":
            _raw(exchange, b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n" + line + b"\r\n{}\r\n0\r\n\r\n")
        case _:
            raise ValueError(f"nothing can be echoed in {where!r}")


def _raw(exchange: Exchange, data: bytes) -> None:
    exchange.raw(data)
    exchange.close()
