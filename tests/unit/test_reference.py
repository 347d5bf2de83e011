"""The tables of docs/reference.md agree with the template and the code."""

import re
from collections.abc import Collection
from typing import Any, get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.audit.verdicts import VerdictName
from rds_snap_backup.commvault import answers, outcomes
from rds_snap_backup.core.outcomes import Outcome
from rds_snap_backup.core.phases import End
from rds_snap_backup.messaging.notifications import PROBLEMS
from rds_snap_backup.observability import NAMESPACE, MetricName
from rds_snap_backup.triggers import SELF_TRIGGERS, Kind
from tests.unit.documents import first_column, section, spans, tables
from tests.unit.template import TEMPLATE, Resolved

REFERENCE = "docs/reference.md"
PARAMETERS = TEMPLATE["Parameters"]
ALARMS = Resolved().of_type("AWS::CloudWatch::Alarm")
ROWS = [row for table in tables(REFERENCE, "Parameters") for row in table]
SOURCES = "\n".join(path.read_text() for path in (ROOT / "src" / "rds_snap_backup").rglob("*.py"))
CODE = re.compile(r'(?:Problem|InvalidInput|Malformed|_unusable|problem|_problem)\(\s*"([A-Z][A-Z_]+)"')


FINDINGS = first_column(REFERENCE, "The audit", 3)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_parameter_has_its_default_and_range(row: list[str]) -> None:
    for name in spans(row[0]):
        parameter: dict[str, Any] = PARAMETERS[name]
        default = parameter.get("Default")
        if name != "RdsEventIds":
            assert row[1].startswith("required" if default is None else "empty" if default == "" else f"`{default}`")
        if "MaxValue" in parameter:
            assert f"({parameter['MinValue']:,} to {parameter['MaxValue']:,})" in row[1]


TABLES: list[tuple[str, str, int, Collection[str]]] = [
    (REFERENCE, "Triggers", 0, get_args(Kind.__value__)),
    (REFERENCE, "RDS events", 0, PARAMETERS["RdsEventIds"]["Default"].split(",")),
    (REFERENCE, "RDS events", 1, SELF_TRIGGERS),
    (REFERENCE, "Notifications", 0, {*get_args(End.__value__), "submitted", "retrying", "audit"}),
    (REFERENCE, "The audit", 1, get_args(VerdictName.__value__)),
    (REFERENCE, "Metrics", 0, get_args(MetricName.__value__)),
    (REFERENCE, "Alarms", 0, ALARMS),
    ("docs/operations.md", "The report", 0, get_args(VerdictName.__value__)),
    ("docs/operations.md", "Findings", 0, FINDINGS),
    ("docs/architecture.md", "Outcomes of an attempt", 0, [it.__name__ for it in get_args(Outcome.__value__)]),
]


@pytest.mark.parametrize(("page", "heading", "table", "names"), TABLES)
def test_a_table_has_the_names_of_the_code(page: str, heading: str, table: int, names: Collection[str]) -> None:
    assert sorted(first_column(page, heading, table)) == sorted(names)


def test_texts_have_the_names_of_the_code() -> None:
    assert sorted(name for row in ROWS for name in spans(row[0])) == sorted(PARAMETERS)
    named = set(spans(section(REFERENCE, "Notifications").partition("`problem` are ")[2].partition("and an")[0]))
    assert named == PROBLEMS
    assert [code for code in FINDINGS if f'"{code}"' not in SOURCES] == []
    assert f"`{NAMESPACE}`" in section(REFERENCE, "Metrics")
    all_clear = {spans(row[0])[0] for row in tables(REFERENCE, "Alarms")[0] if row[2] == "yes"}
    assert all_clear == {name for name, alarm in ALARMS.items() if "OKActions" in alarm}


def test_every_error_code_is_explained() -> None:
    explained = {code for code in first_column(REFERENCE, "Errors") if not code.startswith("HTTP_")}
    assert {*CODE.findall(SOURCES), *outcomes.PERMANENT, *answers.LOGIN_REFUSED, "2"} <= explained
    assert [code for code in explained if not code.isdigit() and f'"{code}"' not in SOURCES] == []
