"""The whole template, as CloudFormation deploys it, with a pair as its token."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.stack import NEVER, deploy
from rds_snap_backup.observability import NAMESPACE
from tests.e2e.conftest import CANARY, deploy_quick
from tests.e2e.product import Product, only, scheduled, wait_until
from tests.e2e.tap import Tap
from tests.evidence import Evidence
from tests.metrics import Metric, metric, sums
from tests.unit.template import Resolved

pytestmark = pytest.mark.e2e

NAME = "second"
AUDIT = "AuditFunctionName"


@pytest.fixture(scope="module")
def second(aws: Emulator, evidence: Evidence) -> Iterator[Product]:
    """The stack. Its audit does not fire by itself."""
    more = {"ScheduleExpression": NEVER, "AuditScheduleExpression": "rate(365 days)"}
    with CommServe(token=CANARY, job_seconds=3600, keep_tokens=True) as commserve:
        evidence.add(NAME, commserve)
        stack = deploy_quick(aws, NAME, commserve, more)
        yield Product(stack, commserve, stack.subscribe())


def test_every_alarm_is_made_and_notifies_the_alarm_topic(aws: Emulator, second: Product) -> None:
    pages = aws.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{NAME}-")
    alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
    assert sorted(alarm["AlarmName"].split("-")[1] for alarm in alarms) == sorted(
        Resolved({**second.stack.parameters}).of_type("AWS::CloudWatch::Alarm")
    )
    topics = {action for alarm in alarms for action in alarm["AlarmActions"]}
    assert topics == {second.stack.outputs["AlarmTopicArn"]} != {second.stack.outputs["NotificationsTopicArn"]}


def test_both_schedules_are_in_the_group_that_is_watched(aws: Emulator, second: Product) -> None:
    client, group = aws.client("scheduler"), second.stack.outputs["ScheduleGroupName"]
    names = [schedule["Name"] for schedule in client.list_schedules(GroupName=group)["Schedules"]]
    schedules = [client.get_schedule(Name=name, GroupName=group) for name in names]
    assert sorted(sorted(json.loads(schedule["Target"]["Input"])) for schedule in schedules) == [
        ["audit", "schedule", "time"],
        ["schedule", "target", "time"],
    ]
    assert {schedule["Target"]["RoleArn"] for schedule in schedules} == {second.stack.outputs["SchedulerRoleArn"]}


def test_its_outputs_are_those_of_the_template_and_none_is_empty(second: Product) -> None:
    assert second.stack.outputs.keys() == Resolved({**second.stack.parameters}).outputs.keys()
    assert all(second.stack.outputs.values())


def test_everything_starts_also_targets_that_were_just_stored(second: Product) -> None:
    names = [second.target("all")]
    assert second.stack.invoke({"target": "*"})["submissions"]
    second.wait_for_messages(*names)
    for job_id in list(second.commserve.jobs):
        second.commserve.end_job(job_id)
    second.story("default", *names)
    # The sandbox is warm, and knows one of them.
    names += [second.target("all") for _ in range(11)]
    answer = second.stack.invoke({"target": "*", "requestId": "all"})
    assert {submission["target"]: submission["status"] for submission in answer["submissions"]} == dict.fromkeys(
        ["default", *names], "queued"
    )
    wait_until(lambda: len(_about(second, "all", *names)) == len(names), "a message about each")
    messages = _about(second, "all", *names)
    assert {message["target"]: message["status"] for message in messages} == dict.fromkeys(names, "submitted")
    assert all(second.commserve.jobs[only(message["jobIds"])].group == message["target"] for message in messages)


def test_a_token_that_was_replaced_is_taken_from_the_secret_at_once(second: Product) -> None:
    target = second.target("replaced")
    assert _state(second, {"target": target}) == "running"
    second.commserve.end_job(only(second.jobs(target)).id)
    second.story(target)
    second.commserve.token = "QSDK successor-7c1"
    second.stack.set_token("QSDK successor-7c1")
    assert _state(second, {"target": target}) == "running"
    assert len(second.jobs(target)) == 2


def test_a_second_stack_in_the_region_comes_and_goes_by_itself(aws: Emulator, second: Product) -> None:
    passing = deploy(aws, "passing")
    client = aws.client("cloudformation")

    def resources(name: str) -> set[str]:
        found = client.describe_stack_resources(StackName=name)["StackResources"]
        return {resource["PhysicalResourceId"] for resource in found}

    assert not resources(NAME) & resources("passing")
    client.delete_stack(StackName="passing")
    client.get_waiter("stack_delete_complete").wait(StackName="passing", WaiterConfig={"Delay": 1})
    functions = {function["FunctionName"] for function in aws.client("lambda").list_functions()["Functions"]}
    assert not functions & {value for name, value in passing.outputs.items() if name.endswith("FunctionName")}
    queues = aws.client("sqs").list_queues(QueueNamePrefix="passing").get("QueueUrls", [])
    assert not queues
    # The audit trail outlives its stack.
    assert passing.outputs["LedgerTableName"] in aws.client("dynamodb").list_tables()["TableNames"]
    assert _state(second, {"target": second.target("left")}) == "running"


def test_a_deferral_and_a_submission_are_counted_once(second: Product) -> None:
    target = second.target("deferred")
    before = _metrics(second)
    second.commserve.fault("maintenance", about=target)
    assert _state(second, {"target": target}) == "waiting"
    # A run's log is there when the run has ended.
    wait_until(lambda: (_metrics(second) - before)[_counted("BackupSubmitted")], "it was submitted")
    names = ("SubmissionDeferred", "CommvaultUnreachable", "BackupSubmitted")
    counted = _metrics(second) - before
    # What else is counted meanwhile is about other targets, whose runs end when they end.
    assert {name: counted[_counted(name)] for name in names} == dict.fromkeys(names, 1)


def test_every_metric_that_an_alarm_watches_is_emitted_under_its_name_and_dimension(second: Product, tap: Tap) -> None:
    """A story for each; the last one is a pair that is renewed and cannot be stored, until it can."""
    stack, commserve = second.stack, second.commserve
    names = ("failed", "lost", "rejected", "refused-token", "abandoned")
    failed, lost, rejected, refused, abandoned = (second.target(name) for name in names)
    stack.put_target(rejected, second.document("no-such-group"))
    stack.put_target(abandoned, second.document(abandoned) | {"taskType": "SCHEDULE"})
    commserve.plan_jobs(group=failed, seconds=0, ending="Killed")
    commserve.fault("unauthorized", times=2, about=refused)
    commserve.fault("reset_after", about=abandoned)
    for target in (failed, lost, rejected, refused, abandoned):
        stack.invoke(scheduled(target))
    only(second.jobs(lost)).subclient = commserve.catalogue.add("aws-prod", "another")
    stack.invoke({})
    stack.put_target("unknown", second.document("no-such-group"))
    assert stack.invoke({"audit": True, "schedule": "arn:aws:scheduler:audit", "time": "2026-01-31T06:00:00Z"}, AUDIT)
    second.story(failed, lost, rejected, abandoned)

    stored = second.target("stored")
    tap.refuse("UpdateSecretVersionStage", times=1000, about=stack.outputs["TokenSecretArn"])
    pair = commserve.issue_pair()
    stack.set_token(json.dumps(pair))
    commserve.tokens.expires = commserve.clock.now()
    stack.invoke_asynchronously(scheduled(stored))
    wait_until(lambda: _metrics(second)[_counted("TokenNotStored")], "the renewed pair is not stored")
    tap.admit()
    only(second.wait_for_messages(stored))
    assert _metrics(second)[_counted("TokenRenewed")] == 1
    assert (commserve.tokens.renewals, commserve.tokens.deleted) == (1, False)

    emitted = _metrics(second)
    assert {dimensions for _, _, dimensions in emitted} == {frozenset({("service", NAME)})}
    watched = set(_watched(Resolved({"AWS::StackName": NAME}).of_type("AWS::CloudWatch::Alarm")))
    assert len(watched) == 10
    assert not watched - emitted.keys()


def _about(product: Product, trigger: str, *targets: str) -> list[Mapping[str, Any]]:
    """Return the messages about a trigger, by its identity, for targets."""
    return [message for message in product.messages(*targets) if message["trigger"]["id"] == trigger]


def _state(product: Product, event: Mapping[str, Any]) -> str:
    """Invoke the function for one backup, and return the state of it."""
    return str(only(only(product.stack.invoke(event)["submissions"])["backups"])["state"])


def _counted(name: str) -> Metric:
    return metric(NAMESPACE, name, service=NAME)


def _metrics(product: Product) -> Counter[Metric]:
    """Return the metrics in the logs of both functions, each with its sum."""
    return sums([*product.stack.logs(), *product.stack.logs(AUDIT)])


def _watched(part: Any) -> Iterator[Metric]:
    """Yield the metrics of this product in a template's alarms."""
    match part:
        case {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions}:
            if namespace == NAMESPACE:
                yield (namespace, name, frozenset((dimension["Name"], dimension["Value"]) for dimension in dimensions))
        case dict():
            for inner in part.values():
                yield from _watched(inner)
        case list():
            for inner in part:
                yield from _watched(inner)
