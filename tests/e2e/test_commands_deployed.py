"""The commands of `ops/` on a deployed stack: they understand what the functions write and return."""

import json

import pytest

from local.emulator import Emulator
from ops import backup, discard, letters, schedule
from ops.command import Exit
from tests.e2e.product import Product, only

pytestmark = pytest.mark.e2e


@pytest.fixture
def shell(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide shell whose AWS is the emulator."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(backup, "POLL_SECONDS", 0.2)


@pytest.mark.usefixtures("shell")
def test_a_letter_is_read_and_deleted(product: Product, capsys: pytest.CaptureFixture[str]) -> None:
    product.stack.invoke({"target": "not-there", "requestId": "letter-1"})
    assert letters.main([product.stack.name]) == Exit.OK
    row = only([line for line in capsys.readouterr().out.splitlines() if "manual letter-1" in line])
    assert "not-there" in row
    assert "TARGET_UNKNOWN: " in row
    assert discard.main([product.stack.name, "--id", row.split("│")[1].strip(), "--yes"]) == Exit.OK
    assert not product.dead_letters("not-there")
    assert letters.main([product.stack.name, "--queue", "jobs"]) == Exit.COULD_NOT_RUN
    assert "FollowHours is 0" in capsys.readouterr().err


@pytest.mark.usefixtures("shell")
def test_a_backup_that_is_not_followed_cannot_be_waited_for(
    product: Product, capsys: pytest.CaptureFixture[str]
) -> None:
    target = product.target("gate-unfollowed")
    assert backup.main([product.stack.name, "--target", target]) == Exit.OK
    assert f"{target} submitted" in capsys.readouterr().out
    assert backup.main([product.stack.name, "--target", target, "--wait"]) == Exit.COULD_NOT_RUN
    assert "FollowHours is 0" in capsys.readouterr().err


@pytest.mark.usefixtures("shell")
def test_a_backup_of_an_unknown_target_is_not_a_success(product: Product) -> None:
    assert backup.main([product.stack.name, "--target", "not-there-either", "--wait"]) == Exit.FINDINGS


@pytest.mark.usefixtures("shell")
def test_a_backup_that_is_deferred_is_asked_about_again(product: Product, capsys: pytest.CaptureFixture[str]) -> None:
    target = product.target("gate-deferred")
    product.commserve.fault("maintenance", about=target)
    for _ in range(2):  # the second call only reports
        arguments = [product.stack.name, "--target", target, "--request-id", "deferred-1"]
        assert backup.main(arguments) == Exit.OK
        assert f"{target} deferred" in capsys.readouterr().out
    assert len(product.calls(target)) == 1


@pytest.mark.usefixtures("shell")
def test_a_target_is_scheduled_like_the_default_one(product: Product) -> None:
    target, stack = product.target("on-schedule"), product.stack
    scheduler, function = stack.aws.client("scheduler"), stack.outputs["SubmitFunctionName"]
    schedules = scheduler.list_schedules()["Schedules"]
    own = only([one for one in schedules if one["Target"]["Arn"].endswith(f":{function}")])
    arguments = [stack.name, "--target", target, "--expression", "rate(1 day)", "--timezone", "Europe/Berlin"]
    assert schedule.main(arguments) == Exit.OK
    name = {"Name": f"{stack.name}-{target}", "GroupName": stack.outputs["ScheduleGroupName"]}
    made = scheduler.get_schedule(**name)
    scheduler.delete_schedule(**name)  # other tests look for the stack's own
    default = scheduler.get_schedule(Name=own["Name"], GroupName=own["GroupName"])
    for part in ("Arn", "RoleArn", "DeadLetterConfig", "RetryPolicy"):
        assert made["Target"][part] == default["Target"][part]
    assert json.loads(made["Target"]["Input"]) == json.loads(default["Target"]["Input"]) | {"target": target}
    assert made["GroupName"] == default["GroupName"]
