"""What an event would do, told from the Backup function's answer and the verdict of the stack's rules."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from local.tools import ROOT
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import PLACE, RESULT, AwsWire

ARN = "arn:aws:rds:eu-central-1:111122223333:db:orders-db"
EVENT = {"source": "aws.rds", "account": "111122223333", "detail-type": "RDS DB Instance Event", "detail": {}}
NAMES = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "nightly"}
LETS, BLOCKS = "The rule prod-rule lets the event through.", "The rule prod-rule does not let the event through"
RULES = {"RdsEvents": "prod-rule", "MembersEvents": "prod-members|of-members"}
RULE = RESULT.format(
    "DescribeStackResource",
    "<StackResourceDetail><PhysicalResourceId>{}</PhysicalResourceId></StackResourceDetail>",
)
REFUSED = {"code": "A", "message": "It is odd.", "hint": "Send it."}


def answer(woulds: str) -> dict[str, Any]:
    """Return the function's answer for targets, one for each word."""
    rows = [(would, {**NAMES, "would": would, "why": f"It {would}s."}) for would in woulds.split()]
    submissions = [{"target": f"to-{would}", "selectedBy": "tag", "associations": [row]} for would, row in rows]
    return {"explain": {"kind": "rds", "identity": "a", "submissions": submissions}}


@pytest.fixture
def stack(wire: AwsWire) -> AwsWire:
    wire.stack(BackupFunctionName="prod-backup")
    wire.answers["DescribeStackResource"] = lambda asked: (200, RULE.format(RULES[asked["LogicalResourceId"]]))
    wire.answer("DescribeRule", {"EventPattern": "{}", "State": "ENABLED"})
    wire.answer("TestEventPattern", {"Result": True})
    wire.answer("Invoke", answer("submit"))
    return wire


@pytest.fixture
def event_file(tmp_path: Path) -> str:
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    return str(tmp_path / "event.json")


@pytest.mark.parametrize(
    ("woulds", "said"),
    [
        ("submit", "a backup would start."),
        ("join", "a backup would join a job."),
        ("nothing wait", "a backup would wait."),
        ("wait submit", "a backup would start."),
        ("nothing reject", "no backup would start."),
    ],
)
def test_a_row_says_what_each_backup_would_do(
    cli: Cli, stack: AwsWire, event_file: str, woulds: str, said: str
) -> None:
    stack.answer("Invoke", answer(woulds))
    done = cli("explain", "prod", event_file)
    assert (done.status, done.err) == (Exit.FINDINGS if said.startswith("no") else Exit.OK, "")
    group = "aws-prod / RDS / nightly"
    assert done.rows == [[f"to-{would}", "tag", group, would, f"It {would}s."] for would in woulds.split()]
    assert done.out.endswith(f"{PLACE}: {said} {LETS}\n")
    assert stack.asked("Invoke")[0]["explain"] == EVENT


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"ignored": "No target."}, "No target."),
        ({"refused": REFUSED}, "The event would be refused: It is odd. Send it."),
    ],
)
def test_an_event_that_starts_nothing_as_a_whole(
    cli: Cli, stack: AwsWire, event_file: str, given: Any, reason: str
) -> None:
    stack.answer("Invoke", {"submissions": [], **given})
    done = cli("explain", "prod", event_file)
    assert (done.status, done.out) == (Exit.FINDINGS, f"{PLACE}: no backup would start. {reason} {LETS}\n")
    shown = cli("explain", "prod", event_file, "--format", "json").json
    assert shown == {"submissions": [], **given, "rules": [{"name": "prod-rule", "matches": True}]}


@pytest.mark.parametrize(("is_match", "state"), [(False, "ENABLED"), (True, "DISABLED")])
def test_a_rule_that_lets_no_such_event_through_means_that_nothing_starts(
    cli: Cli, stack: AwsWire, event_file: str, is_match: bool, state: str
) -> None:
    stack.answer("DescribeRule", {"EventPattern": "{}", "State": state})
    stack.answer("TestEventPattern", {"Result": is_match})
    done = cli("explain", "prod", event_file)
    assert (done.status, f"no backup would start. {BLOCKS}" in done.out) == (Exit.FINDINGS, True)


def test_a_stack_without_rules_lets_nothing_through(cli: Cli, stack: AwsWire, event_file: str) -> None:
    stack.refuse("DescribeStackResource", 400, "ValidationError", "Resource RdsEvents does not exist for prod")
    done = cli("explain", "prod", event_file)
    assert (done.status, "its parameter RdsEventIds is off." in done.out) == (Exit.FINDINGS, True)
    stack.refuse("DescribeStackResource", 400, "ValidationError", "Rate exceeded")
    assert "Rate exceeded" in cli("explain", "prod", event_file).line


@pytest.mark.parametrize("place", [{"account": "444455556666"}, {"region": "eu-west-1"}], ids=str)
def test_an_event_of_another_account_or_region_may_come_by_the_members_bus(
    cli: Cli, stack: AwsWire, event_file: str, place: dict[str, str]
) -> None:
    stack.answer("TestEventPattern", {"Result": False}, {"Result": True})
    Path(event_file).write_text(json.dumps(EVENT | place))
    done = cli("explain", "prod", event_file)
    assert (done.status, "The rule of-members lets the event through" in done.out) == (Exit.OK, True)
    assert [call.get("EventBusName") for call in stack.asked("DescribeRule")] == [None, "prod-members"]


def test_a_rule_is_asked_for_rds_events_only(cli: Cli, stack: AwsWire, event_file: str) -> None:
    Path(event_file).write_text('{"target": "orders"}')
    done = cli("explain", "prod", event_file)
    assert (done.status, done.out.splitlines()[-1]) == (Exit.OK, f"{PLACE}: a backup would start.")
    assert stack.operations == ["DescribeStacks", "Invoke"]


def test_an_event_is_read_from_standard_input(cli: Cli, stack: AwsWire, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = (ROOT / "events" / "rds-instance-created.json").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sample)))
    assert cli("explain", "prod", "-").status == Exit.OK
    tested = stack.asked("TestEventPattern")[0]
    assert json.loads(tested["Event"]) == stack.asked("Invoke")[0]["explain"] == json.loads(sample)


def test_a_database_is_explained_by_its_arn(cli: Cli, stack: AwsWire) -> None:
    stack.answer("Invoke", answer("submit") | {"warning": "Its tags cannot be read."})
    done = cli("explain", "prod", "--database", ARN, "--event", "RDS-EVENT-0043")
    assert (done.status, done.err) == (Exit.OK, "Warning: Its tags cannot be read.\n")
    assert stack.asked("Invoke")[0]["explain"] == {"database": ARN, "event": "RDS-EVENT-0043"}
    event = json.loads(stack.asked("TestEventPattern")[0]["Event"])
    assert (event["account"], event["detail-type"]) == ("111122223333", "RDS DB Instance Event")
    detail = {"EventID": "RDS-EVENT-0043", "SourceArn": ARN, "SourceType": "DB_INSTANCE"}
    assert detail.items() <= event["detail"].items()
