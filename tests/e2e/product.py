"""The deployed product as its tests see it: the stack, the CommServe it talks to, and a subscriber of its topic.

Each test makes targets and instance groups that no other test has, and looks only at these.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from local.commserve import CommServe, Job, Recorded, content
from local.commserve.catalogue import RDS
from local.stack import Stack
from local.subscriber import Subscriber

CLIENT = "aws-prod"
TAG = "rds-snap-backup:target"
_NUMBERS = count(1)

# On a busy machine a run fails now and then at a call that takes too long, and its message returns after 90 s.
PATIENCE_SECONDS = 200


@dataclass(frozen=True, slots=True)
class Product:
    """A deployed stack and everything around it."""

    stack: Stack
    commserve: CommServe
    subscriber: Subscriber
    started: dict[str, str] = field(default_factory=dict)  # targets that were made with the stack, by what they are for

    def target(self, name: str, *, is_known: bool = True, **document: Any) -> str:
        """Add a target with a group of the same name, known to Commvault or not, and return that name.

        The group's content is the database of that name.
        """
        unique = f"{name}-{next(_NUMBERS)}"
        if is_known:
            self.commserve.set_content(CLIENT, unique, [content.instance(unique)])
        self.stack.put_target(unique, self.document(unique) | document)
        return unique

    @staticmethod
    def document(*groups: str) -> dict[str, Any]:
        """Return a document with these groups."""
        return {"associations": [association(group) for group in groups]}

    def target_of(self, number: int) -> tuple[str, list[str]]:
        """Add a target of several groups; return its name and theirs."""
        name = f"several-{next(_NUMBERS)}"
        names = [f"{name}-{place}" for place in range(number)]
        for group in names:
            self.commserve.set_content(CLIENT, group, [content.instance(group)])
        self.stack.put_target(name, self.document(*names))
        return name, names

    def calls(self, *targets: str) -> list[Recorded]:
        """Return the CreateTask requests for targets' groups, refused ones too."""
        return [
            request for request in self.commserve.create_tasks if any(target in groups(request) for target in targets)
        ]

    def jobs(self, *targets: str) -> list[Job]:
        """Return the jobs of targets' groups."""
        return [job for job in self.commserve.jobs.values() if job.group in targets]

    def messages(self, *targets: str) -> list[Mapping[str, Any]]:
        """Return the messages about targets that were received so far; one that came twice is the same message."""
        self.subscriber.receive()
        found: list[Mapping[str, Any]] = []
        for message in self.subscriber.received:
            if message.body.get("target") in targets and message.body not in found:
                found.append(message.body)
        return found

    def wait_for_messages(self, *targets: str, number: int = 1) -> list[Mapping[str, Any]]:
        """Wait until at least `number` messages about targets were received, and return them."""
        wait_until(lambda: len(self.messages(*targets)) >= number, f"{number} messages about {targets}")
        return self.messages(*targets)

    def story(self, *targets: str) -> list[Mapping[str, Any]]:
        """Wait until the submissions of targets are over, and return the messages about them."""
        wait_until(lambda: not self.waiting(*targets), f"the submissions of {targets} are over")
        return self.messages(*targets)

    def records(self, *targets: str) -> list[Mapping[str, Any]]:
        """Return the ledger's submissions of targets."""
        rows = [row for row in self.stack.ledger() if row["pk"]["S"].startswith("submission#")]
        return [json.loads(row["record"]["S"]) for row in rows if row["target"]["S"] in targets]

    def dead_letters(self, *targets: str) -> list[Mapping[str, Any]]:
        """Return the dead letters of targets."""
        return [letter for letter in self.stack.dead_letters() if letter.get("target") in targets]

    def waiting(self, *targets: str) -> list[str]:
        """Return the messages on the Submissions queue that name one of the targets."""
        bodies = [str(message["Body"]) for message in self.stack.messages("SubmissionsQueueUrl")]
        return [body for body in bodies if any(f'"{target}"' in body for target in targets)]

    def runs(self) -> int:
        """Return how many runs of the Backup function have ended, as its log says."""
        return sum(line.startswith("REPORT ") for line in self.stack.logs())

    def start_cold(self) -> None:
        """Update the function's configuration, after which its next run is a cold start, as on AWS."""
        client, name = self.stack.aws.client("lambda"), self.stack.outputs["BackupFunctionName"]
        timeout = client.get_function_configuration(FunctionName=name)["Timeout"]
        client.update_function_configuration(FunctionName=name, Timeout=timeout)

    def kill_runs(self) -> int:
        """SIGKILL every sandbox of the Backup function, as Lambda does with one that takes too long; tell how many."""
        sandboxes = self.stack.aws.sandboxes(self.stack.outputs["BackupFunctionName"])
        for sandbox in sandboxes:
            os.kill(sandbox, signal.SIGKILL)
        return len(sandboxes)

    @contextmanager
    def queue_disabled(self) -> Iterator[None]:
        """Let nothing be taken from the Submissions queue for a while: only what is invoked runs."""
        client, function = self.stack.aws.client("lambda"), self.stack.outputs["BackupFunctionName"]
        mapping = only(client.list_event_source_mappings(FunctionName=function)["EventSourceMappings"])
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        yield
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


def scheduled(target: str, name: str = "nightly") -> dict[str, str]:
    """Return the input of a schedule that was due long ago: any job of its target satisfies it."""
    return {"target": target, "schedule": f"arn:aws:scheduler:{name}", "time": "2026-01-31T02:00:00Z"}


def association(group: str) -> dict[str, str]:
    """Return a target document's association, the display name left out."""
    return {"clientName": CLIENT, "instanceName": RDS, "subclientName": group}


def groups(request: Recorded) -> list[str]:
    """Return the groups that a CreateTask request names."""
    return [entry["subclientName"] for entry in request.json["taskInfo"]["associations"]]


def tagged(*targets: str) -> dict[str, str]:
    """Return a database's tags that select targets."""
    return {TAG: " ".join(targets)}


def only[T](found: Sequence[T]) -> T:
    """Return the one thing there must be."""
    assert len(found) == 1, found
    return found[0]


def wait_until(condition: Callable[[], object], what: str, within: float = PATIENCE_SECONDS) -> None:
    """Wait until a condition holds, or fail."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.25)
