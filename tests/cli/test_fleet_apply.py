"""Applying a fleet, at the wire: what is written, in which order, and what stops it."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.fleet.apply import PACE_SECONDS, WAIT_SECONDS
from rds_snap_backup_cli.fleet.files import stored_text
from rds_snap_backup_cli.fleet.stored import Mark
from tests.cli.calls import Cli, Done
from tests.cli.fleet_account import NIGHTLY, PATH, Account, document, failure, write_fleet
from tests.cli.wire import AwsWire

HOURLY = {"expression": "rate(1 hour)", "timezone": "UTC"}
BULK = {f"bulk-{number}": document(f"bulk-{number}") for number in range(20)}
# A change of each kind: two new targets, a changed one, a removed one and a removed schedule, among others.
WANTED = {
    **BULK,
    "new": document("new") | {"schedule": NIGHTLY},
    "plain": document("plain"),
    "changed": document("changed", backupLevel="INCREMENTAL") | {"schedule": HOURLY},
    "by-hand": document("by-hand"),
}
IN_ORDER = [
    *("PutParameter changed", "PutParameter new", "PutParameter plain"),
    *("UpdateSchedule prod-changed", "CreateSchedule prod-new"),
    *("DeleteSchedule prod-by-hand", "DeleteSchedule prod-removed"),
    "DeleteParameter removed",
]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nothing waits; what would have."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


@pytest.fixture
def account(wire: AwsWire, slept: list[float]) -> Account:
    return Account(wire)


@pytest.fixture
def fleet(account: Account, tmp_path: Path) -> str:
    """A fleet of which a part is to be written."""
    for name, content in BULK.items():
        account.put(name, content)
    for name in ("changed", "removed", "by-hand"):
        account.put(name, document(name))
        account.schedule(name)
    return write_fleet(tmp_path / "fleet", WANTED)


def apply(cli: Cli, fleet: str, *options: str) -> Done:
    return cli("apply", "prod", fleet, *options)


def test_documents_come_before_schedules_and_go_after_them(
    cli: Cli, account: Account, fleet: str, slept: list[float]
) -> None:
    done = apply(cli, fleet, "--prune")
    assert done.status == Exit.OK, done.err
    assert account.writes == IN_ORDER
    documents = sum("Parameter" in write for write in IN_ORDER)
    assert slept == [*[PACE_SECONDS] * documents, WAIT_SECONDS]
    assert not account.is_leased
    assert "the fleet prod is applied, 2 made, 1 changed, 2 removed." in done.out
    assert json.loads(account.parameters[f"{PATH}new"]["Value"]) == document("new") | {"fleet": "prod"}
    account.writes.clear()
    slept.clear()
    assert "no differences" in apply(cli, fleet, "--prune").out
    assert cli("plan", "prod", fleet, "--prune").status == Exit.OK
    assert (account.writes, slept) == ([], [])


@pytest.mark.parametrize("is_made", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(IN_ORDER)))
def test_an_apply_that_is_killed_at_any_write_is_continued_by_the_next(
    cli: Cli, account: Account, fleet: str, number: int, *, is_made: bool
) -> None:
    def no_schedule_names_a_missing_target(_operation: str, _target: str) -> None:
        assert not account.dangling

    account.hook = no_schedule_names_a_missing_target
    account.kill_at = (number, is_made)
    assert apply(cli, fleet, "--prune").status == Exit.COULD_NOT_RUN
    assert len(account.writes) == number
    assert not account.dangling
    account.revive()
    assert apply(cli, fleet, "--prune").status == Exit.OK
    assert account.writes == IN_ORDER[number + is_made :]
    killed = account.content
    account.revive()
    assert apply(cli, fleet, "--prune").status == Exit.OK
    assert (account.writes, account.content) == ([], killed)
    assert {name for name in killed if not name.startswith("prod-")} == WANTED.keys()
    assert {name for name in killed if name.startswith("prod-")} == {"prod-new", "prod-changed"}


def test_one_wrong_file_of_many_stops_everything(cli: Cli, account: Account, tmp_path: Path) -> None:
    targets: dict[str, Any] = {f"target-{number:03}": document(f"db-{number}") for number in range(200)}
    wrong = '{"associations": [\n{"clientName": "aws-prod", "instanceNam": "x", "subclientName": "default"}]}'
    done = apply(cli, write_fleet(tmp_path, targets | {"target-200": wrong}))
    assert done.status == Exit.FINDINGS
    assert "target-200.json:2: " in done.err
    assert not account.writes


def test_a_second_applier_is_kept_out_until_the_first_ones_lease_has_ended(
    cli: Cli, account: Account, fleet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.kill_at = (1, True)
    apply(cli, fleet)
    account.is_dead, account.kill_at = False, None
    account.writes.clear()
    done = apply(cli, fleet)
    assert done.status == Exit.COULD_NOT_RUN
    assert "another apply of the fleet prod is running" in done.line
    assert not account.writes
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 601)
    assert apply(cli, fleet).status == Exit.OK


@pytest.mark.parametrize("is_other_running", [True, False])
def test_an_applier_that_lost_its_lease_stops(
    cli: Cli, account: Account, fleet: str, monkeypatch: pytest.MonkeyPatch, *, is_other_running: bool
) -> None:
    begun = time.time()

    def stand_still(_operation: str, _target: str) -> None:
        account.lease = account.lease | {"owner": {"S": "another"}} if is_other_running else None
        monkeypatch.setattr(time, "time", lambda: begun + 700)

    account.hook = stand_still
    done = apply(cli, fleet)
    assert done.status == Exit.COULD_NOT_RUN
    assert "another apply of the fleet prod has begun" in done.line
    assert len(account.writes) == 1


def test_a_long_apply_extends_its_lease(
    cli: Cli, account: Account, fleet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [time.time()]
    left: list[float] = []
    monkeypatch.setattr(time, "time", lambda: now[0])

    def take_long(_operation: str, _target: str) -> None:
        now[0] += 250
        left.append(float(account.lease["lease"]["N"]) - now[0])

    account.hook = take_long
    assert apply(cli, fleet).status == Exit.OK
    assert min(left) > 0


def meanwhile(account: Account, at: str, then: Any) -> None:
    """Let another person do something just before a write."""

    def hook(operation: str, target: str) -> None:
        if f"{operation} {target}" == at:
            account.hook = lambda _operation, _target: None
            then()

    account.hook = hook


@pytest.mark.parametrize(
    ("target", "at", "edit"),
    [
        ("changed", "PutParameter apart", lambda account: account.edit("changed", enabled=False)),
        ("changed", "PutParameter apart", lambda account: account.parameters.pop(f"{PATH}changed")),
        ("new", "PutParameter apart", lambda account: account.put("new", document("other"), fleet=None)),
        ("changed", "PutParameter plain", lambda account: account.schedules.pop("prod-changed")),
        ("new", "PutParameter plain", lambda account: account.schedule("new", fleet=None)),
        ("removed", "DeleteSchedule prod-removed", lambda account: account.edit("removed", enabled=False)),
    ],
    ids=["edited", "deleted", "made", "schedule deleted", "schedule made", "edited before its removal"],
)
def test_what_is_changed_by_hand_after_the_plan_is_not_overwritten(
    cli: Cli, account: Account, fleet: str, *, target: str, at: str, edit: Any
) -> None:
    write_fleet(Path(fleet), WANTED | {"apart": document("apart")})
    meanwhile(account, at, lambda: edit(account))
    done = apply(cli, fleet, "--prune")
    assert done.status == Exit.FINDINGS
    assert f"{target}: its " in done.line
    assert "was changed by hand or by another run meanwhile" in done.line
    assert not account.is_leased


@pytest.mark.parametrize(
    "write",
    ["PutParameter changed", "PutParameter new", "DeleteSchedule prod-removed", "DeleteParameter removed"],
)
def test_a_write_that_is_sent_again_is_our_own(cli: Cli, account: Account, fleet: str, write: str) -> None:
    operation, name = write.split()
    answer = account.wire.answers[operation]
    lost = [name]

    def lose(asked: Any) -> Any:
        found = answer(asked)
        if asked["Name"].removeprefix(PATH) in lost:
            lost.clear()
            return failure("InternalServerError", 500)
        return found

    account.wire.answers[operation] = lose
    assert apply(cli, fleet, "--prune").status == Exit.OK
    assert account.writes.count(write) == 2


def test_a_write_at_the_same_moment_is_told(cli: Cli, account: Account, fleet: str) -> None:
    meanwhile(account, "PutParameter changed", lambda: account.edit("changed", enabled=False))
    done = apply(cli, fleet)
    assert done.status == Exit.FINDINGS
    assert (
        "changed: another person or run wrote version 2 at the same moment, and version 3 has replaced it" in done.line
    )
    assert account.writes == ["PutParameter changed"]


def test_a_removal_at_the_same_moment_is_made_good(cli: Cli, account: Account, fleet: str) -> None:
    meanwhile(account, "PutParameter changed", lambda: account.parameters.pop(f"{PATH}changed"))
    assert apply(cli, fleet).status == Exit.OK
    assert f"{PATH}changed" in account.parameters


def of_size(size: int) -> dict[str, Any]:
    """Return a document whose text in SSM has this many bytes, most of them of umlauts, which have two."""
    patterns = ["ü" * 250] * ((size - 200) // 503)
    missing = size - len(stored_text(document("db", databases=[*patterns, ""], fleet="prod")).encode())
    return document("db", databases=[*patterns, "ü" * (missing // 2) + "-" * (missing % 2)])


@pytest.mark.parametrize(("size", "tier"), [(4096, "Standard"), (4097, "Advanced"), (8192, "Advanced")])
def test_a_document_is_measured_in_bytes(cli: Cli, account: Account, tmp_path: Path, size: int, tier: str) -> None:
    assert apply(cli, write_fleet(tmp_path, {"large": of_size(size)})).status == Exit.OK
    row = account.parameters[f"{PATH}large"]
    assert (len(row["Value"].encode()), row["Tier"]) == (size, tier)
    assert apply(cli, write_fleet(tmp_path, {"large": document("db")})).status == Exit.OK
    assert account.parameters[f"{PATH}large"]["Tier"] == tier  # SSM makes no advanced parameter a standard one


def test_throttling_is_waited_out(cli: Cli, account: Account, fleet: str, slept: list[float]) -> None:
    answer, refused = account.wire.answers["PutParameter"], iter([True, True])
    account.wire.answers["PutParameter"] = lambda asked: (
        failure("ThrottlingException") if next(refused, False) else answer(asked)
    )
    assert apply(cli, fleet).status == Exit.OK
    assert len(slept) == 2 + sum("Parameter" in write for write in account.writes) + 1


# ---- Pruning


@pytest.mark.parametrize(
    ("owned", "removed", "options", "status"),
    [
        (50, 5, ("--prune",), Exit.OK),
        (100, 6, ("--prune",), Exit.FINDINGS),
        (100, 6, ("--prune-limit", "6"), Exit.OK),
        (100, 6, ("--prune-limit", "5"), Exit.FINDINGS),
        (19, 2, ("--prune",), Exit.FINDINGS),
        (3, 3, ("--prune",), Exit.FINDINGS),
        (3, 3, ("--prune-limit", "3"), Exit.OK),
        (3, 3, (), Exit.OK),
    ],
)
def test_no_more_is_removed_than_is_allowed(
    cli: Cli, account: Account, tmp_path: Path, *, owned: int, removed: int, options: tuple[str, ...], status: Exit
) -> None:
    targets = {f"target-{number}": document(f"db-{number}") for number in range(owned)}
    for name, content in targets.items():
        account.put(name, content)
    left = dict(list(targets.items())[removed:])
    done = apply(cli, write_fleet(tmp_path, left), *options)
    assert done.status == status, done.err
    expected = removed if status is Exit.OK and options else 0
    assert [write.split()[0] for write in account.writes] == ["DeleteParameter"] * expected
    if status is Exit.FINDINGS:
        assert f"{removed} of {owned} targets would lose" in done.line


def test_a_renamed_directory_is_the_same_fleet(cli: Cli, account: Account, fleet: str, tmp_path: Path) -> None:
    assert apply(cli, fleet, "--prune").status == Exit.OK
    shutil.move(fleet, tmp_path / "renamed")
    account.writes.clear()
    assert "no differences" in apply(cli, str(tmp_path / "renamed"), "--prune").out
    assert not account.writes


# ---- What is not the fleet's


def test_a_conflict_stops_everything(cli: Cli, account: Account, fleet: str) -> None:
    account.edit("changed", enabled=False)
    done = apply(cli, fleet)
    assert done.status == Exit.FINDINGS
    assert "1 conflict, and nothing was written. changed (document): edited by hand: version 2 by jane" in done.line
    assert not account.writes
    assert apply(cli, fleet, "--adopt").status == Exit.OK
    assert json.loads(account.parameters[f"{PATH}changed"]["Value"])["backupLevel"] == "INCREMENTAL"


def test_documents_of_version_1_and_a_schedule_made_by_hand_are_adopted(
    cli: Cli, account: Account, tmp_path: Path
) -> None:
    account.put("orders", document("orders-db", backupLevel="FULL", databases=["orders-*"]), fleet=None)
    when = ("--expression", NIGHTLY["expression"])
    assert cli("schedule", "prod", "orders", *when).status == Exit.OK
    account.writes.clear()
    fleet = write_fleet(tmp_path, {"orders": document("orders-db", databases=["orders-*"]) | {"schedule": NIGHTLY}})
    assert apply(cli, fleet).status == Exit.OK
    assert not account.writes
    assert apply(cli, fleet, "--adopt").status == Exit.OK
    assert account.writes == ["PutParameter orders", "UpdateSchedule prod-orders"]
    assert json.loads(account.parameters[f"{PATH}orders"]["Value"])["fleet"] == "prod"
    mark = Mark.read(account.schedules["prod-orders"]["Description"])
    assert mark
    assert mark.fleet == "prod"
    assert "no differences" in apply(cli, fleet).out


# ---- Plans


def test_a_plan_is_applied_or_refused_as_stale(cli: Cli, account: Account, fleet: str, tmp_path: Path) -> None:
    file = str(tmp_path / "plan.json")
    assert cli("plan", "prod", fleet, "--out", file).status == Exit.FINDINGS
    refused = apply(cli, fleet, "--plan", file, "--prune")
    assert (refused.status, "plan.json is stale" in refused.line) == (Exit.FINDINGS, True)
    account.edit("changed", enabled=True)
    assert "plan.json is stale" in apply(cli, fleet, "--plan", file).line
    assert not account.writes
    assert cli("plan", "prod", fleet, "--adopt", "--out", file).status == Exit.FINDINGS
    assert apply(cli, fleet, "--plan", file, "--adopt").status == Exit.OK
    account.writes.clear()
    assert apply(cli, fleet, "--plan", "", "--prune").status == Exit.COULD_NOT_RUN
    assert not account.writes
    Path(file).write_text("{")
    assert "is not a plan" in apply(cli, fleet, "--plan", file).line
