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

# Of each of seven steps: requests, jobs, messages, and a claim. Of the audit: what can be restored, and what cannot.
FACTS = 30


def test_the_demo_shows_that_everything_happened_as_it_should() -> None:
    with _demo() as (process, lines):
        status = process.wait(timeout=280)
    text = "".join(lines)
    assert status == 0, text
    assert text.count("✓") == FACTS
    assert "✗" not in text
    assert "Everything happened as it should: 9 requests to Commvault, 9 jobs, 18 messages in" in lines[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_ends_all_that_it_started(number: signal.Signals) -> None:
    with _demo() as (process, lines):

        def runs(command: str) -> bool:
            return any(command in line for line in descendants(process.pid).values())

        wait_until(lambda: runs("sam deploy"), "the deployment has begun")
        assert runs("ministack")
        started = descendants(process.pid)
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number, lines
    wait_until(lambda: not started.items() & descendants(0).items(), "its processes have ended")


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
