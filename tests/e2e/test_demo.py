"""The demo as a user runs it: it shows what happened, says so by its exit status, and leaves no process behind."""

import signal
from pathlib import Path

import pytest

from local.processes import descendants
from tests.e2e.product import wait_until
from tests.e2e.running import running
from tests.unit.documents import IMAGES, words

pytestmark = pytest.mark.e2e

# Of each of seven steps: requests, jobs, messages, and a claim. Of the audit: what can be restored, and what cannot.
FACTS = 30


def test_the_demo_shows_that_everything_happened_as_it_should_and_so_does_its_picture(tmp_path: Path) -> None:
    picture = tmp_path / "demo.svg"
    with running("local.demo", "--svg", str(picture)) as (process, lines):
        status = process.wait(timeout=280)
    text = "".join(lines)
    assert status == 0, text
    assert text.count("✓") == FACTS
    assert "✗" not in text
    assert "Everything happened as it should: 9 requests to Commvault, 9 jobs, 18 messages in" in lines[-2]
    assert "make playground" in lines[-1]
    assert words(picture.read_text()) == words((IMAGES / "demo.svg").read_text()), "Make it again: make pictures"


def test_a_demo_that_is_stopped_ends_all_that_it_started() -> None:
    with running("local.demo") as (process, lines):

        def runs(command: str) -> bool:
            return any(command in line for line in descendants(process.pid).values())

        wait_until(lambda: runs("sam deploy"), "the deployment has begun")
        assert runs("ministack")
        started = descendants(process.pid)
        process.terminate()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM, lines
    wait_until(lambda: not started.items() & descendants(0).items(), "its processes have ended")
