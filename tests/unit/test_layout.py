"""Modules: only `credentials` sees a token, only handlers need an environment, and other packages log nothing."""

import ast
import subprocess
import sys

import pytest

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


WARN = """
import logging, warnings
logging.basicConfig(level=logging.DEBUG)
from rds_snap_backup import observability
from urllib3 import exceptions
for kind in vars(exceptions).values():
    if isinstance(kind, type) and issubclass(kind, exceptions.HTTPWarning):
        warnings.warn("of " + kind.__name__, kind)
for name in ("urllib3.connection", "boto3", "botocore", "botocore.parsers", "botocore.endpoint"):
    logging.getLogger(name).debug("Response body: fake-token")
logging.getLogger("urllib3.connection").warning("of a header")
print("done")
"""


@pytest.mark.parametrize("filters", ["", "always"])
def test_nothing_that_the_sdk_and_urllib3_say_is_logged(filters: str) -> None:
    environment = {"PYTHONPATH": "src", "PYTHONWARNINGS": filters, "POWERTOOLS_SERVICE_NAME": "test"}
    run = subprocess.run(
        [sys.executable, "-c", WARN], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert (run.stdout, run.stderr) == ("done\n", "")
