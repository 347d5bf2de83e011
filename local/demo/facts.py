"""What was observed: requests and jobs at the simulator, messages at the subscriber, dead letters. All by target."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.commserve import Job, Recorded
from local.demo.machine import Machine

type Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """Something that happened, at a Unix time."""

    at: float
    who: str
    what: str


@dataclass(slots=True)
class Facts:
    """Everything seen so far; `look` adds what is new."""

    machine: Machine
    groups: Mapping[str, tuple[str, ...]]  # of each target
    said: dict[str, list[Line]] = field(default_factory=dict)
    messages: list[tuple[float, Body]] = field(default_factory=list)
    letters: list[tuple[float, Body]] = field(default_factory=list)

    def look(self) -> None:
        """Receive new messages and dead letters."""
        self.messages += [(message.delivered, message.body) for message in self.machine.subscriber.receive()]
        self.letters += [(time.time(), letter) for letter in self.machine.stack.dead_letters()[len(self.letters) :]]

    def say(self, target: str, who: str, what: str) -> None:
        """Add a line about what the demo itself does."""
        self.said.setdefault(target, []).append(Line(time.time(), who, what))

    def requests(self, target: str) -> list[Recorded]:
        """Return the CreateTask requests for a target's groups."""
        mine = set(self.groups[target])
        return [request for request in self.machine.commserve.create_tasks if mine & set(named(request))]

    def jobs(self, target: str) -> list[Job]:
        """Return the jobs of a target's groups."""
        return [job for job in self.machine.commserve.jobs.values() if job.group in self.groups[target]]

    def published(self, target: str) -> list[Body]:
        """Return the notifications about a target."""
        return [body for _, body in self.messages if body.get("target") == target]

    def lines(self, target: str) -> list[Line]:
        """Return everything about a target, in the order in which it happened."""
        return sorted([*self.said.get(target, []), *self._commvault(target), *self._received(target)])

    def _commvault(self, target: str) -> Iterator[Line]:
        statuses = self.machine.commserve.statuses
        for request in self.requests(target):
            status = statuses.get(request.id)
            answer = "refused" if status != 200 else "accepted"
            if status is None:
                answer = "accepted, but the answer is lost: connection reset"
            yield Line(request.at, "Commvault", f"request for {', '.join(named(request))}: {answer}")
        for job in self.jobs(target):
            yield Line(job.created, "Commvault", f"job {job.id} of {job.group} starts")
            if job.end_time:
                yield Line(job.end_time, "Commvault", f"job {job.id} of {job.group}: {job.status}{_snapshots(job)}")

    def _received(self, target: str) -> Iterator[Line]:
        for at, body in self.messages:
            if body.get("target") == target:
                yield Line(at, "SNS", described(body))
        for at, letter in self.letters:
            if letter.get("target") == target:
                yield Line(at, "dead letter", letter["error"]["hint"])


def _snapshots(job: Job) -> str:
    """Return what a job of several databases did with each."""
    made, skipped = job.taken.snapshots, job.taken.skipped
    if not job.has_restore_points or len(made) + len(skipped) < 2:
        return ""
    left_out = "".join(f", skipped {database.name} ({database.status})" for database in skipped)
    return f"; snapshots of {', '.join(snapshot.database.name for snapshot in made)}{left_out}"


def named(request: Recorded) -> list[str]:
    """Return the groups that a CreateTask request names."""
    return [association["subclientName"] for association in request.json["taskInfo"]["associations"]]


def groups(body: Body) -> str:
    """Return the groups that a notification is about."""
    return ", ".join(association["subclientName"] for association in body["associations"])


def remark(body: Body) -> str:
    """Return the rest of a notification in a few words."""
    found_again = "found again in Commvault" if body.get("reconciled") and body["status"] == "submitted" else ""
    message: str = body.get("error", {}).get("message", found_again)
    return message.split(". ", maxsplit=1)[0]


def described(body: Body) -> str:
    """Return a notification in one line."""
    jobs = f", job {', '.join(body['jobIds'])}" if body["jobIds"] else ""
    more = f" ({remark(body)})" if remark(body) else ""
    return f"{body['status']}: {groups(body)}{jobs}{more}"
