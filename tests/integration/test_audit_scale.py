"""The built Audit function in the Lambda runtime, at the size that it is made for: 600 databases and 300 targets."""

import platform
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.processes import descendants
from local.runtime import Runtime
from local.stack import build
from tests.integration.audit_support import AuditScene
from tests.integration.paging import PagingWire
from tests.integration.world import ASSOCIATION

DATABASES, TARGETS = 600, 300
MEMORY_MB = 256

pytestmark = pytest.mark.xdist_group("audit-scale")


def peak_megabytes(runtime: Runtime) -> float:
    """Return the most memory that the function's process has had at once, its interpreter included."""
    assert runtime._process is not None
    (function,) = [pid for pid, command in descendants(runtime._process.pid).items() if "awslambdaric" in command]
    (line,) = [one for one in Path(f"/proc/{function}/status").read_text().splitlines() if one.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(platform.system() != "Linux", reason="reads the peak of memory from /proc")
def test_600_databases_and_300_targets_in_256_mb(
    aws: Emulator,
    commserve: CommServe,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    scene = AuditScene(aws, commserve, monkeypatch)
    names = [f"db-{number:03}" for number in range(TARGETS)]
    commserve.catalogue.extend({"aws-many": dict.fromkeys(names, ("default",))})

    def add(number: int) -> None:
        scene.database(f"db-{number:03}")
        if number < TARGETS:
            name = names[number]
            mine: dict[str, Any] = {**ASSOCIATION, "clientName": "aws-many", "instanceName": name}
            mine["databases"] = [f"{name}*", "arn:aws:rds:*:*:cluster:x"]
            scene.world.target(name, associations=[mine])
            scene.complete(name)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(DATABASES - 1)))  # The scene has one.
    environment = scene.world.environment
    handler = "rds_snap_backup.audit.handler.lambda_handler"
    try:
        with (
            PagingWire(aws.endpoint_url) as wire,
            Runtime(
                build() / "AuditFunction", handler, environment | {"AWS_ENDPOINT_URL": wire.url}, timeout=600
            ) as function,
        ):
            began = time.monotonic()
            response = function.invoke({"audit": True})
            seconds, megabytes = time.monotonic() - began, peak_megabytes(function)
            calls = Counter(f"{one.service} {one.operation}" for one in wire.calls)
    finally:
        scene.remove_databases()
    assert response.error is None, function.output
    counts = response.payload["counts"]
    assert (counts["databases"], counts["targets"]) == (DATABASES, TARGETS + 1)
    assert (counts["protected"], counts["new"], counts["uncovered"]) == (TARGETS, 1, DATABASES - TARGETS - 1)
    assert {one["code"] for one in response.payload["findings"]} == {"DATABASE_UNCOVERED"}
    assert len(response.payload["databases"]) == DATABASES
    assert calls["rds DescribeDBInstances"] == DATABASES / 100
    assert calls["ssm GetParametersByPath"] == TARGETS / 10 + 1
    assert calls["dynamodb BatchGetItem"] == TARGETS / 100 + 2
    figures = f"{seconds:.1f} s, {megabytes:.0f} MB, {len(wire.calls)} calls to AWS ({dict(calls)})"
    record_property(f"audit of {DATABASES} databases and {TARGETS} targets", figures)
    assert len(wire.calls) < 60
    assert len(commserve.requests) == 5
    assert megabytes < MEMORY_MB
