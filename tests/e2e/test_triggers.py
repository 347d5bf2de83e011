"""What starts a backup, through the event sources of the deployed stack, and what never does."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.rds import SOURCES, delivered, rds_event
from local.tools import ROOT
from tests.e2e.product import CLIENT, Product, only, tagged, wait_until
from tests.e2e.tap import Tap

pytestmark = pytest.mark.e2e

# Backup and snapshot events of instances and clusters, which a snap backup itself causes.
NEVER = [f"RDS-EVENT-{number:04}" for number in (1, 2, 40, 42, 74, 75, 90, 91, 168, 169)]


def sample(name: str) -> Any:
    """Return a sample event."""
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


def test_a_schedule_fires_by_itself(product: Product) -> None:
    due = datetime.now(UTC) + timedelta(seconds=2)
    product.stack.reschedule(due)
    message = only(product.wait_for_messages("default"))
    assert datetime.now(UTC) >= due.replace(microsecond=0)
    assert (message["status"], message["trigger"]["kind"]) == ("submitted", "schedule")
    assert message["jobIds"] == [only(product.jobs("nightly")).id]


@pytest.mark.parametrize("name", ["schedule-rule", "schedule-default-payload"])
def test_the_samples_of_other_schedules_start_the_default_target(product: Product, name: str) -> None:
    event = sample(name) | {"time": datetime.now(UTC).isoformat()}
    before = {job.id for job in product.jobs("nightly")}
    for job_id in before:
        product.commserve.end_job(job_id)
    product.story("default")
    backup = only(only(product.stack.invoke(event)["submissions"])["backups"])
    assert (backup["state"], backup["jobId"] in before) == ("running", False)
    message = next(message for message in product.messages("default") if backup["jobId"] in message["jobIds"])
    assert message["trigger"] == {
        "kind": "schedule",
        "id": f"{event['resources'][0]}|{event['time']}",
        "time": event["time"],
    }


def test_an_rds_event_on_the_bus_starts_the_target_whose_pattern_matches(product: Product) -> None:
    target = product.started["inventory"]
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


def test_an_event_of_one_database_in_a_target_of_three_starts_one_job(product: Product) -> None:
    target = product.started["several"]
    names = [f"{target}-{place}" for place in range(3)]
    product.stack.put_event(rds_event(names[1]))
    message = only(product.wait_for_messages(target))
    assert [association["subclientName"] for association in message["associations"]] == [names[1]]
    assert [job.group for job in product.jobs(*names)] == [names[1]]


def test_the_tag_of_a_database_selects_targets_and_no_pattern_does(product: Product) -> None:
    one, other = product.target("tagged"), product.target("tagged")
    product.stack.put_event(rds_event("inventory-tagged", tags=tagged(one, other)))
    messages = product.wait_for_messages(one, other, number=2)
    assert {message["target"] for message in messages} == {one, other}
    assert len(product.jobs(one)) == len(product.jobs(other)) == 1
    assert not [m for m in product.messages(product.started["inventory"]) if "tagged" in m["trigger"]["sourceArn"]]


def test_an_event_that_the_rule_does_not_list_does_not_reach_the_function(product: Product) -> None:
    listed, unlisted = product.target("listed"), product.target("unlisted")
    product.stack.put_event(rds_event("reports", "RDS-EVENT-0087", tags=tagged(unlisted)))
    product.stack.put_event(rds_event("reports", tags=tagged(listed)))
    product.wait_for_messages(listed)
    assert not product.records(unlisted)
    assert not product.calls(unlisted)


def test_no_event_that_a_backup_causes_starts_one(product: Product) -> None:
    target = product.target("self", rdsEventIds=[*NEVER, "RDS-EVENT-0043"])
    events = [rds_event("orders", each, tags=tagged(target)) for each in NEVER]
    events += [rds_event("orders", source_type=kind, tags=tagged(target)) for kind in SOURCES if "SNAPSHOT" in kind]
    for event in events:
        answer = product.stack.invoke(event)
        assert (answer["submissions"], bool(answer["ignored"])) == ([], True), event
    assert not product.records(target)
    assert product.stack.invoke(rds_event("orders", tags=tagged(target)))["submissions"][0]["status"] == "open"


def test_a_manual_request_is_answered_with_its_job_and_then_only_reports(product: Product) -> None:
    target = product.target("manual")
    event = {"target": target, "requestId": "monday"}
    first, second = product.stack.invoke(event), product.stack.invoke(event)
    job = only(product.jobs(target))
    names = {"clientName": CLIENT, "instanceName": "RDS", "subclientName": target}
    moment = only(only(first["submissions"])["backups"])["moment"]
    backup = names | {"state": "running", "jobId": job.id, "moment": moment, "error": None}
    assert first == second == {"submissions": [{"target": target, "status": "open", "backups": [backup]}]}
    product.commserve.end_job(job.id)
    submitted, completed = product.story(target)
    assert (submitted["status"], completed["status"]) == ("submitted", "completed")
    assert submitted["trigger"] == {"kind": "manual", "id": "monday"}
    ended = backup | {"state": "completed"}
    assert product.stack.invoke(event)["submissions"] == [{"target": target, "status": "succeeded", "backups": [ended]}]
    assert len(product.calls(target)) == 1


def test_a_subscriber_gets_json_and_an_e_mail_gets_text(product: Product, tap: Tap) -> None:
    target = product.target("mail")
    product.stack.invoke({"target": target})
    job = only(product.jobs(target))
    call = next(call for call in tap.calls if call.operation == "Publish" and target in call.body)
    assert call.form["MessageStructure"] == "json"
    assert call.form["Subject"] == f"submitted: {target}, job {job.id}"
    forms = json.loads(call.form["Message"])
    assert json.loads(forms["default"]) == only(product.wait_for_messages(target))
    lines = forms["email"].splitlines()
    assert {f"Target: {target}", "Status: submitted", f"Jobs: {job.id}", "Trigger: manual"} <= set(lines)
    assert f"  {CLIENT} / RDS / {target}: job {job.id}" in lines
    received = only([message.attributes for message in product.subscriber.received if message.body["target"] == target])
    assert received == {"status": "submitted", "target": target, "trigger": "manual", "level": "info"}


def test_a_target_that_commvault_rejects_is_published_once_and_dead_lettered(product: Product) -> None:
    target = product.target("refused", is_known=False)
    answer = only(product.stack.invoke({"target": target})["submissions"])
    message = only(product.story(target))
    letter = only(product.dead_letters(target))
    assert (answer["status"], only(answer["backups"])["error"]) == ("failed", message["error"])
    assert (message["status"], message["jobIds"], message["taskId"]) == ("rejected", [], None)
    assert message["error"]["code"] == "587207178"
    assert (letter["trigger"], letter["letter"], letter["error"]) == (message["trigger"], 1, message["error"])
    assert len(product.calls(target)) == 1


def test_an_event_that_is_not_understood_is_kept_and_harms_no_other(product: Product) -> None:
    broken, healthy = product.target("broken"), product.target("healthy")
    product.stack.put_target(broken, '{"associations": [')
    before = len(product.stack.dead_letters())
    for name in ("garbage-empty", "garbage-list", "garbage-other-source"):
        answer = product.stack.invoke(sample(name))
        assert (answer["submissions"], answer["refused"]["code"]) == ([], "EVENT_UNKNOWN"), name
    assert product.stack.invoke({"target": "nobody"})["refused"]["code"] == "TARGET_UNKNOWN"
    unreadable = product.stack.invoke({"target": broken})["refused"]
    assert unreadable["code"] == "TARGET_INVALID"
    assert f"{product.stack.outputs['TargetsPath']}{broken}" in unreadable["message"]
    product.stack.send("not even JSON")
    product.stack.send({"requestPayload": delivered(rds_event("orders", tags=tagged(healthy)))})
    product.wait_for_messages(healthy)
    wait_until(lambda: len(product.stack.dead_letters()) == before + 6, "each of them is a dead letter")
    assert not [
        message for message in product.stack.messages("SubmissionsQueueUrl") if "not even JSON" in message["Body"]
    ]
    assert only(product.messages(broken))["status"] == "rejected"
