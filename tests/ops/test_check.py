"""`python -m ops.check`, the command behind `make check`, against stacks of emulated AWS."""

import json
import uuid
from typing import Any

import pytest

from local.emulator import Emulator
from ops import check


def stack_with(aws: Emulator, answer: Any, output: str = "SubmitFunctionName") -> str:
    """Deploy a stack whose Submit function answers what it is told to."""
    name = f"check-{uuid.uuid4().hex[:8]}"
    code = f"import json\ndef handler(event, context):\n    assert event == {{'check': True}}\n    return json.loads({json.dumps(answer)!r})"
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


@pytest.fixture
def shell(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """A shell whose AWS is the emulator."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    monkeypatch.setenv("COLUMNS", "200")
    return aws


def test_all_is_well(shell: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    name = stack_with(shell, {"ok": True, "checks": [row(ok=True, detail="Commvault has [bold] / orders-db.")]})
    assert check.main([name]) == 0
    printed = capsys.readouterr().out
    assert "Commvault has [bold] / orders-db." in printed
    assert f"{name}: all is well." in printed


def test_something_is_wrong(shell: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    checks = [row(ok=True, detail="Fine."), row(ok=False, detail="No client.", hint="Correct clientName.")]
    name = stack_with(shell, {"ok": False, "checks": checks})
    assert check.main([name]) == 1
    printed = capsys.readouterr().out
    assert "No client." in printed
    assert "Correct clientName." in printed
    assert f"{name}: 1 to mend." in printed


@pytest.mark.parametrize("answer", [None, {"submissions": []}])
def test_a_function_that_does_not_answer_as_it_should(
    shell: Emulator, capsys: pytest.CaptureFixture[str], answer: Any
) -> None:
    assert check.main([stack_with(shell, answer)]) == 1
    assert "its Submit function failed" in capsys.readouterr().err


def test_another_kind_of_stack(shell: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([stack_with(shell, {}, output="Other")]) == 1
    assert "no output SubmitFunctionName" in capsys.readouterr().err


def test_no_such_stack(shell: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(["no-such-stack"]) == 1
    assert "'no-such-stack' could not be asked" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], [""], ["one", "two"]])
def test_no_stack_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert check.main(arguments) == 1
    assert "make check STACK=" in capsys.readouterr().err
