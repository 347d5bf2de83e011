"""A fleet of 600 targets, planned and applied on a deployed stack."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.client
import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.fleet import apply as applying
from rds_snap_backup_cli.fleet.lease import FleetLease
from rds_snap_backup_cli.stack import DeployedStack, session_of
from tests.cli.calls import Cli, calling
from tests.cli.fleet_account import document, write_fleet
from tests.e2e.conftest import ALONE, CANARY, deploy_quick
from tests.e2e.product import CLIENT, Product, only
from tests.evidence import Evidence

pytestmark = pytest.mark.e2e

NO_DEFAULT_TARGET = {"ClientName": "", "InstanceName": "", "SubclientName": ""}
SIZE = 600
NEVER = {"expression": "cron(0 3 1 1 ? 2199)", "timezone": "Europe/Berlin"}


@pytest.fixture(scope="module")
def own(aws: Emulator, evidence: Evidence) -> Iterator[Product]:
    """A stack that has no targets but those of the fleet."""
    with CommServe(token=CANARY, job_seconds=1, keep_tokens=True) as commserve:
        evidence.add("fleet", commserve)
        stack = deploy_quick(aws, "fleet", commserve, ALONE | NO_DEFAULT_TARGET)
        yield Product(stack, commserve, stack.subscribe())


@pytest.fixture
def cli(aws: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """A shell whose AWS is the emulator, which neither limits writes nor has a cache to wait for here."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(applying, "PACE_SECONDS", 0)
    monkeypatch.setattr(applying, "WAIT_SECONDS", 0)
    return calling(capsys)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The calls to AWS, by operation."""
    calls: Counter[str] = Counter()
    make: Callable[..., Any] = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

    def count(client: Any, operation: str, parameters: Any) -> Any:
        calls[operation] += 1
        return make(client, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", count)
    return calls


def test_a_fleet_of_600_targets(
    cli: Cli, own: Product, tmp_path: Path, counted: Counter[str], record_property: Callable[[str, object], None]
) -> None:
    names = [f"fleet-{number:03}" for number in range(SIZE)]
    for name in names:
        own.commserve.catalogue.add(CLIENT, name)
    fleet = write_fleet(tmp_path, {name: document(name, databases=[name]) | {"schedule": NEVER} for name in names})
    place = (own.stack.name, fleet)
    session = session_of(None, None)
    with FleetLease(DeployedStack.find(own.stack.name, session), "prod"):
        assert "another apply of the fleet prod is running" in cli("apply", *place).line

    said = {}
    for title, command, status in (
        ("first apply", "apply", Exit.OK),
        ("plan", "plan", Exit.OK),
        ("apply without changes", "apply", Exit.OK),
    ):
        counted.clear()
        begun = time.monotonic()
        done = cli(command, *place)
        assert done.status == status, done.err
        said[title] = done.out
        calls = ", ".join(f"{number} {operation}" for operation, number in counted.most_common())
        record_property(f"{SIZE} targets, {title}", f"{time.monotonic() - begun:.1f} s, {calls}")
    assert f"{SIZE} made" in said["first apply"]
    assert "no differences" in said["plan"]
    assert "Commvault knows no" not in said["plan"]
    assert "no differences" in said["apply without changes"]
    assert counted["GetSchedule"] == SIZE
    assert not {"PutParameter", "CreateSchedule", "UpdateSchedule"} & counted.keys()

    own.stack.invoke({"target": names[-1]})
    assert only(own.jobs(names[-1]))
