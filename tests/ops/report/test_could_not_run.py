"""What the command prints when there is nothing to show, and its exit status then."""

import json
from pathlib import Path
from typing import Any

import pytest

from ops.command import Exit
from ops.report.__main__ import main
from tests.ops.report import sample
from tests.ops.report.conftest import OUTPUTS, AuditedStack


def test_a_file_that_cannot_be_written_is_named(
    prod: AuditedStack, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prod.answers(sample.clean())
    assert main(["prod", "--out", str(tmp_path / "none" / "report.txt")]) == Exit.COULD_NOT_RUN
    assert prod.calls("Invoke") == []  # nobody waits for an audit that has nowhere to go
    assert main(["prod", "--out", str(tmp_path)]) == Exit.COULD_NOT_RUN
    missing, folder = capsys.readouterr().err.splitlines()
    assert f"there is no folder {tmp_path / 'none'}" in missing
    assert f"prod: {tmp_path} cannot be written: Is a directory." in folder


@pytest.mark.parametrize(
    ("answer", "printed"),
    [
        (None, "prod-Audit-1 returned no audit: null See its log."),
        ({"ok": True, "checks": []}, "returned no audit"),
        (
            {"errorMessage": "Task timed out\nafter 300.00 seconds"},
            "its Audit function failed: Task timed out after 300.00 seconds See the log of prod-Audit-1.",
        ),
        (
            {"ok": False, "refused": {"message": "Not known.", "hint": "Send another."}},
            "prod: Not known. Send another.",
        ),
        (sample.answer() | {"counts": {}}, "has another form than this command reads (KeyError: 'databases')"),
        (sample.answer() | {"databases": [{"name": "x"}]}, "another form"),
        (sample.answer() | {"targets": None}, "another form"),
        (
            sample.answer() | {"targets": [sample.target("t", "fresh") | {"lastSubmittedAt": "yesterday"}]},
            "another form",
        ),
        (sample.answer() | {"targets": [sample.target("t", "fresh") | {"maxAgeHours": "26"}]}, "another form"),
        (sample.answer() | {"findings": [sample.finding("A", "b", "c") | {"hint": None}]}, "another form"),
    ],
)
def test_an_answer_that_is_not_an_audit_is_one_line(
    prod: AuditedStack, capsys: pytest.CaptureFixture[str], answer: Any, printed: str
) -> None:
    prod.answers(answer)
    assert main(["prod"]) == Exit.COULD_NOT_RUN
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("prod: ")
    assert printed in line
    assert said.out == ""


@pytest.mark.parametrize("missing", OUTPUTS)
def test_a_stack_of_an_older_version_is_to_be_updated(
    prod: AuditedStack, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    prod.wire.stack(**{name: value for name, value in OUTPUTS.items() if name != missing})
    prod.answers(sample.clean())
    prod.has_ledger([])
    assert main(["prod", "--format", "html"]) == Exit.COULD_NOT_RUN
    assert capsys.readouterr().err.startswith(f"prod: the stack has no output {missing}: ")


def test_a_ledger_that_may_not_be_read_is_one_line(prod: AuditedStack, capsys: pytest.CaptureFixture[str]) -> None:
    prod.answers(sample.clean())
    denied = {"__type": "AccessDeniedException", "message": "User: me is not authorized to perform: dynamodb:Scan"}
    prod.wire.answers["Scan"] = lambda _: (400, json.dumps(denied))
    assert main(["prod", "--format", "html"]) == Exit.COULD_NOT_RUN
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "",
        "prod: User: me is not authorized to perform: dynamodb:Scan. Ask for that permission, or name another profile.\n",
    )


def test_another_form_is_not_understood(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["prod", "--format", "pdf"])
    assert stopped.value.code == Exit.COULD_NOT_RUN
    assert "invalid choice: 'pdf'" in capsys.readouterr().err
