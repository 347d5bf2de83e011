"""A wire between the function and AWS that can stop answering, from a chosen call on."""

import threading

from tests.integration.forwarding import Call, ForwardingWire


class StallingWire(ForwardingWire):
    """After `stall`, the nth call of an operation and all that follow get no answer."""

    def __init__(self, endpoint_url: str) -> None:
        super().__init__(endpoint_url)
        self._lock, self._released = threading.Lock(), threading.Event()
        self._operation, self._left, self._stalls = "", 0, False
        self.reached = threading.Event()

    def __exit__(self, *error: object) -> None:
        self.release()
        super().__exit__(*error)

    def stall(self, operation: str, nth: int = 1) -> None:
        """Stop answering at the nth call of an operation from now, such as `Publish`, and for good."""
        with self._lock:
            self._operation, self._left = operation, nth

    def release(self) -> None:
        """Answer again; the calls that were held are cut, and were never passed on."""
        with self._lock:
            self._operation, self._stalls = "", False
        self._released.set()

    def _takes(self, call: Call) -> bool:
        with self._lock:
            if self._is_meant(call):
                self._left -= 1
                self._stalls = self._stalls or self._left <= 0
            is_held = self._stalls
        if is_held:
            self.reached.set()
            self._released.wait()
        return not is_held

    def _is_meant(self, call: Call) -> bool:
        return call.operation == self._operation
