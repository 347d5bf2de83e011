"""The preflight command, at the wire."""

import json
from typing import Any

import pytest

from ops import check
from ops.command import Exit
from tests.ops.wire import AwsWire


@pytest.fixture
def function(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> AwsWire:
    monkeypatch.setenv("COLUMNS", "200")
    wire.stack(AuditFunctionName="prod-audit")
    return wire


def row(*, ok: bool, detail: str, hint: str | None = None) -> dict[str, Any]:
    return {"name": "association", "target": "orders", "ok": ok, "detail": detail, "hint": hint}


def test_every_check_passed(function: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    function.answer("Invoke", {"ok": True, "checks": [row(ok=True, detail="Commvault has [bold] / orders-db.")]})
    assert check.main(["prod"]) == Exit.OK
    assert check.main(["prod", "--target", "orders"]) == Exit.OK
    printed = capsys.readouterr().out
    assert "Commvault has [bold] / orders-db." in printed
    assert "prod: every check passed." in printed
    everything = {"FunctionName": "prod-audit", "check": True}
    assert function.asked("Invoke") == [everything, everything | {"target": "orders"}]


def test_a_check_that_failed_says_what_to_do(function: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    checks = [row(ok=True, detail="Fine."), row(ok=False, detail="No client.", hint="Correct clientName.")]
    function.answer("Invoke", {"ok": False, "checks": checks})
    assert check.main(["prod"]) == Exit.FINDINGS
    printed = capsys.readouterr().out
    assert "No client." in printed
    assert "Correct clientName." in printed
    assert "prod: 1 of 2 checks failed." in printed


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"refused": {"code": "X", "message": "'a b' is no name.", "hint": "Rename it."}},
            "'a b' is no name. Rename it.",
        ),
        (None, "returned no report: null See its log."),
        ({"submissions": []}, 'returned no report: {"submissions": []} See its log.'),
        ({"errorMessage": "Task timed out"}, "its Audit function failed: Task timed out See the log of prod-audit."),
    ],
)
def test_what_is_no_report_is_one_line(
    function: AwsWire, capsys: pytest.CaptureFixture[str], answer: Any, said: str
) -> None:
    function.answers["Invoke"] = lambda _: (200, json.dumps(answer))
    assert check.main(["prod"]) == Exit.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prod: ")
    assert line.endswith(said)
