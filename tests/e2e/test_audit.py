"""The Audit function of a deployed stack, with the permissions of its own role."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import boto3
import pytest

from local.commserve import CommServe, content
from local.emulator import ACCOUNT, REGION, Emulator
from local.rds import RdsAccount, create_instance, rds_event
from local.stack import Stack
from local.tools import ROOT
from rds_snap_backup.messaging.notifications import iso
from tests.e2e.conftest import CANARY, deploy_quick
from tests.e2e.product import CLIENT, Product, association, only, scheduled, wait_until
from tests.e2e.tap import Tap
from tests.evidence import Evidence

pytestmark = pytest.mark.e2e

HOUR = 3600
DAYS = count(1)
MEMBER = "111122223333"


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
        message = [message for message in subscriber.received if message.attributes["status"] == "audit"][-1]
        assert {**answer, "title": message.body["title"]} == message.body
        codes = {(finding["code"], finding["database"] or finding["target"]) for finding in answer["findings"]}
        return {finding for finding in codes if finding[1] in places}, answer["news"], message.attributes["level"]


class Member:
    """Another account, which has the member's stack of the stack `audited`."""

    def __init__(self, aws: Emulator, stack: Stack) -> None:
        self._session: Any = boto3.Session(MEMBER, "any", region_name=REGION)
        self._endpoint = aws.endpoint_url
        given = {"HubStackName": "audited", "AuditRoleArn": stack.outputs["AuditRoleArn"]}
        given["MembersBusArn"] = stack.outputs["MembersBusArn"]
        parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
        stacks, body = self.client("cloudformation"), (ROOT / "member.yaml").read_text()
        stacks.create_stack(
            StackName="member", TemplateBody=body, Parameters=parameters, Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        stacks.get_waiter("stack_create_complete").wait(StackName="member", WaiterConfig={"Delay": 1})

    def client(self, service: str) -> Any:
        """Return a client of the account."""
        return self._session.client(service, endpoint_url=self._endpoint)

    def forwarded(self, event: Mapping[str, Any]) -> Any:
        """Return an event of the account's default bus as its rule forwards it.

        The emulator drops events for the bus of another account: a queue stands in for it.
        """
        queue = self.client("sqs").create_queue(QueueName="stand-in")["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{MEMBER}:stand-in"
        events = self.client("events")
        (rule,) = events.list_rules()["Rules"]
        events.put_targets(Rule=rule["Name"], Targets=[{"Id": "stand-in", "Arn": arn}])
        entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
        events.put_events(Entries=[{**entry, "Resources": event["resources"]}])
        (message,) = self.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
        return json.loads(message["Body"])


@pytest.fixture(scope="module")
def audited(aws: Emulator, evidence: Evidence) -> Iterator[Audited]:
    with CommServe(token=CANARY, job_seconds=3600, keep_tokens=True) as commserve:
        evidence.add("audited", commserve)
        members = {"AuditMembers": MEMBER, "OrganizationId": "o-a1b2c3d4e5"}
        stack = deploy_quick(aws, "audited", commserve, {"ScheduleExpression": "off", "Databases": "off"} | members)
        aws.client("sns").subscribe(
            TopicArn=stack.outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:000000000000:ops"
        )
        commserve.attach(CLIENT, RdsAccount((aws.client("rds"),)))
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
    for part, field in (("backups", "due"), ("attempts", "began"), ("attempts", "ended")):
        for entry in record.get(part, ()):
            entry[field] -= 2 * HOUR
    stack.aws.client("dynamodb").update_item(
        TableName=stack.outputs["LedgerTableName"],
        Key={"pk": item["pk"]},
        UpdateExpression="SET wakeAt = :at, #record = :record",
        ExpressionAttributeNames={"#record": "record"},
        ExpressionAttributeValues={":at": {"N": str(record["created"])}, ":record": {"S": json.dumps(record)}},
    )


def test_findings_are_published_daily_until_their_causes_are_gone(audited: Audited, aws: Emulator, tap: Tap) -> None:
    product, rds = audited.product, aws.client("rds")
    stack = product.stack
    weekly, stuck = product.target("weekly", maxAgeHours=1, accounts=[ACCOUNT]), product.target("stuck")
    places = ("crm", weekly, stuck, "broken")
    for name in (weekly, stuck):
        create_instance(rds, name, "postgres")
    audited.daily()
    assert audited.daily(*places) == (set(), False, "digest")

    create_instance(rds, "crm", "postgres")
    tap.age(weekly, 2 * HOUR)
    stack.put_target("broken", {"associations": []})
    lose_message(product, stuck)

    lasting = {("DATABASE_UNCOVERED", "crm"), ("BACKUP_STALE", weekly), ("TARGET_INVALID", "broken")}
    assert audited.daily(*places) == ({*lasting, ("SUBMISSION_STUCK", stuck)}, True, "problem")
    wait_until(lambda: product.jobs(stuck), "its message was sent again, and its backup starts")
    assert audited.daily(*places) == (lasting, True, "digest")
    assert audited.daily(*places) == (lasting, False, "digest")

    stack.put_target("broken", {"associations": [association("crm")]})
    product.commserve.set_content(CLIENT, "crm", [content.instance("crm")])
    product.commserve.plan_jobs(group=weekly, seconds=0)
    stack.invoke({"target": weekly})
    assert [message["status"] for message in product.story(weekly)] == ["submitted", "completed"]
    assert audited.daily(*places) == (set(), True, "digest")
    assert audited.daily(*places) == (set(), False, "digest")
    assert verdicts(audited.ask({"audit": True}), ("crm", weekly)) == {"crm": "new", weekly: "protected"}


def verdicts(answer: Any, known: Iterable[str]) -> dict[str, str]:
    """Return the verdicts on these databases; those of the member have an `m:` before their names."""
    rows = ((row["arn"].split(":"), row["verdict"]) for row in answer["databases"])
    found = {"m:" * (arn[4] == MEMBER) + arn[-1]: verdict for arn, verdict in rows}
    return {name: found[name] for name in known}


def test_databases_of_two_accounts_have_every_verdict(audited: Audited, aws: Emulator) -> None:
    """Groups of many databases and of one. `unproven` needs an RDS that refuses, which another layer has."""
    product, commserve = audited.product, audited.product.commserve
    stack, member = product.stack, Member(aws, product.stack)
    commserve.attach("aws-member", RdsAccount((member.client("rds"),)))
    expected = {
        "h-many-1": "protected",
        "h-many-stopped": "stale",
        "h-many-young": "new",
        "h-errors": "protected",
        "h-none": "uncovered",
        "h-scratch": "excluded",
        "m:m-stack": "protected",
        "m:h-many-1": "ambiguous",  # not that of the hub; a content of its account is not understood
    }
    old = datetime.now(UTC) - timedelta(days=3)
    for name in expected:
        place, _, own = name.rpartition(":")
        rds = member.client("rds") if place else aws.client("rds")
        tags = {"rds-snap-backup:exclude": "true"} if own == "h-scratch" else {}
        create_instance(rds, own, "mysql", tags, None if own == "h-many-young" else old)
        if own in {"h-many-stopped", "h-many-young"}:
            rds.stop_db_instance(DBInstanceIdentifier=own)
    commserve.set_content(CLIENT, "h-many", [content.rule("^h-many-")])
    commserve.set_content(CLIENT, "h-errors", [content.instance("h-errors")])
    commserve.set_content("aws-member", "m-stack", [content.instance("m-stack")])
    commserve.set_content("aws-member", "m-odd", [{**content.everything(), "type": 7}])
    stack.put_target("h-many", {"associations": [association("h-many")]})
    theirs = {**association("m-stack"), "clientName": "aws-member", "databases": ["m-stack"]}
    stack.put_target("m-stack", {"associations": [theirs], "accounts": [MEMBER]})

    hour_ago = commserve.clock.now() - HOUR
    commserve.add_job(CLIENT, "h-errors", start=hour_ago, seconds=60, ending="Completed w/ one or more errors")
    for name in ("h-many", "m-stack"):
        commserve.plan_jobs(group=name, seconds=0)
    stack.invoke({"target": "h-many"})
    # An event of a database whose status cannot be read waits for ten minutes.
    event = rds_event("m-stack", date=iso(time.time() - HOUR))
    event["detail"]["SourceArn"] = event["detail"]["SourceArn"].replace(ACCOUNT, MEMBER)
    stack.invoke(member.forwarded(event))
    for name in ("h-many", "m-stack"):
        assert [message["status"] for message in product.story(name)] == ["submitted", "completed"]

    audited.daily()
    answer = audited.ask({"audit": True})
    assert verdicts(answer, expected) == expected
    (skipped,) = [row for row in answer["databases"] if row["arn"].endswith(":h-many-stopped")]
    assert "completed, and made no restore point of this database" in skipped["reason"]
    member.client("cloudformation").delete_stack(StackName="member")
    audited.daily()
    answer = audited.ask({"audit": True})
    ours = {name: verdict for name, verdict in expected.items() if not name.startswith("m:")}
    assert verdicts(answer, ours) == ours
    (theirs,) = [row for row in answer["databases"] if f":{MEMBER}" in row["arn"]]
    assert theirs["verdict"] == "unreadable"
    assert [finding["account"] for finding in answer["findings"] if finding["code"] == "MEMBER_UNREADABLE"] == [MEMBER]


def test_the_preflight_is_well_and_names_a_refused_token(audited: Audited) -> None:
    assert [check for check in audited.ask({"check": True, "target": "default"})["checks"] if not check["ok"]] == []
    audited.product.commserve.token = "fake-token-of-tomorrow"
    failed = [check["name"] for check in audited.ask({"check": True})["checks"] if not check["ok"]]
    assert failed[0] == "token"
    audited.product.stack.set_token("fake-token-of-tomorrow")
    assert audited.ask({"check": True, "target": "default"})["ok"] is True
