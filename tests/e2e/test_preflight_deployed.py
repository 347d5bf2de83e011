"""`python -m ops.check STACK` on a deployed stack: its own role allows all that the preflight does."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.stack import Stack, deploy
from ops import check
from ops.stack import DeployedStack
from tests.e2e.product import CLIENT, association, only
from tests.evidence import Evidence

pytestmark = pytest.mark.e2e

TOKEN = "QSDK fake-7e02"
NAME = "checked"


@pytest.fixture(scope="module")
def commserve(evidence: Evidence) -> Iterator[CommServe]:
    with CommServe(token=TOKEN, job_seconds=3600) as server:
        evidence.add("checked", server)
        yield server


@pytest.fixture(scope="module")
def stack(aws: Emulator, commserve: CommServe) -> Stack:
    """A stack as it is right after its deployment, without a token."""
    aws.client("ssm").put_parameter(Name=f"/{NAME}/ca", Value=commserve.ca_pem, Type="String")
    parameters = {"CommvaultApiUrl": commserve.url, "CaCertificateParameter": f"/{NAME}/ca", "ClientName": CLIENT}
    return deploy(aws, NAME, parameters | {"ScheduleState": "DISABLED", "RdsEventsState": "DISABLED"})


def failed() -> list[str]:
    return [row["name"] for row in checked() if not row["ok"]]


@pytest.fixture
def shell(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell whose AWS is the emulator, as wide as the table."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "400")


def checked() -> list[dict[str, Any]]:
    """Ask the stack, and return its rows."""
    return list(check.preflight(DeployedStack.find(NAME))["checks"])


@pytest.mark.usefixtures("shell")
def test_a_stack_is_checked_as_it_is_set_up(
    stack: Stack, commserve: CommServe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main([NAME]) == 1
    assert "SetTokenCommand" in capsys.readouterr().out

    stack.set_token(TOKEN)
    assert failed() == ["listeners"], "the Jobs queue is not a listener"
    stack.subscribe()
    assert check.main([NAME]) == 0
    shown = capsys.readouterr().out
    assert f"{NAME}: every check passed." in shown
    assert f"Commvault has {CLIENT} / orders-db / default." in shown
    assert TOKEN not in shown
    names = [
        "configuration",
        "secret",
        "reach",
        "token",
        "renewal",
        "targets",
        "listeners",
        "document",
        "association",
        "last_backup",
    ]
    assert [(row["name"], row["ok"], row["hint"]) for row in checked()] == [(name, True, None) for name in names]

    misspelt = association("billing-db") | {"subclientName": "defualt"}
    stack.put_target("billing", {"associations": [association("users-db"), misspelt]})
    assert check.main([NAME]) == 1
    shown = capsys.readouterr().out
    assert "Did you mean 'default'?" in shown
    assert f"{NAME}: 1 of 14 checks failed." in shown
    wrong = only([row for row in checked() if not row["ok"]])
    assert (wrong["name"], wrong["target"]) == ("association", "billing")
    assert "no subclient 'defualt' of instance 'billing-db'" in wrong["detail"]
    assert f"Correct subclientName in {stack.outputs['TargetsPath']}billing" in wrong["hint"]

    stack.put_target("billing", {"associations": [association("billing-db")]})
    assert check.main([NAME]) == 0
    assert not commserve.create_tasks
    assert not commserve.jobs
    assert not stack.ledger()


@pytest.mark.usefixtures("shell")
def test_it_shows_when_a_target_was_last_submitted(stack: Stack) -> None:
    stack.set_token(TOKEN)
    submission = only(stack.invoke({"target": "default"})["submissions"])
    row = only([row for row in checked() if (row["name"], row["target"]) == ("last_backup", "default")])
    assert row["detail"] == f"Last submitted at {submission['submittedAt']}."


@pytest.mark.usefixtures("shell")
def test_its_rows_are_the_functions_answer(stack: Stack) -> None:
    stack.set_token(TOKEN)
    assert json.dumps(stack.invoke({"check": True})["checks"]) == json.dumps(checked())
