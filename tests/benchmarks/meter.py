"""Counts what goes over a wire: a forwarder to a loopback port."""

import socket
import threading
from contextlib import suppress

CHUNK = 65536
REQUEST_LINE = b" HTTP/1.1\r\n"


class Meter:
    """`port` leads to the metered port. Requests are counted where the wire is not encrypted."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.reset()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        """Start again."""
        self.bytes = self.requests = self.connections = 0

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self.connections += 1
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink, source is client), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_up: bool) -> None:
        tail = b""
        with suppress(OSError):
            while data := source.recv(CHUNK):
                seen = tail + data
                with self._lock:
                    self.bytes += len(data)
                    self.requests += seen.count(REQUEST_LINE) if is_up else 0
                tail = seen[-len(REQUEST_LINE) + 1 :]
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
