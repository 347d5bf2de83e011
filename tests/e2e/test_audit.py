"""The Audit function of a deployed stack, with the permissions of its own role."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from local.commserve import CommServe, content
from local.emulator import REGION, Emulator
from local.rds import RdsAccount, create_instance
from rds_snap_backup.messaging.notifications import iso
from tests.e2e.conftest import CANARY, deploy_quick
from tests.e2e.product import Product, association, wait_until
from tests.evidence import Evidence

pytestmark = pytest.mark.e2e

DAYS = count(1)
OLD = datetime(2026, 1, 31, tzinfo=UTC)


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


@pytest.fixture(scope="module")
def audited(aws: Emulator, evidence: Evidence) -> Iterator[Audited]:
    with CommServe(token=CANARY, job_seconds=3600, keep_tokens=True) as commserve:
        evidence.add("audited", commserve)
        stack = deploy_quick(aws, "audited", commserve, {"ScheduleExpression": "off", "Databases": "off"})
        aws.client("sns").subscribe(
            TopicArn=stack.outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:000000000000:ops"
        )
        yield Audited(Product(stack, commserve, stack.subscribe()))


def test_findings_are_published_daily_until_their_causes_are_gone(audited: Audited, aws: Emulator) -> None:
    product, commserve = audited.product, audited.product.commserve
    stack, rds = product.stack, aws.client("rds")
    commserve.attach("aws-prod", RdsAccount((rds,)))
    # The target backs up the group of its name, whose database is stopped.
    weekly = product.target("weekly", maxAgeHours=1, accounts=["000000000000"])
    create_instance(rds, weekly, "mysql", created=OLD)
    rds.stop_db_instance(DBInstanceIdentifier=weekly)
    commserve.set_content("aws-prod", weekly, [content.instance(weekly)])
    commserve.plan_jobs(times=None, group=weekly, seconds=0)
    stack.invoke({"target": weekly})
    assert [message["status"] for message in product.story(weekly)] == ["submitted", "completed"]
    places = ("crm", weekly, "broken")
    audited.daily()
    assert audited.daily(*places) == ({("BACKUP_STALE", weekly)}, False, "digest")

    create_instance(rds, "crm", "postgres")
    stack.put_target("broken", {"associations": []})
    found = {("DATABASE_UNCOVERED", "crm"), ("BACKUP_STALE", weekly), ("TARGET_INVALID", "broken")}
    assert audited.daily(*places) == (found, True, "problem")
    assert audited.daily(*places) == (found, False, "digest")

    stack.put_target("broken", {"associations": [association(weekly)]})
    rds.start_db_instance(DBInstanceIdentifier=weekly)
    since = iso(time.time() - 2)  # Times are whole seconds.
    stack.invoke({"target": weekly})
    wait_until(lambda: len(product.story(weekly)) == 4, "its second backup completes")
    commserve.set_content("aws-prod", "crm", [content.instance("crm")])
    assert audited.daily(*places) == (set(), True, "digest")
    assert audited.daily(*places) == (set(), False, "digest")
    verdicts = {row["arn"].rpartition(":")[2]: row["verdict"] for row in audited.ask({"audit": True})["databases"]}
    assert (verdicts["crm"], verdicts[weekly]) == ("new", "protected")
    arn = f"arn:aws:rds:{REGION}:000000000000:db:{weekly}"
    assert audited.ask({"prove": {"database": arn, "since": since}})["proved"] is True


def test_the_preflight_is_well_and_names_a_refused_token(audited: Audited) -> None:
    assert [check for check in audited.ask({"check": True, "target": "default"})["checks"] if not check["ok"]] == []
    audited.product.commserve.token = "fake-token-of-tomorrow"
    failed = [check["name"] for check in audited.ask({"check": True})["checks"] if not check["ok"]]
    assert failed[0] == "token"
    audited.product.stack.set_token("fake-token-of-tomorrow")
    assert audited.ask({"check": True, "target": "default"})["ok"] is True
