"""The makefiles run where users are: macOS has make 3.81, bash 3.2 and BSD's tools; Lambda's build image GNU's."""

import re

import pytest

from tests.unit.documents import read
from tests.unit.template import TEMPLATE

# What GNU make has had since 3.82 or later.
NEW_MAKE = [r"^\.ONESHELL", r"\.RECIPEPREFIX", r"\.SHELLFLAGS", r"!=\s*\$\(", r"::=", r"&:", r"\$\((?:file|guile|let|intcmp)\b",
    r"^(?:undefine|private|load)\b", r"^define \w+ *:?="]  # fmt: skip
# What bash has had since 4.0, and what /bin/sh need not have.
NEW_BASH = [
    r"\$\$\{\w+(?:,,|\^\^)",
    r"\b(?:mapfile|readarray|coproc)\b",
    r"declare -A",
    r"&>>",
    r"\|&",
    r";;&",
    r"\*\*/",
]
NOT_POSIX = [r"\[\[", r"<<<", r"\becho -[en]", r"<\(", r"\bsource\b", r"\bfunction \w", r"\blocal \w+="]
# What GNU's tools have and BSD's have not, or have with another meaning.
GNU_TOOLS = [r"\bsed -i", r"(?:^\t@?|; |&& )(?:cp|rm|mkdir|touch) (?:\S+ )*--\w", r"\bcp -\w*[adltT]", r"\btouch -\w*d", r"\breadlink -f",
    r"-printf\b", r"\bxargs (?:\S+ )*-(?:r|d)\b", r"\bgrep -\w*P", r"\bdate -d", r"\bstat -c", r"\bsort -V", r"\bnproc\b",
    r"\bsha256sum\b", r"\binstall -D", r"(?<!-)\btimeout\b", r"\btac\b"]  # fmt: skip
ANYWHERE = [*NEW_MAKE, *NEW_BASH, *GNU_TOOLS]


@pytest.mark.parametrize(("makefile", "forbidden"), [("Makefile", ANYWHERE), ("src/Makefile", [*ANYWHERE, *NOT_POSIX])])
def test_a_makefile_asks_for_nothing_that_macos_lacks(makefile: str, forbidden: list[str]) -> None:
    text = re.sub(r"^#.*", "", read(makefile), flags=re.MULTILINE)
    assert [pattern for pattern in forbidden if re.search(pattern, text, re.MULTILINE)] == []


def test_every_function_is_built_by_the_makefile() -> None:
    """By one rule, so that a new function needs no other."""
    assert re.search(r"^build-%Function:", read("src/Makefile"), re.MULTILINE)
    functions = {
        name: part for name, part in TEMPLATE["Resources"].items() if part["Type"] == "AWS::Serverless::Function"
    }
    assert len(functions) > 1
    assert [name for name in functions if not name.endswith("Function")] == []
    assert {part["Metadata"]["BuildMethod"] for part in functions.values()} == {"makefile"}
