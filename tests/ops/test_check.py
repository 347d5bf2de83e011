"""The preflight command against stacks of emulated AWS."""

import json
import uuid
from typing import Any

import pytest

from local.emulator import Emulator
from ops import check
from ops.command import Exit

CHECK = {"check": True}


def stack_with(aws: Emulator, answer: Any, *, output: str = "SubmitFunctionName", event: Any = CHECK) -> str:
    """Deploy a stack whose Submit function returns `answer`."""
    name = f"check-{uuid.uuid4().hex[:8]}"
    code = (
        "import json\ndef handler(event, context):\n"
        f"    assert event == {event!r}, 'another event'\n    return json.loads({json.dumps(answer)!r})"
    )
    template = {
        "Resources": {
            "Submit": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": "python3.13",
                    "Handler": "index.handler",
                    "Role": "arn:aws:iam::000000000000:role/any",
                    "Code": {"ZipFile": code},
                },
            }
        },
        "Outputs": {output: {"Value": {"Ref": "Submit"}}},
    }
    client = aws.client("cloudformation")
    client.create_stack(StackName=name, TemplateBody=json.dumps(template))
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    return name


def row(*, ok: bool, detail: str, hint: str | None = None) -> dict[str, Any]:
    return {"name": "association", "target": "orders", "ok": ok, "detail": detail, "hint": hint}


def test_every_check_passed(shell: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    name = stack_with(shell, {"ok": True, "checks": [row(ok=True, detail="Commvault has [bold] / orders-db.")]})
    assert check.main([name]) == Exit.OK
    printed = capsys.readouterr().out
    assert "Commvault has [bold] / orders-db." in printed
    assert f"{name}: every check passed." in printed


def test_a_check_that_failed_says_what_to_do(shell: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    checks = [row(ok=True, detail="Fine."), row(ok=False, detail="No client.", hint="Correct clientName.")]
    name = stack_with(shell, {"ok": False, "checks": checks})
    assert check.main([name]) == Exit.FINDINGS
    printed = capsys.readouterr().out
    assert "No client." in printed
    assert "Correct clientName." in printed
    assert f"{name}: 1 of 2 checks failed." in printed


def test_one_target_is_checked_alone(shell: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"ok": True, "checks": [row(ok=True, detail="Fine.")]}
    name = stack_with(shell, answer, event={"check": True, "target": "orders"})
    assert check.main([name, "--target", "orders"]) == Exit.OK
    assert "every check passed." in capsys.readouterr().out


def test_what_cannot_be_a_targets_name_is_refused(shell: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    problem = {"code": "TARGET_NAME_INVALID", "message": "'a b' is not a target name.", "hint": "Names have letters."}
    name = stack_with(shell, {"submissions": [], "refused": problem}, event={"check": True, "target": "a b"})
    assert check.main([name, "--target", "a b"]) == Exit.COULD_NOT_RUN
    assert capsys.readouterr().err == f"{name}: 'a b' is not a target name. Names have letters.\n"


@pytest.mark.parametrize("answer", [None, {"submissions": []}])
def test_a_function_that_returns_no_report(shell: Emulator, capsys: pytest.CaptureFixture[str], answer: Any) -> None:
    assert check.main([stack_with(shell, answer)]) == Exit.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert f"returned no report: {json.dumps(answer)} See its log." in line


def test_a_function_that_fails(shell: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([stack_with(shell, {}, event={})]) == Exit.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert "its Submit function failed: another event" in line


def test_another_kind_of_stack(shell: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    name = stack_with(shell, {}, output="Other")
    assert check.main([name]) == Exit.COULD_NOT_RUN
    assert capsys.readouterr().err.startswith(f"{name}: the stack has no output SubmitFunctionName: ")


def test_no_such_stack(shell: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["no-such-stack"]) == Exit.COULD_NOT_RUN
    assert capsys.readouterr().err.startswith("no-such-stack: there is no such stack in us-east-1.")
