"""What `explain` answers: the runbook's table is made of real answers. `tests/property/test_explain.py` has that it happens."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.rds import create_instance
from rds_snap_backup.ledger.audits import Audits, AuditState
from tests.integration.timeline import HOUR, MINUTE, Timeline
from tests.integration.world import associations, only
from tests.unit.documents import rows

OWN, FOREIGN = "000000000000", "111122223333"
DATABASES, ELSEWHERE = f"arn:aws:rds:us-east-1:{OWN}:db", f"arn:aws:rds:us-east-1:{FOREIGN}:db"
TAG = "rds-snap-backup:target"
READS = {"GetParameter", "GetParametersByPath", "BatchGetItem", "DescribeDBInstances", "DescribeDBClusters"}


def explain(timeline: Timeline, event: Any) -> Any:
    """Return the explanation of an event; nothing but reads may be called."""
    requests, calls = len(timeline.commserve.requests), len(timeline.calls)
    answer = timeline.deliver({"explain": event})
    assert {call.operation for call in timeline.calls[calls:]} <= READS
    assert len(timeline.commserve.requests) == requests
    return answer


def verdicts(answer: Any) -> dict[tuple[str, str], str]:
    """Return what would happen by target and instance."""
    return {
        (submission["target"], row["subclientName"] or ""): row["would"]
        for submission in answer["explain"]["submissions"]
        for row in submission["associations"]
    }


# ---- Ten situations: the table of docs/operations.md has what is explained here.


def prepared(timeline: Timeline, **document: Any) -> Callable[..., Any]:
    """Store a target `orders`; return a function that makes an event of a database."""
    timeline.target("default")
    timeline.target("orders", **({"databases": ["orders-*"]} | document))

    def event(database: str = "orders-db", event_id: str = "RDS-EVENT-0043", **tags: str) -> Any:
        made = timeline.event(database, event_id)
        made["detail"]["Tags"] = {TAG: tags["tag"]} if tags else {}
        return made

    return event


def just_begun(timeline: Timeline) -> Any:
    event = prepared(timeline, gatherMinutes=5)()
    timeline.deliver(event)
    timeline.commserve.advance(MINUTE)
    timeline.deliver(timeline.schedule("nightly", "orders"))
    return event


def busy(timeline: Timeline) -> Any:
    event = prepared(timeline)
    timeline.commserve.fault("maintenance")
    timeline.deliver(timeline.schedule("nightly", "orders"))
    return event()


def settling(timeline: Timeline) -> Any:
    rds, name = timeline.aws.client("rds"), f"orders-{timeline.name}"
    create_instance(rds, name, "mysql")
    rds.stop_db_instance(DBInstanceIdentifier=name)
    return prepared(timeline)(name)


def duplicate(timeline: Timeline) -> Any:
    event = prepared(timeline)()
    timeline.deliver(event)
    timeline.run()
    return event


SITUATIONS: dict[str, Callable[[Timeline], Any]] = {
    "its name matches a pattern": lambda timeline: prepared(timeline)(),
    "its tag names a target": lambda timeline: prepared(timeline, databases=[])("stock-db", tag="orders"),
    "nothing covers it": lambda timeline: prepared(timeline)("stock-db"),
    "it gathers, and a job has begun since": just_begun,
    "its subclient is busy": busy,
    "its database is not available": settling,
    "the target is disabled": lambda timeline: prepared(timeline, enabled=False)(),
    "its tag names no target": lambda timeline: prepared(timeline)("stock-db", tag="order"),
    "it is of another account": lambda timeline: json.loads(
        json.dumps(prepared(timeline)()).replace(OWN, "444455556666")
    ),
    "a backup causes it": lambda timeline: prepared(timeline)(event_id="RDS-EVENT-0042"),
    "it is a duplicate": duplicate,
}


def shown(timeline: Timeline, answer: Any) -> list[list[str]]:
    """Return the cells that the documentation has of an explanation, with its names of account and job."""

    def plain(text: str) -> str:
        for job_id in timeline.commserve.jobs:
            text = text.replace(job_id, "1354")
        path, text = timeline.config.targets_path, text.replace(f"orders-{timeline.name}", "orders-db")
        return text.replace(OWN, "111122223333").replace(path, "/rds-snap-backup/STACK/targets/")

    if "ignored" in answer:
        return [["", "`ignored`", plain(answer["ignored"])]]
    return [
        [f"{submission['target']}, by {submission['selectedBy']}", f"`{row['would']}`", plain(row["why"])]
        for submission in answer["explain"]["submissions"]
        for row in submission["associations"]
    ]


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_runbook_shows_what_is_explained(timeline: Timeline, situation: str) -> None:
    event = SITUATIONS[situation](timeline)
    documented = {cells[0]: cells[1:] for cells in rows("docs/operations.md", "Explain an event")}
    assert set(documented) == set(SITUATIONS)
    assert shown(timeline, explain(timeline, event)) == [documented[situation]]


@pytest.mark.parametrize(("count", "said"), [(1, "1 database:"), (40, "40 databases:")])
def test_a_job_is_explained_with_its_number_of_databases(timeline: Timeline, count: int, said: str) -> None:
    event = prepared(timeline)()
    services = timeline.sandbox(timeline.clock)
    key = services.targets.load("orders").request.associations[0].key
    Audits(services.table, 90, timeline.clock).save(AuditState(groups={key: count, "another": 7}))
    ((_, would, why),) = shown(timeline, explain(timeline, event))
    at_last = f"At the last audit its group selected {said} one snapshot of each."
    assert (would, why) == ("`submit`", f"A FULL backup is requested at once. {at_last}")


# ---- The event of a database, by its ARN


def test_a_databases_event_has_the_tags_that_rds_shows(timeline: Timeline) -> None:
    timeline.target("tagged", associations=associations("billing-db"))
    create_instance(timeline.aws.client("rds"), timeline.name, "mysql", {TAG: "tagged"})
    answer = explain(timeline, {"database": f"{DATABASES}:{timeline.name}", "event": "RDS-EVENT-0043"})
    assert "warning" not in answer
    assert [(submission["target"], submission["selectedBy"]) for submission in answer["explain"]["submissions"]] == [
        ("tagged", "tag")
    ]


@pytest.mark.parametrize(
    ("arn", "warning"), [(f"{DATABASES}:gone", "RDS does not know"), (f"{ELSEWHERE}:gone", "tags of")]
)
def test_tags_that_cannot_be_read_are_a_warning(timeline: Timeline, arn: str, warning: str) -> None:
    timeline.target("default")
    answer = explain(timeline, {"database": arn, "event": "RDS-EVENT-0043"})
    assert (arn in answer["ignored"], warning in answer["warning"]) == (True, True)


@pytest.mark.parametrize("arn", ["orders-db", "arn:aws:rds:us-east-1:1:db:", "arn:aws:rds:us-east-1:1:db:orders\ndb"])
def test_another_arn_is_refused(timeline: Timeline, arn: str) -> None:
    assert "arn:aws:rds" in explain(timeline, {"database": arn, "event": "RDS-EVENT-0043"})["refused"]["hint"]


@pytest.mark.parametrize("event", [{}, {"explain": {"target": "default"}}, {"Records": []}])
def test_what_is_no_event_is_refused_without_a_dead_letter(timeline: Timeline, event: Any) -> None:
    assert explain(timeline, event)["refused"]["code"] == "EVENT_UNKNOWN"


def test_an_explanation_that_rds_does_not_answer_delays_no_event(timeline: Timeline) -> None:
    timeline.fail("DescribeDBInstances")
    answer = explain(timeline, {"database": f"{DATABASES}:orders-db", "event": "RDS-EVENT-0043"})
    assert "cannot be read" in answer["warning"]
    assert timeline.states(timeline.deliver(timeline.event("orders-db"))) == {"orders-db": "running"}


def test_a_queues_message_is_not_explained(timeline: Timeline) -> None:
    timeline.redrive({"explain": {"target": "default"}})
    timeline.run()
    assert only(timeline.dead_letters())["refused"]["code"] == "EVENT_UNKNOWN"


def test_a_repeated_manual_call_would_only_report(timeline: Timeline) -> None:
    event = {"target": "default", "requestId": "by-hand"}
    answer = timeline.deliver(event)
    (submission,) = explain(timeline, event)["explain"]["submissions"]
    assert [row["would"] for row in submission["associations"]] == ["nothing"]
    assert [submission["known"]] == answer["submissions"]


def test_a_repeated_manual_call_would_send_a_lost_message_again(timeline: Timeline) -> None:
    timeline.commserve.fault("maintenance")
    event = {"target": "default", "requestId": "by-hand"}
    timeline.deliver(event)
    timeline.queue.clear()
    timeline.commserve.advance(2 * HOUR)
    assert verdicts(explain(timeline, event)) == {("default", "orders-db"): "wait"}


def test_of_two_targets_with_one_subclient_the_second_waits(timeline: Timeline) -> None:
    timeline.target("other", associations=associations("billing-db", "orders-db"))
    answer = explain(timeline, {"target": "*"})
    assert verdicts(answer) == {
        ("default", "orders-db"): "submit",
        ("other", "billing-db"): "submit",
        ("other", "orders-db"): "wait",
    }
    sent = [submission["request"]["taskInfo"]["associations"] for submission in answer["explain"]["submissions"]]
    assert [[row["subclientName"] for row in rows] for rows in sent] == [["orders-db"], ["billing-db"]]


@pytest.mark.parametrize(("is_usable", "would"), [(True, "submit"), (False, "nothing")])
def test_a_dead_letter_shows_what_its_redrive_would_do(timeline: Timeline, is_usable: bool, would: str) -> None:
    timeline.commserve.fault("error_top", code=4)
    timeline.deliver(timeline.schedule("nightly"))
    letter = json.dumps(only(timeline.dead_letters()))
    if not is_usable:
        timeline.target_text("default", "{")
    answer = explain(timeline, {"Records": [{"body": letter, "messageId": "1"}]})
    assert verdicts(answer) == {("default", "orders-db" if is_usable else ""): would}
