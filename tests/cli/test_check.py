"""The preflight command, at the wire."""

import csv
import json
from io import StringIO
from typing import Any

import pytest

from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire

PLACE = "prod (account 111122223333, eu-central-1)"


def row(*, ok: bool, detail: str, hint: str | None = None) -> dict[str, Any]:
    return {"name": "association", "target": "orders", "ok": ok, "detail": detail, "hint": hint}


PASSED = row(ok=True, detail="Commvault has [bold] / RDS.")
FAILED = row(ok=False, detail="=No client\x1b[2J.", hint="Correct clientName.")


@pytest.fixture
def function(wire: AwsWire) -> AwsWire:
    wire.stack(AuditFunctionName="prod-audit")
    wire.answer("Invoke", {"ok": False, "checks": [PASSED] * 63 + [FAILED]})
    return wire


def test_without_failures_one_line_is_printed(cli: Cli, function: AwsWire) -> None:
    function.answer("Invoke", {"ok": True, "checks": [PASSED]})
    assert cli("check", "prod") == cli("check", "prod", "--target", "orders")
    done = cli("check", "prod")
    assert (done.status, done.out) == (Exit.OK, f"{PLACE}: 1 check passed.\n")
    assert "Commvault has [bold] / RDS." in cli("check", "prod", "--all").out
    everything = {"FunctionName": "prod-audit", "check": True}
    assert function.asked("Invoke")[:2] == [everything, everything | {"target": "orders"}]


def test_failures_are_shown_and_the_rest_on_request(cli: Cli, function: AwsWire) -> None:
    done = cli("check", "prod")
    assert done.status == Exit.FINDINGS
    assert len(done.out.splitlines()) == 6
    assert "=No client [2J." in done.out
    assert "Correct clientName." in done.out
    assert done.out.endswith(f"{PLACE}: 1 of 64 checks failed.\n")
    assert cli("check", "prod", "--all").out.count("Commvault has") == 63


def test_rows_are_json_and_csv(cli: Cli, function: AwsWire) -> None:
    (found,) = json.loads(cli("check", "prod", "--format", "json").out)
    assert found == {
        "result": "failed",
        "name": "association",
        "target": "orders",
        "detail": FAILED["detail"],
        "hint": FAILED["hint"],
    }
    done = cli("check", "prod", "--format", "csv")
    (line,) = csv.DictReader(StringIO(done.out))
    assert line["detail"] == "'=No client [2J."  # no formula to a spreadsheet
    assert done.err == f"{PLACE}: 1 of 64 checks failed.\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"refused": {"code": "X", "message": "'a b' is no name.", "hint": "Rename it."}},
            "'a b' is no name. Rename it.",
        ),
        (None, "prod-audit returned an answer that this command does not understand: null See its log."),
        ({"ok": True, "checks": [1]}, 'does not understand: {"ok": true, "checks": [1]} See its log.'),
        ({"errorMessage": "Task timed\nout"}, "its Audit function failed: Task timed out See the log of prod-audit."),
    ],
)
def test_another_answer_is_one_line(cli: Cli, function: AwsWire, answer: Any, said: str) -> None:
    function.answer("Invoke", answer)
    done = cli("check", "prod")
    assert (done.status, done.line.endswith(said)) == (Exit.COULD_NOT_RUN, True), done.line
