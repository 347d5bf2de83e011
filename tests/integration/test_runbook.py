"""The commands of docs/operations.md that stop one backup, as they stand there."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from local.tools import command as tool
from tests.integration.timeline import MINUTE, Timeline
from tests.integration.world import associations
from tests.unit.documents import section

KILL, LEAVE_OUT = re.findall(
    r"^ *```sh\n(.*?)^ *```$", section("docs/operations.md", "Stop one backup"), re.MULTILINE | re.DOTALL
)


def test_two_commands_stop_a_running_and_a_waiting_backup(timelines: Callable[..., Timeline], tmp_path: Path) -> None:
    timeline = timelines()
    commserve = timeline.commserve
    (tmp_path / "ca.pem").write_text(commserve.ca_pem)

    def paste(command: str, **words: str) -> str:
        for word, meant in words.items():
            assert word in command
            command = command.replace(word, meant)
        own = {"CURL_CA_BUNDLE": str(tmp_path / "ca.pem"), "AWS_PAGER": ""}
        path = os.pathsep.join([str(Path(*tool("aws")).parent), os.environ["PATH"]])
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "UV"))}
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=tmp_path,
            env=environment | timeline.aws.environment | own | {"PATH": path},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def ends(group: str) -> list[str]:
        messages = timeline.notifications()
        return [message["status"] for message in messages if message["associations"][0]["subclientName"] == group]

    timeline.target("running", associations=associations("users-db"))
    timeline.deliver(timeline.schedule("first", "running"))
    timeline.run(MINUTE)
    (job,) = commserve.jobs
    answer = json.loads(paste(KILL, TOKEN=commserve.token, API_URL=commserve.url, **{"2291": job}))
    assert answer["errors"][0]["errList"][0]["errorCode"] == 0
    timeline.run()
    assert ends("users-db") == ["submitted", "killed"]

    timeline.target("orders", associations=associations("orders-db", "billing-db"))
    commserve.fault("maintenance", times=None)
    timeline.deliver(timeline.schedule("second", "orders"))
    (tmp_path / "orders.json").write_text(json.dumps({"associations": associations("billing-db")}))
    paste(LEAVE_OUT, **{"/rds-snap-backup/STACK/targets/": timeline.config.targets_path})
    timeline.backup = timeline.function()  # whose cache of targets is over
    commserve.clear_faults()
    timeline.run()
    assert (ends("orders-db"), ends("billing-db")) == (["rejected"], ["submitted", "completed"])
    (letter,) = timeline.dead_letters()
    assert letter["error"]["code"] == "ASSOCIATION_REMOVED"
    assert [job.group for job in commserve.jobs.values()] == ["users-db", "billing-db"]
