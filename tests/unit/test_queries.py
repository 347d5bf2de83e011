"""The saved queries and the dashboard's name fields that the code logs."""

import ast
import json
import re
from dataclasses import fields

import pytest

from local.tools import ROOT
from rds_snap_backup.problems import Problem
from tests.unit.template import Resolved

# Powertools adds these to each line: https://docs.aws.amazon.com/powertools/python/latest/core/logger/
BY_POWERTOOLS = {"level", "message", "timestamp", "service", "function_request_id", "@timestamp", "@message"}
NAME = re.compile(r"@?[A-Za-z_][\w.]*")


def logged_fields() -> set[str]:
    """Return the fields that the code's calls of the logger give it by name."""
    modules = [ast.parse(path.read_text()) for path in (ROOT / "src" / "rds_snap_backup").rglob("*.py")]
    calls = [node for module in modules for node in ast.walk(module) if isinstance(node, ast.Call)]
    to_the_logger = [call for call in calls if ast.unparse(call.func).startswith("logger.")]
    return {keyword.arg for call in to_the_logger for keyword in call.keywords if keyword.arg}


KNOWN = logged_fields() | BY_POWERTOOLS | {f"error.{field.name}" for field in fields(Problem)}


def queries() -> dict[str, str]:
    """Return each query by its name, without comments."""
    plain = Resolved()
    saved = {query["Name"]: query["QueryString"] for query in plain.of_type("AWS::Logs::QueryDefinition").values()}
    widgets = json.loads(plain.resources["Dashboard"]["Properties"]["DashboardBody"])["widgets"]
    shown = {each["properties"]["title"]: each["properties"]["query"] for each in widgets if each["type"] == "log"}
    return {name: re.sub(r"(?m)^#.*\n", "", query) for name, query in (saved | shown).items()}


def named_in(query: str) -> set[str]:
    """Return the fields that a query names."""
    commands = [command.partition(" ") for command in re.split(r"\n\| | \| ", query)]
    assert {name for name, _, _ in commands} <= {"fields", "filter", "sort", "SOURCE", "limit"}
    parts = [re.sub(r'"[^"]*"|/[^/]*/', "", rest) for name, _, rest in commands if name not in {"SOURCE", "limit"}]
    return {*NAME.findall(" ".join(parts))} - {"in", "or", "and", "like", "ispresent", "desc", "asc"}


@pytest.mark.parametrize(("name", "query"), queries().items(), ids=list(queries()))
def test_a_query_names_fields_that_the_code_logs(name: str, query: str) -> None:
    assert len(named_in(query)) > 4
    assert named_in(query) - KNOWN == set()
