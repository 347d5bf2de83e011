"""What a command cannot do, it says in one line: arguments that cannot be meant, and answers in another form."""

import shlex
from typing import Any

import pytest

from local.tools import ROOT
from rds_snap_backup_cli.errors import Exit
from tests.cli import sample
from tests.cli.calls import Cli
from tests.cli.submissions import SUCCEEDED
from tests.cli.test_fleet_inventory import answer as inventory
from tests.cli.test_fleet_inventory import row
from tests.cli.wire import AwsWire

ARN = "arn:aws:rds:eu-central-1:111122223333:db:orders-db"
PATH = "/rds-snap-backup/prod/targets/"
NAMES = ("BackupFunctionName", "AuditFunctionName", "BackupFunctionArn", "SchedulerRoleArn", "ScheduleGroupName")
NOT_AN_ARN = "is not the ARN of an RDS instance or cluster. Nothing was sent."
NEITHER = "name an event file, or a database"
NO_OBJECT = "names no object. Write s3://BUCKET/KEY."
ARGUMENTS = {
    "backup prod order": "there is no target order, and nothing was sent. Did you mean orders?",
    "backup prod xyz": f"there is no target xyz, and nothing was sent. Store its document in the SSM parameter {PATH}xyz.",
    "backup prod 'a b'": "'a b' is not a valid target name",
    **{
        f"backup prod orders --request-id '{each}'": "Nothing was sent." for each in ("$1", '"b', "a b", "x" * 257, "ü")
    },
    f"backup prod orders --database {ARN}": "--database needs --wait. Nothing was sent.",
    "backup prod orders --wait --database orders-db": NOT_AN_ARN,
    f"backup prod orders --wait --database {ARN.replace(':db:', ':snapshot:')}": NOT_AN_ARN,
    "explain prod": NEITHER,
    f"explain prod event.json --database {ARN} --event RDS-EVENT-0043": NEITHER,
    f"explain prod --database {ARN}": NEITHER,
    "explain prod --event RDS-EVENT-0043": NEITHER,
    "explain prod --database orders --event RDS-EVENT-0043": "'orders' is not the ARN of a database. Send an ARN",
    f"explain prod --database {ARN} --event 0043": "'0043' is not the ID of an RDS event. Did you mean RDS-EVENT-0043?",
    f"explain prod --database {ARN} --event restored": "'restored' is not the ID of an RDS event. Write RDS-EVENT-0043.",
    "explain prod no-such-file.json": "there is no no-such-file.json. Check the path.",
    f"explain prod {ROOT / 'README.md'}": "README.md is not JSON: Expecting value. Save the event",
    "schedule prod orders --expression 'cron(0 3 * * *)'": "has 5 fields; cron needs 6",
    "schedule prod orders --expression 'rate(1 day)' --timezone Europe/Nowhere": "is not a time zone",
    **{
        f"report {way} s3://{it}": NO_OBJECT for way in ("prod --out", "--from") for it in ("", "a", "/r", "a/", "a/b/")
    },
    "report prod --out /no-such-folder/x": "there is no folder /no-such-folder",
    "report prod --out /tmp": "prod: /tmp is a folder. Name a file in it.",
    "report --from no-such-file.json": "No such file",
    f"report --from {ROOT / 'README.md'}": "is no report",
    "history prod": "Deploy it with ReportBucketName.",
}


@pytest.fixture
def stack(wire: AwsWire) -> AwsWire:
    """A stack with the target `orders`, of which anything may be asked and nothing else."""
    wire.stack(TargetsPath=PATH, **{name: f"prod-{name}" for name in NAMES})
    wire.answer("GetParametersByPath", {"Parameters": [{"Name": f"{PATH}orders", "Value": "{}"}]})
    wire.fail("GetParameter", 400, "ParameterNotFound", "")
    return wire


@pytest.mark.parametrize("line", ARGUMENTS)
def test_what_cannot_be_meant_does_nothing(cli: Cli, stack: AwsWire, line: str) -> None:
    if " orders " in line:
        stack.answer("GetParameter", {"Parameter": {"Name": "orders", "Value": "{}"}})
    cli(*shlex.split(line)).could_not_run(ARGUMENTS[line])
    assert {*stack.operations} <= {"DescribeStacks", "GetParameter", "GetParametersByPath"}


BACKUP = f"backup prod orders --wait --quiet --database {ARN}"
UNKNOWN, FORM = "returned an answer that this command does not understand: ", "has another form than this command reads"
TIMED_OUT = {"errorMessage": "Task timed\nout"}
NO_ZONE = {"name": "s", "createdAt": "2026-03-31T02:00:00", "snapshot": None}
ANSWERS: list[tuple[str, list[Any], str]] = [
    ("check prod", [None], f"prod-AuditFunctionName {UNKNOWN}null See its log."),
    ("check prod", [{"ok": True, "checks": [1]}], f'{UNKNOWN}{{"ok": true, "checks": [1]}} See its log.'),
    ("check prod", [TIMED_OUT], "its Audit function failed: Task timed out See the log of prod-AuditFunctionName."),
    (
        "check prod",
        [{"refused": {"message": "'a b' is no name.", "hint": "Rename it."}}],
        "'a b' is no name. Rename it.",
    ),
    (BACKUP, [TIMED_OUT], "failed: Task timed out"),
    (BACKUP, [{"ok": True}], UNKNOWN),
    (BACKUP, [{"submissions": [SUCCEEDED]}, TIMED_OUT], "failed: Task timed out"),  # a gate that cannot be asked
    (BACKUP, [{"submissions": [SUCCEEDED]}, {"ok": True}], UNKNOWN),
    (f"explain prod --database {ARN} --event RDS-EVENT-0043", [{"submissions": []}], UNKNOWN),
    ("report prod", [sample.answer() | {"databases": None}], UNKNOWN),
    ("report prod", [sample.answer() | {"counts": {}}], f"{FORM} (KeyError: 'databases')"),
    ("report prod", [sample.answer([sample.database("a", "stale", "1", startedAt="yesterday")])], FORM),
    ("report prod", [sample.answer(time="0001-01-01T00:00:00+01:00")], f"{FORM} (OverflowError"),
    ("report prod", [sample.answer(time="2026-03-31T06:00:00")], f"{FORM} (ValueError"),
    ("report prod --max-age 5", [sample.answer([sample.database("a", "new", restorePoint=NO_ZONE)])], FORM),
    ("report prod", [sample.answer([], [sample.finding("A") | {"hint": 7}])], FORM),
    ("inventory prod", [inventory([row("a", arn=7)])], UNKNOWN),
    ("inventory prod", [inventory([row("a", targets="b")])], UNKNOWN),
    ("inventory prod", [inventory([row("a", restorePoint={"createdAt": 1})])], UNKNOWN),
    ("inventory prod", [inventory([], {"message": "x"})], UNKNOWN),
]


@pytest.mark.parametrize(("line", "answers", "said"), ANSWERS)
def test_an_answer_in_another_form_is_one_line(
    cli: Cli, stack: AwsWire, line: str, answers: list[Any], said: str
) -> None:
    stack.answer("GetParameter", {"Parameter": {"Name": "orders", "Value": "{}"}})
    stack.refuse("GetCallerIdentity", 403, "AccessDenied", "No.")
    stack.answer("Invoke", *answers)
    done = cli(*shlex.split(line))
    assert (done.status, said in done.err, done.err.count("\n")) == (Exit.COULD_NOT_RUN, True, 1), done.err
