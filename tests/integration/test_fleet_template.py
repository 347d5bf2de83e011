"""The template of the example's fleet, and of a hostile one, by cfn-lint."""

import subprocess
import sys
from pathlib import Path

import pytest

from local.tools import ROOT
from tests.cli.calls import calling
from tests.cli.test_fleet_build import HOSTILE, NIGHTLY, document, write_fleet


@pytest.mark.parametrize("kind", ["example", "hostile"])
def test_cfn_lint_finds_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str) -> None:
    fleet, out = ROOT / "examples" / "fleet", tmp_path / "fleet.json"
    if kind == "hostile":
        targets = {
            "many": document(*HOSTILE, databases=["ü" * 20] * 100, schedule=NIGHTLY),
            "a-b": document("a", databases=HOSTILE),
            "a.b": document("b", schedule=NIGHTLY),
        }
        fleet = write_fleet(tmp_path / "fleet", targets)
    assert calling(capsys)("build", str(fleet), "--out", str(out)).status == 0
    line = [sys.executable, "-m", "local.tools", "cfn-lint", str(out)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
