"""What a linter is not to report has a reason beside it."""

import io
import re
import tokenize
from collections.abc import Iterator

import pytest
import yaml

from local.tools import ROOT
from tests.unit.documents import read
from tests.unit.template import TEMPLATE

SOURCES = sorted(path for folder in ("src", "local", "tests") for path in (ROOT / folder).rglob("*.py"))
MARK = re.compile(r"#\s*(noqa|nosec)\b:?((?:[\s,]*[A-Z]+[0-9]+)*)")


def unexplained(source: str) -> Iterator[str]:
    """Yield each comment that suppresses a security rule, or every rule, and says no more."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and (marks := MARK.findall(token.string)):
            security = any(mark == "nosec" or not codes or re.search(r"\bS[0-9]", codes) for mark, codes in marks)
            codeless = any(not codes for _, codes in marks)
            if codeless or (security and not re.search(r"[a-z]{2}", MARK.sub("", token.string))):
                yield token.string


@pytest.mark.parametrize(
    ("comment", "explained"),
    [
        ("# noqa: S311 - a jitter", True),
        ("# noqa: S311  # nosec B311 # a jitter", True),
        ("# noqa: E501", True),
        ("# noqa: S311", False),
        ("# nosec B311", False),
        ("# noqa: S311  # nosec B311", False),
        ("# noqa", False),
        ("# nosec", False),
        ("# nosec - all of them", False),
    ],
)
def test_an_unexplained_one_is_found(comment: str, explained: bool) -> None:
    assert list(unexplained(f"x = 1  {comment}\n")) == ([] if explained else [comment])


def test_in_sources() -> None:
    found = [(path.name, comment) for path in SOURCES for comment in unexplained(path.read_text())]
    assert found == []


def test_in_the_template() -> None:
    skips = [
        skip
        for resource in TEMPLATE["Resources"].values()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert len(skips) > 5
    assert all(len(skip["comment"].split()) > 4 for skip in skips)


def test_in_bandits_settings() -> None:
    settings = read("local/.bandit")
    skipped = re.search(r"^skips = (.+)$", settings, re.MULTILINE)
    assert skipped
    explained = re.findall(r"^# (B[0-9, B]+): \w+", settings, re.MULTILINE)
    assert sorted(skipped[1].split(",")) == sorted(", ".join(explained).split(", "))


def test_in_workflows() -> None:
    for path in [ROOT / ".pre-commit-config.yaml", *(ROOT / ".github").rglob("*.yml")]:
        assert yaml.safe_load(path.read_text())
        for found in re.findall(r"zizmor: ignore\[[^]]*\](.*)", path.read_text()):
            assert re.search(r"\w{2}", found), path
