"""What the demo shows: each step fires a trigger for real, and says what must follow from it."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.commserve.catalogue import RDS
from local.demo.facts import Facts
from local.demo.machine import CLIENT, STOPPED, Machine
from local.rds import delivered, rds_event

SCHEDULED_AFTER = timedelta(seconds=3)
AVAILABLE = "web-db is available"
STOPPED_SECONDS = 3.0  # how long a database is stopped after its event was answered

type Story = Callable[[Facts], Iterator[None]]  # it yields while it waits


@dataclass(frozen=True, slots=True)
class Step:
    """A trigger, and its expected effects; each step has a target that no other has."""

    title: str
    target: str
    groups: tuple[str, ...]
    play: Story
    databases: str = ""  # the pattern of the databases whose events start it
    requests: int = 1
    jobs: int = 1
    statuses: tuple[str, ...] = ("submitted", "completed")
    claim: str = "what was published is what Commvault did"
    is_true: Callable[[Facts], bool] = lambda _: True

    def store(self, machine: Machine) -> None:
        """Store the target as `aws ssm put-parameter` does; the stack has the default one."""
        if self.target != "default":
            associations = [
                {"clientName": CLIENT, "instanceName": RDS, "subclientName": group} for group in self.groups
            ]
            pattern = {"databases": [self.databases]} if self.databases else {}
            machine.stack.put_target(self.target, {"associations": associations, **pattern})

    def checks(self, facts: Facts) -> list[tuple[str, bool]]:
        """Return what must be so, each with whether it is."""
        requests, jobs = facts.requests(self.target), facts.jobs(self.target)
        published = facts.published(self.target)
        statuses = [body["status"] for body in published]
        completed = {body["jobIds"][0] for body in published if body["status"] == "completed"}
        return [
            (_counted(len(requests), "request"), len(requests) == self.requests),
            (_counted(len(jobs), "job"), len(jobs) == self.jobs),
            (", ".join(statuses) or "no message", Counter(statuses) == Counter(self.statuses)),
            (self.claim, self.is_true(facts) and completed == {job.id for job in jobs if job.status == "Completed"}),
        ]

    def is_done(self, facts: Facts) -> bool:
        """Return whether everything is so."""
        return all(holds for _, holds in self.checks(facts))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _schedule(facts: Facts) -> Iterator[None]:
    due = datetime.now(UTC).replace(microsecond=0) + SCHEDULED_AFTER
    facts.machine.stack.reschedule(due)
    facts.say("default", "Scheduler", f"the schedule of nightly is due at {due:%H:%M:%S} UTC")
    yield


def _skipped_the_stopped(facts: Facts) -> bool:
    taken = [job.taken for job in facts.jobs("default")]
    return [[database.name for database in each.skipped] for each in taken] == [[STOPPED]]


def _manual(facts: Facts) -> Iterator[None]:
    facts.say("users", "invoke", '{"target": "users"}')
    _invoke(facts, "users", {"target": "users"})
    yield


def _invoke(facts: Facts, target: str, event: dict[str, Any]) -> None:
    """Invoke the function, wait, and tell what it answered."""
    answer = facts.machine.stack.invoke(event)
    (backup,) = answer["submissions"][0]["backups"]
    more = f"job {backup['jobId']}" if backup["jobId"] else backup["error"]["code"]
    facts.say(target, "answer", f"{backup['subclientName']}: {backup['state']}, {more}")


def _twice(facts: Facts) -> Iterator[None]:
    event = rds_event("billing-db")
    facts.say("billing", "RDS", "billing-db was restored from a snapshot (RDS-EVENT-0043)")
    facts.machine.stack.put_event(event)
    while not facts.published("billing"):
        yield
    facts.say("billing", "RDS", "the same event is delivered again")
    _invoke(facts, "billing", delivered(event))


def _three(facts: Facts) -> Iterator[None]:
    facts.say("finance", "invoke", '{"target": "finance"}: three groups, one with a name that Commvault does not know')
    facts.machine.stack.invoke_asynchronously({"target": "finance"})
    yield


def _only_the_unknown_is_rejected(facts: Facts) -> bool:
    rejected = [body for body in facts.published("finance") if body["status"] == "rejected"]
    return [association["subclientName"] for body in rejected for association in body["associations"]] == ["typo"]


def _lost(facts: Facts) -> Iterator[None]:
    facts.machine.commserve.fault("reset_after", about='"reports"')
    facts.say("reports", "RDS", "reports-db was restored from a snapshot (RDS-EVENT-0043)")
    facts.machine.stack.put_event(rds_event("reports-db"))
    yield


def _waits(facts: Facts) -> Iterator[None]:
    rds = facts.machine.aws.client("rds")
    rds.stop_db_instance(DBInstanceIdentifier="web-db")
    facts.say("web", "RDS", "web-db was restored (RDS-EVENT-0043), but is not available yet")
    _invoke(facts, "web", delivered(rds_event("web-db")))
    until = time.monotonic() + STOPPED_SECONDS
    while time.monotonic() < until:
        yield
    facts.say("web", "RDS", AVAILABLE)
    rds.start_db_instance(DBInstanceIdentifier="web-db")


def _nothing_was_sent_before(facts: Facts) -> bool:
    said = facts.said["web"]
    waited = any(line.who == "answer" and "DATABASE_NOT_AVAILABLE" in line.what for line in said)
    return waited and said[-1].what == AVAILABLE and all(request.at > said[-1].at for request in facts.requests("web"))


def _fails(facts: Facts) -> Iterator[None]:
    facts.machine.commserve.plan_jobs(group="sales", ending="Failed", reason="The snapshot quota is reached.")
    facts.say("sales", "invoke", '{"target": "sales"}; its first job will fail')
    facts.machine.stack.invoke_asynchronously({"target": "sales"})
    yield


STEPS = (
    Step(
        "A schedule comes due for a group of three databases, one of which is stopped",
        "default",
        ("nightly",),
        _schedule,
        claim=f"the job completed and skipped {STOPPED}",
        is_true=_skipped_the_stopped,
    ),
    Step("Somebody invokes the function", "users", ("users",), _manual),
    Step(
        "RDS reports a restored database, and the event arrives twice",
        "billing",
        ("billing",),
        _twice,
        "billing-*",
        claim="the second delivery started nothing",
        is_true=lambda facts: facts.said["billing"][-1].who == "answer" and len(facts.jobs("billing")) == 1,
    ),
    Step(
        "One wrong name in a target: Commvault refuses the whole request",
        "finance",
        ("ledger", "payroll", "typo"),
        _three,
        requests=2,
        jobs=2,
        statuses=("rejected", "submitted", "completed", "completed"),
        claim="the others are backed up, only the wrong name is rejected",
        is_true=_only_the_unknown_is_rejected,
    ),
    Step(
        "Commvault starts the job, and its answer is lost",
        "reports",
        ("reports",),
        _lost,
        "reports-*",
        claim="the job was found, and nothing was sent a second time",
        is_true=lambda facts: any(body.get("reconciled") for body in facts.published("reports")),
    ),
    Step(
        "The restored database is not available yet",
        "web",
        ("web",),
        _waits,
        "web-*",
        claim="nothing was sent before it was available",
        is_true=_nothing_was_sent_before,
    ),
    Step(
        "A job fails",
        "sales",
        ("sales",),
        _fails,
        requests=2,
        jobs=2,
        statuses=("submitted", "retrying", "submitted", "completed"),
        claim="it was started again, and the second job completed",
        is_true=lambda facts: [job.status for job in facts.jobs("sales")] == ["Failed", "Completed"],
    ),
)
