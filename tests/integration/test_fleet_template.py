"""The template of a hostile fleet, by cfn-lint."""

import subprocess
from pathlib import Path

import pytest

from local.tools import ROOT, command
from tests.cli.calls import calling
from tests.cli.test_fleet_build import HOSTILE, NIGHTLY, document, write_fleet


def test_cfn_lint_finds_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    targets = {
        "many": document(*HOSTILE, databases=["ü" * 20] * 100, schedule=NIGHTLY),
        "a-b": document("a", databases=HOSTILE),
        "a.b": document("b", schedule=NIGHTLY),
    }
    out = tmp_path / "fleet.json"
    assert calling(capsys)("build", str(write_fleet(tmp_path / "fleet", targets)), "--out", str(out)).status == 0
    done = subprocess.run(command("cfn-lint", str(out)), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
