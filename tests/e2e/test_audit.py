"""The Audit function of a deployed stack, with the permissions of its own role."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import REGION, Emulator
from local.rds import create_instance
from tests.e2e.conftest import ALONE, CANARY, deploy_quick
from tests.e2e.product import Product, association, only, scheduled, wait_until
from tests.e2e.tap import Tap
from tests.evidence import Evidence

pytestmark = pytest.mark.e2e

HOUR = 3600
DAYS = count(1)


@dataclass(frozen=True)
class Audited:
    """A deployed stack whose topics have listeners."""

    product: Product

    def ask(self, event: Any) -> Any:
        """Return the Audit function's answer."""
        return self.product.stack.invoke(event, "AuditFunctionName")

    def daily(self, *places: str) -> tuple[set[tuple[str, str]], bool, str]:
        """Let the schedule start the next day's audit; return its findings about these places, its news and its level.

        Other tests have databases in the same account.
        """
        answer = self.ask({"audit": True, "schedule": "arn:aws:scheduler:audit", "time": f"day {next(DAYS)}"})
        subscriber = self.product.subscriber
        subscriber.receive(seconds=1)
        message = [one for one in subscriber.received if one.attributes["status"] == "audit"][-1]
        assert {**answer, "title": message.body["title"]} == message.body
        codes = {(one["code"], one["database"] or one["target"]) for one in answer["findings"]}
        return {one for one in codes if one[1] in places}, answer["news"], message.attributes["level"]


@pytest.fixture(scope="module")
def audited(aws: Emulator, evidence: Evidence) -> Iterator[Audited]:
    with CommServe(token=CANARY, job_seconds=3600, keep_tokens=True) as commserve:
        evidence.add("audited", commserve)
        stack = deploy_quick(aws, "audited", commserve, ALONE)
        aws.client("sns").subscribe(
            TopicArn=stack.outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:000000000000:ops"
        )
        yield Audited(Product(stack, commserve, stack.subscribe()))


def lose_message(product: Product, target: str) -> None:
    """Defer a submission, lose its message, and let two hours have passed since it should have come."""
    stack = product.stack
    with product.queue_disabled():
        product.commserve.fault("maintenance", about=target)
        stack.invoke(scheduled(target, "stuck"))
        stack.aws.client("sqs").purge_queue(QueueUrl=stack.outputs["SubmissionsQueueUrl"])
    item = only([row for row in stack.ledger() if row["pk"]["S"].startswith(f"submission#{target}#")])
    record = json.loads(item["record"]["S"])
    record["created"] -= 2 * HOUR
    for backup in record["backups"]:
        backup["due"] -= 2 * HOUR
    stack.aws.client("dynamodb").update_item(
        TableName=stack.outputs["LedgerTableName"],
        Key={"pk": item["pk"]},
        UpdateExpression="SET wakeAt = :at, #record = :record",
        ExpressionAttributeNames={"#record": "record"},
        ExpressionAttributeValues={":at": {"N": str(record["created"])}, ":record": {"S": json.dumps(record)}},
    )


def test_findings_are_published_daily_until_their_causes_are_gone(audited: Audited, aws: Emulator, tap: Tap) -> None:
    product = audited.product
    stack, path = product.stack, product.stack.outputs["TargetsPath"]
    weekly, stuck = product.target("weekly", maxAgeHours=1), product.target("stuck")
    places = ("crm", weekly, stuck, "broken")
    audited.daily()
    assert audited.daily(*places) == (set(), False, "digest")

    create_instance(aws.client("rds"), "crm", "postgres")
    tap.age(f"{path}{weekly}", 2 * HOUR)
    stack.put_target("broken", {"associations": []})
    lose_message(product, stuck)

    lasting = {("DATABASE_UNCOVERED", "crm"), ("BACKUP_STALE", weekly), ("TARGET_INVALID", "broken")}
    assert audited.daily(*places) == ({*lasting, ("SUBMISSION_STUCK", stuck)}, True, "problem")
    wait_until(lambda: product.jobs(stuck), "its message was sent again, and its backup starts")
    assert audited.daily(*places) == (lasting, True, "digest")
    assert audited.daily(*places) == (lasting, False, "digest")

    stack.put_target("broken", {"associations": [association("crm")]})
    product.commserve.plan_jobs(instance=weekly, seconds=0)
    stack.invoke({"target": weekly})
    assert [message["status"] for message in product.story(weekly)] == ["submitted", "completed"]
    product.commserve.catalogue.add("aws-prod", "crm")
    assert audited.daily(*places) == (set(), True, "digest")
    assert audited.daily(*places) == (set(), False, "digest")
    verdicts = {row["arn"].rpartition(":")[2]: row["verdict"] for row in audited.ask({"audit": True})["databases"]}
    assert verdicts["crm"] == "new"


def test_the_preflight_is_well_and_names_a_refused_token(audited: Audited) -> None:
    assert [check for check in audited.ask({"check": True, "target": "default"})["checks"] if not check["ok"]] == []
    audited.product.commserve.token = "fake-token-of-tomorrow"
    failed = [check["name"] for check in audited.ask({"check": True})["checks"] if not check["ok"]]
    assert failed[0] == "token"
    audited.product.stack.set_token("fake-token-of-tomorrow")
    assert audited.ask({"check": True, "target": "default"})["ok"] is True
