"""Starting a backup and waiting for it, against a Backup function that gives the answers of the real one."""

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from rds_snap_backup_cli import backup, proof
from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.submissions import DEFERRED, ERROR, FAILED, MOMENT, QUEUED, RUNNING, SUCCEEDED, submission
from tests.cli.submissions import backup as one_of
from tests.cli.wire import AwsWire

PLACE = "prod (account 111122223333, eu-central-1)"
ORDERS = ("backup", "prod", "orders")
PATH = "/rds-snap-backup/prod/targets/"


@pytest.fixture
def function(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> AwsWire:
    monkeypatch.setattr(backup, "POLL_SECONDS", 0)
    wire.stack(BackupFunctionName="prod-backup", TargetsPath=PATH)
    wire.answer("GetParameter", {"Parameter": {"Name": "orders", "Value": "{}"}})
    return wire


def answers(wire: AwsWire, *submissions: Any) -> None:
    wire.answer("Invoke", *({"submissions": [row]} for row in submissions))


def events(wire: AwsWire) -> list[dict[str, Any]]:
    return [{name: asked[name] for name in ("target", "requestId")} for asked in wire.asked("Invoke")]


def test_every_backup_has_a_request_id_of_its_own(cli: Cli, function: AwsWire) -> None:
    answers(function, RUNNING)
    done = [cli(*ORDERS) for _ in range(2)]
    assert {result.status for result in done} == {Exit.OK}
    ids = [re.findall(r"--request-id ([0-9a-f-]{36})\n", result.err)[0] for result in done]
    assert len(set(ids)) == 2
    assert events(function) == [{"target": "orders", "requestId": request_id} for request_id in ids]
    assert done[0].out.endswith(f"{PLACE}: the backup is open.\n")


def test_the_call_is_repeated_until_the_backup_is_over(cli: Cli, function: AwsWire) -> None:
    answers(function, QUEUED, DEFERRED, RUNNING, RUNNING, SUCCEEDED)
    done = cli(*ORDERS, "--wait", "--request-id", "migration-42")
    assert done.status == Exit.OK
    assert events(function) == [{"target": "orders", "requestId": "migration-42"}] * 5
    begin, *lines = done.err.splitlines()
    assert begin == f"{PLACE}: backup of orders. To resume it: --request-id migration-42"
    assert [line.split(" ", 1)[1] for line in lines] == [  # a state is not repeated
        "orders: queued",
        "orders / aws-prod / RDS / nightly: waiting. UNREACHABLE: Commvault cannot be reached. What to do: It is retried.",
        "orders / aws-prod / RDS / nightly: running, job 1354",
        "orders / aws-prod / RDS / nightly: completed, job 1354",
    ]
    row = re.search(
        r"orders .* aws-prod / RDS / nightly .* completed .* 1354 .* \d{4}-\d\d-\d\d \d\d:\d\d UTC ", done.out
    )
    assert row
    assert done.out.endswith(f"{PLACE}: the backup succeeded.\n")


def test_each_backup_of_a_group_has_its_row(cli: Cli, function: AwsWire) -> None:
    other = one_of("failed", "1355", ERROR) | {"subclientName": "billing"}
    answers(function, submission("failed", one_of("completed"), other))
    done = cli(*ORDERS, "--format", "json", "--quiet")
    assert (done.status, done.err) == (Exit.FINDINGS, "")
    rows = json.loads(done.out)
    assert [(row["subclient"], row["state"], row["job"]) for row in rows] == [
        ("aws-prod / RDS / nightly", "completed", "1354"),
        ("aws-prod / RDS / billing", "failed", "1355"),
    ]
    assert (rows[1]["error"], rows[1]["hint"]) == ("UNREACHABLE: Commvault cannot be reached.", "It is retried.")


def test_one_cause_is_said_once_below_the_rows(cli: Cli, function: AwsWire) -> None:
    backups = [one_of("waiting", None, ERROR) | {"subclientName": name} for name in ("a", "b")]
    answers(function, submission("open", *backups))
    rows, _, below = cli(*ORDERS, "--quiet").out.partition("UNREACHABLE (2 times)")
    assert rows.count("UNREACHABLE") == 2
    assert [line.strip() for line in below.splitlines()[1:3]] == [
        "Commvault cannot be reached.",
        "What to do: It is retried.",
    ]
    assert "Commvault cannot be reached." not in rows


@pytest.mark.parametrize("wait", [(), ("--wait",)])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"submissions": [FAILED]}, "the backup failed."),
        ({"submissions": [SUCCEEDED, FAILED]}, "the backup failed."),
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
    assert (done.status, done.out.endswith(f"{PLACE}: {said}\n")) == (Exit.FINDINGS, True), done.out


def test_a_wait_that_is_too_long_fails(cli: Cli, function: AwsWire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "MINUTE", 0)
    answers(function, RUNNING)
    done = cli(*ORDERS, "--wait", "--timeout", "5")
    assert done.status == Exit.FINDINGS
    assert "time is over, and the backup is open. It goes on." in done.out


def test_of_all_targets_each_is_waited_for(cli: Cli, function: AwsWire) -> None:
    function.answer("Invoke", {"submissions": [FAILED, RUNNING]}, {"submissions": [SUCCEEDED, SUCCEEDED]})
    assert cli("backup", "prod", "*", "--wait", "--yes").status == Exit.OK
    assert [event["target"] for event in events(function)] == ["*", "*"]
    assert not function.asked("GetParameter")


@pytest.mark.parametrize(("typed", "sent"), [("y", 1), ("n", 0), (None, 0)])
def test_all_targets_are_started_only_if_a_person_agrees(
    cli: Cli, function: AwsWire, monkeypatch: pytest.MonkeyPatch, typed: str | None, sent: int
) -> None:
    answers(function, RUNNING)
    function.answer("GetParametersByPath", {"Parameters": [{"Name": f"{PATH}{name}", "Value": "{}"} for name in "ab"]})
    monkeypatch.setattr("sys.stdin.isatty", lambda: typed is not None, raising=False)
    monkeypatch.setattr("builtins.input", lambda: typed)
    done = cli("backup", "prod", "*")
    assert (done.status == Exit.OK, len(events(function))) == (bool(sent), sent)
    assert ("back up all 2 targets now?" in done.err) is (typed is not None)
    if typed is None:
        assert done.line == "prod: there is no terminal to ask on. Nothing was done: use --yes."


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("order", "there is no target order, and nothing was sent. Did you mean orders?"),
        ("xyz", f"there is no target xyz, and nothing was sent. Store its document in the SSM parameter {PATH}xyz."),
        ("a b", "'a b' is not a valid target name"),
    ],
)
def test_an_unknown_target_sends_nothing(cli: Cli, function: AwsWire, target: str, said: str) -> None:
    function.fail("GetParameter", 400, "ParameterNotFound", "")
    names = [f"{PATH}orders", f"{PATH}billing"]
    function.answer("GetParametersByPath", {"Parameters": [{"Name": name, "Value": "{}"} for name in names]})
    done = cli("backup", "prod", target)
    assert (done.status, said in done.line) == (Exit.COULD_NOT_RUN, True), done.line
    assert not events(function)


@pytest.mark.parametrize("request_id", ["run-$1", 'a", "target": "*', "a b", "x" * 257, "ü"])
def test_an_invalid_request_id_sends_nothing(cli: Cli, function: AwsWire, request_id: str) -> None:
    assert cli(*ORDERS, "--request-id", request_id).line.endswith("Nothing was sent.")
    assert not function.calls


@pytest.mark.parametrize(
    ("answer", "said"),
    [({"errorMessage": "Task timed out"}, "failed: Task timed out"), ({"ok": True}, "does not understand")],
)
def test_another_answer_is_not_taken_for_a_backup(cli: Cli, function: AwsWire, answer: Any, said: str) -> None:
    function.answer("Invoke", answer)
    done = cli(*ORDERS, "--wait", "--request-id", "migration-42")
    assert (done.status, done.out) == (Exit.COULD_NOT_RUN, "")
    resume, line = done.err.splitlines()
    assert "--request-id migration-42" in resume
    assert said in line


def test_a_call_that_fails_is_made_again_by_the_sdk(cli: Cli, function: AwsWire) -> None:
    done = json.dumps({"submissions": [SUCCEEDED]})
    left = [(429, json.dumps({"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"})), (200, done)]
    function.answers["Invoke"] = lambda _: (*left.pop(0), {"X-Amzn-ErrorType": "TooManyRequestsException"})
    assert cli(*ORDERS, "--wait").status == Exit.OK
    assert not left


def test_a_text_from_outside_stays_in_its_cell(cli: Cli, function: AwsWire) -> None:
    answers(function, submission("failed", *DEFERRED["backups"], target="\x1b[31m[bold]one\ntwo" + "x" * 999))
    printed = cli(*ORDERS).out
    assert "[31m[bold]one two" in printed
    assert "\x1b" not in printed
    assert "x" * 501 not in printed


# ---- The gate of a database

ARN = "arn:aws:rds:eu-central-1:111122223333:db:orders-db"
GATE = (*ORDERS, "--wait", "--database", ARN)
POINT = {"name": "orders-db-1", "createdAt": "2026-01-31T02:09:44Z", "snapshot": None}
PROVED = {"proved": True, "restorePoint": POINT, "reason": ""}
NOT_PROVED = {"proved": False, "restorePoint": None, "reason": "No restore point was made."}
NOT_ASKED = {"proved": None, "restorePoint": None, "reason": "Commvault cannot be reached."}
PARTLY = submission("failed", one_of("completed_with_errors", error=ERROR))


@pytest.fixture
def clock(function: AwsWire, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The moments at which the command sleeps; it passes by itself."""
    function.stack(BackupFunctionName="prod-backup", AuditFunctionName="prod-audit", TargetsPath=PATH)
    slept: list[float] = []
    for module in (backup, proof):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append))
    return slept


@pytest.mark.parametrize(
    ("ended", "proofs", "status", "said", "minutes"),
    [
        (SUCCEEDED, [PROVED], Exit.OK, f"the restore point orders-db-1 of {POINT['createdAt']} proves {ARN}.", 0),
        (
            SUCCEEDED,
            [NOT_PROVED, NOT_ASKED, PROVED],
            Exit.OK,
            f"the restore point orders-db-1 of {POINT['createdAt']}",
            2,
        ),
        # The job skipped the database, or did not.
        (SUCCEEDED, [NOT_PROVED], Exit.FINDINGS, "has no restore point of this backup. No restore point was made.", 10),
        (PARTLY, [PROVED], Exit.OK, f"the restore point orders-db-1 of {POINT['createdAt']}", 0),
        (SUCCEEDED, [NOT_PROVED, NOT_ASKED], Exit.COULD_NOT_RUN, "is not known. Commvault cannot be reached.", 10),
    ],
)
def test_the_gate_opens_for_a_restore_point_alone(
    cli: Cli,
    function: AwsWire,
    clock: list[float],
    *,
    ended: Any,
    proofs: list[Any],
    status: Exit,
    said: str,
    minutes: int,
) -> None:
    function.answer("Invoke", *({"submissions": [row]} for row in (RUNNING, ended)), *proofs)
    done = cli(*GATE)
    assert (done.status, said in done.out) == (status, True), done.out
    started, running, *asked = function.asked("Invoke")
    assert (started["target"], running["target"]) == ("orders", "orders")
    question = {"FunctionName": "prod-audit", "prove": {"database": ARN, "since": MOMENT}}
    assert asked == [question] * (minutes + 1)
    assert clock == [0, *[60] * minutes]


@pytest.mark.parametrize(
    "answer",
    [
        {"submissions": [submission("failed", one_of("rejected", None, ERROR))]},
        {"submissions": [], "ignored": "It is disabled."},
    ],
)
def test_without_a_job_nobody_is_asked_for_a_restore_point(
    cli: Cli, function: AwsWire, clock: list[float], answer: Any
) -> None:
    function.answer("Invoke", answer)
    assert cli(*GATE).status == Exit.FINDINGS
    assert len(function.asked("Invoke")) == 1
    assert not clock


@pytest.mark.parametrize(
    ("answer", "said"),
    [({"ok": True}, "does not understand"), ({"errorMessage": "Task timed out"}, "failed: Task timed out")],
)
def test_a_gate_that_cannot_be_asked_stays_shut(
    cli: Cli, function: AwsWire, clock: list[float], answer: Any, said: str
) -> None:
    function.answer("Invoke", {"submissions": [SUCCEEDED]}, answer)
    done = cli(*GATE)
    assert (done.status, said in done.err, clock) == (Exit.COULD_NOT_RUN, True, [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--database", ARN), "--database needs --wait. Nothing was sent."),
        (("--wait", "--database", "orders-db"), "is not the ARN of an RDS instance or cluster. Nothing was sent."),
        (("--wait", "--database", ARN.replace(":db:", ":snapshot:")), "is not the ARN"),
    ],
)
def test_a_gate_that_cannot_be_meant_sends_nothing(
    cli: Cli, function: AwsWire, arguments: tuple[str, ...], said: str
) -> None:
    done = cli(*ORDERS, *arguments)
    assert (done.status, said in done.line) == (Exit.COULD_NOT_RUN, True), done.line
    assert not function.asked("Invoke")
