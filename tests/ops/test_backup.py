"""Starting a backup and waiting for it, against a Backup function that gives the answers of the real one."""

import json
import re
from typing import Any

import pytest

from ops import backup
from ops.command import Exit
from tests.ops.submissions import DEFERRED, ERROR, FAILED, QUEUED, RUNNING, SUCCEEDED, submission
from tests.ops.wire import AwsWire

ORDERS = ["prod", "--target", "orders"]


@pytest.fixture
def function(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> AwsWire:
    monkeypatch.setattr(backup, "POLL_SECONDS", 0)
    wire.stack(BackupFunctionName="prod-backup")
    return wire


def answers(wire: AwsWire, *submissions: Any) -> None:
    wire.answer("Invoke", *({"submissions": [one]} for one in submissions))


def events(wire: AwsWire) -> list[dict[str, Any]]:
    return [{name: asked[name] for name in ("target", "requestId")} for asked in wire.asked("Invoke")]


def test_every_backup_has_a_request_id_of_its_own(function: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    answers(function, RUNNING)
    for _ in range(2):
        assert backup.main(ORDERS) == Exit.OK
    printed = capsys.readouterr().out
    ids = re.findall(r"request ID ([0-9a-f-]{36}) ", printed)
    assert len(set(ids)) == 2
    assert events(function) == [{"target": "orders", "requestId": one} for one in ids]
    assert "orders open: orders-db running (job 1354)" in printed


def test_the_same_call_is_repeated_until_the_backup_is_over(
    function: AwsWire, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(function, QUEUED, DEFERRED, RUNNING, RUNNING, SUCCEEDED)
    assert backup.main([*ORDERS, "--wait", "--request-id", "migration-42"]) == Exit.OK
    assert events(function) == [{"target": "orders", "requestId": "migration-42"}] * 5
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ", 1)[1] for line in lines[1:-1]] == [  # what has not changed is not repeated
        "orders queued",
        "orders open: orders-db waiting: Commvault cannot be reached. It is retried.",
        "orders open: orders-db running (job 1354)",
        "orders succeeded: orders-db completed (job 1354)",
    ]
    assert lines[-1] == "prod: the backup of orders succeeded."


@pytest.mark.parametrize("wait", [[], ["--wait"]])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"submissions": [FAILED]}, "Commvault cannot be reached. It is retried."),
        ({"submissions": [SUCCEEDED, FAILED]}, "orders succeeded"),
        ({"submissions": [submission("of a later version")]}, "orders of a later version"),
        ({"submissions": [], "ignored": "The target is disabled."}, "Nothing was started: The target is disabled."),
        ({"submissions": [], "refused": ERROR}, "Commvault cannot be reached. It is retried."),
    ],
)
def test_only_a_backup_that_succeeded_passes_the_gate(
    function: AwsWire, capsys: pytest.CaptureFixture[str], answer: Any, said: str, wait: list[str]
) -> None:
    function.answer("Invoke", answer)
    assert backup.main([*ORDERS, *wait]) == Exit.FINDINGS
    printed = capsys.readouterr().out
    assert said in printed
    assert printed.endswith("prod: the backup of orders failed.\n")


def test_of_all_targets_each_is_waited_for(function: AwsWire) -> None:
    function.answer("Invoke", {"submissions": [FAILED, RUNNING]}, {"submissions": [SUCCEEDED, SUCCEEDED]})
    assert backup.main(["prod", "--target", "*", "--wait"]) == Exit.OK
    assert [event["target"] for event in events(function)] == ["*", "*"]


@pytest.mark.parametrize("request_id", ["", "run-$1", 'a", "target": "*', "a b", "x" * 257, "ü"])
def test_a_request_id_that_is_none_starts_nothing(
    function: AwsWire, capsys: pytest.CaptureFixture[str], request_id: str
) -> None:
    assert backup.main([*ORDERS, "--request-id", request_id]) == Exit.COULD_NOT_RUN
    assert "Nothing was started" in capsys.readouterr().err
    assert not events(function)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"errorMessage": "Task timed out after 50.00 seconds"}, "failed: Task timed out after 50.00 seconds"),
        ({"ok": True}, "returned no submission"),
    ],
)
def test_what_is_no_answer_is_not_taken_for_a_backup(
    function: AwsWire, capsys: pytest.CaptureFixture[str], answer: Any, said: str
) -> None:
    function.answer("Invoke", answer)
    assert backup.main([*ORDERS, "--wait", "--request-id", "migration-42"]) == Exit.COULD_NOT_RUN
    printed = capsys.readouterr()
    assert "request ID migration-42 " in printed.out
    assert said in printed.err


def test_a_call_that_fails_is_made_again_by_the_sdk(function: AwsWire) -> None:
    done = json.dumps({"submissions": [SUCCEEDED]})
    left = [(429, json.dumps({"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"})), (200, done)]
    function.answers["Invoke"] = lambda _: (*left.pop(0), {"X-Amzn-ErrorType": "TooManyRequestsException"})
    assert backup.main([*ORDERS, "--wait"]) == Exit.OK
    assert not left


def test_a_text_from_outside_stays_on_its_line(function: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    answers(function, submission("failed", *DEFERRED["backups"], target="\x1b[31m[bold]one\ntwo" + "x" * 999))
    backup.main(ORDERS)
    _, line, _ = capsys.readouterr().out.splitlines()
    assert "[31m[bold]one two" in line
    assert "\x1b" not in line
    assert len(line) < 700
