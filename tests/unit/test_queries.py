"""The saved queries, and those of the dashboard, name fields that the code logs, in the log groups of functions that log them."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from local.tools import ROOT
from rds_snap_backup.problems import Problem
from tests.unit.template import Resolved

PLAIN = Resolved()
SOURCES = sorted((ROOT / "src" / "rds_snap_backup").rglob("*.py"))
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
# What Powertools adds to each line: https://docs.aws.amazon.com/powertools/python/latest/core/logger/
BY_POWERTOOLS = {"level", "location", "message", "timestamp", "service", "function_name", "function_request_id"}
# What CloudWatch Logs knows of each line.
BY_LOGS = {"@timestamp", "@message", "@log", "@logStream"}
NAME = re.compile(r"@?[A-Za-z_][\w.]*")


def logged_by(path: Path) -> Iterator[str]:
    """Yield the fields that a module's calls of the logger give it, those by `**` of a dictionary of named fields included."""
    tree = ast.parse(path.read_text())
    dictionaries = {
        target.id: [str(name.value) for name in names if isinstance(name, ast.Constant)]
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.DictComp)
        for target, names in [(node.targets[0], getattr(node.value.generators[0].iter, "elts", []))]
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("logger"), attr=method), keywords=keywords) if method in {
                *LEVELS,
                "append_keys",
            }:
                pass
            case ast.Call(func=ast.Name("log"), keywords=keywords):  # whichever level
                pass
            case _:
                continue
        for keyword in keywords:
            match keyword:
                case ast.keyword(arg=None, value=ast.Name(name)):
                    yield from dictionaries[name]
                case ast.keyword(arg=str(name)):
                    yield name


LOGGED = {name for path in SOURCES for name in logged_by(path)} - {"exc_info"}
KNOWN = LOGGED | BY_POWERTOOLS | BY_LOGS | {f"error.{field.name}" for field in fields(Problem)}


def queries() -> dict[str, str]:
    """Return each query by its name, without comments."""
    saved = {one["Name"]: one["QueryString"] for one in PLAIN.of_type("AWS::Logs::QueryDefinition").values()}
    dashboard = json.loads(PLAIN.resources["Dashboard"]["Properties"]["DashboardBody"])
    shown = {
        one["properties"]["title"]: one["properties"]["query"] for one in dashboard["widgets"] if one["type"] == "log"
    }
    return {name: re.sub(r"(?m)^#.*\n", "", query) for name, query in (saved | shown).items()}


QUERIES = queries()


def named_in(query: str) -> set[str]:
    """Return the fields that a query names, without positions in lists."""
    found: set[str] = set()
    for command in (part.strip() for part in query.split(" | " if "\n" not in query else "\n| ")):
        match command.split(None, 1):
            case ["fields", names]:
                found |= set(NAME.findall(names))
            case ["filter", condition]:
                condition = re.sub(r'"[^"]*"|/[^/]*/', "", condition)
                found |= set(NAME.findall(condition)) - {"in", "or", "and", "like", "ispresent"}
            case ["sort", order]:
                found |= set(NAME.findall(order)) - {"desc", "asc"}
            case ["SOURCE" | "limit", _]:
                pass
            case _:
                raise NotImplementedError(command)
    return {re.sub(r"\.\d+", "", name) for name in found}


def test_the_questions_that_are_asked_most_are_saved() -> None:
    names = {one["Name"].partition("/")[2] for one in PLAIN.of_type("AWS::Logs::QueryDefinition").values()}
    assert names == {"One trigger's story", "One target's history", "What ended badly"}


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_query_names_fields_that_the_code_logs(name: str) -> None:
    named = named_in(QUERIES[name])
    assert len(named) > 4
    assert named - KNOWN == set()


def test_the_fields_are_found_in_code_and_query() -> None:
    assert {"target", "trigger", "error", "job_ids", "jobIds", "durationSeconds"} <= LOGGED
    assert named_in('fields @timestamp, a.0, b.c | filter d in ["x"] or ispresent(e) | sort f desc | limit 5') == {
        *("@timestamp", "a", "b.c", "d", "e", "f")
    }
    assert "no_such_field" not in KNOWN


@pytest.mark.parametrize("follow_hours", [24, 0])
def test_a_query_searches_the_logs_of_the_functions_that_there_are(follow_hours: int) -> None:
    resolved = Resolved({"FollowHours": follow_hours})
    for query in resolved.of_type("AWS::Logs::QueryDefinition").values():
        assert set(query["LogGroupNames"]) <= resolved.resources.keys()
        assert ("FollowLogs" in query["LogGroupNames"]) is bool(follow_hours)
