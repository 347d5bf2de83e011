"""A package under test in its own process, steered through `driver.py`; and the product's calls as the floor's events."""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.packages import Package
from benchmarks.place import Place

DRIVER = Path(__file__).with_name("driver.py")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PYTHON = Path(sys.base_prefix) / "bin" / "python3.13"


@dataclass(frozen=True)
class Measured:
    """One event in a sandbox: seconds of CPU and of wall time, and what the handler returned."""

    cpu: float
    wall: float
    answer: Any


class Sandbox:
    """`with Sandbox(package, place.environment) as sandbox:` imports the handler; the first event is the cold one."""

    def __init__(self, package: Package, place: Place, environment: Mapping[str, str] | None = None) -> None:
        self.package = package
        self._log = place.folder / f"log-{uuid.uuid4().hex}"
        self._environment = dict(environment or place.environment)
        self.logged = 0

    def __enter__(self) -> Self:
        own = {"PYTHONPATH": str(self.package.folder), "PYTHONDONTWRITEBYTECODE": "1", "LOG_FILE": str(self._log)}
        self._process = subprocess.Popen(
            [str(PYTHON), "-P", "-S", str(DRIVER), self.package.handler],
            env=self._environment | own,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, events: Sequence[Any]) -> list[Measured]:
        """Handle some events, one after the other."""
        return [Measured(**values) for values in self._ask(events)["measured"]]

    def record(self, event: Any) -> tuple[Measured, list[Any]]:
        """Handle an event; return also the calls that it made, to AWS and to Commvault."""
        answer = self._ask([event], record=True)
        return Measured(**answer["measured"][0]), answer["calls"]

    def _ask(self, events: Sequence[Any], *, record: bool = False) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"events": events, "record": record}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The function of {self.package.label} ended; its log: {self._log.read_text()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        self.logged = answer["log"]
        return answer


def replays(calls: Sequence[Any], event: Mapping[str, Any], targets: Sequence[str]) -> list[dict[str, Any]]:
    """Return events that let the floor make a recorded event's calls, each for another target and with a new identity."""
    identity = UUID.search(json.dumps(event))
    assert identity
    text = json.dumps(calls)
    return [
        {"calls": json.loads(text.replace(identity[0], str(uuid.uuid4())).replace(event["target"], target))}
        for target in targets
    ]
