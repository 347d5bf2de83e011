"""The targets of a stack, at the wire: documents, schedules and the ledger's items of their groups."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from rds_snap_backup.ledger.keys import subclient_key
from rds_snap_backup.targets import Association
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import Answer as WireAnswer
from tests.cli.wire import AwsWire

PATH = "/rds-snap-backup/prod/targets/"
NIGHTLY, BILLING = (Association("aws-prod", "RDS", name, "aws-prod") for name in ("nightly", "billing"))
DOCUMENTS: Mapping[str, Any] = {
    "shop": {"associations": [NIGHTLY.to_json(), BILLING.to_json() | {"databases": ["billing-*"]}], "databases": ["*"]},
    "off": {"associations": [NIGHTLY.to_json()], "enabled": False},
    "wrong": {},
}
SCHEDULES: Mapping[str, Any] = {
    "shop": {"ScheduleExpression": "rate(12 hours)", "State": "ENABLED", "input": {"target": "shop"}},
    "all": {"ScheduleExpression": "at(2026-01-01T00:00:00)", "State": "ENABLED", "input": {"target": "*"}},
    "paused": {"ScheduleExpression": "rate(1 day)", "State": "DISABLED", "input": {"target": "off"}},
    "audit": {"ScheduleExpression": "rate(1 day)", "State": "ENABLED", "input": {"audit": True}},
}


@pytest.fixture
def stack(wire: AwsWire) -> AwsWire:
    wire.stack(TargetsPath=PATH, ScheduleGroupName="group", LedgerTableName="ledger")
    rows = [{"Name": PATH + name, "Value": json.dumps(document)} for name, document in DOCUMENTS.items()]
    wire.answer("GetParametersByPath", {"Parameters": rows})
    wire.answer("ListSchedules", {"Schedules": [{"Name": name} for name in SCHEDULES]})

    def schedule(asked: Mapping[str, Any]) -> WireAnswer:
        found = dict(SCHEDULES[asked["Name"]])
        target = {"Arn": "arn", "RoleArn": "role", "Input": json.dumps(found.pop("input"))}
        return 200, json.dumps({"Name": asked["Name"], "Target": target, "ScheduleExpressionTimezone": "UTC"} | found)

    wire.answers["GetSchedule"] = schedule
    item = {"completedId": {"S": "2291"}, "completedStart": {"N": "1769824800.5"}}
    item["pk"] = {"S": subclient_key(NIGHTLY.key)}
    wire.answer("BatchGetItem", {"Responses": {"ledger": [item]}})
    return wire


def test_each_group_of_a_target_is_shown_with_what_starts_it_and_its_last_job(cli: Cli, stack: AwsWire) -> None:
    done = cli("targets", "prod", "--format", "json")
    assert done.status == Exit.FINDINGS
    off, nightly, billing, wrong = done.json
    assert (off["enabled"], off["nextRun"], off["events"]) == (False, ["over", "disabled"], [])
    assert nightly == {
        "target": "shop",
        "problem": None,
        "enabled": True,
        "schedule": ["rate(12 hours) UTC", "at(2026-01-01T00:00:00) UTC"],
        "nextRun": ["every 12 hours", "over"],
        "subclient": "aws-prod / RDS / nightly",
        "events": ["*"],
        "job": "2291",
        "startedAt": "2026-01-31T02:00:00Z",
    }
    names = ("subclient", "events", "job")
    assert [billing[name] for name in names] == ["aws-prod / RDS / billing", ["billing-*"], None]
    assert (wrong["target"], "associations must be a list" in wrong["problem"]) == ("wrong", True)
    table = cli("targets", "prod").out
    assert "2026-01-31 02:00 UTC" in table
    assert table.endswith(": 3 targets, 3 groups; 1 document not valid.\n")
