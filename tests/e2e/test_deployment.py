"""The whole template, as CloudFormation deploys it, with a pair as its token."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.stack import NEVER, deploy_directly
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


def test_its_outputs_are_those_of_the_template_and_none_is_empty(second: Product) -> None:
    assert second.stack.outputs.keys() == Resolved({**second.stack.parameters}).outputs.keys()
    assert all(second.stack.outputs.values())


def test_a_second_stack_in_the_region_comes_and_goes_by_itself(aws: Emulator, second: Product) -> None:
    passing = deploy_directly(aws, "passing")
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
    target = second.target("left")
    second.stack.invoke({"target": target})
    assert only(second.jobs(target))


def test_every_metric_that_an_alarm_watches_is_emitted_under_its_name_and_dimension(second: Product, tap: Tap) -> None:
    """A story for each; the last one is a pair that is renewed and cannot be stored, until it can."""
    stack, commserve = second.stack, second.commserve
    names = ("failed", "lost", "rejected", "refused-token", "abandoned", "deferred")
    failed, lost, rejected, refused, abandoned, deferred = (second.target(name) for name in names)
    stack.put_target(rejected, second.document("no-such-group"))
    stack.put_target(abandoned, second.document(abandoned) | {"taskType": "SCHEDULE"})
    commserve.plan_jobs(group=failed, seconds=0, ending="Killed")
    commserve.fault("unauthorized", times=2, about=refused)
    commserve.fault("reset_after", about=abandoned)
    commserve.fault("maintenance", about=deferred)
    for target in (failed, lost, rejected, refused, abandoned, deferred):
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
    # A run writes its metrics at its end, after its message.
    wait_until(lambda: _metrics(second)[_counted("TokenRenewed")], "the pair is not renewed")
    assert (commserve.tokens.renewals, commserve.tokens.deleted) == (1, False)

    emitted = _metrics(second)
    assert {dimensions for _, _, dimensions in emitted} == {frozenset({("service", NAME)})}
    watched = set(_watched(Resolved({"AWS::StackName": NAME}).of_type("AWS::CloudWatch::Alarm")))
    assert len(watched) == 10
    assert not watched - emitted.keys()


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
