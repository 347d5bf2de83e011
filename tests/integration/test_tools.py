"""A tool's environment is made of its lock: by hash or not at all, once, and whole."""

import re
from pathlib import Path

import pytest

from local.locks import SHIPPED
from local.tools import ToolError, environment

WRONG = "sha256:" + "0" * 64


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock with one small package: a part of what ships."""
    part = re.search(r"^six==(?:.*\\\n)+.*\n", SHIPPED.read_text(), re.MULTILINE)
    assert part
    path = tmp_path / "tool.txt"
    path.write_text(part[0])
    return path


@pytest.mark.parametrize("hashes", [f" --hash={WRONG}", ""], ids=["a wrong hash", "no hash"])
def test_it_is_not_made_of_what_has(hashes: str, lock: Path, tmp_path: Path) -> None:
    lock.write_text(lock.read_text().split()[0] + hashes + "\n")
    with pytest.raises(ToolError, match=r"[Hh]ash"):
        environment(lock, tmp_path)
    assert list((tmp_path / "tool").iterdir()) == []


def test_a_changed_lock_is_made_again_and_what_was_made_before_goes(lock: Path, tmp_path: Path) -> None:
    before = environment(lock, tmp_path)
    assert environment(lock, tmp_path) == before
    lock.write_text(f"# changed\n{lock.read_text()}")
    after = environment(lock, tmp_path)
    assert list((tmp_path / "tool").iterdir()) == [after]
    assert after != before
