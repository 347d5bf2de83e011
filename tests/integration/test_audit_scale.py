"""The built Audit function in the Lambda runtime, at the size that it is made for, and at answers made to exhaust it."""

import json
import platform
import re
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import boto3
import pytest

from local.commserve import CommServe, content
from local.emulator import ACCOUNT, REGION, Emulator
from local.processes import descendants
from local.rds import create_instance, created_at
from local.runtime import Runtime
from local.stack import build
from rds_snap_backup.audit.metered import MAX_CALLS, MAX_SAAS_QUERIES
from rds_snap_backup.commvault.answers import MAX_BODY
from rds_snap_backup.untrusted import MAX_CONTAINERS
from tests.answering import Request, Response
from tests.integration.audit_support import DAY, SCHEDULE, AuditScene
from tests.integration.forwarding import ForwardingWire
from tests.integration.world import ASSOCIATION
from tests.unit.documents import read

DATABASES, GROUPS, RETAINED, JOBS = 600, 40, 30, 3000
ACCOUNTS = [ACCOUNT, *(f"{900000000000 + number}" for number in range(11))]
REGIONS = [REGION, "eu-central-1", "us-west-2"]
MEMORY_MB, SECONDS = 256, 120
REFERENCE = "docs/reference.md"
HANDLER = "rds_snap_backup.audit.handler.lambda_handler"

pytestmark = [
    pytest.mark.xdist_group("audit-scale"),
    pytest.mark.skipif(platform.system() != "Linux", reason="reads the peak of memory from /proc"),
]


class PagingWire(ForwardingWire):
    """A wire on which RDS's lists come in pages, as AWS sends them and the emulator does not: 100 rows, or `MaxRecords`."""

    def _forward(self, request: Request) -> Response:
        form, answer = dict(parse_qsl(request.body.decode(errors="replace"))), super()._forward(request)
        # `DescribeDBInstances` lists `DBInstance` in `DBInstances`.
        listed = form.get("Action", "").removeprefix("Describe")
        if not listed.startswith("DB") or answer.status != 200:
            return answer
        text, first, size = answer.body.decode(), int(form.get("Marker", 0)), int(form.get("MaxRecords", 100))
        rows = re.findall(rf"<{listed[:-1]}>.*?</{listed[:-1]}>", text, re.DOTALL)
        last = first + size
        page = f"<{listed}>{''.join(rows[first:last])}</{listed}>"
        page += f"<Marker>{last}</Marker>" if last < len(rows) else ""
        return answer._replace(body=re.sub(rf"<{listed}>.*</{listed}>", lambda _: page, text, flags=re.DOTALL).encode())


def peak_megabytes(runtime: Runtime) -> float:
    """Return the most memory that the function's process has had at once, its interpreter included."""
    assert runtime._process is not None
    (function,) = [pid for pid, command in descendants(runtime._process.pid).items() if "awslambdaric" in command]
    (line,) = [line for line in Path(f"/proc/{function}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def join(aws: Emulator, account: str) -> dict[tuple[str, str], Any]:
    """Let the hub's audit read an account; return clients of its RDS by place."""
    session: Any = boto3.Session("test" if account == ACCOUNT else account, "test", region_name=REGION)
    iam, places = session.client("iam", endpoint_url=aws.endpoint_url), {}
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    look = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "rds:Describe*", "Resource": "*"}]}
    for region in REGIONS:
        name = f"test-audit-{region}"
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=name, PolicyName="look", PolicyDocument=json.dumps(look))
        places[account, region] = session.client("rds", region, endpoint_url=aws.endpoint_url)
    return places


def fill(commserve: CommServe, places: dict[tuple[str, str], Any]) -> None:
    """Make the databases, the groups that select them, their restore points, and snapshots of the newest ones.

    Of every tenth database RDS has lost the newest snapshot.
    """
    now = commserve.clock.now()
    for number, account in enumerate(ACCOUNTS):
        for region in REGIONS:
            commserve.set_content(f"aws-{account}", region, [content.region(region)])
        for extra in range(number % 3 + 1 if number < 4 else 0):
            commserve.set_content(f"aws-{account}", f"rule-{extra}", [content.rule(f"^db-{extra}")])

    def add(numbered: tuple[int, tuple[str, str]]) -> None:
        number, place = numbered
        (account, region), rds, name = place, places[place], f"db-{number:03}"
        create_instance(rds, name, "mysql", created=datetime.fromtimestamp(now - 100 * DAY, UTC))
        for age in range(RETAINED):
            row = {"dbName": name, "createTime": int(now - 3600 - age * DAY), "snapShotName": f"{name}-{age}"}
            zone = {"rdsAttributes": {"availabilityZone": f"{region}a,{region}b", "dbSubnetGroup": "default"}}
            commserve.add_restore_point(f"aws-{account}", row | zone | {"dbType": "mysql", "status": 0, "copyId": 13})
        age = 1 if number % 10 == 0 else 0
        tags = created_at(datetime.fromtimestamp(now - 3600 - age * DAY, UTC))
        rds.create_db_snapshot(DBSnapshotIdentifier=f"{name}-{age}", DBInstanceIdentifier=name, Tags=tags)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, zip(range(DATABASES), cycle(places), strict=False)))
    for number in range(JOBS):
        account = ACCOUNTS[number % len(ACCOUNTS)]
        commserve.add_job(f"aws-{account}", REGIONS[number % 3], start=now - 7200 - JOBS + number, seconds=1)


def audit(scene: AuditScene, url: str, **scheduled: str) -> tuple[Any, float, float]:
    """Return an audit by the built function, its seconds, and the most memory that it has had."""
    # The wire forwards no PUT.
    environment = scene.world.environment | {"AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_S3": scene.aws.endpoint_url}
    with Runtime(build() / "AuditFunction", HANDLER, environment, timeout=600) as function:
        began = time.monotonic()
        response = function.invoke({"audit": True, **scheduled})
        seconds, megabytes = time.monotonic() - began, peak_megabytes(function)
    assert response.error is None, function.output
    return response.payload, seconds, megabytes


@pytest.mark.timeout(600)
def test_600_databases_of_12_accounts_in_3_regions(
    aws: Emulator,
    commserve: CommServe,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    settings = {"AUDIT_MEMBERS": ",".join(ACCOUNTS[1:]), "AUDIT_REGIONS": ",".join(REGIONS)}
    settings["REPORT_BUCKET"] = bucket = f"audits-{time.monotonic_ns()}"
    aws.client("s3").create_bucket(Bucket=bucket)
    scene = AuditScene(aws, commserve, monkeypatch, **settings)
    scene.remove_databases()
    # Contents are read singly, and restore points as far back as a target's maximum age.
    commserve.lists_content = False
    scene.world.target("default", maxAgeHours=30 * 24, associations=[{**ASSOCIATION, "subclientName": "nightly"}])
    places = {place: rds for account in ACCOUNTS for place, rds in join(aws, account).items()}
    fill(commserve, places)
    try:
        with PagingWire(aws.endpoint_url) as wire:
            answer, seconds, megabytes = audit(scene, wire.url, schedule=SCHEDULE, time="2026-01-31T06:00:00Z")
            calls = Counter(f"{call.service} {call.operation}" for call in wire.calls)
    finally:
        scene.remove_databases()
    assert answer["report"], answer["findings"]
    bucket, _, key = answer["report"].removeprefix("s3://").partition("/")
    body: bytes = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    answer = json.loads(body)
    counts = answer["counts"]
    assert (counts["databases"], counts["places"], counts["findings"]) == (DATABASES, len(places), 0)
    assert counts["protected"] == DATABASES
    assert answer["scope"]["groups"] >= GROUPS
    assert len(answer["databases"]) == DATABASES
    assert all(row["restorePoint"]["snapshot"] for row in answer["databases"])
    browsed = [request for request in commserve.requests if request.method == "POST"]
    assert len(browsed) <= MAX_SAAS_QUERIES
    assert len(commserve.requests) == counts["commvaultCalls"] <= MAX_CALLS
    # One more round for the databases whose newest snapshot is missing.
    assert calls["rds DescribeDBSnapshots"] <= 2 * len(places)
    figures = (
        f"{seconds:.1f} s, {megabytes:.0f} MB, {len(wire.calls)} calls to AWS, {counts['commvaultCalls']} to Commvault"
    )
    record_property(f"audit of {DATABASES} databases in {len(places)} accounts and regions", figures)
    record_property(f"report of {DATABASES} databases", f"{len(body) / 1e6:.2f} MB")
    documented = re.findall(
        r"A report of 600 databases has ([0-9.]+) MB, a year of daily ones (\d+) MB", read(REFERENCE)
    )
    assert documented == [(f"{len(body) / 1e6:.1f}", f"{round(len(body) * 365 / 1e7) * 10}")]
    assert megabytes < MEMORY_MB
    assert seconds < SECONDS


def of_4_mib(unit: str) -> str:
    """Return a list of clients of 4 MiB that consists of a text again and again."""
    head, tail = '{"clientProperties": [', "]}"
    number = (MAX_BODY - len(head) - len(tail)) // (len(unit) + 1)
    return f"{head}{','.join([unit] * number)}{tail}"


@pytest.mark.parametrize(
    "unit",
    [
        "[" * 44 + "]" * 44,
        '{"client":{"clientEntity":{}}}',
        '{"a":{},"bb":[]}'.ljust(3 * MAX_BODY // MAX_CONTAINERS + 1),
        '"ab"',
    ],
    ids=["lists", "rows", "as many as are read", "texts"],
)
def test_an_answer_of_4_mib_is_read_within_the_functions_memory(
    aws: Emulator, commserve: CommServe, monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    scene = AuditScene(aws, commserve, monkeypatch)
    commserve.fault("status", None, "*", status=200, body=of_4_mib(unit))
    answer, _, megabytes = audit(scene, aws.endpoint_url)
    assert answer["ok"] is False
    assert megabytes < MEMORY_MB
