"""The gate that docs/operations.md has for pipelines, in bash with only the AWS CLI."""

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup_cli.errors import Exit
from tests.cli.submissions import DEFERRED, ERROR, FAILED, QUEUED, RUNNING, SUCCEEDED, submission
from tests.cli.submissions import backup as one_of
from tests.unit.documents import read

AWS_CLI = """#!/usr/bin/env bash
set -eu
printf '%s\\n' "$@" >> "$ANSWERS/arguments"
next=$(ls "$ANSWERS" | grep json | head -1)
cp "$ANSWERS/$next" "${@: -1}"
if [ "$(ls "$ANSWERS" | grep -c json)" -gt 1 ]; then rm "$ANSWERS/$next"; fi
"""
LIES = {"code": "X", "message": 'It says "status": "succeeded", "submissions": [', "hint": "Look."}
ANSWERS: list[tuple[Exit, list[Any]]] = [
    (Exit.OK, [{"submissions": [row]} for row in (QUEUED, DEFERRED, RUNNING, SUCCEEDED)]),
    (Exit.OK, [{"submissions": [SUCCEEDED, RUNNING]}, {"submissions": [SUCCEEDED, SUCCEEDED]}]),
    (Exit.FINDINGS, [{"submissions": [RUNNING, FAILED]}, {"submissions": [SUCCEEDED, FAILED]}]),
    (Exit.FINDINGS, [{"submissions": [submission("failed", one_of("rejected", None, LIES))]}]),
    (Exit.FINDINGS, [{"submissions": [], "ignored": "The target is disabled."}]),
    (Exit.FINDINGS, [{"submissions": [], "refused": ERROR}]),
    (Exit.COULD_NOT_RUN, [{"errorMessage": "Task timed out"}]),
    (Exit.COULD_NOT_RUN, [{"ok": True, "checks": []}]),
    (Exit.COULD_NOT_RUN, []),  # the AWS CLI fails
]


def gate(
    tmp_path: Path, answers: Sequence[Any], target: str = "orders", request_id: str = "migration-42"
) -> subprocess.CompletedProcess[str]:
    """Run the document's script with an AWS CLI that returns these answers, the last one again and again."""
    sample = r"```bash\n(#!/usr/bin/env bash\n# backup-gate.*?)```"
    (script,) = re.findall(sample, read("docs/operations.md"), re.DOTALL)
    (tmp_path / "gate.sh").write_text(script)
    (tmp_path / "aws").write_text(AWS_CLI)
    (tmp_path / "aws").chmod(0o700)
    (tmp_path / "answers").mkdir()
    for number, answer in enumerate(answers):
        (tmp_path / "answers" / f"{number}.json").write_text(json.dumps(answer, indent=number % 2 or None))
    path, folder = f"{tmp_path}:{os.environ['PATH']}", str(tmp_path)
    environment = {"PATH": path, "ANSWERS": f"{folder}/answers", "POLL_SECONDS": "0", "TMPDIR": folder}
    line = ["bash", f"{folder}/gate.sh", "prod-backup", target, request_id]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(("status", "answers"), ANSWERS)
def test_the_documents_gate_ends_as_it_says(tmp_path: Path, status: Exit, answers: list[Any]) -> None:
    done = gate(tmp_path, answers)
    assert (done.returncode, bool(done.stderr)) == (status, status != Exit.OK), done.stderr
    assert not list(tmp_path.glob("tmp*"))


def test_the_documents_gate_repeats_one_request(tmp_path: Path) -> None:
    assert gate(tmp_path, ANSWERS[0][1], "*").returncode == 0
    arguments = (tmp_path / "answers" / "arguments").read_text().splitlines()
    payloads = [arguments[number + 1] for number, argument in enumerate(arguments) if argument == "--payload"]
    assert list(map(json.loads, payloads)) == [{"target": "*", "requestId": "migration-42"}] * 4


@pytest.mark.parametrize("value", ['a", "requestId": "b', "run 1", "$(id)", "a\nb", "ü", "**"])
@pytest.mark.parametrize("is_target", [True, False])
def test_the_documents_gate_refuses_what_is_no_name(tmp_path: Path, value: str, is_target: bool) -> None:
    target, request_id = (value, "r") if is_target else ("orders", value)
    assert gate(tmp_path, ANSWERS[0][1], target, request_id).returncode == Exit.COULD_NOT_RUN
    assert not (tmp_path / "answers" / "arguments").exists()
