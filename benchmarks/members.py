"""The daily audit of many members, each call to AWS taking a while."""

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3

from benchmarks.figures import Goal, Spread, table
from benchmarks.place import Place
from local.emulator import ACCOUNT, REGION
from local.runtime import Runtime
from local.stack import build
from tests.answering import Request, Response
from tests.integration.forwarding import ForwardingWire
from tests.unit.template import TEMPLATE

MEMBERS = 200
CALL_SECONDS = 0.3
# Lambda ends the function after 600 s; members are to take no more than this.
MAX_SECONDS = 240
AUDIT: Mapping[str, Any] = TEMPLATE["Resources"]["AuditFunction"]["Properties"]
HANDLER = "rds_snap_backup.audit.handler.lambda_handler"
ALL = {"Effect": "Allow", "Action": "rds:Describe*", "Resource": "*"}


@dataclass(frozen=True)
class Audited:
    """An audit of members: their number, its seconds, its calls to AWS, and how many members it could not read."""

    members: int
    seconds: float
    calls: int
    unread: int


class DistantWire(ForwardingWire):
    """A wire to AWS on which each call takes a while."""

    def _forward(self, request: Request) -> Response:
        time.sleep(CALL_SECONDS)
        return super()._forward(request)


def measure(place: Place, members: int) -> Audited:
    """Audit a number of members with the built function."""
    accounts = [f"{900000000000 + number}" for number in range(members)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda account: join(place, account), accounts))
    environment = place.environment | {"AUDIT_MEMBERS": ",".join(accounts), "POWERTOOLS_SERVICE_NAME": place.name}
    with DistantWire(place.aws.endpoint_url) as wire:
        environment |= {"AWS_ENDPOINT_URL": wire.url}
        with Runtime(build() / "AuditFunction", HANDLER, environment, timeout=AUDIT["Timeout"]) as function:
            began = time.monotonic()
            response = function.invoke({"audit": True})
            seconds = time.monotonic() - began
    if response.error:
        raise RuntimeError(f"{response.error}: {function.output}")
    unread = [finding for finding in response.payload["findings"] if finding["code"] == "MEMBER_UNREADABLE"]
    return Audited(members, seconds, len(wire.calls), len(unread))


def join(place: Place, account: str) -> None:
    """Make an account that the hub's audit may read."""
    session: Any = boto3.Session(account, "any", region_name=REGION)
    iam = session.client("iam", endpoint_url=place.aws.endpoint_url)
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    trust, look = ({"Version": "2012-10-17", "Statement": [allowed]} for allowed in (statement, ALL))
    role = f"{place.name}-audit-{REGION}"
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=role, PolicyName="look", PolicyDocument=json.dumps(look))


def goals(audited: Audited) -> list[Goal]:
    """Return how long an audit of the members may take, and how many it may leave unread."""
    return [
        Goal(f"audit of {audited.members} members ÷ {MAX_SECONDS} s", Spread.of([audited.seconds / MAX_SECONDS]), 1),
        Goal(f"of {audited.members} members unread", Spread.of([audited.unread]), 0),
    ]


def section(audited: Audited) -> list[str]:
    """Return the section of the results."""
    row = [audited.members, f"{audited.seconds:.0f}", audited.calls, audited.unread]
    return [
        "## An audit of many members",
        f"The built function in the Lambda runtime. Each call to AWS takes {CALL_SECONDS * 1000:.0f} ms more than the emulator.",
        table(["members", "seconds", "calls to AWS", "unread"], [row]),
    ]
