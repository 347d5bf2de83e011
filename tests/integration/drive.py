"""The built functions in the Lambda runtime, with the template's own environment, through everything that they do.

The resources are made by hand in the emulator; what the template says of them is resolved to their real names and ARNs. Each
function's calls to AWS go through a wire of its own, which keeps them.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config as SdkConfig

from local.commserve import CommServe
from local.emulator import Emulator
from local.runtime import Runtime
from local.stack import build
from rds_snap_backup.audit.daily import Auditor
from rds_snap_backup.audit.workflow import audit
from rds_snap_backup.bootstrap import AWS_FAILURES, Clients, bootstrap
from rds_snap_backup.config import Config
from rds_snap_backup.ledger.outbox import LEASE_SECONDS
from rds_snap_backup.submit import dispatch
from rds_snap_backup.submit.deliveries import DirectDelivery
from tests.integration.kill.stalling import Call, StallingWire
from tests.integration.pairs import PairInSecret
from tests.integration.permissions import arn, queue_arn
from tests.integration.world import ASSOCIATION, World, lazily, scheduled
from tests.support import ACCOUNT, REGION, Context
from tests.unit.template import TEMPLATE, Resolved

DAY = 86400
# More than the claims that one transaction holds, which is the one case of a condition check.
MANY = [{**ASSOCIATION, "instanceName": f"db-{number:03}"} for number in range(100)]


def restored(event_id: str = "RDS-EVENT-0043") -> dict[str, Any]:
    """Return an RDS event of `orders`."""
    source = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:orders"
    detail = {"EventID": event_id, "SourceType": "DB_INSTANCE", "SourceArn": source, "SourceIdentifier": "orders"}
    at = {"Date": "2026-01-31T02:00:00.000Z", "Message": "Restored from snapshot"}
    return {"source": "aws.rds", "detail-type": "RDS DB Instance Event", "account": ACCOUNT, "detail": detail | at}


@dataclass(frozen=True)
class Recorded:
    """The template with the names of the resources, every call of each function, and the Audit function's to Commvault."""

    template: Resolved
    calls: dict[str, list[Call]]
    audited_requests: list[str]


class Stack:
    """The template's resources, as far as the functions call them."""

    def __init__(self, aws: Emulator, commserve: CommServe) -> None:
        self.aws, self.commserve = aws, commserve
        self.world = World(aws, commserve)
        self.pair = PairInSecret(self.world)
        self.pair.issue()
        self.sqs = aws.client("sqs")
        self.jobs = self.sqs.create_queue(QueueName=f"{self.world.name}-jobs")["QueueUrl"]
        queues = {
            "SubmissionsQueue": self.world.submissions,
            "DeadLetterQueue": self.world.dead_letter_queue,
            "JobsQueue": self.jobs,
        }
        self.template = Resolved(
            {
                "AWS::StackName": self.world.name,
                "AWS::Region": REGION,
                "AWS::AccountId": ACCOUNT,
                "Ledger": self.world.name,
                "Ledger.Arn": arn("dynamodb", f"table/{self.world.name}"),
                **queues,
                **{f"{name}.Arn": queue_arn(url) for name, url in queues.items()},
                "Notifications": self.world.config.notifications_topic_arn,
                "TokenSecretArn": self.world.secret,
                "CaCertificateParameter": self.world.config.ca_certificate_parameter,
                "CommvaultApiUrl": commserve.url,
                "FirstRetrySeconds": 1,
                "ReconcileSeconds": 5,
                "FirstPollSeconds": 1,
            }
        )
        self._subscribe_jobs()
        for name in ("default", "orders"):
            self.target(name, databases=["ord*"])

    def _subscribe_jobs(self) -> None:
        policy = self.template.resources["JobsQueuePolicy"]["Properties"]["PolicyDocument"]
        self.sqs.set_queue_attributes(QueueUrl=self.jobs, Attributes={"Policy": json.dumps(policy)})
        given = self.template.resources["JobsSubscription"]["Properties"]
        attributes = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps(given["FilterPolicy"])}
        endpoint = {"TopicArn": given["TopicArn"], "Protocol": "sqs", "Endpoint": given["Endpoint"]}
        self.aws.client("sns").subscribe(**endpoint, Attributes=attributes)

    def target(self, name: str, **document: Any) -> None:
        """Store a target where the template says."""
        text = json.dumps({"associations": [ASSOCIATION], **document})
        path = self.environment("SubmitFunction")["TARGETS_PATH"] + name
        self.aws.client("ssm").put_parameter(Name=path, Value=text, Type="String", Tier="Advanced")

    def environment(self, function: str) -> dict[str, str]:
        """Return the environment that the template gives to a function."""
        common = self.template.resolve(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])
        own = self.template.resources[function]["Properties"].get("Environment", {}).get("Variables", {})
        return {name: str(value) for name, value in (common | own).items()}

    @contextmanager
    def function(self, name: str, wire: StallingWire) -> Iterator[Runtime]:
        """Run a function, its calls to AWS through the wire."""
        given = TEMPLATE["Globals"]["Function"] | self.template.resources[name]["Properties"]
        environment = self.environment(name) | {"AWS_ENDPOINT_URL": wire.url}
        with Runtime(build() / name, given["Handler"], environment, timeout=given["Timeout"]) as function:
            yield function

    def poll(self, function: Runtime, url: str) -> None:
        """Be the event source once: hand over what is due, delete what is done."""
        found = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, AttributeNames=["All"]
        )
        for one in found.get("Messages", []):
            record = {"messageId": one["MessageId"], "receiptHandle": one["ReceiptHandle"], "body": one["Body"]}
            event = {"Records": [record | {"attributes": one["Attributes"], "eventSource": "aws:sqs"}]}
            response = function.invoke(event)
            assert response.error is None, function.output
            if not response.payload["batchItemFailures"]:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])

    def drain(self, function: Runtime, url: str) -> None:
        """Poll until a queue is empty, waiting messages included."""
        deadline = time.monotonic() + 60
        states = ("", "NotVisible", "Delayed")
        names: Any = [f"ApproximateNumberOfMessages{state}" for state in states]
        while any(
            int(number)
            for number in self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()
        ):
            assert time.monotonic() < deadline, function.output[-3000:]
            self.poll(function, url)

    def submit(self, wire: StallingWire) -> None:
        """Drive the Submit function through every way that a submission can go."""
        with self.function("SubmitFunction", wire) as function:

            def invoke(event: Any) -> Any:
                response = function.invoke(event)
                assert response.error is None, function.output
                return response.payload

            def status(event: Any) -> str:
                (submission,) = invoke(event)["submissions"]
                return str(submission["status"])

            assert status(scheduled("one")) == "submitted"
            self.pair.expire()
            assert status(scheduled("renews the token")) == "submitted"
            assert {one["status"] for one in invoke(restored())["submissions"]} == {"queued"}
            self.drain(function, self.world.submissions)
            self.commserve.fault("maintenance", times=2)
            assert status(scheduled("deferred twice")) == "deferred"
            self.drain(function, self.world.submissions)
            self.commserve.fault("reset_after")
            assert status(scheduled("unknown, then adopted")) == "deferred"
            self.drain(function, self.world.submissions)
            self.commserve.fault("error_top", code=4)
            assert status(scheduled("rejected")) == "rejected"
            assert "refused" in invoke({"no": "trigger"})
            assert invoke({"check": True})["ok"] is True
            for _ in ("starts", "only reports"):
                assert status({"target": "default", "requestId": "by hand"}) == "submitted"

    def many(self, wire: StallingWire) -> None:
        """Submit a target of many associations in a run that is cut off between its claims, and resume it.

        In this process, so that the lease is over at once: it is the function's code and SDK, and the same wire.
        """
        self.target("many", associations=MANY)
        self.commserve.catalogue.extend({"aws-prod": {one["instanceName"]: ("default",) for one in MANY}})
        event = scheduled("many", "many")
        wire.stall("TransactWriteItems", 3)  # The first takes it up, the second claims what does not fit in the third.
        with suppress(*AWS_FAILURES):
            self._deliver(event, wire, time.time)
        wire.release()
        self._deliver(event, wire, lambda: time.time() + LEASE_SECONDS + 1)

    def _deliver(self, event: Any, wire: StallingWire, clock: Callable[[], float]) -> None:
        services = bootstrap(Config.from_env(self.environment("SubmitFunction")), self._clients(wire), clock)
        context: Any = Context()
        dispatch.handle(services, event, DirectDelivery(services, context))

    def _clients(self, wire: StallingWire) -> Clients:
        session = boto3.Session("test", "test", region_name=REGION)
        once = SdkConfig(read_timeout=2, retries={"total_max_attempts": 1})
        names: tuple[Any, ...] = ("dynamodb", "rds", "secretsmanager", "sns", "sqs", "ssm")
        return lazily({name: session.client(name, endpoint_url=wire.url, config=once) for name in names})

    def audit(self, wire: StallingWire, submit: StallingWire) -> list[str]:
        """Drive the Audit function: by hand, and started by its schedule with something to publish and to wake.

        Return the paths of its requests to Commvault.

        The latter is a day later, and so in this process: it is the function's code and SDK, and the same wire.
        """
        self.commserve.fault("maintenance")
        self._deliver(scheduled("stuck", "orders"), submit, time.time)
        before = len(self.commserve.requests)
        with self.function("AuditFunction", wire) as function:
            self.pair.expire()
            for event in ({"audit": True}, {"check": True}):
                response = function.invoke(event)
                assert response.error is None, function.output
                assert response.payload["ok"] is True, response.payload
        config = Config.from_env(self.environment("AuditFunction"))
        auditor = Auditor.make(config, self._clients(wire), lambda: time.time() + DAY)
        answer = audit(auditor, {"audit": True, "schedule": "audit", "time": "tomorrow"}, "request", lambda: 300)
        assert {one["code"] for one in answer["findings"]} >= {"SUBMISSION_STUCK"}
        return [request.path for request in self.commserve.requests[before:]]

    def follow(self, wire: StallingWire) -> None:
        """Drive the Follow function: jobs that run on, that end, and whose end is read with a renewed token."""
        with self.function("FollowFunction", wire) as function:
            self.poll(function, self.jobs)
            for job_id in self.commserve.jobs:
                self.commserve.end_job(job_id)
            self.pair.expire()
            self.drain(function, self.jobs)


def drive(aws: Emulator) -> Recorded:
    """Drive each function of the template; return what it was given, and its calls."""
    with (
        CommServe(job_seconds=3600) as commserve,
        StallingWire(aws.endpoint_url) as submit,
        StallingWire(aws.endpoint_url) as follow,
        StallingWire(aws.endpoint_url) as audit_wire,
    ):
        stack = Stack(aws, commserve)
        stack.submit(submit)
        stack.follow(follow)
        stack.many(submit)
        requests = stack.audit(audit_wire, submit)
        calls = {"SubmitFunction": submit.calls, "FollowFunction": follow.calls, "AuditFunction": audit_wire.calls}
        return Recorded(stack.template, calls, requests)
