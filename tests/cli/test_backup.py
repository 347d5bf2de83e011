"""Starting a backup and waiting for it, against a Backup function that gives the answers of the real one."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from rds_snap_backup_cli import backup, proof
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.submissions import DEFERRED, ERROR, FAILED, MOMENT, QUEUED, RUNNING, SUCCEEDED, submission
from tests.cli.submissions import backup as one_of
from tests.cli.wire import PLACE, AwsWire

ORDERS = ("backup", "prod", "orders")
PATH = "/rds-snap-backup/prod/targets/"
ARN = "arn:aws:rds:eu-central-1:111122223333:db:orders-db"


@pytest.fixture
def function(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> AwsWire:
    """A stack with the targets `orders` and `billing`."""
    monkeypatch.setattr(backup, "POLL_SECONDS", 0)
    wire.stack(BackupFunctionName="prod-backup", AuditFunctionName="prod-audit", TargetsPath=PATH)
    wire.answer("GetParameter", {"Parameter": {"Name": "orders", "Value": "{}"}})
    rows = [{"Name": f"{PATH}{name}", "Value": "{}"} for name in ("orders", "billing")]
    wire.answer("GetParametersByPath", {"Parameters": rows})
    return wire


def answers(wire: AwsWire, *submissions: Any) -> None:
    wire.answer("Invoke", *({"submissions": [row]} for row in submissions))


def events(wire: AwsWire) -> list[tuple[str, str]]:
    return [(asked["target"], asked["requestId"]) for asked in wire.asked("Invoke")]


def test_every_backup_has_a_request_id_of_its_own(cli: Cli, function: AwsWire) -> None:
    answers(function, RUNNING)
    done = [cli(*ORDERS) for _ in range(2)]
    ids = [re.findall(r"--request-id ([0-9a-f-]{36})\n", result.err)[0] for result in done]
    assert len(set(ids)) == 2
    assert events(function) == [("orders", request_id) for request_id in ids]
    assert (done[0].status, done[0].out.splitlines()[-1]) == (Exit.OK, f"{PLACE}: the backup is open.")


def test_the_call_is_repeated_until_the_backup_is_over(cli: Cli, function: AwsWire) -> None:
    answers(function, QUEUED, DEFERRED, RUNNING, RUNNING, SUCCEEDED)
    done = cli(*ORDERS, "--wait", "--request-id", "migration-42")
    assert done.status == Exit.OK
    assert events(function) == [("orders", "migration-42")] * 5
    begin, *lines = done.err.splitlines()
    assert begin == f"{PLACE}: backup of orders. To resume it: --request-id migration-42"
    assert [line.split(" ", 1)[1] for line in lines] == [  # a state is not repeated
        "orders: queued",
        "orders / aws-prod / RDS / nightly: waiting. UNREACHABLE: Commvault cannot be reached. What to do: It is retried.",
        "orders / aws-prod / RDS / nightly: running, job 1354",
        "orders / aws-prod / RDS / nightly: completed, job 1354",
    ]
    assert [row[:4] for row in done.rows] == [["orders", "aws-prod / RDS / nightly", "completed", "1354"]]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", done.rows[0][4])
    assert done.out.endswith(f"{PLACE}: the backup succeeded.\n")


def test_the_wait_for_all_targets_ends_when_each_has_ended(cli: Cli, function: AwsWire) -> None:
    billing = [
        submission(status, one_of(state, "1355"), target="billing")
        for status, state in (("open", "running"), ("succeeded", "completed"))
    ]
    function.answer("Invoke", *({"submissions": [FAILED, other]} for other in billing))
    done = cli("backup", "prod", "*", "--wait", "--yes", "--request-id", "all", "--format", "json")
    assert (done.status, events(function)) == (Exit.FINDINGS, [("*", "all")] * 2)
    *lines, last = done.err.splitlines()[1:]
    assert [line.split(" ", 1)[1].partition(".")[0] for line in lines] == [
        "orders / aws-prod / RDS / nightly: failed, job 1354",
        "billing / aws-prod / RDS / nightly: running, job 1355",
        "billing / aws-prod / RDS / nightly: completed, job 1355",
    ]
    assert [(row["target"], row["state"], row["job"], row["hint"]) for row in done.json] == [
        ("orders", "failed", "1354", "It is retried."),
        ("billing", "completed", "1355", None),
    ]
    assert last == f"{PLACE}: the backup failed."


def test_one_cause_is_said_once_below_the_rows(cli: Cli, function: AwsWire) -> None:
    hostile = submission("failed", *DEFERRED["backups"] * 2, target="\x1b[31m[bold]one\ntwo" + "x" * 999)
    answers(function, hostile)
    rows, _, below = cli(*ORDERS, "--quiet").out.partition("UNREACHABLE (2 times)\n")
    assert below.startswith("  Commvault cannot be reached.\n  What to do: It is retried.\n")
    assert (rows.count("UNREACHABLE"), "Commvault cannot be reached." in rows) == (2, False)
    assert "[31m[bold]one two" in rows
    assert not re.search(r"\x1b|x{501}", rows)


@pytest.mark.parametrize("wait", [(), ("--wait", "--database", ARN)], ids=str)
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"submissions": [submission("failed", one_of("rejected", None, ERROR))]}, "the backup failed."),
        ({"submissions": [submission("succeeded"), submission("failed")]}, "the backup failed."),
        ({"submissions": [submission("of a later version")]}, "the backup failed."),
        ({"submissions": [], "ignored": "It is disabled."}, "nothing was started. It is disabled."),
        ({"submissions": [], "refused": ERROR}, "nothing was started. Commvault cannot be reached. It is retried."),
    ],
)
def test_only_a_backup_that_succeeded_passes_the_gate(
    cli: Cli, function: AwsWire, answer: Any, said: str, wait: tuple[str, ...]
) -> None:
    function.answer("Invoke", answer)
    done = cli(*ORDERS, *wait)
    assert (done.status, done.out.splitlines()[-1]) == (Exit.FINDINGS, f"{PLACE}: {said}")
    assert len(function.asked("Invoke")) == 1  # without a job nobody is asked for a restore point


def test_a_wait_that_is_too_long_fails(cli: Cli, function: AwsWire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "MINUTE", 0)
    answers(function, RUNNING)
    done = cli(*ORDERS, "--wait", "--timeout", "5")
    assert done.status == Exit.FINDINGS
    assert "time is over, and the backup is open. It goes on." in done.out


@pytest.mark.parametrize(("typed", "sent"), [("y", 1), ("n", 0), (None, 0)])
def test_all_targets_are_started_only_if_a_person_agrees(
    cli: Cli, function: AwsWire, monkeypatch: pytest.MonkeyPatch, typed: str | None, sent: int
) -> None:
    answers(function, RUNNING)
    monkeypatch.setattr("sys.stdin.isatty", lambda: typed is not None, raising=False)
    monkeypatch.setattr("builtins.input", lambda: typed)
    done = cli("backup", "prod", "*")
    assert (done.status == Exit.OK, len(events(function))) == (bool(sent), sent)
    if typed is None:
        done.could_not_run("prod: there is no terminal to ask on. Nothing was done: use --yes.")
    else:
        assert "back up all 2 targets now?" in done.err


# ---- The gate of a database

POINT = {"name": "orders-db-1", "createdAt": "2026-01-31T02:09:44Z", "snapshot": None}
PROVED = {"proved": True, "restorePoint": POINT, "reason": ""}
NOT_PROVED = {"proved": False, "restorePoint": None, "reason": "No restore point was made."}
NOT_ASKED = {"proved": None, "restorePoint": None, "reason": "Commvault cannot be reached."}
PARTLY = submission("failed", one_of("completed_with_errors", error=ERROR))
UNFOLLOWED = submission("succeeded", one_of("scheduled", None))
BY_NAME = "RDS's snapshots could not be read: Commvault's restore point counts by name."
PROVES = f"the restore point orders-db-1 of {POINT['createdAt']} proves {ARN}."


@pytest.mark.parametrize(
    ("ended", "proofs", "status", "said"),
    [
        (SUCCEEDED, [NOT_PROVED, NOT_ASKED, PROVED], Exit.OK, PROVES),
        (PARTLY, [PROVED], Exit.OK, PROVES),
        (SUCCEEDED, [PROVED | {"reason": BY_NAME}], Exit.OK, f"{PROVES} {BY_NAME}"),
        (SUCCEEDED, [NOT_PROVED] * 11, Exit.FINDINGS, "no restore point of this backup. No restore point was made."),
        (SUCCEEDED, [NOT_PROVED, *[NOT_ASKED] * 10], Exit.COULD_NOT_RUN, "is not known. Commvault cannot be reached."),
        (UNFOLLOWED, [], Exit.FINDINGS, f"the backup has no known job, and no restore point proves {ARN}."),
    ],
)
def test_the_gate_opens_for_a_restore_point_alone(
    cli: Cli, function: AwsWire, monkeypatch: pytest.MonkeyPatch, *, ended: Any, proofs: Any, status: Exit, said: str
) -> None:
    slept: list[float] = []
    for module in (backup, proof):
        clock = SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
        monkeypatch.setattr(module, "time", clock)
    function.answer("Invoke", *({"submissions": [row]} for row in (RUNNING, ended)), *proofs)
    done = cli(*ORDERS, "--wait", "--database", ARN)
    assert (done.status, said in done.out) == (status, True), done.out
    question = {"FunctionName": "prod-audit", "prove": {"database": ARN, "since": MOMENT}}
    assert function.asked("Invoke")[2:] == [question] * len(proofs)
    assert slept == [0, *[60] * (len(proofs) - 1)]
