"""The verification, at the wire: what every step calls a success, and what it does not."""

import base64
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup_cli import redrive
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.verify import command, counted, standing, subject
from rds_snap_backup_cli.verify.acting import MADE_UP
from tests.cli.calls import Cli, Done
from tests.cli.wire import AwsWire
from tests.cli.world import (
    ALARM,
    FUNCTION,
    LAYER,
    MEMBER_DATABASE,
    PARAMETERS,
    PERMISSION,
    PREFLIGHT,
    REPORT,
    RULE,
    RULE_ARN,
    SUBSCRIPTION,
    World,
)
from tests.iam import listed
from tests.unit.documents import first_column, section
from tests.unit.template import TEMPLATE


@pytest.fixture
def world(wire: AwsWire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    config = tmp_path / "config"
    config.write_text("[profile member]\naws_access_key_id = MEMBER\naws_secret_access_key = secret\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setattr(subject, "POLL_SECONDS", 0)
    monkeypatch.setattr(redrive, "POLL_SECONDS", 0)
    monkeypatch.setattr(counted, "HELD_SECONDS", 0)
    monkeypatch.setenv("COLUMNS", "240")
    return World(wire)


PLACE = "prod (account 111122223333, eu-central-1)"


OF_MEMBER = ("--member-database", MEMBER_DATABASE, "--member-profile", "member")


def run(cli: Cli, *names: str) -> Done:
    return cli("verify", "prod", "--only", " ".join(names), *OF_MEMBER)


def test_every_step_passes_where_aws_does_as_its_documentation_says(cli: Cli, world: World) -> None:
    done = run(cli)
    assert done.status == Exit.OK
    printed = done.out
    assert printed.endswith(f"{PLACE}: {len(command.STEPS)} passed, 0 failed, 0 cannot be seen yet.\n")
    assert "Init Duration 231.40 ms" in printed
    assert "kept as NO_PERMISSIONS; 1 moved and handled" in printed
    assert MADE_UP not in printed


def test_what_was_made_or_changed_is_undone(cli: Cli, world: World) -> None:
    done = run(cli)
    assert done.status == Exit.OK
    made = {asked["Name"] for asked in world.wire.asked("CreateSchedule")}
    assert {asked["Name"] for asked in world.wire.asked("DeleteSchedule")} == made
    assert len(made) == 2
    assert world.timeouts == [50, 1, 50]
    for make, undo, count in (
        ("CreateQueue", "DeleteQueue", 2),
        ("Subscribe", "Unsubscribe", 1),
        ("PutRule", "DeleteRule", 1),
        ("PutTargets", "RemoveTargets", 1),
    ):
        assert [world.wire.operations.count(operation) for operation in (make, undo)] == [count, count]


def test_a_members_database_is_restarted_with_the_members_profile_in_its_region(cli: Cli, world: World) -> None:
    assert run(cli, "member-event").status == Exit.OK
    scopes = {operation: scope for operation, _, scope in world.wire.calls}
    for operation in ("DescribeDBInstances", "RebootDBInstance"):
        assert re.search(r"Credential=MEMBER/\d+/eu-west-2/rds/", scopes[operation])
    (asked,) = world.wire.asked("RebootDBInstance")
    assert asked["DBInstanceIdentifier"] == "verify-1"


@pytest.mark.parametrize(
    "database",
    [
        MEMBER_DATABASE.replace("verify-1", "orders"),
        MEMBER_DATABASE.replace(":db:", ":cluster:"),
        "verify-1",
        "arn:aws:rds:eu-central-1:111122223333:db:verify-1",
    ],
)
def test_no_other_database_is_restarted(cli: Cli, world: World, database: str) -> None:
    done = cli("verify", "prod", "--member-database", database)
    assert done.status == Exit.COULD_NOT_RUN
    assert database in done.line
    assert set(world.wire.operations) == {"DescribeStacks"}


@pytest.mark.parametrize("off", ["", "off"])
def test_hops_that_the_stack_does_not_have_do_not_fail(cli: Cli, world: World, off: str) -> None:
    world.stack(PARAMETERS | dict.fromkeys(("EventsOutBusName", "OrganizationId", "AuditMembers"), off))
    done = run(cli, "events-out", "member-role", "member-event")
    assert done.status == Exit.OK
    assert done.out.endswith(f"{PLACE}: 0 passed, 0 failed, 3 cannot be seen yet.\n")
    assert world.wire.operations.count("PutRule") == world.wire.operations.count("RebootDBInstance") == 0


def test_without_a_database_of_a_member_nothing_is_restarted(cli: Cli, world: World) -> None:
    assert "--member-database" in cli("verify", "prod", "--only", "member-event").out
    assert "RebootDBInstance" not in world.wire.operations


def test_jobs_are_counted_with_a_simulator(cli: Cli, world: World) -> None:
    world.with_simulator()
    done = run(cli)
    assert done.status == Exit.OK
    assert done.out.endswith(f"{PLACE}: {len(command.COUNTED)} passed, 0 failed, 0 cannot be seen yet.\n")
    assert [world.deliveries.count(schedule) for schedule in dict.fromkeys(world.deliveries)] == [2, 1, 1]
    faults = [event["parameters"]["name"] for event in world.wire.asked("Invoke") if event.get("control") == "fault"]
    assert faults == ["bad_gateway_after", "slow"]
    own = {"LEDGER_TABLE": "ledger"}
    assert world.settings == [
        {"Layers": [LAYER], "Environment": {"Variables": own | counted.CUT}},
        {"Layers": [], "Environment": {"Variables": own}},
    ]
    assert "is not a step of this stack" in run(cli, "tags").err


# What goes wrong with a stack that has a simulator, and the verdict.
MISCOUNTS: dict[str, tuple[Callable[[World], Any], str]] = {
    "duplicate: the second starts a job too": (lambda world: setattr(world, "requests_of", lambda _: 1), "1 failed"),
    "lost-answer: it is sent again": (lambda world: setattr(world, "requests_of", lambda _: 2), "1 failed"),
    "cut-short: no job was started": (lambda world: setattr(world, "requests_of", lambda _: 0), "1 failed"),
    "cut-short: it is not killed": (lambda world: setattr(world, "runs", []), "1 failed"),
    "lost-answer: the job is not followed": (lambda world: setattr(world, "status", "submitted"), "1 failed"),
    "duplicate: the simulator is replaced": (lambda world: setattr(world, "sandboxes", ["b", "a"]), "1 cannot"),
}


@pytest.mark.parametrize("what", MISCOUNTS)
def test_a_wrong_count_fails(cli: Cli, world: World, what: str) -> None:
    world.with_simulator()
    change, verdict = MISCOUNTS[what]
    change(world)
    assert verdict in run(cli, what.partition(":")[0]).out.splitlines()[-1]


def test_another_servers_url_is_not_the_simulators(cli: Cli, world: World) -> None:
    world.with_simulator(CommvaultApiUrl="https://other.lambda-url.us-east-1.on.aws/commandcenter/api")
    assert run(cli).status == Exit.COULD_NOT_RUN


def test_a_stack_that_could_start_a_backup_is_refused(cli: Cli, world: World) -> None:
    world.stack(PARAMETERS | {"CommvaultApiUrl": "https://commvault.example.com/commandcenter/api"})
    done = run(cli)
    assert done.status == Exit.COULD_NOT_RUN
    assert set(world.wire.operations) == {"DescribeStacks"}
    assert "https://192.0.2.1/commandcenter/api" in done.line


def rolled_back(world: World) -> None:
    inner = world.wire.answers["DescribeStacks"]
    world.wire.answers["DescribeStacks"] = lambda asked: (200, inner(asked)[1].replace("CREATE_C", "ROLLBACK_C"))


def logged(world: World) -> None:
    world.tokens_in_log, world.token = True, f"{MADE_UP}1"


PENDING = SUBSCRIPTION.format("PendingConfirmation", "email", "me@example.com")
QUIET = {"MetricAlarms": [ALARM | {"StateValue": "OK"}]}

UNREADABLE = {"code": "MEMBER_UNREADABLE", "account": "444455556666", "region": "eu-west-2", "message": "Refused."}

# What AWS does otherwise, for the step whose name it begins with.
BREAKS: dict[str, Callable[[World], Any]] = {
    "deployment: it was rolled back": rolled_back,
    "tags: not on all": lambda world: world.wire.answer(
        "GetResources", {"ResourceTagMappingList": [{"ResourceARN": FUNCTION, "Tags": []}]}
    ),
    "first-invocation: Commvault answers": lambda world: world.wire.answer("Invoke", PREFLIGHT | {"ok": True}),
    "rds-rule: it is disabled": lambda world: world.wire.answer("DescribeRule", RULE | {"State": "DISABLED"}),
    "rds-rule: it has another target": lambda world: world.wire.answer("ListTargetsByRule", {"Targets": []}),
    "rds-rule: it may not invoke": lambda world: world.wire.fail("GetPolicy", 404, "ResourceNotFoundException", "None"),
    "rds-rule: another rule may invoke": lambda world: world.permission(
        Condition={"ArnLike": {"AWS:SourceArn": f"{RULE_ARN}2"}}
    ),
    "rds-rule: it may do something else": lambda world: world.permission(Action="lambda:GetFunction"),
    "rds-rule: everything matches": lambda world: world.wire.answer("TestEventPattern", {"Result": True}),
    "listeners: not confirmed": lambda world: setattr(world, "subscriptions", PENDING),
    "dashboard: it is not there": lambda world: world.wire.fail("GetDashboard", 404, "ResourceNotFound", "None"),
    "compare-and-set: the label is moved from anywhere": lambda world: world.wire.answer(
        "UpdateSecretVersionStage", {}
    ),
    "topic: nothing arrives": lambda world: world.wire.answer("ReceiveMessage", {}),
    "events-out: nothing arrives": lambda world: world.wire.answer("ReceiveMessage", {}),
    "events-out: its source is another": lambda world: setattr(world, "event", world.event | {"source": "x"}),
    "member-role: a member cannot be read": lambda world: setattr(world, "findings", [UNREADABLE]),
    "member-event: it is not forwarded": lambda world: world.wire.answer("FilterLogEvents", {"events": []}),
    "member-event: the database is stopped": lambda world: world.database(status="stopped"),
    "member-event: the profile is of another account": lambda world: world.database(
        MEMBER_DATABASE.replace("444455556666", "777788889999")
    ),
    "queue: nothing is handled": lambda world: world.wire.answer("FilterLogEvents", {"events": []}),
    "placeholders: they are not filled in": lambda world: setattr(world, "identity", "{schedule}|<aws.scheduler.x>"),
    "dead-letters: none": lambda world: world.wire.answer("ReceiveMessage", {}),
    "dead-letters: not allowed": lambda world: world.wire.fail(
        "StartMessageMoveTask", 403, "AccessDeniedException", "Not authorized"
    ),
    "killed-run: it is lost": lambda world: setattr(world, "runs", ["killed"]),
    "alarm-action: none": lambda world: world.wire.answer("DescribeAlarmHistory", {"AlarmHistoryItems": []}),
    "dead-mans-switch: it says nothing": lambda world: world.wire.answer("DescribeAlarms", QUIET),
    "recursion: one is dropped": lambda world: world.wire.answer("GetMetricStatistics", {"Datapoints": [{"Sum": 1.0}]}),
    "redaction: the token is logged": logged,
}


def test_a_step_that_is_none_is_named(cli: Cli, world: World) -> None:
    assert "'$(no)' is not a step" in run(cli, "tags", "$(no)").err
    assert not world.wire.operations


@pytest.mark.parametrize("what", BREAKS)
def test_a_step_fails_where_aws_does_otherwise(cli: Cli, world: World, what: str) -> None:
    BREAKS[what](world)
    name = what.partition(":")[0]
    done = run(cli, name)
    assert done.status == Exit.FINDINGS
    assert done.out.endswith(f"{PLACE}: 0 passed, 1 failed, 0 cannot be seen yet.\n")
    assert world.timeouts[-1] == 50
    assert len(world.wire.asked("DeleteSchedule")) == len(world.wire.asked("CreateSchedule"))


def test_what_cannot_be_seen_yet_does_not_fail(cli: Cli, world: World) -> None:
    young = time.time() - 27 * 3600
    inner = world.wire.answers["DescribeStacks"]
    now = datetime.fromtimestamp(young, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.wire.answers["DescribeStacks"] = lambda asked: (200, inner(asked)[1].replace("2026-01-31T02:00:00Z", now))
    quiet = {"MetricAlarms": [ALARM | {"StateValue": "INSUFFICIENT_DATA"}]}
    world.wire.answer("DescribeAlarms", quiet)
    warm = base64.b64encode(REPORT.partition("\tInit")[0].encode()).decode()
    world.wire.answers["Invoke"] = lambda _: (200, json.dumps(PREFLIGHT), {"X-Amz-Log-Result": warm})
    world.tries = 3
    done = run(cli, "dead-mans-switch", "first-invocation", "recursion", "redaction")
    assert done.status == Exit.OK
    printed = done.out
    assert f"{PLACE}: 0 passed, 0 failed, 4 cannot be seen yet." in printed
    assert "at most 3 tries" in printed


def test_a_stale_read_is_repeated(cli: Cli, world: World) -> None:
    world.wire.answer("GetPolicy", {"Policy": '{"Statement": []}'}, {"Policy": json.dumps({"Statement": [PERMISSION]})})
    inner, reads = world.wire.answers["GetSecretValue"], iter([(200, json.dumps({"VersionId": "0" * 32}))])
    world.wire.answers["GetSecretValue"] = lambda asked: next(reads, None) or inner(asked)
    assert run(cli, "rds-rule", "compare-and-set").status == Exit.OK
    assert [world.wire.operations.count(operation) for operation in ("GetPolicy", "GetSecretValue")] == [2, 2]


def test_the_secret_of_another_owner_is_left_alone(cli: Cli, world: World) -> None:
    world.stack(PARAMETERS | {"TokenSecretArn": "arn:aws:secretsmanager:us-east-1:111122223333:secret:own"})
    done = run(cli, "compare-and-set")
    assert done.status == Exit.OK
    assert "PutSecretValue" not in world.wire.operations


def test_the_outputs_are_the_templates() -> None:
    conditional = {name for name, output in TEMPLATE["Outputs"].items() if "Condition" in output}
    assert set(standing.OUTPUTS) >= set(TEMPLATE["Outputs"]) - conditional


# ---- The document


def test_the_document_has_every_step() -> None:
    assert first_column("docs/verify-on-aws.md", "What the command proves") == list(command.STEPS)
    assert first_column("docs/verify-on-aws.md", "Counting jobs") == list(command.COUNTED)


IAM_PREFIX = {"monitoring": "cloudwatch", "tagging": "tag"}
IAM_ACTION = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
# What AWS asks for beyond the calls: Scheduler gets a role, the function a layer, and SQS moves messages
# in the caller's name.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
BEYOND = {"iam:PassRole", "sqs:DeleteMessage", "lambda:GetLayerVersion"}


def test_the_documents_policy_is_what_the_command_needs(cli: Cli, world: World) -> None:
    assert run(cli).status == Exit.OK
    world.with_simulator()
    assert run(cli).status == Exit.OK
    called: dict[str, set[str]] = {"hub": set(BEYOND), "member": set()}
    for operation, _, authorization in world.wire.calls:
        service = authorization.split("/")[3]
        action = f"{IAM_PREFIX.get(service, service)}:{operation}"
        called["member" if "=MEMBER/" in authorization else "hub"].add(IAM_ACTION.get(action, action))
    hub, _, member = re.findall(r"```json\n(.*?)```", section("docs/verify-on-aws.md", "Permissions"), re.DOTALL)
    allowed = {
        name: {action for statement in json.loads(policy)["Statement"] for action in listed(statement["Action"])}
        for name, policy in (("hub", hub), ("member", member))
    }
    assert allowed == called
