"""The makefiles run where users are: macOS has make 3.81, bash 3.2 and BSD's tools; Lambda's build image GNU's."""

import re

import pytest

from tests.unit.documents import read

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


@pytest.mark.parametrize(("makefile", "more"), [("Makefile", []), ("src/Makefile", NOT_POSIX)])
def test_a_makefile_asks_for_nothing_that_macos_lacks(makefile: str, more: list[str]) -> None:
    text = re.sub(r"^#.*", "", read(makefile), flags=re.MULTILINE)
    forbidden = [*NEW_MAKE, *NEW_BASH, *GNU_TOOLS, *more]
    assert [pattern for pattern in forbidden if re.search(pattern, text, re.MULTILINE)] == []
