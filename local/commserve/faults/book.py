"""The armed faults: each for a number of requests of a path, or until all are cleared."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from threading import Event, Lock
from typing import Any, Protocol

from local.commserve.answers import Answer


class Exchange(Protocol):
    """One request and its connection, as a fault sees it."""

    released: Event

    def sent(self) -> str:
        """Return the secrets of the request: its token headers and, where it presents a pair, its body."""

    def act(self) -> Answer:
        """Do what was asked for, once, and return the proper answer."""

    def render(self, answer: Answer) -> tuple[bytes, bytes]:
        """Return an answer's head and body as they would be sent."""

    def send(self, answer: Answer) -> None:
        """Send an answer."""

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""

    def reset(self) -> None:
        """Cut the TCP connection with RST."""

    def close(self) -> None:
        """Close the connection cleanly."""

    def pause(self, seconds: float, *, ignore_client: bool = False) -> bool:
        """Wait; False if the server stopped or, unless `ignore_client`, the client disconnected meanwhile."""


type Behaviour = Callable[..., None]
ALL: dict[str, Behaviour] = {}


def behaviour(function: Behaviour) -> Behaviour:
    """Register a fault under its function's name."""
    ALL[function.__name__] = function
    return function


@dataclass(slots=True)
class Fault:
    """One armed fault."""

    name: str
    times: int | None
    path: str
    about: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    used: int = 0

    def matches(self, path: str, body: bytes) -> bool:
        """Tell whether a request is one of those that the fault is for."""
        return fnmatchcase(path.lower(), self.path.lower()) and self.about.encode() in body

    def apply(self, exchange: Exchange) -> None:
        """Apply it to a request."""
        ALL[self.name](exchange, **self.parameters)


class FaultBook:
    """The armed faults, in the order in which they were armed; the first that matches a request is applied."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[Fault] = []
        self.released = Event()

    def arm(self, name: str, times: int | None, path: str, about: str, parameters: dict[str, Any]) -> Fault:
        """Arm a fault; a name or parameter that does not exist is an error at once."""
        if name not in ALL:
            raise ValueError(f"no fault is called {name!r}; there are {', '.join(sorted(ALL))}")
        inspect.signature(ALL[name]).bind(None, **parameters)
        fault = Fault(name, times, path, about, parameters)
        with self._lock:
            self._faults.append(fault)
        return fault

    def take(self, path: str, body: bytes) -> Fault | None:
        """Return the fault for a request, and count it."""
        with self._lock:
            for fault in self._faults:
                if fault.matches(path, body):
                    fault.used += 1
                    if fault.times is not None and fault.used >= fault.times:
                        self._faults.remove(fault)
                    return fault
        return None

    def armed(self) -> list[Fault]:
        """Return what is armed."""
        return list(self._faults)

    def clear(self) -> None:
        """Disarm every fault and release stalled requests."""
        with self._lock:
            self._faults.clear()
        self.release()

    def release(self) -> None:
        """Release the requests that are stalled now; later ones stall again."""
        held, self.released = self.released, Event()
        held.set()
