"""A tap on the wire between the deployed functions and some of AWS's services: it sees calls, and can cut them off.

The functions reach AWS through it because the emulator hands them `AWS_ENDPOINT_URL_…`; nothing in them knows of it.
"""

import threading

from tests.integration.forwarding import Call, ForwardingWire


class Tap(ForwardingWire):
    """`refuse` cuts the next calls of an operation off before they reach AWS; all others pass."""

    def __init__(self) -> None:
        super().__init__()
        self._refusals: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def refuse(self, operation: str, times: int, about: str) -> None:
        """Cut off the next `times` calls of an operation whose body contains a text; the SDK makes three of one."""
        with self._lock:
            self._refusals += [(operation, about)] * times

    @property
    def refusals_left(self) -> int:
        """How many calls are still to be cut off."""
        return len(self._refusals)

    def admit(self) -> None:
        """Cut off no more calls."""
        with self._lock:
            self._refusals.clear()

    def _takes(self, call: Call) -> bool:
        with self._lock:
            for operation, about in self._refusals:
                if operation == call.operation and about in call.text:
                    self._refusals.remove((operation, about))
                    return False
            return True
