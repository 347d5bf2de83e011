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
from tests.integration.audit_support import AuditScene, Denying, codes, remove_databases

ONE, TWO = "111122223333", "444455556666"
EXCLUDED = {"rds-snap-backup:exclude": "true"}
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
) -> Iterator[AuditScene]:
    more = {"AUDIT_MEMBERS": f"{ONE},{TWO}", "ACCOUNT_IDS": "000000000000,*", "BACKUP_MAX_AGE_HOURS": "8784"}
    found = AuditScene(aws, commserve, monkeypatch, **more)
    yield found
    found.remove_databases()


def verdicts(answer: Any) -> dict[tuple[str, str], str]:
    """Return the verdicts by account and name."""
    return {(row["arn"].split(":")[4], row["arn"].split(":")[-1]): row["verdict"] for row in answer["databases"]}


def member_client(scene: AuditScene, account: Account, *contents: content.Child) -> None:
    """Let Commvault have a client for a member's account, with a group of these contents."""
    scene.commserve.set_content("aws-member", "nightly", contents)
    scene.commserve.attach("aws-member", RdsAccount((account.client("rds"),)))


def test_a_company_has_each_verdict_once(
    aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch, members: tuple[Account, Account]
) -> None:
    """Two accounts with groups of both layouts; in one Commvault and RDS show no snapshots. A third does not answer."""
    scene = AuditScene(aws, commserve, monkeypatch, AUDIT_MEMBERS=f"{ONE},{TWO}", BACKUP_MAX_AGE_HOURS="26")
    rds = members[0].client("rds")
    for name, tags in {"app-1": {}, "app-2": {}, "odd": {}, "scratch": EXCLUDED}.items():
        create_instance(rds, name, "mysql", tags, OLD)
    create_instance(rds, "crm", "mysql")
    scene.database("lone", hours_old=1000)
    rds.stop_db_instance(DBInstanceIdentifier="app-2")
    member_client(scene, members[0], content.rule("^app-"))
    commserve.set_content("aws-member", "crm", [content.instance("crm")])
    commserve.set_content("aws-member", "odd", [{**content.instance("odd"), "type": 7}])
    job = commserve.add_job("aws-member", "nightly", start=commserve.clock.now() - 3600, seconds=60)
    scene.back_up("orders-db")
    (instance,) = {each.instance_id for each in commserve.catalogue.subclients() if each.client == "aws-prod"}
    commserve.fault("forbidden", None, "/BrowseRDSBackups", about=f'"instanceId":{instance}}}')
    # Without restore points only a target says in which account the client's databases are.
    scene.world.target("default", accounts=["000000000000"])
    scene.cold_start(rds=Denying(aws.client("rds"), "describe_db_snapshots"))
    answer = scene.by_hand()
    scene.remove_databases()
    assert verdicts(answer) == {
        (ONE, "app-1"): "protected",
        (ONE, "app-2"): "stale",
        (ONE, "crm"): "new",
        (ONE, "odd"): "ambiguous",
        (ONE, "scratch"): "excluded",
        ("000000000000", "lone"): "uncovered",
        ("000000000000", "orders-db"): "unproven",
        (TWO, "*"): "unreadable",
    }
    (stale,) = [row for row in answer["databases"] if row["verdict"] == "stale"]
    assert f"Job {job.id} completed, and made no restore point of this database." in stale["reason"]
    (unreadable,) = [finding for finding in answer["findings"] if finding["code"] == "MEMBER_UNREADABLE"]
    assert (unreadable["account"], unreadable["region"]) == (TWO, REGION)
    assert "test-audit-us-east-1" in unreadable["message"]
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
