"""The playground as a user tries it: what it says to export and to try works, and Ctrl-C leaves nothing behind."""

import os
import re
import signal
import subprocess
import urllib.request

import pytest

from local.processes import descendants
from local.tools import ROOT
from tests.e2e.product import wait_until
from tests.e2e.running import running

pytestmark = pytest.mark.e2e

EXPORT = re.compile(r"^  export (\w+)=(.*)$", re.MULTILINE)
LINE = re.compile(r"^  \$ (.*)$", re.MULTILINE)
# The audit finds the database that jobs skip and the one that no group selects; an outage fails the preflight.
ENDS = {"rds-snap-backup report": 1, "rds-snap-backup check": 1}


def test_everything_that_the_playground_says_to_try_works() -> None:
    with running("local.playground") as (process, lines):
        wait_until(
            lambda: any("Ctrl-C" in line for line in lines) or process.poll() is not None, "it is up", within=280
        )
        text = "".join(lines)
        assert process.poll() is None, text
        # The path that it exports is that of the environment of this test, but for the variable at its end.
        environment = os.environ | {name: os.path.expandvars(value) for name, value in EXPORT.findall(text)}
        printed = {line: tried(line, environment) for line in LINE.findall(text)}
        assert len(re.findall(r"^\d\. ", text, re.MULTILINE)) == 5
        assert {"legacy-wiki", "shop-archive"} <= set(re.findall(r"[\w-]+", printed["rds-snap-backup report"]))
        assert "MAINTENANCE" in printed["rds-snap-backup backup crm"]
        assert printed["rds-snap-backup backup finance --wait"].count(" completed ") == 3
        (url,) = re.findall(r"Commvault's jobs: (\S+)", text)
        with urllib.request.urlopen(url, timeout=10) as answer:
            page = answer.read().decode()
        assert "shop-archive (stopped)" in page
        assert page.count("<td>billing<td>Completed") == 2, "the job whose answer was lost is the only second one"
        started = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0, lines
    assert "Everything that was started has ended." in lines[-1]
    wait_until(lambda: not started.items() & descendants(0).items(), "its processes have ended")


def tried(line: str, environment: dict[str, str]) -> str:
    """Run a line as a shell does, and return what it prints."""
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == ENDS.get(line, 0), f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout
