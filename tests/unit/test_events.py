"""The stack's RDS rule over the samples in `events/`: what it lets through, and what it must never let through."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.tools import ROOT
from tests.unit.template import PSEUDO, TEMPLATE, Resolved

EVENTS = sorted((ROOT / "events").glob("*.json"))
PATTERN = Resolved().of_type("AWS::Serverless::Function")["SubmitFunction"]["Events"]["RdsEvents"]["Properties"][
    "Pattern"
]
# The two lists as AWS documents them, spelt out: the template's default must be this one.
DEFAULT_IDS = ["0005", "0043", "0019", "0014", "0025", "0049", "0047", "0268", "0170", "0071", "0173", "0176"]
NEVER_IDS = ["0001", "0002", "0040", "0042", "0090", "0091", "0074", "0075", "0168", "0169"]


def matches(pattern: dict[str, Any], event: Any) -> bool:
    """EventBridge's matching, as far as the rule uses it: nested objects, and lists of allowed values."""
    if not isinstance(event, dict):
        return False
    return all(
        matches(wanted, event.get(name)) if isinstance(wanted, dict) else event.get(name) in wanted
        for name, wanted in pattern.items()
    )


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_the_rule_lets_through_the_rds_samples_and_no_others(path: Path) -> None:
    assert matches(PATTERN, read(path)) is path.name.startswith("rds-")


def test_the_rule_lists_the_default_set() -> None:
    assert PATTERN["detail"]["EventID"] == [f"RDS-EVENT-{number}" for number in DEFAULT_IDS]


@pytest.mark.parametrize(
    ("prefix", "ids"), [("rds-", DEFAULT_IDS), ("never-", NEVER_IDS)], ids=["default set", "self-triggers"]
)
def test_there_is_a_sample_of_every_id(prefix: str, ids: list[str]) -> None:
    samples = [read(path) for path in EVENTS if path.name.startswith(prefix)]
    assert {sample["detail"]["EventID"] for sample in samples} == {f"RDS-EVENT-{number}" for number in ids}


def test_the_rule_never_matches_a_self_trigger_by_type_even_if_its_id_were_allowed() -> None:
    snapshots = [read(path) for path in EVENTS if path.name.startswith(("never-snapshot", "never-cluster-snapshot"))]
    allowed = PATTERN | {"detail": {"EventID": [f"RDS-EVENT-{number}" for number in NEVER_IDS]}}
    assert snapshots
    assert not [sample for sample in snapshots if matches(allowed, sample)]


def test_of_a_central_bus_only_the_accounts_that_are_named_count() -> None:
    stack = Resolved({"AccountIds": "444455556666,777788889999"})
    function = stack.of_type("AWS::Serverless::Function")["SubmitFunction"]
    pattern = function["Events"]["RdsEvents"]["Properties"]["Pattern"]
    variables = stack.resolve(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])
    assert pattern["account"] == [PSEUDO["AWS::AccountId"], "444455556666", "777788889999"]
    assert variables["ACCOUNT_IDS"] == ",".join(pattern["account"])
    sample = read(ROOT / "events" / "rds-instance-created.json")
    assert matches(pattern, {**sample, "account": "777788889999"})
    assert not matches(pattern, {**sample, "account": "000011112222"})
    assert not matches(PATTERN, {**sample, "account": "777788889999"})
