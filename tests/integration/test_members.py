"""Member accounts through the Audit function's entry: member.yaml in other accounts of the emulator, with its policies."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from local.commserve import CommServe, content
from local.emulator import REGION, Emulator
from local.rds import RdsAccount, create_instance
from local.tools import ROOT
from tests.integration.audit_support import AuditScene, codes, remove_databases

ONE, TWO = "111122223333", "444455556666"
OLD = datetime(2026, 1, 31, tzinfo=UTC)
BUS = f"arn:aws:events:{REGION}:000000000000:event-bus/test-members"


class Account:
    """Another account of the emulator."""

    def __init__(self, aws: Emulator, number: str) -> None:
        self._session: Any = boto3.Session(number, "any", region_name=REGION)
        self._endpoint = aws.endpoint_url
        self.number = number

    def client(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self._endpoint)

    def join(self) -> None:
        """Deploy member.yaml."""
        given = {"HubStackName": "test", "AuditRoleArn": "arn:aws:iam::000000000000:role/audit", "MembersBusArn": BUS}
        parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
        client, body = self.client("cloudformation"), (ROOT / "member.yaml").read_text()
        client.create_stack(
            StackName="member", TemplateBody=body, Parameters=parameters, Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        client.get_waiter("stack_create_complete").wait(StackName="member", WaiterConfig={"Delay": 1})

    def leave(self) -> None:
        """Delete what was deployed and created."""
        self.client("cloudformation").delete_stack(StackName="member")
        remove_databases(self.client("rds"))


@pytest.fixture
def members(aws: Emulator) -> Iterator[tuple[Account, Account]]:
    """Two accounts, the first of which has joined."""
    found = Account(aws, ONE), Account(aws, TWO)
    found[0].join()
    yield found
    for account in found:
        account.leave()


@pytest.fixture
def scene(
    aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch, members: tuple[Account, Account]
) -> AuditScene:
    more = {"AUDIT_MEMBERS": f"{ONE},{TWO}", "ACCOUNT_IDS": "000000000000,*", "BACKUP_MAX_AGE_HOURS": "8784"}
    return AuditScene(aws, commserve, monkeypatch, **more)


def verdicts(answer: Any) -> dict[tuple[str, str], str]:
    """Return the verdicts by account and name."""
    return {(row["arn"].split(":")[4], row["arn"].split(":")[-1]): row["verdict"] for row in answer["databases"]}


def member_client(scene: AuditScene, account: Account, *contents: content.Child) -> None:
    """Let Commvault have a client for a member's account, with a group of these contents."""
    scene.commserve.set_content("aws-member", "nightly", contents)
    scene.commserve.attach("aws-member", RdsAccount((account.client("rds"),)))


def test_members_are_audited_and_one_that_cannot_be_read_is_named(
    scene: AuditScene, members: tuple[Account, Account]
) -> None:
    for name in ("crm", "orders-db"):
        create_instance(members[0].client("rds"), name, "mysql", created=OLD)
    member_client(scene, members[0], content.everything())
    scene.back_up("orders-db")
    start = scene.commserve.clock.now() - 3600
    scene.commserve.add_job("aws-member", "nightly", start=start, seconds=60)
    answer = scene.by_hand()
    assert verdicts(answer) == {
        ("000000000000", "orders-db"): "protected",
        (ONE, "crm"): "protected",
        (ONE, "orders-db"): "protected",  # Its client's account is the one that shows the snapshots.
        (TWO, "*"): "unreadable",
    }
    assert codes(answer) == [("MEMBER_UNREADABLE", None)]
    (unreadable,) = answer["findings"]
    assert (unreadable["account"], unreadable["region"]) == (TWO, REGION)
    assert "test-audit-us-east-1" in unreadable["message"]
    assert answer["counts"]["places"] == 3
    assert [place["role"] for place in answer["scope"]["accounts"]] == ["own", "assumed", "failed"]


def test_the_gate_asks_a_member(scene: AuditScene, members: tuple[Account, Account]) -> None:
    create_instance(members[0].client("rds"), "crm", "mysql", created=OLD)
    member_client(scene, members[0], content.instance("crm"))
    scene.commserve.add_job("aws-member", "nightly", start=scene.commserve.clock.now() - 60, seconds=1)
    asked = {"database": f"arn:aws:rds:{REGION}:{ONE}:db:crm", "since": f"{datetime.now(UTC) - timedelta(hours=1)}"}
    answer = scene.invoke({"prove": asked})
    assert (answer["proved"], answer["reason"]) == (True, "")
    asked["database"] = asked["database"].replace(ONE, TWO)
    answer = scene.invoke({"prove": asked})
    assert answer["proved"] is None
    assert "test-audit-us-east-1" in answer["reason"]


def test_what_was_known_of_an_account_that_becomes_unreadable_stays(
    scene: AuditScene, members: tuple[Account, Account]
) -> None:
    members[1].join()
    for account in members:
        create_instance(account.client("rds"), f"hr-{account.number}", "mysql")
    scene.daily()
    assert [message["news"] for message in scene.published()] == [True]
    members[1].client("cloudformation").delete_stack(StackName="member")
    answer = scene.daily()
    assert ("MEMBER_UNREADABLE", None) in codes(answer)
    (row,) = [row for row in scene.by_hand()["databases"] if row["verdict"] == "unreadable"]
    assert row["arn"] == f"arn:aws:rds:{REGION}:{TWO}:*"
    assert "It had 1 database when it was last read." in row["reason"]
    assert row["lastRead"]
    assert (answer["counts"]["databases"], answer["counts"]["unreadable"]) == (3, 1)
    members[1].join()
    answer = scene.daily()
    assert codes(answer) == [("DATABASE_UNCOVERED", f"hr-{account.number}") for account in members]
    assert [message["news"] for message in scene.published()] == [True, True, True]
    levels = [message.attributes["level"] for message in scene.world.subscriber.received]
    assert levels == ["problem", "problem", "digest"]  # The finding of the account was never gone.


def test_a_members_undelivered_events_are_found(scene: AuditScene, members: tuple[Account, Account]) -> None:
    members[1].join()
    sqs = members[1].client("sqs")
    url = sqs.get_queue_url(QueueName="test-members-dead")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"source": "aws.rds"}))
    (finding,) = scene.by_hand()["findings"]
    assert (finding["code"], finding["account"]) == ("MEMBER_EVENTS_WAITING", TWO)
    assert finding["message"].startswith("1 RDS events")


def test_the_inventory_says_what_was_not_read(scene: AuditScene, members: tuple[Account, Account]) -> None:
    create_instance(members[0].client("rds"), "billing-db", "mysql")
    answer = scene.invoke({"inventory": True})
    assert (answer["ok"], [place["account"] for place in answer["unread"]]) == (False, [TWO])
    (row,) = [row for row in answer["inventory"] if (row["arn"] or "").endswith(f"{ONE}:db:billing-db")]
    assert (row["clientName"], row["doubt"]) == (None, "The AWS account of Commvault's client aws-prod is not known")
