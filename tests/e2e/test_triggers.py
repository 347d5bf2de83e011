"""What starts a backup, through the event sources of the deployed stack, and what never does."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.rds import SOURCES, rds_event
from tests.e2e.product import CLIENT, Product, association, only, tagged, wait_until
from tests.e2e.tap import Tap

pytestmark = pytest.mark.e2e

# Backup and snapshot events of instances and clusters, which a snap backup itself causes.
NEVER = [f"RDS-EVENT-{number:04}" for number in (1, 2, 40, 42, 74, 75, 90, 91, 168, 169)]


def test_a_schedule_fires_by_itself(product: Product) -> None:
    due = datetime.now(UTC) + timedelta(seconds=2)
    product.stack.reschedule(due)
    message = only(product.wait_for_messages("default", within=120))
    assert datetime.now(UTC) >= due.replace(microsecond=0)
    assert (message["status"], message["trigger"]["kind"]) == ("submitted", "schedule")
    assert message["jobIds"] == [only(product.jobs("orders-db")).id]


def test_an_rds_event_on_the_bus_starts_the_target_whose_pattern_matches(product: Product) -> None:
    target = product.started["pattern"]
    event = rds_event("inventory-eu")
    product.stack.put_event(event)
    message = only(product.wait_for_messages(target))
    assert message["jobIds"] == [only(product.jobs(target)).id]
    assert message["trigger"] == {
        "kind": "rds",
        "id": "|".join(event["detail"][name] for name in ("SourceArn", "EventID", "Date")),
        "time": event["detail"]["Date"],
        "rdsEventId": "RDS-EVENT-0043",
        "sourceArn": event["detail"]["SourceArn"],
        "message": event["detail"]["Message"],
    }


def test_a_databases_tag_selects_targets_whatever_the_patterns_say(product: Product) -> None:
    one, other = product.target("tagged"), product.target("tagged")
    product.stack.put_event(rds_event("inventory-tagged", tags=tagged(one, other)))
    messages = product.wait_for_messages(one, other, number=2)
    assert {message["target"] for message in messages} == {one, other}
    assert len(product.jobs(one)) == len(product.jobs(other)) == 1
    assert not [m for m in product.messages(product.started["pattern"]) if "tagged" in m["trigger"]["sourceArn"]]


def test_an_event_that_the_rule_does_not_list_does_not_reach_the_function(product: Product) -> None:
    listed, unlisted = product.target("listed"), product.target("unlisted")
    product.stack.put_event(rds_event("reports", "RDS-EVENT-0087", tags=tagged(unlisted)))
    product.stack.put_event(rds_event("reports", tags=tagged(listed)))
    product.wait_for_messages(listed)
    assert not product.items(unlisted)
    assert not product.calls(unlisted)


def test_an_event_delivered_twice_is_one_backup(product: Product) -> None:
    target = product.target("duplicate")
    event = rds_event("users", tags=tagged(target))
    runs = product.runs()
    product.stack.put_event(event)
    product.wait_for_messages(target)
    product.stack.put_event(event)
    wait_until(lambda: product.runs() >= runs + 2, 20, "both runs have ended")
    assert len(product.calls(target)) == len(product.jobs(target)) == len(product.messages(target)) == 1
    assert only(product.items(target))["status"] == "submitted"


def test_a_manual_request_is_answered_with_what_the_subscribers_get(product: Product) -> None:
    target = product.target("manual")
    answer = product.stack.invoke({"target": target, "requestId": "monday"})
    again = product.stack.invoke({"target": target, "requestId": "monday"})
    message = only(product.wait_for_messages(target))
    job = only(product.jobs(target))
    assert answer == {"submissions": [message]}
    # The stack follows no jobs.
    assert again == {"submissions": [{**message, "jobs": [{"id": job.id, "status": "unknown"}]}]}
    assert message["trigger"] == {"kind": "manual", "id": "monday"}
    assert message["jobIds"] == [job.id]
    assert len(product.calls(target)) == 1
    received = [one.attributes for one in product.subscriber.received if one.body["target"] == target]
    assert received[0] == {"status": "submitted", "target": target, "trigger": "manual", "followed": "yes"}


def test_a_subscriber_gets_json_and_an_e_mail_gets_text(product: Product, tap: Tap) -> None:
    target = product.target("mail")
    product.stack.invoke({"target": target})
    job = only(product.jobs(target))
    call = next(one for one in tap.calls if one.operation == "Publish" and target in one.body)
    assert call.form["MessageStructure"] == "json"
    assert call.form["Subject"] == f"RDS backup submitted: {target} (job {job.id})"
    forms = json.loads(call.form["Message"])
    assert json.loads(forms["default"]) == only(product.wait_for_messages(target))
    lines = forms["email"].splitlines()
    assert {f"Target: {target}", "Status: submitted", f"Jobs: {job.id}", "Trigger: manual"} <= set(lines)
    assert f"  {CLIENT} / {target} / default" in lines


def test_what_commvault_rejects_is_published_once_and_dead_lettered(product: Product) -> None:
    target = product.target("refused", is_known=False)
    answer = only(product.stack.invoke({"target": target})["submissions"])
    message = only(product.wait_for_messages(target))
    letter = only(product.dead_letters(target))
    assert answer == message
    assert (message["status"], message["jobIds"], message["taskId"]) == ("rejected", [], None)
    assert message["error"]["code"] == "587207178"
    assert "subclient" in message["error"]["hint"]
    assert (letter["trigger"], letter["attempt"], letter["error"]) == (message["trigger"], 1, message["error"])
    assert len(product.calls(target)) == 1


def test_what_cannot_be_understood_is_kept_and_harms_nothing_else(product: Product) -> None:
    broken, healthy = product.target("broken"), product.target("healthy")
    product.stack.put_target(broken, '{"associations": [')
    before = len(product.stack.dead_letters())
    unknown: list[Any] = [
        {},
        [],
        "text",
        {"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification"},
    ]
    for event in unknown:
        answer = product.stack.invoke(event)
        assert answer["submissions"] == [], answer
        assert answer["refused"]["code"] == "EVENT_UNKNOWN"
        assert answer["refused"]["hint"]
    assert product.stack.invoke({"target": "nobody"})["refused"]["code"] == "TARGET_UNKNOWN"
    unreadable = product.stack.invoke({"target": broken})["refused"]
    assert unreadable["code"] == "TARGET_INVALID"
    assert f"{product.stack.outputs['TargetsPath']}{broken}" in unreadable["message"]
    product.stack.send("not even JSON")
    product.stack.send({"requestPayload": {"target": healthy, "requestId": "wrapped"}})
    product.wait_for_messages(healthy)
    wait_until(lambda: len(product.stack.dead_letters()) == before + 7, 20, "each of them is a dead letter")
    assert not [one for one in product.stack.messages("SubmissionsQueueUrl") if "not even JSON" in one["Body"]]


def test_what_a_backup_causes_never_starts_one(product: Product) -> None:
    target = product.target("self", rdsEventIds=[*NEVER, "RDS-EVENT-0043"])
    events = [
        *(rds_event("orders", each, source_type=kind, tags=tagged(target)) for each in NEVER for kind in SOURCES),
        *(rds_event("orders", source_type=kind, tags=tagged(target)) for kind in ("SNAPSHOT", "CLUSTER_SNAPSHOT")),
    ]
    for event in events:
        answer = product.stack.invoke(event)
        assert (answer["submissions"], bool(answer["ignored"])) == ([], True), event
    assert not product.items(target)
    assert not product.calls(target)
    assert product.stack.invoke(rds_event("orders", tags=tagged(target)))["submissions"][0]["status"] == "submitted"


def _answered(fleet: Product) -> int:
    """Count requests, without those that a sandbox was refused because its token was replaced since it read it."""
    return sum(status != 401 for status in fleet.commserve.statuses.values())


def test_everything_is_fanned_out_to_one_backup_a_target(fleet: Product) -> None:
    names = list(fleet.started)
    before = _answered(fleet)
    answer = fleet.stack.invoke({"target": "*", "requestId": "all"})
    assert {one["status"] for one in answer["submissions"]} == {"queued"}
    assert {one["target"] for one in answer["submissions"]} == {"default", *names}
    wait_until(lambda: len(_about(fleet, "all", "default", *names)) == 25, 60, "25 messages")
    messages = _about(fleet, "all", "default", *names)
    assert {message["target"] for message in messages} == {"default", *names}
    assert {message["status"] for message in messages} == {"submitted"}
    assert {fleet.commserve.jobs[only(message["jobIds"])].instance for message in messages} == {"orders-db", *names}
    assert _answered(fleet) == before + 25


def test_one_target_of_several_subclients_is_one_request(product: Product) -> None:
    target, other = product.target("several"), product.target("several")
    product.stack.put_target(target, {"associations": [association(target), association(other)]})
    message = only(product.stack.invoke({"target": target})["submissions"])
    assert len(product.calls(target)) == 1
    assert sorted(message["jobIds"]) == sorted(job.id for job in product.jobs(target, other))
    assert len(message["jobIds"]) == 2


def _about(product: Product, trigger: str, *targets: str) -> list[Mapping[str, Any]]:
    """Return the messages about a trigger, by its identity, for targets."""
    return [message for message in product.messages(*targets) if message["trigger"]["id"] == trigger]
