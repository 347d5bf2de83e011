"""The code keeps its promises: only `credentials` sees a token, only handlers need an environment, no phase is forgotten."""

import ast
import subprocess
import sys
from typing import get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.core.outcomes import Outcome
from rds_snap_backup.core.phases import Phase

PACKAGE = ROOT / "src" / "rds_snap_backup"
MODULES = sorted(path.relative_to(PACKAGE.parent).with_suffix("") for path in PACKAGE.rglob("*.py"))
# A function's parameter of such a name would hand a secret around.
SECRETS = {"token", "access_token", "refresh_token", "pair"}

# `Unauthorized` also stands for an answer that a token never got.
KINDS = {kind.__name__ for union in (Phase, Outcome) for kind in get_args(union.__value__)} - {"Unauthorized"}


def test_importing_anything_but_a_handler_needs_no_environment() -> None:
    names = [".".join(module.parts) for module in MODULES if module.name not in {"handler", "__init__"}]
    assert len(names) > 40
    script = "\n".join(f"import {name}" for name in names)
    # No variable at all: neither the stack's settings, nor a region, nor a home with a profile.
    subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(PACKAGE.parent)}, check=True, cwd="/")


@pytest.mark.parametrize("module", [module for module in MODULES if module.parts[1] != "credentials"], ids=str)
def test_no_module_but_credentials_is_handed_a_token(module: object) -> None:
    tree = ast.parse((PACKAGE.parent / f"{module}.py").read_text())
    parameters = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    assert not parameters & SECRETS


def test_mypy_names_each_match_that_lacks_a_phase_or_an_outcome() -> None:
    """A wildcard would hide what is new, so each such match ends in `assert_never`."""
    matches = [
        (f"src/{module}.py:{node.lineno}", node)
        for module in MODULES
        for node in ast.walk(ast.parse((PACKAGE.parent / f"{module}.py").read_text()))
        if isinstance(node, ast.Match)
    ]
    for place, node in matches:
        parts = [part for case in node.cases for part in ast.walk(case.pattern)]
        if KINDS & {ast.unparse(part.cls) for part in parts if isinstance(part, ast.MatchClass)}:
            assert "assert_never" in ast.unparse(node.cases[-1]), f"{place} must end in assert_never"
