"""The saved queries and the dashboard's name fields that the code logs."""

import ast
import json
import re
from dataclasses import fields

import pytest

from local.tools import ROOT
from rds_snap_backup.problems import Problem
from tests.unit.template import Resolved

PLAIN = Resolved()
# Powertools adds these to each line: https://docs.aws.amazon.com/powertools/python/latest/core/logger/
BY_POWERTOOLS = {"level", "message", "timestamp", "service", "function_request_id"}
NAME = re.compile(r"@?[A-Za-z_][\w.]*")


def logged_fields() -> set[str]:
    """Return the fields that the code's calls of the logger give it by name."""
    calls = [
        node
        for path in (ROOT / "src" / "rds_snap_backup").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]
    return {
        keyword.arg
        for call in calls
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "logger"
        for keyword in call.keywords
        if keyword.arg
    }


KNOWN = (
    logged_fields() | BY_POWERTOOLS | {"@timestamp", "@message"} | {f"error.{field.name}" for field in fields(Problem)}
)


def queries() -> dict[str, str]:
    """Return each query by its name, without comments."""
    saved = {query["Name"]: query["QueryString"] for query in PLAIN.of_type("AWS::Logs::QueryDefinition").values()}
    widgets = json.loads(PLAIN.resources["Dashboard"]["Properties"]["DashboardBody"])["widgets"]
    shown = {
        widget["properties"]["title"]: widget["properties"]["query"] for widget in widgets if widget["type"] == "log"
    }
    return {name: re.sub(r"(?m)^#.*\n", "", query) for name, query in (saved | shown).items()}


def named_in(query: str) -> set[str]:
    """Return the fields that a query names."""
    found: set[str] = set()
    for command in re.split(r"\n\| | \| ", query):
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
    return found


@pytest.mark.parametrize(("name", "query"), queries().items(), ids=list(queries()))
def test_a_query_names_fields_that_the_code_logs(name: str, query: str) -> None:
    assert len(named_in(query)) > 4
    assert named_in(query) - KNOWN == set()
