"""The open submissions, from records that the ledger itself wrote, in a table of emulated AWS."""

import os
import re
import subprocess
import time
import uuid
from dataclasses import dataclass
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
from tests.ledger import create_ledger
from tests.unit.documents import section
from tests.unit.template import TEMPLATE

HOUR = 3600
ERROR = Problem("UNREACHABLE", "Commvault cannot be reached.", "It is retried.")


@dataclass(frozen=True)
class Ledger:
    """The table of the stack `prod`, in which a test saves submissions."""

    submissions: Submissions
    table: str

    def save(self, target: str, age: float, due: float, *phases: Phase) -> None:
        """Save a submission with a backup in each of these phases."""
        now = time.time()
        created, trigger = now - age, Trigger("schedule", f"arn|{target}")
        attempts = (Attempt(1, "FULL", "IMMEDIATE", 0, created, created + 1),)
        groups = [Association("aws-prod", f"{target}{number}", "default", "aws-prod") for number in range(len(phases))]
        backups = tuple(Backup(group, now, phase, Tried(now)) for group, phase in zip(groups, phases, strict=True))
        wake_at = now + due
        submission = Submission(trigger, target, created, created, backups=backups, attempts=attempts, wake_at=wake_at)
        self.submissions.save(Change(submission))


@pytest.fixture
def ledger(wire: AwsWire, aws: Emulator) -> Ledger:
    name = f"status-{uuid.uuid4().hex[:8]}"
    create_ledger(aws.client("dynamodb"), name)
    wire.stack(LedgerTableName=name)
    return Ledger(Submissions(Table(name, aws.client("dynamodb")), 30), name)


def test_open_submissions_are_shown_the_oldest_first(cli: Cli, ledger: Ledger) -> None:
    running = [Running(1, JobRef(f"135{number}", "FULL", 0), 0, 0) for number in (4, 5)]
    over = Ended("rejected", error=Problem("NO_JOBS", "No job.", "Look."))
    ledger.save("orders", 5 * HOUR, 90.5, *running, Waiting(0, error=ERROR), over)
    ledger.save("billing", 50 * HOUR, -2 * HOUR, Waiting(0))
    ledger.save("over", HOUR, 0, Ended("completed"))
    done = cli("status", "prod")
    assert (done.status, done.err) == (Exit.OK, "")
    states = "2 running, 1 waiting, 1 rejected"
    assert done.rows == [
        ["billing", "schedule arn|billing", "1 waiting", "", "2 d", "overdue 2 h", ""],
        ["orders", "schedule arn|orders", states, "1354, 1355", "5 h", "in 1 min", ERROR.code],
    ]
    cause = ["UNREACHABLE", "  Commvault cannot be reached.", "  What to do: It is retried."]
    *_, last = lines = done.out.splitlines()
    assert lines[-4:-1] == cause
    assert last.endswith(": 2 open submissions, 1 without a message: the next audit sends it again.")


def test_rows_are_json_and_none_is_a_sentence(cli: Cli, ledger: Ledger) -> None:
    assert cli("status", "prod").out.endswith(": no open submissions.\n")
    assert cli("status", "prod", "--format", "json").json == []
    ledger.save("orders", HOUR, 60, Waiting(0, error=ERROR))
    (row,) = cli("status", "prod", "--format", "json").json
    assert (row["target"], row["backups"], row["jobs"]) == ("orders", {"waiting": 1}, [])
    assert (row["error"], row["hint"]) == ("UNREACHABLE: Commvault cannot be reached.", "It is retried.")


def test_more_submissions_than_one_read_takes(cli: Cli, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "MAX_READ", 2)
    for number in range(3):
        ledger.save(f"t{number}", HOUR, 60, Waiting(0))
    assert len(cli("status", "prod", "--format", "json").json) == 3


def test_a_record_that_cannot_be_read_is_named_and_the_others_are_shown(
    cli: Cli, ledger: Ledger, aws: Emulator
) -> None:
    ledger.save("orders", HOUR, 60, Waiting(0))
    item = {"pk": "later", "record": '{"form": 3}', "writeId": "a", "open": "yes"}
    numbers = {"version": {"N": "1"}, "wakeAt": {"N": "1"}}
    typed = {**{name: {"S": text} for name, text in item.items()}, **numbers}
    aws.client("dynamodb").put_item(TableName=ledger.table, Item=typed)
    done = cli("status", "prod")
    assert (done.status, [row[0] for row in done.rows]) == (Exit.OK, ["orders"])
    assert done.out.endswith(": 2 open submissions, 1 that cannot be read.\n")
    said = "later: The record has the form 3, and this version reads 2: deploy the version that wrote it."
    assert done.err.splitlines() == [said]


def test_a_deleted_ledger_has_an_error_that_leads_to_the_runbook(cli: Cli, wire: AwsWire) -> None:
    wire.stack(LedgerTableName="ledger", AuditFunctionName="audit")
    wire.fail("Query", 400, "ResourceNotFoundException", "Requested resource not found")
    quoted = "An error occurred (ResourceNotFoundException) when calling the BatchGetItem operation: Requested resource"
    wire.answer("Invoke", {"errorMessage": quoted})
    for command in ("status", "check"):
        cli(command, "prod").could_not_run("Restore it (docs/operations.md, Restore the ledger).")


def test_the_runbook_restores_the_ledger(cli: Cli, emulator: Emulator, ledger: Ledger) -> None:
    ledger.save("orders", HOUR, 60, Waiting(0))
    client, wanted = emulator.client("dynamodb"), TEMPLATE["Resources"]["Ledger"]["Properties"]
    client.update_table(TableName=ledger.table, DeletionProtectionEnabled=wanted["DeletionProtectionEnabled"])
    text = section("docs/operations.md", "Restore the ledger")
    _, past, _, restore, _ = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    path = os.pathsep.join([str(Path(*tool("aws")).parent), os.defpath])
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "UV"))}
    environment |= emulator.environment | {"PATH": path, "AWS_PAGER": ""}
    subprocess.run(["bash", "-euc", f"TABLE={ledger.table}\n{past}{restore}"], env=environment, check=True)
    assert [row["target"] for row in cli("status", "prod", "--format", "json").json] == ["orders"]
    table = client.describe_table(TableName=ledger.table)["Table"]
    lifetime = client.describe_time_to_live(TableName=ledger.table)["TimeToLiveDescription"]
    past_kept = client.describe_continuous_backups(TableName=ledger.table)["ContinuousBackupsDescription"]
    assert table["DeletionProtectionEnabled"] == wanted["DeletionProtectionEnabled"]
    attribute = wanted["TimeToLiveSpecification"]["AttributeName"]
    assert (lifetime["AttributeName"], lifetime["TimeToLiveStatus"]) == (attribute, "ENABLED")
    assert past_kept["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_reads_that_dynamodb_puts_off_are_repeated(cli: Cli, wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    wire.stack(LedgerTableName="ledger")
    wire.answer("Query", {"Items": [{"pk": {"S": "a"}}]})
    left = {"ledger": {"Keys": [{"pk": {"S": "a"}}]}}
    wire.answer("BatchGetItem", {"Responses": {}, "UnprocessedKeys": left}, {"Responses": {"ledger": []}})
    assert cli("status", "prod").status == Exit.OK
    wire.answer("BatchGetItem", {"Responses": {}, "UnprocessedKeys": left})
    cli("status", "prod").could_not_run("DynamoDB throttles the ledger's reads.")
