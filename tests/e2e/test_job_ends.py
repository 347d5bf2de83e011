"""How backups end: each backup of a target has its own end, only a bad name is rejected, events wait for databases."""

import pytest

from local.rds import create_instance, delivered, rds_event
from tests.e2e.product import Product, only, scheduled, tagged

pytestmark = pytest.mark.e2e

CARRIED = ("version", "target", "jobIds", "taskId", "backupLevel", "associations", "trigger")


@pytest.mark.parametrize(
    ("ending", "reason", "status"),
    [
        ("Completed", "", "completed"),
        ("Completed w/ one or more errors", "One file was skipped.", "completed_with_errors"),
        ("Failed", "The snapshot quota is reached.", "failed"),
        ("Killed", "The job was killed by admin.", "killed"),
    ],
)
def test_a_subscriber_receives_a_submission_and_then_its_end(
    product: Product, ending: str, reason: str, status: str
) -> None:
    target = product.target(status.replace("_", "-"), retryFailedJobs=0)
    product.commserve.plan_jobs(group=target, seconds=1, ending=ending, reason=reason)
    product.stack.invoke({"target": target})

    submitted, end = product.story(target)

    assert (submitted["status"], end["status"]) == ("submitted", status)
    assert {name: end[name] for name in CARRIED} == {name: submitted[name] for name in CARRIED}
    assert end["jobIds"] == [only(product.jobs(target)).id]
    assert end["startedAt"] <= end["endedAt"]
    assert end["durationSeconds"] >= 0
    assert end["reason"] == (reason or None)
    assert end.get("error", {}).get("message") == (reason or None)


def test_a_subscriber_can_ask_for_problems_alone(product: Product) -> None:
    problems = product.stack.subscribe({"level": ["problem"]})
    well, badly = product.target("well"), product.target("badly")
    product.commserve.plan_jobs(group=well, seconds=0)
    product.commserve.plan_jobs(group=badly, seconds=0, ending="Killed")
    for target in (well, badly):
        product.stack.invoke({"target": target})
    product.story(well, badly)
    problems.receive()
    received = [message.body for message in problems.received if message.body["target"] in {well, badly}]
    assert [(message["target"], message["status"]) for message in received] == [(badly, "killed")]


def test_a_job_whose_id_was_counted_again_is_lost(product: Product) -> None:
    """As after Commvault's database was restored: the ID now shows a job of another subclient."""
    target = product.target("restored")
    product.stack.invoke({"target": target})
    job = only(product.jobs(target))
    job.subclient = product.commserve.catalogue.add("aws-prod", f"{target}-other")
    submitted, lost = product.story(target)
    assert (lost["status"], lost["error"]["code"]) == ("lost", "JOB_ID_REUSED")
    assert {name: lost[name] for name in CARRIED} == {name: submitted[name] for name in CARRIED}


def test_one_unknown_name_in_a_target_is_rejected_and_the_others_are_backed_up(product: Product) -> None:
    target, (one, typo, other) = product.target_of(3)
    product.stack.put_target(target, product.document(one, f"{typo}-unknown", other))
    product.commserve.unknown = "refuse"
    product.stack.invoke(scheduled(target))
    rejected, submitted = product.wait_for_messages(target, number=2)
    product.commserve.unknown = "skip"
    assert (rejected["status"], submitted["status"]) == ("rejected", "submitted")
    assert [each["subclientName"] for each in rejected["associations"]] == [f"{typo}-unknown"]
    assert [each["subclientName"] for each in submitted["associations"]] == [one, other]
    assert submitted["jobIds"] == [job.id for job in product.jobs(one, typo, other)]
    assert len(product.calls(one)) == len(product.calls(other)) == 2
    assert only(product.dead_letters(target))["error"] == rejected["error"]


def test_a_job_that_the_answer_does_not_name_is_found_and_followed(product: Product) -> None:
    target, names = product.target_of(3)
    product.commserve.plan_jobs(group=names[1], missing_seconds=5)
    product.commserve.fault("job_ids", about=names[0], named=[2, 0])
    product.stack.invoke(scheduled(target))
    first, found = product.wait_for_messages(target, number=2)
    jobs = {job.group: job.id for job in product.jobs(*names)}
    assert first["jobIds"] == [jobs[names[2]], jobs[names[0]]]
    assert (found["status"], found["reconciled"], found["jobIds"]) == ("submitted", True, [jobs[names[1]]])
    assert only(found["associations"])["jobId"] == jobs[names[1]]
    for job_id in jobs.values():
        product.commserve.end_job(job_id)
    ends = {
        message["jobIds"][0]: only(message["associations"])["subclientName"] for message in product.story(target)[2:]
    }
    assert ends == {job_id: name for name, job_id in jobs.items()}
    assert len(product.calls(names[0])) == 1


def test_an_event_waits_until_its_database_is_available(product: Product) -> None:
    target, rds = product.target("waits"), product.stack.aws.client("rds")
    create_instance(rds, target, "mysql")
    rds.stop_db_instance(DBInstanceIdentifier=target)
    event = rds_event(target, tags=tagged(target))
    answer = only(product.stack.invoke(delivered(event))["submissions"])
    backup = only(answer["backups"])
    assert (backup["state"], backup["error"]["code"]) == ("waiting", "DATABASE_NOT_AVAILABLE")
    assert not product.calls(target)
    rds.start_db_instance(DBInstanceIdentifier=target)
    assert only(product.wait_for_messages(target))["status"] == "submitted"
    assert len(product.calls(target)) == 1
