"""What the demo runs on: the emulated AWS, the simulated CommServe over TLS, and the stack deployed between them."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.commserve import CommServe
from local.demo.view import View
from local.emulator import Emulator
from local.stack import NEVER, Stack, build, deploy
from local.subscriber import Subscriber

CLIENT = "aws-prod"
INSTANCES = ("orders-db", "billing-db", "users-db", "reports-db", "archive-db")
CA_PARAMETER = "/rds-snap-backup/demo/ca"
SCHEDULE_AFTER = timedelta(seconds=5)  # from when the stack is ready
JOB_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything that runs, and when the schedule is due."""

    aws: Emulator
    commserve: CommServe
    stack: Stack
    subscriber: Subscriber
    due: datetime

    def add_target(self, name: str, instance: str, *, changed: datetime | None = None, **more: Any) -> None:
        """Add a target of one subclient, as `aws ssm put-parameter` does."""
        self.stack.put_target(name, {"associations": [association(instance)], **more}, changed=changed)

    def finished_runs(self) -> int:
        """How many runs of the Submit function have ended, according to its log."""
        return sum(line.startswith("REPORT ") for line in self.stack.logs())


def association(instance: str) -> Mapping[str, str]:
    """Return the association of an instance's default subclient."""
    return {"clientName": CLIENT, "instanceName": instance, "displayName": CLIENT, "subclientName": "default"}


@contextmanager
def running(view: View) -> Iterator[Machine]:
    """Start everything, and stop it however the block is left."""
    with ExitStack() as started:
        token = f"QSDK demo-{secrets.token_hex(8)}"
        known = {CLIENT: dict.fromkeys(INSTANCES, ("default",))}
        commserve = started.enter_context(CommServe(token=token, clients=known, job_seconds=JOB_SECONDS))
        view.say("Commvault", f"a simulated CommServe listens at {commserve.url} (TLS, private CA)")
        with view.step("start the AWS emulator (the first time, it is downloaded)"):
            aws = started.enter_context(Emulator())
        yield _deployed(aws, commserve, view)


def _deployed(aws: Emulator, commserve: CommServe, view: View) -> Machine:
    aws.client("ssm").put_parameter(Name=CA_PARAMETER, Value=commserve.ca_pem, Type="String")
    with view.step("sam build (the first time, it downloads what it needs)"):
        build()
    parameters = {
        "CommvaultApiUrl": commserve.url,
        "CaCertificateParameter": CA_PARAMETER,
        "ClientName": CLIENT,
        "InstanceName": "orders-db",
        "SubclientName": "default",
        "Databases": "orders-*",
        "ScheduleExpression": NEVER,
        "FirstRetrySeconds": "1",
        "ReconcileSeconds": "5",
        "FirstPollSeconds": "1",
    }
    with view.step("sam deploy"):
        stack = deploy(aws, "demo", parameters)
    subscriber = stack.subscribe()
    stack.set_token(commserve.token)
    view.say("stack", "the token is in the stack's secret")
    due = datetime.now(UTC).replace(microsecond=0) + SCHEDULE_AFTER
    stack.reschedule(due)
    return Machine(aws, commserve, stack, subscriber, due)
