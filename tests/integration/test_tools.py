"""A tool's environment is made of its lock: by hash or not at all, once, and whole."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.locks import SHIPPED
from local.tools import ROOT, ToolError, environment

WRONG = "sha256:" + "0" * 64


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock with one small package: a part of what ships."""
    part = re.search(r"^six==(?:.*\\\n)+.*\n", SHIPPED.read_text(), re.MULTILINE)
    assert part
    path = tmp_path / "tool.txt"
    path.write_text(part[0])
    return path


def test_it_holds_what_the_lock_has(lock: Path, tmp_path: Path) -> None:
    made = environment(lock, tmp_path)
    found = subprocess.run(
        [made / "bin" / "python", "-c", "import six; print(six.__file__)"], capture_output=True, check=True
    )
    assert found.stdout.decode().startswith(str(made))


@pytest.mark.parametrize("hashes", [f" --hash={WRONG}", ""], ids=["a wrong hash", "no hash"])
def test_it_is_not_made_of_what_has(hashes: str, lock: Path, tmp_path: Path) -> None:
    lock.write_text(lock.read_text().split()[0] + hashes + "\n")
    with pytest.raises(ToolError, match=r"[Hh]ash"):
        environment(lock, tmp_path)
    assert list((tmp_path / "tool").iterdir()) == []


def test_uv_itself_is_not_installed_with_a_wrong_hash(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    pins = re.sub(r"sha256:[0-9a-f]{64}", WRONG, (ROOT / "tools" / "uv.txt").read_text())
    (tmp_path / "tools" / "uv.txt").write_text(pins)
    done = subprocess.run(["make", "-C", tmp_path, ".tools/bin/uv"], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / ".tools" / "bin" / "uv").exists()


def test_a_changed_lock_is_made_again_and_what_was_made_before_goes(lock: Path, tmp_path: Path) -> None:
    before = environment(lock, tmp_path)
    assert environment(lock, tmp_path) == before
    lock.write_text(f"# changed\n{lock.read_text()}")
    after = environment(lock, tmp_path)
    assert list((tmp_path / "tool").iterdir()) == [after]
    assert after != before


def test_one_whose_interpreter_is_gone_is_made_again(lock: Path, tmp_path: Path) -> None:
    made = environment(lock, tmp_path)
    (made / "bin" / "python").unlink()
    (made / "bin" / "python").symlink_to(tmp_path / "removed")
    assert environment(lock, tmp_path) == made
    subprocess.run([made / "bin" / "python", "-c", "import six"], check=True)


def test_any_number_of_processes_may_need_it_at_once(lock: Path, tmp_path: Path) -> None:
    script = "import sys, pathlib, local.tools as t; print(t.environment(*map(pathlib.Path, sys.argv[1:])))"
    needing = [
        subprocess.Popen([sys.executable, "-c", script, lock, tmp_path], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(6)
    ]
    answers = {process.communicate(timeout=60)[0] for process in needing}
    assert {process.returncode for process in needing} == {0}
    assert answers == {f"{environment(lock, tmp_path)}\n"}
