"""The daily audit of a deployed stack: each finding is found, published once, and gone once when its cause is gone."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.stack import Stack
from local.subscriber import Subscriber
from tests.e2e.conftest import ALONE, deploy_quick
from tests.e2e.product import CLIENT, Product, association, only, scheduled, wait_until
from tests.e2e.tap import Tap
from tests.evidence import Evidence

pytestmark = pytest.mark.e2e

HOUR = 3600
NAME = "audited"
LOGIN = {"MasterUsername": "admin", "MasterUserPassword": "fake-password"}
DAYS = count(1)


@dataclass(frozen=True)
class Audited:
    """A deployed stack in which nothing is wrong, and what its audits publish."""

    stack: Stack
    commserve: CommServe
    subscriber: Subscriber
    seen: list[int] = field(default_factory=lambda: [0])

    def audit(self) -> list[tuple[str, str | None]]:
        """Let the schedule start the next day's audit; return what it finds."""
        event = {"audit": True, "schedule": "arn:aws:scheduler:audit", "time": f"day {next(DAYS)}"}
        return codes(self.stack.invoke(event, "AuditFunctionName"))

    def published(self) -> list[Any]:
        """Return the audits that were published since this was last asked, the messages of submissions left out."""
        self.subscriber.receive(seconds=1)
        audits = [one.body for one in self.subscriber.received if one.attributes.get("status") == "audit"]
        new = audits[self.seen[0] :]
        self.seen[0] = len(audits)
        return new

    def is_found_and_gone_once(self, cause: Callable[[], object], fix: Callable[[], object], *found: Any) -> None:
        """Assert that a cause is published once, and that it is gone once."""
        assert (self.audit(), self.published()) == ([], [])
        cause()
        assert self.audit() == list(found)
        published = only(self.published())
        assert codes(published) == list(found)
        assert all(one["message"] and one["hint"] for one in published["findings"])
        assert (self.audit(), self.published()) == (list(found), [])
        fix()
        assert self.audit() == []
        assert only(self.published())["ok"] is True
        assert (self.audit(), self.published()) == ([], [])


def codes(report: Any) -> list[tuple[str, str | None]]:
    return [(one["code"], one["target"] or one["database"]) for one in report["findings"]]


@pytest.fixture(scope="module")
def audited(aws: Emulator, evidence: Evidence) -> Iterator[Audited]:
    with CommServe(token="fake-token-8a31", job_seconds=3600, keep_tokens=True) as commserve:
        evidence.add(NAME, commserve)
        stack = deploy_quick(aws, NAME, commserve, ALONE | {"FollowHours": "24", "FirstPollSeconds": "1"})
        create(aws, "orders-db")
        yield Audited(stack, commserve, stack.subscribe())
        delete(aws, "orders-db")


def create(aws: Emulator, name: str, **tags: str) -> None:
    given = [{"Key": f"rds-snap-backup:{key}", "Value": value} for key, value in tags.items()]
    size: Any = {"DBInstanceClass": "db.t3.micro", "AllocatedStorage": 20}
    aws.client("rds").create_db_instance(DBInstanceIdentifier=name, Engine="postgres", Tags=given, **size, **LOGIN)


def delete(aws: Emulator, name: str) -> None:
    aws.client("rds").delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


@pytest.fixture(autouse=True)
def cleaned(audited: Audited, aws: Emulator) -> Iterator[None]:
    """Leave each test the one database and the one target that there were, whatever became of the test before."""
    yield
    ssm, path = aws.client("ssm"), audited.stack.outputs["TargetsPath"]
    for row in ssm.get_parameters_by_path(Path=path)["Parameters"]:
        if row["Name"] != f"{path}default":
            ssm.delete_parameter(Name=row["Name"])
    for instance in aws.client("rds").describe_db_instances()["DBInstances"]:
        if instance["DBInstanceIdentifier"] != "orders-db":
            delete(aws, instance["DBInstanceIdentifier"])


def test_by_hand_it_answers_with_every_database_and_target(audited: Audited) -> None:
    answer = audited.stack.invoke({"audit": True}, "AuditFunctionName")
    assert (answer["ok"], answer["counts"]["databases"], answer["counts"]["covered"]) == (True, 1, 1)
    assert only(answer["databases"])["targets"] == [{"name": "default", "reason": "association"}]
    assert [(one["name"], one["verdict"]) for one in answer["targets"]] == [("default", "exempt")]
    assert audited.published() == []


def test_an_uncovered_database_until_a_target_is_for_it(audited: Audited, aws: Emulator) -> None:
    document = {"associations": [association("orders-db")], "databases": ["crm"]}
    audited.is_found_and_gone_once(
        lambda: create(aws, "crm"),
        lambda: audited.stack.put_target("crm", document),
        ("DATABASE_UNCOVERED", "crm"),
    )


def test_an_uncovered_database_until_it_is_excluded(audited: Audited, aws: Emulator) -> None:
    tag = {"Key": "rds-snap-backup:exclude", "Value": "true"}
    rds = aws.client("rds")
    arn = "arn:aws:rds:us-east-1:000000000000:db:scratch"
    audited.is_found_and_gone_once(
        lambda: create(aws, "scratch"),
        lambda: rds.add_tags_to_resource(ResourceName=arn, Tags=[tag]),
        ("DATABASE_UNCOVERED", "scratch"),
    )


def test_a_stale_target_until_a_backup_of_it_completes(audited: Audited, tap: Tap) -> None:
    stack, path = audited.stack, audited.stack.outputs["TargetsPath"]

    def add() -> None:
        audited.commserve.catalogue.add(CLIENT, "weekly")
        stack.put_target("weekly", {"associations": [association("weekly")], "maxAgeHours": 1})
        tap.age(f"{path}weekly", 2 * HOUR)

    def back_up() -> None:
        job = only(only(stack.invoke({"target": "weekly"})["submissions"])["jobIds"])
        audited.commserve.end_job(job)
        product = Product(stack, audited.commserve, audited.subscriber)
        wait_until(
            lambda: any(message["status"] == "completed" for message in product.messages("weekly")), 60, "it completed"
        )
        wait_until(lambda: any("completedAt" in item for item in stack.ledger()), 20, "that is recorded")

    audited.is_found_and_gone_once(add, back_up, ("BACKUP_STALE", "weekly"))


def test_a_refused_token_until_another_is_stored(audited: Audited) -> None:
    def replace_token() -> None:
        audited.commserve.token = "fake-token-of-tomorrow"

    audited.is_found_and_gone_once(
        replace_token, lambda: audited.stack.set_token("fake-token-of-tomorrow"), ("TOKEN_REFUSED", None)
    )


def test_a_target_that_is_not_valid_until_it_is_corrected(audited: Audited) -> None:
    audited.is_found_and_gone_once(
        lambda: audited.stack.put_target("broken", {"associations": []}),
        lambda: audited.stack.put_target("broken", {"associations": [association("orders-db")]}),
        ("TARGET_INVALID", "broken"),
    )


def test_nobody_listens_until_one_subscribes(audited: Audited, aws: Emulator, tap: Tap) -> None:
    """Of the first message only the wire knows: nobody receives it."""
    sns, topic = aws.client("sns"), audited.stack.outputs["NotificationsTopicArn"]

    def publishes() -> int:
        return sum(one.operation == "Publish" and one.form["TopicArn"] == topic for one in tap.calls)

    assert (audited.audit(), audited.published()) == ([], [])
    own = audited.subscriber.queue_url.rpartition("/")[2]
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    mine = only([one for one in subscriptions if one["Endpoint"].endswith(f":{own}")])
    assert len(subscriptions) == 2, "the Jobs queue is the other one"
    sns.unsubscribe(SubscriptionArn=mine["SubscriptionArn"])
    before = publishes()
    assert audited.audit() == audited.audit() == [("NOBODY_LISTENS", None)]
    assert publishes() == before + 1
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=mine["Endpoint"])
    assert audited.audit() == []
    assert only(audited.published())["ok"] is True


def test_a_stuck_submission_is_put_back_on_the_queue_and_goes_on(audited: Audited, aws: Emulator) -> None:
    stack, product = audited.stack, Product(audited.stack, audited.commserve, audited.subscriber)

    def lose() -> None:
        """Defer a submission, lose its message, and let two hours have passed since it should have come."""
        with product.queue_disabled():
            audited.commserve.fault("maintenance")
            assert only(stack.invoke(scheduled("default", "stuck"))["submissions"])["status"] == "deferred"
            aws.client("sqs").purge_queue(QueueUrl=stack.outputs["SubmissionsQueueUrl"])
        item = only([one for one in stack.ledger() if one.get("open")])
        aws.client("dynamodb").update_item(
            TableName=stack.outputs["LedgerTableName"],
            Key={"pk": item["pk"]},
            UpdateExpression="SET wakeAt = :at",
            ExpressionAttributeValues={":at": {"N": str(time.time() - 2 * HOUR)}},
        )

    assert (audited.audit(), audited.published()) == ([], [])
    lose()
    assert audited.audit() == [("SUBMISSION_STUCK", "default")]
    wait_until(lambda: audited.commserve.jobs, 30, "it was submitted")
    wait_until(lambda: not any(one.get("open") for one in stack.ledger()), 30, "and is published")
    assert audited.audit() == []
    assert [one["ok"] for one in audited.published()] == [False, True]
