"""The build where users are: CloudShell, a machine with only uv, Lambda's build image. The same bytes, or a named fix."""

from datetime import datetime
from pathlib import Path

import pytest

from local import stack
from local.tools import uv
from tests.integration.machines import (
    build,
    contents,
    interpreter,
    machine,
    modes_and_times,
    old_interpreter,
    with_uv_alone,
)

FIX = ("sudo dnf install -y python3.13 python3.13-pip", "brew install python@3.13", "python3 -m pip install --user uv")


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("machines")


@pytest.fixture(scope="session")
def modern(places: Path) -> Path:
    return interpreter(places / "modern")


@pytest.fixture(scope="session")
def old(places: Path) -> Path:
    """CloudShell's `python3`."""
    return old_interpreter(places / "old") or pytest.skip("no Python below 3.12 is here, and none can be fetched")


@pytest.fixture(scope="session")
def by_sam() -> dict[str, str]:
    """What `sam build` makes of the same sources."""
    return contents(stack.build() / "BackupFunction")


def check(folder: Path, by_sam: dict[str, str]) -> None:
    """Compare all that a zip of the package would hold: names, bytes, modes, and times, which zips keep as local."""
    assert contents(folder / "package") == by_sam
    kept = modes_and_times(folder / "package")
    begin = datetime(2000, 1, 1).timestamp()  # noqa: DTZ001 - as `touch` and zips have it, in any zone
    assert {(mode & 0o777, time) for mode, time in kept.values() if time} == {(0o644, begin)}
    assert {mode & 0o777 for mode, time in kept.values() if not time} == {0o755}


def test_cloudshell_with_python_313_and_its_pip(
    tmp_path: Path, old: Path, modern: Path, by_sam: dict[str, str]
) -> None:
    commands = machine(tmp_path / "bin", python3=old, python3_13=modern)
    done = build(tmp_path, commands)
    assert done.returncode == 0, done.stderr
    assert "python3.13 -m pip install" in done.stdout
    check(tmp_path, by_sam)


def test_uv_alone(tmp_path: Path, by_sam: dict[str, str]) -> None:
    done = build(tmp_path, machine(tmp_path / "bin", uv=Path(uv())), **with_uv_alone(tmp_path / "fetched"))
    assert done.returncode == 0, done.stderr
    check(tmp_path, by_sam)


def test_without_a_python_313_it_fails_and_names_the_fix(tmp_path: Path, old: Path) -> None:
    """On both streams: sam shows what a build writes to stderr only when it fails, and to stdout always."""
    done = build(tmp_path, machine(tmp_path / "bin", python3=old))
    assert done.returncode
    for words in ("needs Python 3.13", *FIX, "ALLOW_NO_BYTECODE=1"):
        assert words in done.stdout
        assert words in done.stderr
    assert contents(tmp_path / "package") == {}


def test_who_asks_for_it_goes_without_bytecode(tmp_path: Path, old: Path, by_sam: dict[str, str]) -> None:
    done = build(tmp_path, machine(tmp_path / "bin", python3=old), ALLOW_NO_BYTECODE="1")
    assert "every cold start takes 2.5 times as long" in done.stdout, done.stderr
    sources = {name: content for name, content in by_sam.items() if not name.endswith(".pyc")}
    assert contents(tmp_path / "package") == sources
