"""The stack that is verified, what the steps need of it, and how they wait for AWS."""

import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Self

import boto3
from botocore.exceptions import ClientError

from rds_snap_backup_cli.errors import CannotRun, error_message
from rds_snap_backup_cli.functions import BACKUP
from rds_snap_backup_cli.stack import DeployedStack, session_of

# A database whose name begins so may be restarted.
RESTARTABLE = re.compile(r"arn:[a-z-]+:rds:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):db:(?P<name>verify[a-z0-9-]*)")
# Addresses for documentation (RFC 5737): nothing answers there, so that no submission can start a job.
UNREACHABLE = "https://192.0.2."
# The stack of a CommServe simulator is named so after the stack that it is for.
SIMULATOR = "-commserve"
TRIES_A_MINUTE = 12
POLL_SECONDS = 60 / TRIES_A_MINUTE
# AWS's reads are eventually consistent: what was changed is looked at again for this long.
STALE_SECONDS = 60


class Later(Exception):
    """What a step proves cannot be seen yet."""


def require(seen: object, problem: str) -> None:
    """Fail a step unless it saw what it had to: raise `CannotRun`."""
    if not seen:
        raise CannotRun(problem)


@dataclass(frozen=True, slots=True)
class Member:
    """A database of a member, by its ARN and name, and a session of its account and region."""

    database: str
    name: str
    session: boto3.Session

    @classmethod
    def of(cls, database: str, profile: str | None, stack: DeployedStack) -> Self:
        """Return the member; raise `CannotRun` for a database that must not be restarted, or that is the hub's."""
        if not (found := RESTARTABLE.fullmatch(database)):
            raise CannotRun(
                f"{database!r} is not the ARN of an RDS instance whose name begins with verify: the verification "
                "restarts the instance."
            )
        if (found["account"], found["region"]) == (stack.account, stack.region):
            raise CannotRun(f"{database} is in the hub's account and region, so its events take no hop.")
        return cls(database, found["name"], session_of(found["region"], profile))


@dataclass(frozen=True, slots=True)
class Subject:
    """A stack whose CommvaultApiUrl leads nowhere, or to a simulator whose stack has the outputs `simulator`.

    `made` deletes what a step has made; `started` is when the verification began, in Unix seconds.
    """

    stack: DeployedStack
    simulator: Mapping[str, str]
    member: Member | None = None
    made: ExitStack = field(default_factory=ExitStack)
    started: float = field(default_factory=time.time)
    clients: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, stack: DeployedStack, member: Member | None = None) -> Self:
        """Return the subject; raise `CannotRun` for a stack that could start a backup."""
        subject = cls(stack, {}, member)
        if (url := subject.parameter("CommvaultApiUrl")).startswith(UNREACHABLE):
            return subject
        simulator = outputs_of(stack, stack.name + SIMULATOR)
        if not url or simulator.get("CommvaultApiUrl") != url:
            raise CannotRun(
                "it is not made for this: its CommvaultApiUrl may reach a Commvault server, and the verification submits "
                f"backups and breaks runs. Deploy another one with {UNREACHABLE}1/commandcenter/api; see "
                "docs/verify-on-aws.md."
            )
        return replace(subject, simulator=simulator)

    def client(self, service: str) -> Any:
        """Return a client of the stack's account and region."""
        if service not in self.clients:
            self.clients[service] = self.stack.session.client(service)
        return self.clients[service]

    def rows(self, service: str, operation: str, name: str, **asked: Any) -> list[Any]:
        """Return the rows of all pages of a call."""
        pages = self.client(service).get_paginator(operation).paginate(**asked)
        return [row for page in pages for row in page[name]]

    def parameter(self, name: str) -> str:
        """Return the value that a parameter of the stack has; empty where it has none of that name."""
        parameters = {
            item["ParameterKey"]: item["ParameterValue"] for item in self.stack.description.get("Parameters", ())
        }
        return str(parameters.get(name, ""))

    def given(self, name: str) -> str:
        """Return the value of a parameter that can be off. Raises `Later` where it is."""
        value = self.parameter(name)
        if value in {"", "off"}:
            raise Later(f"the stack has no {name}")
        return value

    @property
    def secret(self) -> str:
        """The ARN of the stack's own secret. Raises `Later` if it is somebody else's."""
        if self.parameter("TokenSecretArn"):
            raise Later("the stack does not own its secret. Verify one that does")
        return self.stack.output("TokenSecretArn")

    @property
    def place(self) -> str:
        """Region and account, as ARNs have them."""
        return f"{self.stack.region}:{self.stack.account}"

    def resource(self, logical_id: str) -> str:
        """Return the physical ID of a resource of the stack."""
        wanted = {"StackName": self.stack.name, "LogicalResourceId": logical_id}
        answer = self.client("cloudformation").describe_stack_resource(**wanted)
        return str(answer["StackResourceDetail"]["PhysicalResourceId"])

    def log_group(self, output: str = BACKUP) -> str:
        """Return the log group of a function."""
        answer = self.client("lambda").get_function_configuration(FunctionName=self.stack.output(output))
        return str(answer["LoggingConfig"]["LogGroup"])

    def log(self, pattern: str, group: str, since: float | None = None) -> list[str]:
        """Return the lines that match a filter pattern, since the verification began or another time (Unix seconds).

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
        """
        asked = {"logGroupName": group, "filterPattern": pattern, "startTime": int((since or self.started) * 1000)}
        return [event["message"] for event in self.rows("logs", "filter_log_events", "events", **asked)]

    def lines_of(self, trigger: str, group: str) -> list[dict[str, Any]]:
        """Return the log's JSON lines about a trigger whose ID begins so."""
        lines = map(parsed, self.log(f'"{trigger}"', group))
        return [line for line in lines if str(line.get("trigger", "")).startswith(trigger)]

    def sent(self, trigger: str, group: str) -> list[dict[str, Any]]:
        """Return the lines about requests of a trigger that left for Commvault, which is out of reach.

        No request leaves unless the function could read the target, the token and the ledger, and write to it.
        """
        wanted = ("Commvault answered", "Unavailable")
        return [line for line in self.lines_of(trigger, group) if (line.get("message"), line.get("outcome")) == wanted]


def outputs_of(stack: DeployedStack, name: str) -> Mapping[str, str]:
    """Return the outputs of another stack; none where it does not exist."""
    try:
        (found,) = stack.session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" not in error_message(error):
            raise
        return {}
    return {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", ())}


def until[T](look: Callable[[], T], seconds: float) -> T:
    """Look again and again until something is seen or the time is over; return what was seen last."""
    for _ in range(int(seconds * TRIES_A_MINUTE / 60)):
        if seen := look():
            return seen
        time.sleep(POLL_SECONDS)
    return look()


def parsed(line: str) -> dict[str, Any]:
    """Return a line of a log as an object; `{}` where it is not one."""
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
