"""The layout keeps its promises: only `credentials` sees a token, and only handlers need an environment."""

import ast
import subprocess
import sys

from local.tools import ROOT

SRC = ROOT / "src"
MODULES = sorted(path.relative_to(SRC).with_suffix("") for path in (SRC / "rds_snap_backup").rglob("*.py"))
# A function's parameter of such a name would hand a secret around.
SECRETS = {"token", "access_token", "refresh_token", "pair"}


def test_importing_anything_but_a_handler_needs_no_environment() -> None:
    names = [".".join(module.parts) for module in MODULES if module.name not in {"handler", "__init__"}]
    assert len(names) > 40
    script = "\n".join(f"import {name}" for name in names)
    # No variable at all: neither the stack's settings, nor a region, nor a home with a profile.
    subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": str(SRC)}, check=True, cwd="/")


def test_no_module_but_credentials_is_handed_a_token() -> None:
    for module in MODULES:
        tree = ast.parse((SRC / f"{module}.py").read_text())
        parameters = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        assert module.parts[1] == "credentials" or not parameters & SECRETS, module
