"""What starts a backup, through the event sources of the deployed stack, and what never does."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from local.rds import delivered, rds_event
from tests.e2e.product import CLIENT, Product, only, tagged, wait_until
from tests.e2e.tap import Tap

pytestmark = pytest.mark.e2e


def test_a_schedule_fires_by_itself(product: Product) -> None:
    due = datetime.now(UTC) + timedelta(seconds=2)
    product.stack.reschedule(due)
    message = only(product.wait_for_messages("default"))
    assert datetime.now(UTC) >= due.replace(microsecond=0)
    assert (message["status"], message["trigger"]["kind"]) == ("submitted", "schedule")
    assert message["jobIds"] == [only(product.jobs("nightly")).id]


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


def test_a_subscriber_gets_json_and_an_e_mail_gets_text(product: Product, tap: Tap) -> None:
    target = product.target("mail")
    product.stack.invoke({"target": target})
    job = only(product.jobs(target))
    call = next(call for call in tap.calls if call.operation == "Publish" and target in call.text)
    form = {name: values[0] for name, values in parse_qs(call.text).items()}
    assert (form["MessageStructure"], form["Subject"]) == ("json", f"submitted: {target}, job {job.id}")
    forms = json.loads(form["Message"])
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
    assert product.stack.invoke([])["refused"]["code"] == "EVENT_UNKNOWN"
    assert product.stack.invoke({"target": "nobody"})["refused"]["code"] == "TARGET_UNKNOWN"
    unreadable = product.stack.invoke({"target": broken})["refused"]
    assert unreadable["code"] == "TARGET_INVALID"
    assert f"{product.stack.outputs['TargetsPath']}{broken}" in unreadable["message"]
    product.stack.send("not even JSON")
    product.stack.send({"requestPayload": delivered(rds_event("orders", tags=tagged(healthy)))})
    product.wait_for_messages(healthy)
    wait_until(lambda: len(product.dead_letters("nobody", broken)) == 2, "unusable targets are dead letters")
    wait_until(lambda: _refused(product) == [[], "not even JSON"], "what is not understood is a dead letter, once")
    wait_until(lambda: "not even JSON" not in str(product.stack.messages("SubmissionsQueueUrl")), "it is off the queue")
    assert only(product.messages(broken))["status"] == "rejected"


def _refused(product: Product) -> list[object]:
    """Return the events that the dead letters have kept as not understood."""
    return [letter["event"] for letter in product.stack.dead_letters() if "refused" in letter]
