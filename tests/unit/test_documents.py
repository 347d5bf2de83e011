"""The documents hold together: links, samples, commands, pictures, and the tree that they describe."""

import ast
import importlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.commvault import outcomes
from tests.unit.documents import DOCUMENTS, FENCE, HEADING, anchors, first_column, read, section, spans

LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
PACKAGE = ROOT / "src" / "rds_snap_backup"


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(FENCE.sub("", document.read_text())):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_documents_are_found() -> None:
    names = {relative(path) for path in DOCUMENTS}
    assert {"README.md", "docs/architecture.md", "docs/decisions/README.md", ".github/SECURITY.md"} <= names


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_json_sample_is_json(document: Path) -> None:
    for sample in re.findall(r"^( *)```json\n(.*?)```", document.read_text(), re.MULTILINE | re.DOTALL):
        assert json.loads(sample[1])


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_make_command_exists(document: Path) -> None:
    makefile = read("Makefile")
    for command in re.findall(r"(?:^ *|`)make ([a-z][a-z-]*)", document.read_text(), re.MULTILINE):
        assert re.search(rf"^([\w-]+ )*{command}( [\w-]+)*:", makefile, re.MULTILINE), command


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=relative)
def test_a_picture_fetches_nothing(picture: Path) -> None:
    assert not re.findall(r"@font-face|@import|\b(?:href|src)=|url\([\"']?(?!#)[^)]*", picture.read_text())


# ---- The architecture


def test_the_module_map_has_every_module() -> None:
    modules = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    mapped = re.findall(r"`([\w/]+\.py)`", section("docs/architecture.md", "Module map"))
    assert sorted(set(mapped)) == sorted(modules | {"src/trim.py"})


def test_the_outcomes_are_those_of_the_code() -> None:
    named = {one.__name__ for one in get_args(outcomes.Outcome.__value__)}
    assert set(first_column("docs/architecture.md", "Outcomes of an attempt")) == named


def test_the_diagram_of_states_is_the_ledgers() -> None:
    transitions: Mapping[str, frozenset[str]] = importlib.import_module("rds_snap_backup.ledger.states").TRANSITIONS
    drawn = re.findall(r"^ *(\S+) --> ([^\s:]+)", section("docs/architecture.md", "The ledger"), re.MULTILINE)
    assert {("" if before == "[*]" else before, after) for before, after in drawn if after != "[*]"} == {
        (before, after) for before, followers in transitions.items() for after in followers
    }
    assert {before for before, after in drawn if after == "[*]"} == {
        status for status, followers in transitions.items() if not followers
    }


def test_the_index_of_decisions_has_every_record() -> None:
    records = {path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}
    assert set(LINK.findall(read("docs/decisions/README.md"))) == records


@pytest.mark.parametrize("record", sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")), ids=relative)
def test_a_decision_has_context_decision_and_consequences(record: Path) -> None:
    headings = [found[2] for found in HEADING.finditer(record.read_text())]
    assert headings[0].startswith(f"{record.name[:4]}. ")
    assert headings[1:] == ["Context", "Decision", "Consequences"]


# ---- Contributing


def test_the_layout_exists() -> None:
    listed = first_column("CONTRIBUTING.md", "Layout")
    assert [path for path in listed if not (ROOT / path).exists()] == []
    assert {f"tests/{path.parent.name}/" for path in (ROOT / "tests").glob("*/*.py")} <= set(listed)


WALKS = [line for line in section("CONTRIBUTING.md", "Four walks").splitlines() if re.match(r"\d+\. ", line)]


def names_in(path: Path) -> Iterator[str]:
    """Yield what a file defines: names of Python, keys of the template, headings."""
    text = path.read_text()
    match path.suffix:
        case ".py":
            for node in ast.walk(ast.parse(text)):
                match node:
                    case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                        yield name
                    case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                        yield name
                    case ast.TypeAlias(name=ast.Name(id=name)):
                        yield name
        case ".yaml":
            yield from re.findall(r"^ +(\w+):", text, re.MULTILINE)
        case ".md":
            yield from (found[2] for found in HEADING.finditer(text))


@pytest.mark.parametrize("step", WALKS)
def test_a_walk_leads_to_what_is_there(step: str) -> None:
    where, _, _ = step.partition(" — ")
    name, *symbols = spans(where)
    assert (ROOT / name).is_file()
    assert set(symbols) <= set(names_in(ROOT / name))


def test_there_are_four_walks() -> None:
    assert len(re.findall(r"^### ", section("CONTRIBUTING.md", "Four walks"), re.MULTILINE)) == 4
    assert len(WALKS) > 15


# ---- Releases


def test_the_changelog_has_the_version_of_the_project() -> None:
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", read("CHANGELOG.md"), re.MULTILINE)
    assert "\n## [Unreleased]\n" in read("CHANGELOG.md")


def test_the_project_and_its_licence_agree() -> None:
    assert tomllib.loads(read("pyproject.toml"))["project"]["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in read("LICENSE")


def test_continuous_integration_runs_what_contributors_run() -> None:
    assert "- run: .ci/run\n" in read(".github/workflows/ci.yml")
    assert "make test" in read(".ci/run")


def test_commits_are_checked_by_the_tools_of_make_lint() -> None:
    makefile = read("Makefile")
    lint = makefile[makefile.index("\nlint:") :].split("\n\n")[0]
    tools = re.findall(r"(?:\$\(RUN\)|\$\(TOOL\)) (.+)", lint)
    assert len(tools) > 9
    for tool in tools:
        assert tool in read(".pre-commit-config.yaml"), tool
