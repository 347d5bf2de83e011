"""The layout keeps its promises: who sees a token, who needs an environment, who logs, and where the makefiles run."""

import ast
import re
import subprocess
import sys
from typing import get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.core.outcomes import Outcome
from rds_snap_backup.core.phases import Phase
from tests.unit.documents import read

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


def test_mypy_names_each_match_that_lacks_a_phase_or_an_outcome() -> None:
    """A wildcard would hide what is new, so each such match ends in `assert_never`."""
    # `Unauthorized` also stands for an answer that a token never got.
    kinds = {kind.__name__ for union in (Phase, Outcome) for kind in get_args(union.__value__)} - {"Unauthorized"}
    for path in sorted(SRC.rglob("*.py")):
        for node in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Match)):
            parts = [part for case in node.cases for part in ast.walk(case.pattern)]
            if kinds & {ast.unparse(part.cls) for part in parts if isinstance(part, ast.MatchClass)}:
                assert "assert_never" in ast.unparse(node.cases[-1]), f"{path}:{node.lineno} must end in assert_never"


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


# ---- macOS has make 3.81, bash 3.2 and BSD's tools; Lambda's build image GNU's

# What GNU make has had since 3.82 or later.
NEW_MAKE = [r"^\.ONESHELL", r"\.RECIPEPREFIX", r"\.SHELLFLAGS", r"!=\s*\$\(", r"::=", r"&:", r"\$\((?:file|guile|let|intcmp)\b",
    r"^(?:undefine|private|load)\b", r"^define \w+ *:?="]  # fmt: skip
# What bash has had since 4.0, and what /bin/sh need not have.
NEW_BASH = [r"\$\$\{\w+(?:,,|\^\^)", r"\b(?:mapfile|readarray|coproc)\b", r"declare -A", r"&>>|\|&|;;&|\*\*/"]
NOT_POSIX = [r"\[\[|<<<|<\(", r"\becho -[en]|\bsource\b|\bfunction \w|\blocal \w+="]
# What GNU's tools have and BSD's have not, or have with another meaning.
GNU_TOOLS = [r"\b(?:sed -i|readlink -f|date -d|stat -c|sort -V|install -D|nproc\b|sha256sum\b|tac\b)|-printf\b",
    r"(?:^\t@?|; |&& )(?:cp|rm|mkdir|touch) (?:\S+ )*--\w", r"\b(?:cp -\w*[adltT]|touch -\w*d|grep -\w*P)",
    r"\bxargs (?:\S+ )*-(?:r|d)\b|(?<!-)\btimeout\b"]  # fmt: skip


@pytest.mark.parametrize(("makefile", "more"), [("Makefile", []), ("src/Makefile", NOT_POSIX)])
def test_a_makefile_asks_for_nothing_that_macos_lacks(makefile: str, more: list[str]) -> None:
    text = re.sub(r"^#.*", "", read(makefile), flags=re.MULTILINE)
    forbidden = [*NEW_MAKE, *NEW_BASH, *GNU_TOOLS, *more]
    assert [pattern for pattern in forbidden if re.search(pattern, text, re.MULTILINE)] == []
