"""The preflight command, at the wire."""

import csv
from io import StringIO
from typing import Any

import pytest

from rds_snap_backup_cli.errors import Exit
from tests.cli.calls import Cli
from tests.cli.wire import PLACE, AwsWire


def row(*, ok: bool, detail: str, hint: str | None = None, name: str = "association") -> dict[str, Any]:
    target = "orders" if name == "association" else None
    return {"name": name, "target": target, "ok": ok, "detail": detail, "hint": hint}


PASSED = row(ok=True, detail="Commvault has [bold] / RDS.")
FAILED = row(ok=False, detail="=No client\x1b[2J.", hint="Correct clientName.")


@pytest.fixture
def function(wire: AwsWire) -> AwsWire:
    wire.stack(AuditFunctionName="prod-audit")
    wire.answer("Invoke", {"ok": False, "checks": [PASSED] * 63 + [FAILED]})
    return wire


def test_without_failures_the_plan_is_printed(cli: Cli, function: AwsWire) -> None:
    function.answer(
        "Invoke", {"ok": True, "checks": [PASSED, row(ok=True, detail="12 of 100 are used.", name="quota")]}
    )
    done = cli("check", "prod")
    assert done == cli("check", "prod", "--target", "orders")
    assert done.rows == [["orders", "[bold] / RDS."], ["", "12 of 100 are used."]]
    assert (done.status, done.out.splitlines()[-1]) == (Exit.OK, f"{PLACE}: 2 checks passed.")
    everything = {"FunctionName": "prod-audit", "check": True}
    assert function.asked("Invoke") == [everything, everything | {"target": "orders"}]


def test_failures_are_paragraphs_and_the_rest_is_shown_on_request(cli: Cli, function: AwsWire) -> None:
    done = cli("check", "prod")
    assert done.status == Exit.FINDINGS
    assert done.out.splitlines()[-4:] == [
        "Failed: association orders",
        "  =No client [2J.",
        "  What to do: Correct clientName.",
        f"{PLACE}: 1 of 64 checks failed.",
    ]
    assert cli("check", "prod", "--all").out.count("Commvault has [bold] / RDS.") == 63


def test_the_checks_of_all_pages_are_shown(cli: Cli, function: AwsWire) -> None:
    function.answer("Invoke", *({"ok": False, "checks": [check], "pages": 2} for check in (PASSED, FAILED)))
    done = cli("check", "prod")
    assert "What to do: Correct clientName." in done.out
    assert done.out.endswith("1 of 2 checks failed.\n")
    assert [asked.get("page") for asked in function.asked("Invoke")] == [None, 2]


def test_one_cause_is_said_once_and_last(cli: Cli, function: AwsWire) -> None:
    cause = "Connection refused."
    unmade = row(ok=False, detail=f"aws-prod / RDS / nightly: not checked. {cause}", hint="Check the host.")
    reach = row(ok=False, detail=cause, hint="Check the host.", name="reach")
    for checks in ([unmade, reach, FAILED, *[unmade] * 14], [FAILED, *[unmade] * 15]):
        function.answer("Invoke", {"ok": False, "checks": checks})
        out = cli("check", "prod").out
        assert out.count(cause) == out.count("What to do: Check the host.") == 1
        assert out.index("Correct clientName.") < out.index(f"{cause} Because of it 15 checks were not made.")
        assert out.endswith(f"of {len(checks)} checks failed, 15 were not made.\n")


def test_rows_are_json_and_csv(cli: Cli, function: AwsWire) -> None:
    names = ("name", "target", "detail", "hint")
    assert cli("check", "prod", "--format", "json").json == [
        {name: FAILED[name] for name in names} | {"result": "failed"}
    ]
    done = cli("check", "prod", "--format", "csv")
    (line,) = csv.DictReader(StringIO(done.out))
    assert line["detail"] == "'=No client [2J."  # no formula to a spreadsheet
    assert done.err == f"{PLACE}: 1 of 64 checks failed.\n"
