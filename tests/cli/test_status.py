"""The open submissions, from records that the ledger itself wrote, in a table of emulated AWS."""

import csv
import json
import os
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from local.emulator import Emulator
from local.tools import command as tool
from rds_snap_backup.core.backups import Attempt, Backup, Tried
from rds_snap_backup.core.phases import Ended, JobRef, Phase, Running, Waiting
from rds_snap_backup.core.record import Change, Submission
from rds_snap_backup.ledger.submissions import Submissions
from rds_snap_backup.ledger.table import Table
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association
from rds_snap_backup.triggers import Trigger
from rds_snap_backup_cli import status
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire
from tests.unit.documents import section
from tests.unit.template import TEMPLATE

HOUR = 3600
PROTECTION = "DeletionProtectionEnabled"


@dataclass(frozen=True)
class Ledger:
    """The table of a stack `prod`, in which a test saves submissions."""

    submissions: Submissions
    table: str

    def save(self, target: str, age: float, due: float, *backups: Backup) -> None:
        now = time.time()
        created, trigger = now - age, Trigger("schedule", f"arn|{target}")
        attempts = (Attempt(1, "FULL", "IMMEDIATE", created, created + 1),)
        submission = Submission(
            trigger, target, created, created, backups=backups, attempts=attempts, wake_at=now + due
        )
        self.submissions.save(Change(submission))


@pytest.fixture
def ledger(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    client, name = aws.client("cloudformation"), f"status-{uuid.uuid4().hex[:8]}"
    table = {
        key: TEMPLATE["Resources"]["Ledger"]["Properties"][key]
        for key in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode", PROTECTION)
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
    yield Ledger(Submissions(Table(physical, aws.client("dynamodb")), 30), physical)
    aws.client("dynamodb").update_table(TableName=physical, **{PROTECTION: False})
    client.delete_stack(StackName=name)


def a_backup(instance: str, phase: Phase) -> Backup:
    now = time.time()
    return Backup(Association("aws-prod", instance, "default", "aws-prod"), now, phase, Tried(now))


def test_open_submissions_are_shown_the_oldest_first(cli: Cli, ledger: Ledger) -> None:
    error = Problem("UNREACHABLE", "Commvault cannot be reached.", "It is retried.")
    running = [a_backup(f"db{number}", Running(1, JobRef(f"135{number}", "FULL", 0), 0, 0)) for number in (4, 5)]
    ledger.save("orders", 5 * HOUR, 90.5, *running, a_backup("db6", Waiting(0, error=error)))
    ledger.save("billing", 50 * HOUR, -2 * HOUR, a_backup("billing", Waiting(0)))
    ledger.save("over", HOUR, 0, a_backup("over", Ended("completed")))
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
            "UNREACHABLE",
        ],
    ]
    cause = ["UNREACHABLE", "  Commvault cannot be reached.", "  What to do: It is retried."]
    assert done.out.splitlines()[-4:-1] == cause
    assert done.out.endswith(": 2 open submissions, 1 without a message: the next audit sends it again.\n")


def test_rows_are_json_and_csv_and_none_is_a_sentence(cli: Cli, ledger: Ledger) -> None:
    assert cli("status").out.endswith(": no open submissions.\n")
    assert json.loads(cli("status", "--format", "json").out) == []
    assert (
        cli("status", "--format", "csv").out
        == '"target","trigger","backups","jobs","created","wakeAt","error","hint"\n'
    )
    ledger.save("orders", HOUR, 60, a_backup("db", Waiting(0)))
    (row,) = json.loads(cli("status", "--format", "json").out)
    assert (row["target"], row["backups"], row["jobs"], row["error"]) == ("orders", {"waiting": 1}, [], None)
    (line,) = csv.DictReader(StringIO(cli("status", "--format", "csv").out))
    assert (line["backups"], line["created"]) == ("1 waiting", row["created"])


def test_more_submissions_than_one_read_takes(cli: Cli, ledger: Ledger) -> None:
    for number in range(status.MAX_READ + 1):
        ledger.save(f"t{number}", HOUR, 60, a_backup("db", Waiting(0)))
    assert len(json.loads(cli("status", "--format", "json").out)) == status.MAX_READ + 1


def test_a_deleted_ledger_has_an_error_that_leads_to_the_runbook(cli: Cli, wire: AwsWire) -> None:
    wire.stack(LedgerTableName="ledger", AuditFunctionName="audit")
    wire.fail("Query", 400, "ResourceNotFoundException", "Requested resource not found")
    quoted = "An error occurred (ResourceNotFoundException) when calling the BatchGetItem operation: Requested resource"
    wire.answer("Invoke", {"errorMessage": quoted})
    for command in ("status", "check"):
        done = cli(command, "prod")
        assert done.status == Exit.COULD_NOT_RUN
        assert done.line.endswith("Restore it (docs/operations.md, Restore the ledger).")


def test_the_runbook_restores_the_ledger(cli: Cli, aws: Emulator, ledger: Ledger) -> None:
    ledger.save("orders", HOUR, 60, a_backup("db", Waiting(0)))
    _, past, _, restore, _ = re.findall(
        r"^ *```sh\n(.*?)^ *```$", section("docs/operations.md", "Restore the ledger"), re.MULTILINE | re.DOTALL
    )
    script = f"TABLE={ledger.table}\n{past}{restore}"
    path = os.pathsep.join([str(Path(*tool("aws")).parent), os.defpath])
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "UV"))}
    subprocess.run(
        ["bash", "-euc", script], env=environment | aws.environment | {"PATH": path, "AWS_PAGER": ""}, check=True
    )
    assert [row["target"] for row in json.loads(cli("status", "--format", "json").out)] == ["orders"]
    client = aws.client("dynamodb")
    wanted = TEMPLATE["Resources"]["Ledger"]["Properties"]
    table = client.describe_table(TableName=ledger.table)["Table"]
    lifetime = client.describe_time_to_live(TableName=ledger.table)["TimeToLiveDescription"]
    past_kept = client.describe_continuous_backups(TableName=ledger.table)["ContinuousBackupsDescription"]
    assert table["DeletionProtectionEnabled"] == wanted["DeletionProtectionEnabled"]
    assert lifetime["AttributeName"] == wanted["TimeToLiveSpecification"]["AttributeName"]
    assert lifetime["TimeToLiveStatus"] == "ENABLED"
    assert past_kept["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_reads_that_dynamodb_puts_off_are_repeated(cli: Cli, wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    wire.stack(LedgerTableName="ledger")
    wire.answer("Query", {"Items": [{"pk": {"S": "a"}}]})
    left = {"ledger": {"Keys": [{"pk": {"S": "a"}}]}}
    wire.answer("BatchGetItem", {"Responses": {}, "UnprocessedKeys": left}, {"Responses": {"ledger": []}})
    assert cli("status", "prod").status == Exit.OK
    wire.answer("BatchGetItem", {"Responses": {}, "UnprocessedKeys": left})
    assert "DynamoDB throttles the ledger's reads." in cli("status", "prod").line
