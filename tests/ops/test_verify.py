"""The verification, at the wire: what every step calls a success, and what it does not."""

import base64
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ops import redrive
from ops.command import Exit
from ops.verify import __main__ as verify
from ops.verify import standing, subject
from ops.verify.acting import MADE_UP
from tests.ops.wire import AwsWire
from tests.ops.world import (
    CREATED,
    FUNCTION,
    PARAMETERS,
    PREFLIGHT,
    REPORT,
    RULE,
    SUBSCRIPTION,
    World,
)
from tests.unit.documents import first_column, section
from tests.unit.template import TEMPLATE


@pytest.fixture
def world(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(subject, "POLL_SECONDS", 0)
    monkeypatch.setattr(redrive, "POLL_SECONDS", 0)
    monkeypatch.setenv("COLUMNS", "240")
    return World(wire)


def run(*names: str) -> Exit:
    return verify.main(["prod", "--only", " ".join(names)])


def test_every_step_passes_where_aws_does_as_its_documentation_says(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == Exit.OK
    printed = capsys.readouterr().out
    assert printed.endswith(f"prod: {len(verify.STEPS)} passed, 0 failed, 0 cannot be seen yet.\n")
    assert "Init Duration 231.40 ms" in printed
    assert "kept as NO_PERMISSIONS; 1 moved and handled" in printed
    assert MADE_UP not in printed


def test_what_was_made_or_changed_is_undone(world: World) -> None:
    assert run() == Exit.OK
    made = {asked["Name"] for asked in world.wire.asked("CreateSchedule")}
    assert {asked["Name"] for asked in world.wire.asked("DeleteSchedule")} == made
    assert len(made) == 2
    assert world.timeouts == [50, 1, 50]


def test_a_stack_that_could_start_a_backup_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.stack(PARAMETERS | {"CommvaultApiUrl": "https://commvault.example.com/commandcenter/api"})
    assert run() == Exit.COULD_NOT_RUN
    assert set(world.wire.operations) == {"DescribeStacks"}
    assert "https://192.0.2.1/commandcenter/api" in capsys.readouterr().err


def rolled_back(world: World) -> None:
    inner = world.wire.answers["DescribeStacks"]
    world.wire.answers["DescribeStacks"] = lambda asked: (200, inner(asked)[1].replace("CREATE_C", "ROLLBACK_C"))


def logged(world: World) -> None:
    world.tokens_in_log, world.token = True, f"{MADE_UP}1"


PENDING = SUBSCRIPTION.format("PendingConfirmation", "email", "me@example.com")
QUIET = {"MetricAlarms": [{"StateValue": "OK", "StateUpdatedTimestamp": CREATED}]}

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
    "rds-rule: everything matches": lambda world: world.wire.answer("TestEventPattern", {"Result": True}),
    "listeners: not confirmed": lambda world: setattr(world, "subscriptions", PENDING),
    "dashboard: it is not there": lambda world: world.wire.fail("GetDashboard", 404, "ResourceNotFound", "None"),
    "compare-and-set: the label is moved from anywhere": lambda world: world.wire.answer(
        "UpdateSecretVersionStage", {}
    ),
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


def test_a_step_that_is_none_is_named(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("tags", "$(no)")
    assert "'$(no)' is not a step" in capsys.readouterr().err
    assert not world.wire.operations


@pytest.mark.parametrize("what", BREAKS)
def test_a_step_fails_where_aws_does_otherwise(world: World, capsys: pytest.CaptureFixture[str], what: str) -> None:
    BREAKS[what](world)
    name = what.partition(":")[0]
    assert run(name) == Exit.FINDINGS
    assert capsys.readouterr().out.endswith("prod: 0 passed, 1 failed, 0 cannot be seen yet.\n")
    assert world.timeouts[-1] == 50
    assert len(world.wire.asked("DeleteSchedule")) == len(world.wire.asked("CreateSchedule"))


def test_what_cannot_be_seen_yet_does_not_fail(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    young = time.time()
    inner = world.wire.answers["DescribeStacks"]
    now = datetime.fromtimestamp(young, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    world.wire.answers["DescribeStacks"] = lambda asked: (200, inner(asked)[1].replace("2026-01-31T02:00:00Z", now))
    quiet = {"MetricAlarms": [{"StateValue": "INSUFFICIENT_DATA", "StateUpdatedTimestamp": young}]}
    world.wire.answer("DescribeAlarms", quiet)
    warm = base64.b64encode(REPORT.partition("\tInit")[0].encode()).decode()
    world.wire.answers["Invoke"] = lambda _: (200, json.dumps(PREFLIGHT), {"X-Amz-Log-Result": warm})
    world.tries = 3
    assert run("dead-mans-switch", "first-invocation", "recursion", "redaction") == Exit.OK
    printed = capsys.readouterr().out
    assert "prod: 0 passed, 0 failed, 4 cannot be seen yet." in printed
    assert "at most 3 tries" in printed


def test_the_secret_of_another_owner_is_left_alone(world: World) -> None:
    world.stack(PARAMETERS | {"TokenSecretArn": "arn:aws:secretsmanager:us-east-1:111122223333:secret:own"})
    assert run("compare-and-set") == Exit.OK
    assert "PutSecretValue" not in world.wire.operations


def test_the_outputs_are_the_templates() -> None:
    conditional = {name for name, one in TEMPLATE["Outputs"].items() if "Condition" in one}
    assert set(standing.OUTPUTS) >= set(TEMPLATE["Outputs"]) - conditional


# ---- The document


def test_the_document_has_every_step() -> None:
    assert first_column("docs/verify-on-aws.md", "What the command proves") == list(verify.STEPS)


IAM_PREFIX = {"monitoring": "cloudwatch", "tagging": "tag"}
IAM_ACTION = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
# What AWS asks for beyond the calls: Scheduler gets a role, and SQS moves messages in the caller's name.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
BEYOND = {"iam:PassRole", "sqs:DeleteMessage", "sqs:SendMessage"}


def test_the_documents_policy_is_what_the_command_needs(world: World) -> None:
    assert run() == Exit.OK
    called = set()
    for operation, _, authorization in world.wire.calls:
        service = authorization.split("/")[3]
        action = f"{IAM_PREFIX.get(service, service)}:{operation}"
        called.add(IAM_ACTION.get(action, action))
    sample = re.search(r"```json\n(.*?)```", section("docs/verify-on-aws.md", "Permissions"), re.DOTALL)
    assert sample
    actions = [statement["Action"] for statement in json.loads(sample[1])["Statement"]]
    assert {one for some in actions for one in ([some] if isinstance(some, str) else some)} == called | BEYOND
