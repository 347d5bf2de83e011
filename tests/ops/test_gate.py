"""The gate that docs/operations.md has for pipelines, in bash with the AWS CLI alone: it ends like `make backup WAIT=1`."""

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ops import backup
from ops.command import Exit
from tests.ops.submissions import DEFERRED, MISSING, first, submission
from tests.ops.wire import AwsWire
from tests.unit.documents import read

AWS_CLI = """#!/usr/bin/env bash
set -eu
printf '%s\\n' "$@" >> "$ANSWERS/arguments"
next=$(ls "$ANSWERS" | grep json | head -1)
cp "$ANSWERS/$next" "${@: -1}"
if [ "$(ls "$ANSWERS" | grep -c json)" -gt 1 ]; then rm "$ANSWERS/$next"; fi
"""
FAILS = {"code": "NO_JOBS", "message": 'It says "status": "completed", "jobs": [{', "hint": "Look."}
SEQUENCES: list[tuple[Exit, list[dict[str, Any]]]] = [
    (Exit.OK, [DEFERRED, first(), submission("submitted", "running"), submission("submitted", "completed")]),
    (Exit.OK, [first("joined"), submission("joined", "completed", "completed")]),
    (Exit.OK, [{"status": "queued", "target": "orders"}, submission("submitted", "completed")]),
    *((Exit.FINDINGS, [first(), submission("submitted", "completed", end)]) for end in ("failed", "killed", "lost")),
    (Exit.FINDINGS, [submission("submitted", "failed", "running"), submission("submitted", "failed", "completed")]),
    (Exit.FINDINGS, [first(), submission("submitted", "completed_with_errors")]),
    (Exit.FINDINGS, [first(), submission("submitted", "completed", error=MISSING)]),
    (Exit.FINDINGS, [submission("submitted", "unknown", error=MISSING)]),
    (Exit.FINDINGS, [DEFERRED, submission("rejected", error=FAILS)]),
    (Exit.FINDINGS, [DEFERRED, submission("abandoned", "completed", error=FAILS)]),
    (Exit.COULD_NOT_RUN, [first(), submission("submitted", "unknown")]),
    (Exit.COULD_NOT_RUN, [submission("scheduled")]),
]
ANSWERS: list[tuple[Exit, list[Any]]] = [
    *((status, [{"submissions": [one]} for one in several]) for status, several in SEQUENCES),
    (Exit.FINDINGS, [{"submissions": [], "ignored": "The target is disabled."}]),
    (Exit.FINDINGS, [{"submissions": [], "refused": {"code": "X", "message": "No such target.", "hint": "Add it."}}]),
    (Exit.COULD_NOT_RUN, [{"errorMessage": "Task timed out"}]),
    (Exit.COULD_NOT_RUN, [{"ok": True, "checks": []}]),
]


def gate(tmp_path: Path, answers: Sequence[Any], *, indent: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the document's script with an AWS CLI that returns these answers, the last one again and again."""
    sample = r"```bash\n(#!/usr/bin/env bash\n# backup-gate.*?)```"
    script = re.search(sample, read("docs/operations.md"), re.DOTALL)
    assert script
    (tmp_path / "gate.sh").write_text(script[1])
    (tmp_path / "aws").write_text(AWS_CLI)
    (tmp_path / "aws").chmod(0o700)
    (tmp_path / "answers").mkdir()
    for number, answer in enumerate(answers):
        (tmp_path / "answers" / f"{number}.json").write_text(json.dumps(answer, indent=indent))
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "ANSWERS": str(tmp_path / "answers"),
        "POLL_SECONDS": "0",
        "TMPDIR": str(tmp_path),
    }
    line = ["bash", str(tmp_path / "gate.sh"), "prod-submit", "orders", "migration-42"]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(("status", "sequence"), ANSWERS)
def test_the_documents_gate_ends_like_the_command(
    wire: AwsWire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: Exit, sequence: list[Any]
) -> None:
    monkeypatch.setattr(backup, "POLL_SECONDS", 0)
    wire.stack(SubmitFunctionName="prod-submit")
    wire.answer("Invoke", *sequence)
    assert backup.main(["prod", "--target", "orders", "--wait"]) == status
    done = gate(tmp_path, sequence)
    assert done.returncode == status, done.stderr
    assert bool(done.stderr) is (status != Exit.OK)
    assert not list(tmp_path.glob("tmp*"))


def test_the_documents_gate_reads_any_layout(tmp_path: Path) -> None:
    assert gate(tmp_path, [{"submissions": [submission("submitted", "completed")]}], indent=2).returncode == 0


def test_the_documents_gate_repeats_one_request(tmp_path: Path) -> None:
    assert gate(tmp_path, ANSWERS[0][1]).returncode == 0
    arguments = (tmp_path / "answers" / "arguments").read_text().splitlines()
    payloads = [arguments[number + 1] for number, one in enumerate(arguments) if one == "--payload"]
    assert [json.loads(one) for one in payloads] == [{"target": "orders", "requestId": "migration-42"}] * 4


def test_the_documents_gate_fails_where_the_cli_does(tmp_path: Path) -> None:
    done = gate(tmp_path, [])
    assert done.returncode == Exit.COULD_NOT_RUN
