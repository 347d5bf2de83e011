"""The README is part of the product: what a user can set, gets or sees is in it."""

import json
import re
from pathlib import Path

import pytest

from tests.unit.template import TEMPLATE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SOURCES = "\n".join(path.read_text() for path in sorted((ROOT / "src" / "rds_snap_backup").rglob("*.py")))
CODE = re.compile(r'(?:Problem|InvalidInput|_unusable|problem)\(\s*"([A-Z][A-Z_]+)"')


def error_codes() -> set[str]:
    return set(CODE.findall(SOURCES)) | set(re.findall(r'"(JOB_[A-Z_]+)"', SOURCES))


@pytest.mark.parametrize("code", sorted(error_codes()))
def test_every_error_code_is_explained(code: str) -> None:
    assert f"`{code}`" in README


def test_many_error_codes_are_found_in_the_sources() -> None:
    assert len(error_codes()) > 20


@pytest.mark.parametrize("parameter", sorted(TEMPLATE["Parameters"]))
def test_every_parameter_is_explained_with_its_default(parameter: str) -> None:
    (row,) = [line for line in README.splitlines() if line.startswith("|") and f"`{parameter}`" in line.split("|")[1]]
    default = TEMPLATE["Parameters"][parameter].get("Default")
    if default and parameter != "RdsEventIds":
        assert f"`{default}`" in row


@pytest.mark.parametrize("command", re.findall(r"^(?:  )?(?: *)make (\w+)", README, re.MULTILINE))
def test_every_make_command_exists(command: str) -> None:
    assert re.search(rf"^(\w+ )*{command}( \w+)*:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("sample", re.findall(r"```json\n(.*?)```", README, re.DOTALL))
def test_every_json_sample_is_json(sample: str) -> None:

    assert json.loads(sample)
