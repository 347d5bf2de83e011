"""The demo as a user runs it: it shows what happened, says so by its exit status, and leaves no process behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local.processes import descendants
from local.tools import ROOT
from tests.e2e.product import wait_until

pytestmark = pytest.mark.e2e

TRIGGERS = 6


def test_the_demo_shows_every_trigger_and_what_came_of_it() -> None:
    with _demo() as (process, lines):
        status = process.wait(timeout=180)
    text = "".join(lines)
    assert status == 0, text
    assert text.count("✓") == TRIGGERS
    assert "✗" not in text
    assert "Everything happened as it should" in lines[-1]
    assert "5 CreateTask calls, 4 jobs" in lines[-1]
    report = text[text.index("demo: databases 3 (2 covered, 1 uncovered, 0 excluded), targets 6 (1 stale)") :]
    rows = {cells[0]: cells for line in report.splitlines() if len(cells := line.replace("│", " ").split()) > 3}
    assert rows["orders-main"][1:4] == ["postgres", "default", "(pattern)"]
    assert [rows[name][-1] for name in ("orders-main", "archive-main", "web-sessions")] == [
        "covered",
        "stale",
        "uncovered",
    ]
    assert "orders-before-upgrade" in report
    assert "demo: 3 findings." in report


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_ends_all_that_it_started(number: signal.Signals) -> None:
    with _demo() as (process, lines):

        def runs(command: str) -> bool:
            return any(command in line for line in descendants(process.pid).values())

        wait_until(lambda: runs("sam deploy"), 120, "the deployment has begun")
        assert runs("ministack")
        started = descendants(process.pid)
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number, lines
    wait_until(lambda: not started.items() & descendants(0).items(), 10, "its processes have ended")


@contextmanager
def _demo() -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run it without a terminal; its lines grow as it goes on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local.demo"],
        cwd=ROOT,
        env=os.environ | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    lines: list[str] = []

    def read() -> None:
        lines.extend(process.stdout or ())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield process, lines
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=30)
        reader.join()
