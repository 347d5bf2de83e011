"""docs/check-commvault.md: its nine requests, as they are pasted, against a Commvault that answers well or otherwise."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.commserve import CommServe
from tests.unit.documents import read

BLOCKS = re.findall(r"^```sh\n(.*?)^```$", read("docs/check-commvault.md"), re.MULTILINE | re.DOTALL)
NOW = 1769824800
USER = "backup-operator"
JOB = ["nightly", "Completed", USER, NOW]
ORDERS = ["orders-db", "orders-db-us-east-1-20260131t020000z", NOW, "us-east-1a"]
AGAIN = ["orders-db", "orders-db-us-east-1-20260131t020001z", NOW + 1, "us-east-1a"]
STARTED = {"taskId": 402, "jobIds": ["1354", "1355"]}
BUSY = {"errorMessage": "Another backup is already running for the subclient.", "errorCode": 2}
# What each step should answer, rows of a list as they come.
PROPER: dict[int, list[Any]] = {
    1: [[5, "aws-prod"], [6, "aws-test"]],
    2: [[21, "RDS", 4]],
    4: [["Instance", "us-east-1", f"{name}-db", False] for name in ("orders", "billing", "users", "reports")],
    5: [STARTED],
    6: [BUSY, {"http": 409}],
    7: [JOB],
    8: [["query", 1, 2], ["headers", 1, 2]],
    9: [AGAIN, ORDERS],
}


@pytest.fixture
def server() -> Iterator[CommServe]:
    with CommServe(clock=lambda: NOW) as running:
        running.frozen = True
        running.busy = "refuse"
        running.put_database("aws-prod", "orders-db")
        running.put_database("aws-prod", "billing-db", status="stopped")
        yield running


def paste(server: CommServe, folder: Path) -> dict[int, list[Any]]:
    """Paste all steps into one shell, let the jobs end after the sixth, and return what each has answered."""
    (folder / "ca.pem").write_text(server.ca_pem)
    (folder / "date").write_text(f"#!/bin/sh\necho {NOW}\n")
    (folder / "date").chmod(0o755)
    token = server.issue_pair()["accessToken"]
    end = f"""curl -sS -o /dev/null -d '{{"seconds": 60}}' {server.root_url}/_control/advance\n"""
    prepare, *steps = BLOCKS
    script = prepare.replace("https://HOST/commandcenter/api", server.url)
    for number, step in enumerate(steps, 1):
        script += f"echo ----\n{step}{end if number == 6 else ''}"
    own = {"CURL_CA_BUNDLE": f"{folder}/ca.pem", "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder)}
    line = ["bash", "-c", script]
    done = subprocess.run(line, input=f"{token}\n", env=own, capture_output=True, text=True, check=False)
    _, *answers = done.stdout.split("----\n")
    assert (done.stderr, token in done.stdout) == ("", False)
    return {number: list(map(json.loads, answer.splitlines())) for number, answer in enumerate(answers, 1)}


def test_each_step_answers_as_the_page_says(server: CommServe, tmp_path: Path) -> None:
    answers = paste(server, tmp_path)
    groups, names = answers.pop(3), [subclient.name for subclient in server.catalogue.subclients(5)]
    assert [row[:2] for row in groups] == [[101 + at, name] for at, name in enumerate(names)]
    assert all(content[0]["type"] == "Instance" for _, _, content in groups)
    assert answers == PROPER
    assert list(map(len, (BLOCKS, server.create_tasks))) == [10, 2]
