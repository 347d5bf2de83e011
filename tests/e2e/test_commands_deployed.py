"""The commands of `ops/` on a deployed stack: they understand what the functions write and return."""

import json
from collections.abc import Iterator

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from ops import backup, check, discard, letters, schedule
from ops.command import Exit
from ops.report import __main__ as report
from tests.e2e.conftest import ALONE, CANARY, deploy_quick
from tests.e2e.product import Product, only
from tests.evidence import Evidence

pytestmark = pytest.mark.e2e

NO_DEFAULT_TARGET = {"ClientName": "", "InstanceName": "", "SubclientName": ""}


@pytest.fixture(scope="module")
def own(aws: Emulator, evidence: Evidence) -> Iterator[Product]:
    """A stack that has no targets but those of these tests, and whose jobs are short."""
    with CommServe(token=CANARY, job_seconds=1, keep_tokens=True) as commserve:
        evidence.add("commands", commserve)
        stack = deploy_quick(aws, "commands", commserve, ALONE | NO_DEFAULT_TARGET)
        yield Product(stack, commserve, stack.subscribe())


@pytest.fixture(autouse=True)
def shell(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide shell whose AWS is the emulator."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(backup, "POLL_SECONDS", 0.5)


def test_all_targets_are_backed_up_right_after_they_were_stored(own: Product) -> None:
    """Also by a sandbox that has read the targets a moment ago."""
    assert backup.main([own.stack.name, "--target", "*", "--wait"]) == Exit.FINDINGS  # there are none
    first = own.target("all")
    assert backup.main([own.stack.name, "--target", "*", "--wait"]) == Exit.OK
    second = own.target("all")
    assert backup.main([own.stack.name, "--target", "*", "--wait"]) == Exit.OK
    assert [len(own.jobs(target)) for target in (first, second)] == [2, 1]


def test_a_backup_that_is_deferred_is_asked_about_again(own: Product, capsys: pytest.CaptureFixture[str]) -> None:
    target = own.target("deferred")
    own.commserve.fault("maintenance", about=target)
    arguments = [own.stack.name, "--target", target, "--request-id", "deferred-1"]
    assert backup.main(arguments) == Exit.OK
    assert f"{target} open: {target} waiting: " in capsys.readouterr().out
    assert backup.main([*arguments, "--wait"]) == Exit.OK
    assert f"{target} succeeded: {target} completed (job {only(own.jobs(target)).id})" in capsys.readouterr().out


def test_a_letter_is_read_and_deleted(own: Product, capsys: pytest.CaptureFixture[str]) -> None:
    assert backup.main([own.stack.name, "--target", "not-there", "--request-id", "letter-1", "--wait"]) == Exit.FINDINGS
    own.stack.send("[" * 6900 + "]" * 6900, "DeadLetterQueueUrl")
    capsys.readouterr()
    assert letters.main([own.stack.name]) == Exit.OK
    row = only([line for line in capsys.readouterr().out.splitlines() if "manual letter-1" in line])
    assert "not-there" in row
    assert "TARGET_UNKNOWN: " in row
    assert discard.main([own.stack.name, "--id", row.split("│")[1].strip(), "--yes"]) == Exit.OK
    assert "not-there" not in only(own.stack.messages("DeadLetterQueueUrl"))["Body"]
    assert discard.main([own.stack.name, "--all", "--yes"]) == Exit.OK
    assert own.stack.messages("DeadLetterQueueUrl") == []


def test_the_audits_answers_are_understood(own: Product, capsys: pytest.CaptureFixture[str]) -> None:
    target = own.target("audited")
    own.stack.aws.client("rds").create_db_instance(
        DBInstanceIdentifier=target, DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20
    )
    assert check.main([own.stack.name, "--target", target]) in {Exit.OK, Exit.FINDINGS}
    assert target in capsys.readouterr().out
    for form in ("table", "csv", "html"):
        assert report.main([own.stack.name, "--format", form]) == Exit.FINDINGS  # nobody listens
        printed = capsys.readouterr().out
        assert target in printed
        assert "new" in printed


def test_a_target_is_scheduled_like_the_default_one(product: Product) -> None:
    target, stack = product.target("on-schedule"), product.stack
    scheduler, function = stack.aws.client("scheduler"), stack.outputs["BackupFunctionName"]
    schedules = scheduler.list_schedules()["Schedules"]
    default = only([one for one in schedules if one["Target"]["Arn"].endswith(f":{function}")])
    arguments = [stack.name, "--target", target, "--expression", "rate(1 day)", "--timezone", "Europe/Berlin"]
    assert schedule.main(arguments) == Exit.OK
    name = {"Name": f"{stack.name}-{target}", "GroupName": stack.outputs["ScheduleGroupName"]}
    made = scheduler.get_schedule(**name)
    scheduler.delete_schedule(**name)  # other tests look for the stack's own
    own = scheduler.get_schedule(Name=default["Name"], GroupName=default["GroupName"])
    for part in ("Arn", "RoleArn", "DeadLetterConfig", "RetryPolicy"):
        assert made["Target"][part] == own["Target"][part]
    assert json.loads(made["Target"]["Input"]) == json.loads(own["Target"]["Input"]) | {"target": target}
    assert made["GroupName"] == own["GroupName"]
