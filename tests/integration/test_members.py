"""Member accounts through the Audit function's entry: member.yaml in other accounts of the emulator, with its policies."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from local.commserve import CommServe
from local.emulator import REGION, Emulator
from local.rds import create_instance
from local.tools import ROOT
from tests.integration.audit_support import AuditScene, codes
from tests.integration.world import ASSOCIATION

ONE, TWO = "111122223333", "444455556666"
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
        rds = self.client("rds")
        for row in rds.describe_db_instances()["DBInstances"]:
            rds.delete_db_instance(DBInstanceIdentifier=row["DBInstanceIdentifier"], SkipFinalSnapshot=True)


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
) -> Iterator[AuditScene]:
    more = {"AUDIT_MEMBERS": f"{ONE},{TWO}", "ACCOUNT_IDS": "000000000000,*", "BACKUP_MAX_AGE_HOURS": "8784"}
    found = AuditScene(aws, commserve, monkeypatch, **more)
    yield found
    found.remove_databases()


def verdicts(answer: Any) -> dict[tuple[str, str], str]:
    """Return the verdicts by account and name."""
    return {(row["arn"].split(":")[4], row["arn"].split(":")[6]): row["verdict"] for row in answer["databases"]}


def test_members_are_audited_and_one_that_cannot_be_read_is_named(
    scene: AuditScene, members: tuple[Account, Account]
) -> None:
    create_instance(members[0].client("rds"), "crm", "mysql")
    create_instance(members[0].client("rds"), "orders-db", "mysql")
    scene.commserve.add_job("aws-member", "crm", start=scene.commserve.clock.now() - 60, seconds=1)
    answer = scene.by_hand()
    assert verdicts(answer) == {
        ("000000000000", "orders-db"): "new",
        (ONE, "crm"): "protected",
        (ONE, "orders-db"): "uncovered",  # The hub has a database of this name, whose subclient it is.
    }
    assert codes(answer) == [("MEMBER_UNREADABLE", None), ("DATABASE_UNCOVERED", "orders-db")]
    unreadable = answer["findings"][0]
    assert (unreadable["account"], unreadable["region"]) == (TWO, REGION)
    assert "test-audit-us-east-1" in unreadable["message"]
    assert answer["counts"]["places"] == 3

    scene.world.target("there", associations=[{**ASSOCIATION, "clientName": "aws-member"}], accounts=[ONE])
    scene.commserve.add_job("aws-member", "orders-db", start=scene.commserve.clock.now() - 60, seconds=1)
    scene.cold_start()
    assert verdicts(scene.by_hand())[ONE, "orders-db"] == "protected"


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
    assert verdicts(scene.by_hand())[TWO, f"hr-{TWO}"] == "unreadable"
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


def test_the_inventory_shows_commvaults_subclients_and_the_databases_of_all_places(
    scene: AuditScene, members: tuple[Account, Account]
) -> None:
    create_instance(members[0].client("rds"), "billing-db", "mysql")
    members[1].join()
    answer = scene.invoke({"inventory": True})
    assert (answer["ok"], answer["unread"]) == (True, [])
    assert exact_in(answer) == {
        f"{REGION}:{account}:db:{name}": name for account, name in (("000000000000", "orders-db"), (ONE, "billing-db"))
    }
    assert {row["instanceName"] for row in answer["inventory"] if row["match"] == "commvault-only"} >= {
        "users-db",
        "sandbox-db",
    }
    assert answer["counts"]["commvaultCalls"] == len(scene.commserve.requests)
    assert scene.invoke({"inventory": True, "page": 0})["refused"]["code"] == "EVENT_UNKNOWN"


def test_a_name_is_no_proof_while_a_member_cannot_be_read(scene: AuditScene, members: tuple[Account, Account]) -> None:
    create_instance(members[0].client("rds"), "billing-db", "mysql")
    answer = scene.invoke({"inventory": True})
    assert (answer["ok"], [place["account"] for place in answer["unread"]]) == (False, [TWO])
    # The target names it.
    assert exact_in(answer) == {f"{REGION}:000000000000:db:orders-db": "orders-db"}


def exact_in(answer: Any) -> dict[str, str]:
    """Return the instances of exact pairs by their databases."""
    return {
        row["arn"].partition("rds:")[2]: row["instanceName"] for row in answer["inventory"] if row["match"] == "exact"
    }
