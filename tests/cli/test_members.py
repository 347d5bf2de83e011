"""The members of a hub: the Audit function's answer, and the last trigger that the ledger has of each."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from rds_snap_backup.record import Backup, Submission

from rds_snap_backup.ledger.keys import subclient_key
from rds_snap_backup.ledger.records import to_text
from rds_snap_backup.targets import Association
from rds_snap_backup.triggers import Trigger
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire

HOME, ONE, TWO = "111122223333", "444455556666", "777788889999"
REGION = "eu-central-1"
HOUR = 3600
FAILED = {"code": "ACCESS_DENIED", "message": "sts:AssumeRole is denied.", "hint": "Deploy member.yaml there."}
PATH = "/rds-snap-backup/prod/targets/"


def member(account: str, role: str = "assumed", waiting: int | None = 0, **more: Any) -> dict[str, Any]:
    place = {"account": account, "region": REGION, "role": role}
    return {**place, "databases": 3, "undelivered": waiting, "error": None, **more}


def arn(name: str, account: str) -> str:
    return f"arn:aws:rds:{REGION}:{account}:db:{name}"


class Ledger:
    """The wire's DynamoDB, with submissions that claimed subclients."""

    def __init__(self, wire: AwsWire) -> None:
        self.wire = wire
        self.items: dict[str, dict[str, Any]] = {}
        self.open: list[str] = []
        wire.answers["Query"] = lambda _: (200, json.dumps({"Items": [{"pk": {"S": key}} for key in self.open]}))
        wire.answers["BatchGetItem"] = lambda asked: (200, json.dumps({"Responses": self.found(asked)}))

    def found(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        keys = [key["pk"]["S"] for key in asked["RequestItems"]["ledger"]["Keys"]]
        assert len(keys) == len(set(keys)), "DynamoDB refuses a key that is there twice"
        return {"ledger": [self.items[key] for key in keys if key in self.items]}

    def add(self, trigger: Trigger, hours: float, *instances: str, is_open: bool = False) -> None:
        """Record a submission of this age that claimed these instances' subclients."""
        created = time.time() - hours * HOUR
        associations = [Association("aws-prod", instance, "default", "aws-prod") for instance in instances]
        backups = tuple(Backup(association, created, created, created, state="waiting") for association in associations)
        submission = Submission(trigger, "orders", created, created, backups=backups)
        self.items[submission.key] = {
            "pk": {"S": submission.key},
            "record": {"S": to_text(submission)},
            "version": {"N": "1"},
            "writeId": {"S": "w"},
        }
        if is_open:
            self.open.append(submission.key)
            return
        for association in associations:
            key = subclient_key(association.key)
            self.items[key] = {"pk": {"S": key}, "claimer": {"S": submission.key}}


@pytest.fixture
def ledger(wire: AwsWire) -> Ledger:
    """A hub whose targets name databases of two accounts by ARN, and one by its name."""
    wire.stack(AuditFunctionName="prod-audit", LedgerTableName="ledger", TargetsPath=PATH)
    wire.answer("Invoke", {"ok": True, "members": [member(HOME, "own"), member(ONE), member(TWO)]})
    names = {"clientName": "aws-prod", "subclientName": "default"}
    documents = {
        "orders": {
            "associations": [
                {**names, "instanceName": "one", "databases": [arn("one", ONE)]},
                {**names, "instanceName": "two", "databases": [arn("two", TWO)]},
                {**names, "instanceName": "own"},
            ]
        },
        "again": {"associations": [{**names, "instanceName": "one"}], "accounts": [ONE]},
        "bad": {},
    }
    rows = [{"Name": PATH + name, "Value": json.dumps(document), "Version": 1} for name, document in documents.items()]
    wire.answer("GetParametersByPath", {"Parameters": rows})
    return Ledger(wire)


def test_each_member_is_shown_with_its_last_trigger(cli: Cli, ledger: Ledger) -> None:
    event = Trigger("rds", "event", rds_event_id="RDS-EVENT-0005", source_arn=arn("new", TWO), account=TWO)
    ledger.add(Trigger("schedule", "arn|1"), 9, "one", "two")
    ledger.add(Trigger("manual", "request"), 2, "own")
    ledger.add(event, 5, "two", is_open=True)
    done = cli("members", "prod", "--format", "json")
    assert (done.status, done.err) == (
        Exit.OK,
        f"prod (account {HOME}, {REGION}): 3 members, no problem.\n",
    )
    rows = json.loads(done.out)
    assert [(row["account"], row["lastTrigger"]) for row in rows] == [
        (HOME, "manual of orders"),
        (ONE, "schedule of orders"),
        (TWO, "RDS-EVENT-0005 of new"),
    ]
    assert rows[1] == {
        "account": ONE,
        "region": REGION,
        "role": "assumed",
        "databases": 3,
        "undelivered": 0,
        "lastTrigger": "schedule of orders",
        "lastTriggerAt": rows[1]["lastTriggerAt"],
        "problem": None,
    }
    lines = cli("members", "prod").out.splitlines()
    assert [cell.strip() for cell in lines[4].strip("│").split("│")] == [
        *(ONE, REGION, "assumed", "3", "0", "schedule of orders", "9 h", ""),
    ]
    # Two reads for the subclients and their submissions, one for those that are open.
    assert ledger.wire.operations.count("BatchGetItem") == 2 * 3


def test_what_is_wrong_with_a_member_is_a_finding(cli: Cli, ledger: Ledger) -> None:
    failed = member(TWO, "failed", None, databases=None, error=FAILED)
    ledger.wire.answer("Invoke", {"ok": False, "members": [member(HOME, "own"), member(ONE, waiting=2), failed]})
    done = cli("members", "prod", "--format", "json")
    assert done.status == Exit.FINDINGS
    assert [row["problem"] for row in json.loads(done.out)] == [
        None,
        "Correct MembersBusArn there; read its queue, delete the messages, start the targets.",
        "sts:AssumeRole is denied. Deploy member.yaml there.",
    ]
    assert [row["lastTrigger"] for row in json.loads(done.out)] == [None] * 3
    assert done.err.endswith(": 3 members, 2 with a problem.\n")


@pytest.mark.parametrize("answer", [None, {"members": None}, {"members": [{"account": HOME}]}])
def test_another_answer_is_one_line(cli: Cli, ledger: Ledger, answer: Any) -> None:
    ledger.wire.answer("Invoke", answer)
    done = cli("members", "prod")
    assert (done.status, "does not understand" in done.line) == (Exit.COULD_NOT_RUN, True)


def test_a_function_without_this_question_is_named(cli: Cli, ledger: Ledger) -> None:
    refused = {"message": "The Audit function does not know this event.", "hint": "Send another."}
    ledger.wire.answer("Invoke", {"ok": False, "refused": refused})
    done = cli("members", "prod")
    assert (done.status, "does not know this event" in done.line) == (Exit.COULD_NOT_RUN, True)
