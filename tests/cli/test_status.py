"""The open submissions, from records that the ledger itself wrote, in a table of emulated AWS."""

import csv
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest

from local.emulator import Emulator
from rds_snap_backup.ledger.submissions import Submissions
from rds_snap_backup.ledger.table import Table
from rds_snap_backup.problems import Problem
from rds_snap_backup.record import Attempt, Backup, Change, JobFacts, Submission
from rds_snap_backup.targets import Association
from rds_snap_backup.triggers import Trigger
from rds_snap_backup_cli import status
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire
from tests.unit.template import TEMPLATE

HOUR = 3600


@dataclass(frozen=True)
class Ledger:
    """The table of a stack `prod`, in which a test saves submissions."""

    submissions: Submissions

    def save(self, target: str, age: float, *backups: Backup) -> None:
        created = time.time() - age
        trigger = Trigger("schedule", f"arn|{target}")
        attempts = (Attempt(1, "FULL", created, created + 1),)
        self.submissions.save(Change(Submission(trigger, target, created, created, backups=backups, attempts=attempts)))


@pytest.fixture
def ledger(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    client, name = aws.client("cloudformation"), f"status-{uuid.uuid4().hex[:8]}"
    table = {
        key: TEMPLATE["Resources"]["Ledger"]["Properties"][key]
        for key in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    }
    template = {
        "Resources": {"Ledger": {"Type": "AWS::DynamoDB::Table", "Properties": table}},
        "Outputs": {"LedgerTableName": {"Value": {"Ref": "Ledger"}}, "Version": {"Value": "2.0.0"}},
    }
    client.create_stack(StackName=name, TemplateBody=json.dumps(template))
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    monkeypatch.setenv("RDS_SNAP_BACKUP_STACK", name)
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    physical = next(output["OutputValue"] for output in stack["Outputs"] if output["OutputKey"] == "LedgerTableName")
    yield Ledger(Submissions(Table(physical, aws.client("dynamodb")), 30))
    client.delete_stack(StackName=name)


def a_backup(instance: str, due: float, **more: Any) -> Backup:
    now = time.time()
    return Backup(Association("aws-prod", instance, "default", "aws-prod"), now, now + due, now, **more)


def test_open_submissions_are_shown_the_oldest_first(cli: Cli, ledger: Ledger) -> None:
    error = Problem("UNREACHABLE", "Commvault cannot be reached.", "It is retried.")
    running = [
        a_backup(f"db{number}", 90.5, state="running", attempt=1, job=JobFacts(f"135{number}")) for number in (4, 5)
    ]
    ledger.save("orders", 5 * HOUR, *running, a_backup("db6", 600, error=error))
    ledger.save("billing", 50 * HOUR, a_backup("billing", -2 * HOUR))
    ledger.save("over", HOUR, a_backup("over", 0, state="completed"))
    done = cli("status")
    assert (done.status, done.err) == (Exit.OK, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.out.splitlines() if line.startswith("│")]
    assert rows == [
        ["billing", "schedule arn|billing", "1 waiting", "", "2 d", "overdue 2 h", ""],
        [
            "orders",
            "schedule arn|orders",
            "2 running, 1 waiting",
            "1354, 1355",
            "5 h",
            "in 1 min",
            "UNREACHABLE: Commvault cannot be reached.",
        ],
    ]
    assert done.out.endswith(": 2 open submissions, 1 without a message: the next audit sends it again.\n")


def test_rows_are_json_and_csv_and_none_is_a_sentence(cli: Cli, ledger: Ledger) -> None:
    assert cli("status").out.endswith(": no open submissions.\n")
    assert json.loads(cli("status", "--format", "json").out) == []
    assert cli("status", "--format", "csv").out == '"target","trigger","backups","jobs","created","wakeAt","error"\n'
    ledger.save("orders", HOUR, a_backup("db", 60))
    (row,) = json.loads(cli("status", "--format", "json").out)
    assert (row["target"], row["backups"], row["jobs"], row["error"]) == ("orders", {"waiting": 1}, [], None)
    (line,) = csv.DictReader(StringIO(cli("status", "--format", "csv").out))
    assert (line["backups"], line["created"]) == ("1 waiting", row["created"])


def test_more_submissions_than_one_read_takes(cli: Cli, ledger: Ledger) -> None:
    for number in range(status.MAX_READ + 1):
        ledger.save(f"t{number}", HOUR, a_backup("db", 60))
    assert len(json.loads(cli("status", "--format", "json").out)) == status.MAX_READ + 1


def test_reads_that_dynamodb_puts_off_are_repeated(cli: Cli, wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    wire.stack(LedgerTableName="ledger")
    wire.answer("Query", {"Items": [{"pk": {"S": "a"}}]})
    left = {"ledger": {"Keys": [{"pk": {"S": "a"}}]}}
    wire.answer("BatchGetItem", {"Responses": {}, "UnprocessedKeys": left}, {"Responses": {"ledger": []}})
    assert cli("status", "prod").status == Exit.OK
    wire.answer("BatchGetItem", {"Responses": {}, "UnprocessedKeys": left})
    assert "DynamoDB throttles the ledger's reads." in cli("status", "prod").line
