"""An HTTP proxy at the wire that knows CONNECT and nothing else, and records whatever passes through it."""

import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from select import select
from typing import Self

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ConnectProxy:
    """Connects to where each CONNECT says, or to `to`.

    With `answer` it gives that answer instead, and leaves the connection open; of several parts each but the first
    comes after a pause, and the last again and again where the answer is `is_endless`.
    """

    def __init__(
        self, *answer: bytes, to: tuple[str, int] | None = None, pause: float = 0, is_endless: bool = False
    ) -> None:
        self.answer, self.to, self.pause, self.is_endless = answer, to, pause, is_endless
        # The head of every request, and everything that clients sent after it.
        self.heads: list[str] = []
        self.seen = b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listening]
        self.address: tuple[str, int] = self._listening.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}"

    @property
    def connects(self) -> list[str]:
        """What clients asked to be connected to."""
        return [head.split()[1] for head in self.heads if head.startswith("CONNECT ")]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True, name="proxy").start()
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listening.accept()[0]
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, ValueError):  # a socket that was closed meanwhile has no descriptor
            head = b""
            while b"\r\n\r\n" not in head:
                if not (received := client.recv(65536)):
                    return
                head += received
            self.heads.append(head.decode())
            if self.answer:
                self._refuse(client, self.answer)
                return
            host, _, port = self.heads[-1].split()[1].rpartition(":")
            with socket.create_connection(self.to or (host.strip("[]"), int(port)), timeout=5) as server:
                client.sendall(ESTABLISHED)
                self._relay(client, server)
            client.shutdown(socket.SHUT_RDWR)

    def _refuse(self, client: socket.socket, parts: Sequence[bytes]) -> None:
        for number, part in enumerate(parts):
            time.sleep(self.pause if number else 0)
            client.sendall(part)
        while self.is_endless:
            time.sleep(self.pause)
            client.sendall(parts[-1])
        while received := client.recv(65536):
            self.seen += received

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            for readable in select([client, server], [], [])[0]:
                if not (received := readable.recv(65536)):
                    return
                if readable is client:
                    self.seen += received
                    server.sendall(received)
                else:
                    client.sendall(received)
