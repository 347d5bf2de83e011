"""What was observed: the requests and jobs at the simulator, and the messages at the subscriber, trigger by trigger."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from local.commserve import Job, Recorded
from local.demo.machine import Machine
from local.subscriber import Message

SUBMISSION = {"submitted", "joined", "scheduled", "rejected", "abandoned"}


@dataclass(slots=True)
class Row:
    """A trigger, and what must follow: so many CreateTask calls, a message of this status, the job's end.

    Each has a target of its own, or, as the duplicate, its own span of time: this is how observations are attributed.
    """

    title: str
    target: str
    instance: str
    calls: int = 1
    status: str | None = "submitted"
    reconciled: bool = False
    begins: float = float("inf")
    ends: float = float("inf")

    def covers(self, at: float) -> bool:
        """Return whether something seen at this time can belong to this trigger."""
        return self.begins <= at < self.ends


@dataclass(slots=True)
class Observed:
    """Everything seen so far; `observe` adds what is new and describes it."""

    machine: Machine
    messages: list[tuple[float, Message]] = field(default_factory=list)
    _requests: int = 0
    _jobs: int = 0
    _dead_letters: int = 0
    _last: str = ""

    def observe(self) -> Iterator[tuple[str, str]]:
        """Add what is new, and yield who did what."""
        commserve = self.machine.commserve
        requests = commserve.requests[self._requests :]
        for request in requests:
            line = f"{request.method} {request.path}{_what(request)}{_fault(request)}"
            if request.method != "GET" or line != self._last:  # a job is polled repeatedly
                yield "Commvault", line
            self._last = line
        self._requests += len(requests)
        jobs = list(commserve.jobs.values())[self._jobs :]
        for job in jobs:
            yield "Commvault", f"job {job.id} begins: {job.client} / {job.instance} / {job.subclient_name}, {job.level}"
        self._jobs += len(jobs)
        for message in self.machine.subscriber.receive():
            self.messages.append((time.time(), message))
            yield "SNS", _described(message)
        letters = self.machine.stack.dead_letters()[self._dead_letters :]
        for letter in letters:
            error = letter.get("error") or letter.get("refused")
            yield "dead letter", f"{letter.get('target', 'an event')}: {error['code']}: {error['message'].strip()}"
        self._dead_letters += len(letters)

    def calls(self, row: Row) -> list[Recorded]:
        """Return the CreateTask requests that a trigger caused."""
        tasks = self.machine.commserve.create_tasks
        return [one for one in tasks if row.covers(one.at) and row.instance in _instances(one)]

    def jobs(self, row: Row) -> list[Job]:
        """Return the jobs that were made for a trigger."""
        jobs = self.machine.commserve.jobs.values()
        return [job for job in jobs if job.instance == row.instance and row.covers(job.start_time)]

    def submission(self, row: Row) -> Message | None:
        """Return the first message about a trigger's submission."""
        for at, message in self.messages:
            if message.body["status"] in SUBMISSION and message.body["target"] == row.target and row.covers(at):
                return message
        return None

    def end(self, row: Row) -> Message | None:
        """Return the first message about the end of a job that was made for a trigger."""
        jobs = {job.id for job in self.jobs(row)}
        for _, message in self.messages:
            if message.body["status"] not in SUBMISSION and jobs & set(message.body["jobIds"]):
                return message
        return None


def _instances(request: Recorded) -> list[str]:
    return [one["instanceName"] for one in request.json["taskInfo"]["associations"]]


def _what(request: Recorded) -> str:
    return f" for {', '.join(_instances(request))}" if request.path == "/CreateTask" else ""


def _fault(request: Recorded) -> str:
    return f" (fault injected: {request.fault})" if request.fault else ""


def _described(message: Message) -> str:
    body = message.body
    jobs = f", job {', '.join(body['jobIds'])}" if body["jobIds"] else ""
    adopted = ", found again and adopted" if body.get("reconciled") and body["status"] in SUBMISSION else ""
    error = f": {body['error']['hint']}" if "error" in body else ""
    return f"{body['status']}: target {body['target']}{jobs}{adopted}{error}"
