"""The command line on a deployed stack, from the checkout and installed: it understands what the functions write and return."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.commserve import CommServe, content
from local.emulator import Emulator
from local.rds import RdsAccount, create_instance, delivered, rds_event
from local.stack import apply_template
from rds_snap_backup.triggers import TARGET_TAG
from rds_snap_backup_cli import backup
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.program import app
from tests.cli.calls import Cli, calling
from tests.documents.reference import SCRIPT
from tests.e2e.conftest import CANARY, deploy_quick
from tests.e2e.product import CLIENT, Product, only
from tests.evidence import Evidence
from tests.installed import PYTHONS, install, run

pytestmark = pytest.mark.e2e

# No targets and no events but those of these tests.
OWN = {"ClientName": "", "InstanceName": "", "SubclientName": "", "ScheduleExpression": "off"}


@pytest.fixture(scope="module")
def own(aws: Emulator, evidence: Evidence) -> Iterator[Product]:
    """A stack that has no targets but those of these tests, and whose jobs are short."""
    with CommServe(token=CANARY, job_seconds=1, keep_tokens=True) as commserve:
        evidence.add("commands", commserve)
        stack = deploy_quick(aws, "commands", commserve, OWN)
        yield Product(stack, commserve, stack.subscribe())


@pytest.fixture
def cli(aws: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """A shell whose AWS is the emulator."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COLUMNS", raising=False)  # the width of whoever starts the tests
    monkeypatch.setattr(backup, "POLL_SECONDS", 0.5)
    return calling(capsys)


def test_an_event_does_what_was_explained(cli: Cli, product: Product, tmp_path: Path) -> None:
    target, file = product.target("explained"), tmp_path / "event.json"
    event = delivered(rds_event("explained-db", tags={TARGET_TAG: target}))
    file.write_text(json.dumps(event))
    line = ("explain", product.stack.name, str(file), "--format", "json")
    done = cli(*line)
    assert done.status == Exit.OK, done.err
    shown = json.loads(done.out)
    submission = only(shown["explain"]["submissions"])
    assert (submission["target"], only(submission["associations"])["would"]) == (target, "submit")
    assert only(shown["rules"])["matches"]
    assert not product.jobs(target)
    product.stack.invoke(event)
    assert only(product.jobs(target))
    assert submission["request"] in [request.json for request in product.commserve.create_tasks]
    assert cli(*line).status == Exit.FINDINGS  # it arrived before
    file.write_text(json.dumps(delivered(rds_event("explained-db", "RDS-EVENT-0003", tags={TARGET_TAG: target}))))
    done = cli(*line)
    assert (done.status, only(json.loads(done.out)["rules"])["matches"]) == (Exit.FINDINGS, False)


def test_a_letter_is_read_and_deleted(cli: Cli, own: Product) -> None:
    own.stack.invoke({"target": "not-there", "requestId": "letter-1"})
    own.stack.send("[" * 6900 + "]" * 6900, "DeadLetterQueueUrl")
    rows = json.loads(cli("letters", own.stack.name, "--format", "json").out)
    row = only([row for row in rows if row["trigger"] == "manual letter-1"])
    assert (row["target"], row["error"].partition(":")[0]) == ("not-there", "TARGET_UNKNOWN")
    assert cli("discard", own.stack.name, "--id", row["id"], "--yes").status == Exit.OK
    assert "not-there" not in only(own.stack.messages("DeadLetterQueueUrl"))["Body"]
    assert cli("discard", own.stack.name, "--all", "--yes").status == Exit.OK
    assert own.stack.messages("DeadLetterQueueUrl") == []


def test_the_audits_answers_are_understood(cli: Cli, own: Product) -> None:
    target = own.target("audited")
    own.stack.aws.client("rds").create_db_instance(
        DBInstanceIdentifier=target, DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20
    )
    done = cli("check", own.stack.name, "--target", target, "--all")
    assert done.status in {Exit.OK, Exit.FINDINGS}
    assert target in done.out
    for form in ("table", "csv", "html"):
        done = cli("report", own.stack.name, "--format", form)
        assert done.status == Exit.FINDINGS  # nobody listens
        assert target in done.out
        assert "new" in done.out


def test_an_event_of_a_database_starts_its_group_after_the_fleet_is_deployed(
    cli: Cli, own: Product, tmp_path: Path
) -> None:
    """From the inventory's files to a restore point that opens the gate."""
    stack, name, target, rds = own.stack.name, "counted-in", f"{CLIENT}-1", own.stack.aws.client("rds")
    own.commserve.attach(CLIENT, RdsAccount((rds,)))
    own.commserve.set_content(CLIENT, name, [content.instance(name)])
    create_instance(rds, name, "postgres")
    files, out = tmp_path / "files", tmp_path / "files.json"
    done = cli("inventory", stack, "--write", str(files), "--client", CLIENT, "--format", "json")
    assert done.status == Exit.OK, done.err
    row = only([row for row in json.loads(done.out) if row["subclientName"] == name])
    assert (row["selectedBy"], row["targets"], row["file"]) == ("its name", [], str(files / f"targets/{target}.yaml"))
    assert cli("build", str(files), "--out", str(out)).status == Exit.OK
    apply_template(own.stack.aws, "files", out.read_text(), {"BackupStack": stack})

    own.start_cold()  # a warm sandbox may have read the targets before
    own.stack.put_event(rds_event(name))
    messages = own.wait_for_messages(target, number=2)
    job = only(own.jobs(name))
    assert {message["status"]: message["jobIds"] for message in messages} == {
        "submitted": [job.id],
        "completed": [job.id],
    }
    own.commserve.advance(2)  # Times have whole seconds, and the simulator makes snapshots at once.
    done = cli("backup", stack, target, "--wait", "--database", row["arn"])
    assert (done.status, f"proves {row['arn']}." in done.out) == (Exit.OK, True), done.err
    assert len(own.jobs(name)) == 2


def test_a_target_is_scheduled_like_the_default_one(cli: Cli, product: Product) -> None:
    target, stack = product.target("on-schedule"), product.stack
    scheduler, function = stack.aws.client("scheduler"), stack.outputs["BackupFunctionName"]
    schedules = scheduler.list_schedules()["Schedules"]
    default = only([schedule for schedule in schedules if schedule["Target"]["Arn"].endswith(f":{function}")])
    options = ("--expression", "rate(1 day)", "--timezone", "Europe/Berlin")
    assert cli("schedule", stack.name, target, *options).status == Exit.OK
    name = {"Name": target, "GroupName": stack.outputs["ScheduleGroupName"]}
    made = scheduler.get_schedule(**name)
    scheduler.delete_schedule(**name)  # other tests look for the stack's own
    own = scheduler.get_schedule(Name=default["Name"], GroupName=default["GroupName"])
    for part in ("Arn", "RoleArn", "DeadLetterConfig", "RetryPolicy"):
        assert made["Target"][part] == own["Target"][part]
    assert json.loads(made["Target"]["Input"]) == json.loads(own["Target"]["Input"]) | {"target": target}
    assert made["GroupName"] == own["GroupName"]


@pytest.fixture(scope="module", params=PYTHONS)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the installed program, for each Python that it supports."""
    return install(request.param, tmp_path_factory.mktemp("installed"))


@pytest.mark.usefixtures("aws")  # in the process that uses what is installed
def test_every_installed_command_has_its_help(installed: Path) -> None:
    names = {str(command.name) for command in app.registered_commands} - {"deploy"}
    shown = run(str(installed / "python"), "-I", "-c", SCRIPT, *names).stdout
    assert shown.count("Usage: rds-snap-backup ") == shown.count("Examples:") == len(names)
    assert run(str(installed / "rds-snap-backup"), "deploy", check=False).returncode == 2  # without a checkout


# The oldest: the commands of the checkout run in the newest but one.
@pytest.mark.parametrize("installed", PYTHONS[:1], indirect=True)
def test_the_installed_program_backs_up_and_reports(installed: Path, aws: Emulator, own: Product) -> None:
    program, stack = str(installed / "rds-snap-backup"), own.stack.name
    target = own.target("installed")
    checked = run(program, "check", stack, "--target", target, check=False, env=aws.environment)
    assert "checks failed." in checked.stdout  # nobody listens
    done = run(program, "backup", stack, target, "--wait", env=aws.environment)
    assert "the backup succeeded." in done.stdout
    assert only(own.jobs(target)).id in done.stdout
    assert "no open submissions." in run(program, "status", stack, env=aws.environment).stdout
    shown = run(program, "report", stack, "--format", "html", check=False, env=aws.environment)
    assert shown.returncode in {Exit.OK, Exit.FINDINGS}
    assert shown.stdout.startswith("<!DOCTYPE html>")
