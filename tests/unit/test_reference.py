"""What a user can set, receives or sees is in docs/reference.md and the runbook: nothing is missing, nothing left over."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from local.tools import ROOT
from rds_snap_backup.audit import access, coverage, documents, freshness, listeners, stuck, token
from rds_snap_backup.audit.findings import Finding
from rds_snap_backup.audit.summary import summary
from rds_snap_backup.commvault import answers, outcomes
from rds_snap_backup.follow import batches
from rds_snap_backup.observability import NAMESPACE, MetricName
from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.submit import runs
from rds_snap_backup.targets import parse_target
from rds_snap_backup.triggers import SELF_TRIGGERS, Kind
from tests.unit.documents import FENCE, first_column, read, rows, section, spans, tables
from tests.unit.template import TEMPLATE

REFERENCE, RUNBOOK = "docs/reference.md", "docs/operations.md"
PACKAGE = ROOT / "src" / "rds_snap_backup"
SOURCES = "\n".join(path.read_text() for path in sorted(PACKAGE.rglob("*.py")))
CODE = re.compile(r'(?:Problem|InvalidInput|Malformed|_unusable|problem)\(\s*"([A-Z][A-Z_]+)"')
PARAMETERS, RESOURCES = TEMPLATE["Parameters"], TEMPLATE["Resources"]


def of_type(*kinds: str) -> dict[str, Any]:
    return {name: one["Properties"] for name, one in RESOURCES.items() if one["Type"] in kinds}


def statements(part: Any) -> Iterator[dict[str, Any]]:
    """Yield the policy statements in a resource, those under a condition included."""
    match part:
        case {"Sid": _, "Effect": _}:
            yield part
        case dict():
            for value in part.values():
                yield from statements(value)
        case list():
            for value in part:
                yield from statements(value)


def texts(part: Any) -> set[str]:
    """Return what an action or a resource can be, as the tables name it: a text, a resource or a parameter, a path."""
    match part:
        case {"Ref": "AWS::NoValue"}:
            return set()
        case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
            return {name}
        case {"Fn::Sub": text}:
            name = re.sub(r"^arn:.*?\$\{AWS::AccountId\}:(?:parameter)?", "", str(text)).replace(
                "${AWS::StackName}", "STACK"
            )
            return {re.sub(r"\$\{(\w+)(?:\.Arn)?\}", r"\1", name)}
        case {"Fn::If": [_, *either]} | list(either):
            return {one for each in either for one in texts(each)}
        case _:
            return {part}


def facts(statement: dict[str, Any]) -> tuple[str, list[str], list[str], list[str]]:
    """Return a statement's effect, actions, resources and condition keys."""
    keys = {key for wanted in statement.get("Condition", {}).values() for key in wanted}
    return (
        statement["Effect"],
        sorted(texts(statement["Action"])),
        sorted(texts(statement["Resource"])),
        sorted(keys),
    )


def written(actions: str, resources: str, condition: str) -> tuple[str, list[str], list[str], list[str]]:
    """Return the same of a table's row."""
    effect = "Deny" if actions.startswith("denies ") else "Allow"
    return effect, sorted(spans(actions)), sorted(spans(resources)), sorted(spans(condition))


def error_codes() -> set[str]:
    return set(CODE.findall(SOURCES)) | set(re.findall(r'"(JOB_[A-Z_]+)"', SOURCES))


# ---- Parameters, outputs, environment


def test_the_parameters_are_those_of_the_template() -> None:
    assert sorted(first_column(REFERENCE, "Parameters")) == sorted(PARAMETERS)


@pytest.mark.parametrize("parameter", sorted(PARAMETERS))
def test_every_parameter_is_explained_with_its_default(parameter: str) -> None:
    (row,) = [row for row in rows(REFERENCE, "Parameters") if parameter in spans(row[0])]
    default = PARAMETERS[parameter].get("Default")
    if default is None:
        assert row[1] == "required"
    elif default == "":
        assert row[1] == "empty"
    elif parameter != "RdsEventIds":
        assert str(default) in spans(row[1])


@pytest.mark.parametrize("parameter", [name for name, one in PARAMETERS.items() if "MaxValue" in one])
def test_a_range_that_is_given_is_the_templates(parameter: str) -> None:
    (row,) = [row for row in rows(REFERENCE, "Parameters") if parameter in spans(row[0])]
    if given := re.search(r"\(([\d,]+) to ([\d,]+)\)", row[1]):
        limits = [int(number.replace(",", "")) for number in given.groups()]
        assert limits == [PARAMETERS[parameter]["MinValue"], PARAMETERS[parameter]["MaxValue"]]


def test_the_outputs_are_those_of_the_template() -> None:
    assert sorted(first_column(REFERENCE, "Outputs")) == sorted(TEMPLATE["Outputs"])


def test_the_environment_variables_are_those_of_the_template() -> None:
    functions = [TEMPLATE["Globals"]["Function"], *of_type("AWS::Serverless::Function").values()]
    given = {name for one in functions for name in one.get("Environment", {}).get("Variables", {})}
    assert sorted(first_column(REFERENCE, "Environment variables")) == sorted(given)


# ---- What arrives


def test_the_kinds_of_triggers_are_those_of_the_code() -> None:
    assert sorted(first_column(REFERENCE, "Triggers")) == sorted(get_args(Kind.__value__))


def test_the_rds_events_are_those_of_the_template_and_the_code() -> None:
    start, never = ([span for row in table for span in spans(row[0])] for table in tables(REFERENCE, "RDS events"))
    assert sorted(start) == sorted(PARAMETERS["RdsEventIds"]["Default"].split(","))
    assert sorted(never) == sorted(SELF_TRIGGERS)


def test_the_fields_of_a_target_are_those_that_the_code_knows() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_target("any", "/any", '{"associations": [], "no-such-field": 1}')
    _, _, known = refused.value.problem.message.partition("known fields are ")
    assert sorted(first_column(REFERENCE, "Targets")) == sorted(known.rstrip(".").split(", "))


# ---- What is published


def dictionary_keys(module: str, *functions: str) -> set[str]:
    """Return the keys of the dictionaries that functions build: literal, assigned, or of a comprehension."""
    found: set[str] = set()
    wanted = [
        node
        for node in ast.walk(ast.parse((PACKAGE / module).read_text()))
        if isinstance(node, ast.FunctionDef) and node.name in functions
    ]
    assert len(wanted) == len(functions)
    for node in (inner for function in wanted for inner in ast.walk(function)):
        match node:
            case ast.Dict(keys=keys):
                found |= {str(key.value) for key in keys if isinstance(key, ast.Constant)}
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=key))]):
                found.add(str(key))
            case ast.DictComp(generators=[ast.comprehension(iter=ast.Tuple(elts=names))]):
                found |= {str(name.value) for name in names if isinstance(name, ast.Constant)}
    return found


def test_the_fields_of_a_message_are_those_that_the_code_builds() -> None:
    built = dictionary_keys("messaging/notifications.py", "build", "build_end", "_message") - {"default", "email"}
    assert sorted(first_column(REFERENCE, "Fields")) == sorted(built)


def test_the_statuses_are_those_that_the_code_counts() -> None:
    assert sorted(first_column(REFERENCE, "Statuses")) == sorted({*runs.METRICS, *batches.METRICS, "audit"})


def test_every_finding_is_explained_and_has_an_entry_in_the_runbook() -> None:
    codes = {access.REFUSED, token.EXPIRING, documents.INVALID, documents.UNKNOWN, listeners.NOBODY, freshness.STALE}
    codes |= {stuck.STUCK, coverage.UNCOVERED}
    assert set(first_column(REFERENCE, "Findings")) == codes
    assert set(first_column(RUNBOOK, "Findings")) == codes


def test_the_audits_message_is_as_the_code_builds_it() -> None:
    (sample,) = re.findall(r"```json\n(.*?)```", section(REFERENCE, "The audit"), re.DOTALL)
    finding = Finding("coverage", "DATABASE_UNCOVERED", None, "crm", "…", "…")
    built = summary([finding], [], [], {}, {})
    shown = json.loads(sample)
    assert shown.keys() == built.keys() - {"databases", "targets"}
    assert shown["counts"].keys() == built["counts"].keys()
    assert shown["findings"] == built["findings"]


def test_the_message_attributes_are_those_that_the_code_sets() -> None:
    set_by_the_code = dictionary_keys("messaging/notifications.py", "publish") - {
        *("default", "email"),  # the message's two forms
        *("DataType", "StringValue"),  # an attribute's own parts
    }
    assert sorted(first_column(REFERENCE, "Message attributes")) == sorted(set_by_the_code)


# ---- What goes wrong


def test_every_error_code_is_explained() -> None:
    numbers = {*outcomes.PERMANENT, *answers.LOGIN_REFUSED, "2"}
    explained = set(first_column(REFERENCE, "Errors"))
    assert error_codes() | numbers == {code for code in explained if not code.startswith("HTTP_")}
    assert all(re.fullmatch(r"HTTP_[1-5](\d\d|\dx|xx)", code) for code in explained if code.startswith("HTTP_"))


def test_many_error_codes_are_found_in_the_sources() -> None:
    assert len(error_codes()) > 20


def test_the_metrics_are_those_of_the_code() -> None:
    assert sorted(first_column(REFERENCE, "Metrics")) == sorted(get_args(MetricName.__value__))
    assert f"`{NAMESPACE}`" in section(REFERENCE, "Metrics")


def test_the_runbook_has_every_alarm_of_the_template() -> None:
    assert sorted(first_column(RUNBOOK, "Alarms")) == sorted(of_type("AWS::CloudWatch::Alarm"))


# ---- What it may do


def test_the_permissions_of_the_roles_are_those_of_the_template() -> None:
    granted = [
        (name, statement["Sid"], *facts(statement))
        for name, properties in of_type("AWS::IAM::Role", "AWS::IAM::ManagedPolicy").items()
        for statement in statements(properties)
    ]
    listed = [(spans(row[0])[0], spans(row[1])[0], *written(*row[2:5])) for row in rows(REFERENCE, "Roles")]
    assert sorted(listed) == sorted(granted)


def test_the_resource_policies_are_those_of_the_template() -> None:
    granted = [
        (name, statement["Sid"], principal if isinstance(principal, str) else principal["Service"], *facts(statement))
        for name, properties in of_type("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy").items()
        for statement in statements(properties)
        for principal in [statement["Principal"]]
    ]
    listed = [
        (spans(row[0])[0], spans(row[1])[0], spans(row[2])[0], *written(*row[3:6]))
        for row in rows(REFERENCE, "Resource policies")
    ]
    assert sorted(listed) == sorted(granted)


@pytest.mark.parametrize("heading", ["Roles", "Resource policies"])
def test_every_permission_has_a_reason(heading: str) -> None:
    assert all(len(row[-1]) > 10 for row in rows(REFERENCE, heading))


def test_removal_names_what_the_template_keeps() -> None:
    kept = {one["Type"] for one in RESOURCES.values() if "Retain" in one.get("DeletionPolicy", "")}
    assert kept == {"AWS::DynamoDB::Table", "AWS::Logs::LogGroup"}
    assert "the ledger table" in section(RUNBOOK, "Removal")
    assert "the log groups" in section(RUNBOOK, "Removal")


def test_the_readme_names_what_has_no_default() -> None:
    deploy = FENCE.sub("", section("README.md", "Deploy in five steps"))
    assert {name for name, one in PARAMETERS.items() if "Default" not in one} <= set(spans(deploy))
    assert read("README.md").count("\n") <= 170
