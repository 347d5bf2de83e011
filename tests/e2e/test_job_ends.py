"""How jobs end, through the deployed Follow function: every subscriber receives the submission and its right end."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.rds import rds_event
from local.stack import deploy
from ops import backup
from ops.command import Exit
from tests.e2e.product import CLIENT, Product, association, only, tagged, wait_until
from tests.evidence import Evidence

pytestmark = pytest.mark.e2e

TOKEN = "QSDK fake-5d1c"
BUS = "followed"  # other stacks hear nothing of its events
QUIET = {"ScheduleState": "DISABLED", "FirstPollSeconds": "1"}
CARRIED = ("version", "target", "jobIds", "taskId", "backupLevel", "associations", "trigger", "submittedAt")
# As long as Commvault may not show a job, and a little more.
LONG_MISSING = 601
FAULTY = ["failed", "killed", "lost"]


class Watched:
    """The stack, and one more subscriber who wants to know only of what went wrong."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.alarmed = product.stack.subscribe({"status": FAULTY})

    def start(self, name: str, trigger: Callable[[str], None]) -> tuple[str, str]:
        """Have a job made by any trigger; return its target and its id."""
        target = self.product.target(name)
        trigger(target)
        wait_until(lambda: self.product.jobs(target), 20, f"a job of {target}")
        return target, only(self.product.jobs(target)).id

    def story(self, target: str, number: int = 2) -> list[Mapping[str, Any]]:
        """Wait until a target's job has ended and it is not polled any more; return its messages."""
        product = self.product
        product.wait_for_messages(target, number=number, within=40)
        wait_until(lambda: not self.followed(target), 20, f"nothing on the Jobs queue about {target}")
        return product.messages(target)

    def followed(self, target: str) -> bool:
        """Return whether the Jobs queue holds a message about a target."""
        bodies = [str(message["Body"]) for message in self.product.stack.messages("JobsQueueUrl")]
        return any(f'"{target}"' in body for body in bodies)

    def faults(self, target: str, number: int) -> list[Mapping[str, Any]]:
        """Return the other subscriber's messages about a target, once there are so many."""
        self.alarmed.wait_for(number, within=60, where=lambda message: message.body["target"] == target)
        self.alarmed.receive()
        return [message.body for message in self.alarmed.received if message.body["target"] == target]


@pytest.fixture(scope="module")
def commserve(evidence: Evidence) -> Iterator[CommServe]:
    """A CommServe whose jobs go on until a test ends them."""
    with CommServe(token=TOKEN, job_seconds=3600) as server:
        evidence.add("followed", server)
        yield server


@pytest.fixture(scope="module")
def watched(aws: Emulator, commserve: CommServe) -> Watched:
    """A stack that follows jobs, and polls them every few seconds while they are young."""
    aws.client("events").create_event_bus(Name=BUS)
    return Watched(_deploy(aws, commserve, "followed", FollowHours="24", EventBusName=BUS))


def _deploy(aws: Emulator, commserve: CommServe, name: str, **more: str) -> Product:
    aws.client("ssm").put_parameter(Name=f"/{name}/ca", Value=commserve.ca_pem, Type="String")
    parameters = {"CommvaultApiUrl": commserve.url, "CaCertificateParameter": f"/{name}/ca", "ClientName": CLIENT}
    stack = deploy(aws, name, QUIET | parameters | {"Databases": ""} | more)
    stack.set_token(TOKEN)
    return Product(stack, commserve, stack.subscribe())


@pytest.mark.parametrize(("ending", "status"), [("Completed", Exit.OK), ("Failed", Exit.FINDINGS)])
def test_a_backup_that_is_waited_for_ends_like_its_job(
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ending: str,
    status: Exit,
) -> None:
    product = watched.product
    for name, value in product.stack.aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(backup, "POLL_SECONDS", 0.2)
    target = product.target("gate")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(backup.main, [product.stack.name, "--target", target, "--wait"])
        wait_until(lambda: product.jobs(target), 20, f"a job of {target}")
        job = only(product.jobs(target))
        product.commserve.end_job(job.id, ending)
        assert waiting.result(120) == status
    assert f"job {job.id} {ending.lower()}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "ending", "reason", "status"),
    [
        ("rds", "Completed", "", "completed"),
        ("schedule", "Completed w/ one or more errors", "One file was skipped.", "completed_with_errors"),
        ("schedule", "Failed", "The snapshot quota is reached.", "failed"),
        ("manual", "Killed", "The job was killed by admin.", "killed"),
    ],
)
def test_subscribers_receive_a_submission_and_then_its_end(
    watched: Watched, kind: str, ending: str, reason: str, status: str
) -> None:
    stack = watched.product.stack
    triggers: dict[str, Callable[[str], None]] = {
        "rds": lambda target: stack.put_event(rds_event("orders", tags=tagged(target)), BUS),
        "schedule": lambda target: stack.invoke_asynchronously(
            {"target": target, "schedule": "arn:aws:scheduler:nightly", "time": "2026-01-31T02:00:00Z"}
        ),
        "manual": lambda target: stack.send({"target": target, "requestId": "monday"}),
    }
    target, job_id = watched.start(status, triggers[kind])
    watched.product.commserve.end_job(job_id, ending, reason)

    submitted, end = watched.story(target)

    assert (submitted["status"], end["status"]) == ("submitted", status)
    assert end["trigger"]["kind"] == kind
    assert {name: end[name] for name in CARRIED} == {name: submitted[name] for name in CARRIED}
    assert end["jobIds"] == [job_id]
    assert end["startedAt"] <= end["endedAt"]
    assert end["durationSeconds"] >= 0
    assert end["reason"] == (reason or None)
    assert end.get("error", {}).get("message") == (reason or None)
    faults = [end] if status in FAULTY else []
    assert watched.faults(target, len(faults)) == faults


def test_a_job_that_vanishes_is_looked_for_and_then_lost(watched: Watched) -> None:
    stack = watched.product.stack
    target, job_id = watched.start("vanished", lambda target: stack.send({"target": target}))
    watched.product.commserve.change_job(job_id, vanish_after=0)
    wait_until(lambda: "missingSince" in _job(stack.ledger(), job_id), 20, "the job was missed")
    assert watched.followed(target)
    assert [message["status"] for message in watched.product.messages(target)] == ["submitted"]

    # As time would have it.
    stack.aws.client("dynamodb").update_item(
        TableName=stack.outputs["LedgerTableName"],
        Key={"pk": {"S": f"job#{job_id}"}},
        UpdateExpression="ADD missingSince :later",
        ExpressionAttributeValues={":later": {"N": str(-LONG_MISSING)}},
    )

    submitted, lost = watched.story(target)
    assert (submitted["status"], lost["status"]) == ("submitted", "lost")
    assert {name: lost[name] for name in CARRIED} == {name: submitted[name] for name in CARRIED}
    assert (lost["error"]["code"], lost["endedAt"]) == ("JOB_NOT_FOUND", None)
    assert watched.faults(target, 1) == [lost]


def test_two_messages_about_one_job_end_in_one_notice(watched: Watched) -> None:
    product = watched.product
    put = product.stack.put_event
    target, job_id = watched.start("shared", lambda target: put(rds_event("orders", tags=tagged(target)), BUS))
    product.wait_for_messages(target)
    put(rds_event("orders", "RDS-EVENT-0025", tags=tagged(target)), BUS)
    product.wait_for_messages(target, number=2)
    product.commserve.end_job(job_id)

    submitted, joined, end = watched.story(target, number=3)

    assert [one["status"] for one in (submitted, joined, end)] == ["submitted", "joined", "completed"]
    assert submitted["jobIds"] == joined["jobIds"] == end["jobIds"]
    assert end["trigger"] in (submitted["trigger"], joined["trigger"])


def test_each_job_of_a_message_has_an_end_of_its_own(watched: Watched) -> None:
    product = watched.product
    target, other = product.target("several"), product.target("several")
    product.stack.put_target(target, {"associations": [association(target), association(other)]})
    product.stack.send({"target": target})
    product.wait_for_messages(target)
    one, two = [only(product.jobs(each)).id for each in (target, other)]
    product.commserve.end_job(one)
    product.wait_for_messages(target, number=2)
    assert watched.followed(target)
    product.commserve.end_job(two, "Failed", "No space.")

    submitted, *ends = watched.story(target, number=3)

    assert submitted["jobIds"] == [one, two]
    assert [(end["status"], end["jobIds"]) for end in ends] == [("completed", [one]), ("failed", [two])]


def test_nothing_that_was_followed_is_left_behind(watched: Watched) -> None:
    stack = watched.product.stack
    assert not stack.dead_letters("JobsDeadLetterQueueUrl")
    assert not stack.dead_letters()
    assert not [line for line in stack.logs("FollowFunctionName") if "Traceback" in line]


def test_a_stack_that_follows_nothing_has_no_such_parts_and_submits_all_the_same(
    aws: Emulator, commserve: CommServe
) -> None:
    product = _deploy(aws, commserve, "unfollowed", FollowHours="0", RdsEventsState="DISABLED")
    stack = product.stack
    found = aws.client("cloudformation").describe_stack_resources(StackName=stack.name)["StackResources"]
    assert {"SubmitFunction", "SubmissionsQueue"} <= {one["LogicalResourceId"] for one in found}
    assert not [one for one in found if one["LogicalResourceId"].startswith(("Follow", "Jobs"))]
    assert not [name for name in stack.outputs if name.startswith(("Follow", "Jobs"))]

    target = product.target("alone")
    answer = stack.invoke({"target": target})
    message = only(product.wait_for_messages(target))
    assert answer == {"submissions": [message]}
    assert message["jobIds"] == [only(product.jobs(target)).id]


def _job(ledger: list[Mapping[str, Any]], job_id: str) -> Mapping[str, Any]:
    return next((item for item in ledger if item["pk"] == {"S": f"job#{job_id}"}), {})
