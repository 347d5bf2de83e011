"""The built Audit function in the Lambda runtime, at the size that it is made for: 600 databases in 50 accounts."""

import json
import math
import platform
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.commserve import CommServe
from local.emulator import ACCOUNT, REGION, Emulator
from local.processes import descendants
from local.rds import create_instance
from local.runtime import Runtime
from local.stack import build
from rds_snap_backup.commvault.job_lists import OVERLAP
from rds_snap_backup.commvault.jobs import PAGE
from tests.integration.audit_support import AuditScene
from tests.integration.paging import PagingWire
from tests.integration.world import ASSOCIATION

DATABASES, TARGETS, JOBS, MEMBERS = 600, 300, 3000, 50
EACH = DATABASES // MEMBERS
MEMORY_MB = 256

pytestmark = pytest.mark.xdist_group("audit-scale")


def peak_megabytes(runtime: Runtime) -> float:
    """Return the most memory that the function's process has had at once, its interpreter included."""
    assert runtime._process is not None
    (function,) = [pid for pid, command in descendants(runtime._process.pid).items() if "awslambdaric" in command]
    (line,) = [line for line in Path(f"/proc/{function}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def join(aws: Emulator, account: str) -> Any:
    """Let the hub's audit read an account; return a client of its RDS."""
    session: Any = boto3.Session(account, "any", region_name=REGION)
    iam = session.client("iam", endpoint_url=aws.endpoint_url)
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    iam.create_role(RoleName=f"test-audit-{REGION}", AssumeRolePolicyDocument=json.dumps(trust))
    look = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "rds:Describe*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=f"test-audit-{REGION}", PolicyName="look", PolicyDocument=json.dumps(look))
    return session.client("rds", endpoint_url=aws.endpoint_url)


@pytest.mark.skipif(platform.system() != "Linux", reason="reads the peak of memory from /proc")
def test_600_databases_in_50_accounts_and_3000_jobs_in_256_mb(
    aws: Emulator,
    commserve: CommServe,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    accounts = [f"{900000000000 + number}" for number in range(MEMBERS)]
    scene = AuditScene(aws, commserve, monkeypatch, AUDIT_MEMBERS=",".join(accounts))
    # The last account has no role, and its databases are the hub's.
    clients = [*(join(aws, account) for account in accounts[:-1]), aws.client("rds")]
    names = [f"db-{number:03}" for number in range(DATABASES)]
    commserve.catalogue.extend({"aws-many": dict.fromkeys(names, ("default",))})
    now = commserve.clock.now()

    def add(number: int) -> None:
        name = names[number]
        create_instance(clients[number // EACH], name, "mysql")
        if number < TARGETS:
            mine: dict[str, Any] = {**ASSOCIATION, "clientName": "aws-many", "instanceName": name}
            scene.world.target(name, associations=[mine])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(DATABASES)))
    for number in range(JOBS):
        commserve.add_job("aws-many", names[number % (DATABASES - 1)], start=now - 3600 - JOBS + number, seconds=1)
    handler = "rds_snap_backup.audit.handler.lambda_handler"
    try:
        with (
            PagingWire(aws.endpoint_url) as wire,
            Runtime(
                build() / "AuditFunction",
                handler,
                scene.world.environment | {"AWS_ENDPOINT_URL": wire.url},
                timeout=600,
            ) as function,
        ):
            began = time.monotonic()
            response = function.invoke({"audit": True})
            seconds, megabytes = time.monotonic() - began, peak_megabytes(function)
            calls = Counter(f"{call.service} {call.operation}" for call in wire.calls)
    finally:
        scene.remove_databases()
    assert response.error is None, function.output
    counts = response.payload["counts"]
    # The scene has one database and one target of its own.
    assert (counts["databases"], counts["targets"], counts["places"]) == (DATABASES + 1, TARGETS + 1, MEMBERS + 1)
    assert (counts["protected"], counts["new"]) == (DATABASES - 1, 2)
    assert [finding["code"] for finding in response.payload["findings"]] == ["MEMBER_UNREADABLE"]
    assert len(response.payload["databases"]) == DATABASES + 1
    assert calls["rds DescribeDBInstances"] == MEMBERS
    assert calls["sts AssumeRole"] == MEMBERS
    assert calls["ssm GetParametersByPath"] == TARGETS / 10 + 1
    # A page of jobs repeats some rows of the one before it.
    pages = 1 + math.ceil((JOBS - PAGE) / (PAGE - OVERLAP))
    assert len(commserve.requests) == counts["commvaultCalls"] == 6 + pages
    figures = (
        f"{seconds:.1f} s, {megabytes:.0f} MB, {len(wire.calls)} calls to AWS, {counts['commvaultCalls']} to Commvault"
    )
    record_property(f"audit of {DATABASES} databases in {MEMBERS} accounts", figures)
    assert len(wire.calls) < 300
    assert megabytes < MEMORY_MB
