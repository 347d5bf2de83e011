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


def test_without_failures_the_plan_is_printed(cli: Cli, function: AwsWire) -> None:
    room = {"name": "quota", "target": None, "ok": True, "detail": "12 of 100 are used.", "hint": None}
    function.answer("Invoke", {"ok": True, "checks": [PASSED, room]})
    assert cli("check", "prod") == cli("check", "prod", "--target", "orders")
    done = cli("check", "prod")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.out.splitlines() if line.startswith("│")]
    assert rows == [["orders", "[bold] / RDS."], ["", "12 of 100 are used."]]
    assert (done.status, done.out.splitlines()[-1]) == (Exit.OK, f"{PLACE}: 2 checks passed.")
    assert "Commvault has [bold] / RDS." in cli("check", "prod", "--all").out
    everything = {"FunctionName": "prod-audit", "check": True}
    assert function.asked("Invoke")[:2] == [everything, everything | {"target": "orders"}]


def test_failures_are_paragraphs_and_the_rest_is_shown_on_request(cli: Cli, function: AwsWire) -> None:
    done = cli("check", "prod")
    assert done.status == Exit.FINDINGS
    assert done.out.splitlines()[-4:] == [
        "Failed: association orders",
        "  =No client [2J.",
        "  What to do: Correct clientName.",
        f"{PLACE}: 1 of 64 checks failed.",
    ]
    assert cli("check", "prod", "--all").out.count("Commvault has") == 63


def test_one_cause_is_said_once_and_last(cli: Cli, function: AwsWire) -> None:
    cause = "Connection refused."
    unmade = row(ok=False, detail=f"aws-prod / RDS / nightly: not checked. {cause}", hint="Check the host.")
    reach = {**row(ok=False, detail=cause, hint="Check the host."), "name": "reach", "target": None}
    for checks in ([unmade, reach, FAILED, *[unmade] * 14], [FAILED, *[unmade] * 15]):
        function.answer("Invoke", {"ok": False, "checks": checks})
        out = cli("check", "prod").out
        assert out.count(cause) == out.count("What to do: Check the host.") == 1
        assert out.index("Correct clientName.") < out.index(f"{cause} Because of it 15 checks were not made.")
        assert out.endswith(f"of {len(checks)} checks failed, 15 were not made.\n")


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
