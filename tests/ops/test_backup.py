"""Starting a backup and waiting for it, against a Submit function that gives the answers of the real one."""

import json
import re
from typing import Any

import pytest

from ops import backup
from ops.command import Exit
from tests.ops.submissions import DEFERRED, ERROR, MISSING, first, submission
from tests.ops.wire import AwsWire


@pytest.fixture
def submit(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> AwsWire:
    monkeypatch.setattr(backup, "POLL_SECONDS", 0)
    wire.stack(SubmitFunctionName="prod-submit")
    return wire


def answers(wire: AwsWire, *submissions: Any) -> None:
    wire.answer("Invoke", *({"submissions": [one]} for one in submissions))


def events(wire: AwsWire) -> list[dict[str, Any]]:
    return [{name: asked[name] for name in ("target", "requestId")} for asked in wire.asked("Invoke")]


def test_a_backup_is_started_and_its_request_id_printed(submit: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    answers(submit, first())
    assert backup.main(["prod", "--target", "orders"]) == Exit.OK
    printed = capsys.readouterr().out
    found = re.search(r"request ID ([0-9a-f-]{36}) ", printed)
    assert found
    assert events(submit) == [{"target": "orders", "requestId": found[1]}]
    assert "orders submitted" in printed


def test_two_backups_have_two_request_ids(submit: AwsWire) -> None:
    answers(submit, first())
    for _ in range(2):
        backup.main(["prod", "--target", "orders"])
    one, other = events(submit)
    assert one["requestId"] != other["requestId"]


def test_the_same_call_is_repeated_until_the_jobs_have_ended(
    submit: AwsWire, capsys: pytest.CaptureFixture[str]
) -> None:
    running = submission("submitted", "running", "completed")
    answers(submit, DEFERRED, first(), running, running, submission("submitted", "completed", "completed"))
    assert backup.main(["prod", "--target", "orders", "--wait", "--request-id", "migration-42"]) == Exit.OK
    assert events(submit) == [{"target": "orders", "requestId": "migration-42"}] * 5
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ", 1)[1] for line in lines[1:-1]] == [  # what has not changed is not repeated
        "orders deferred: Commvault cannot be reached. It is retried.",
        "orders submitted",
        "orders submitted: job 1354 running, job 1355 completed",
        "orders submitted: job 1354 completed, job 1355 completed",
    ]
    assert lines[-1] == "prod: the backup of orders completed."


@pytest.mark.parametrize(
    "last",
    [
        submission("submitted", "failed"),
        submission("submitted", "killed", "completed"),
        submission("submitted", "lost"),
        submission("joined", "failed"),
        submission("submitted", "completed_with_errors"),
        submission("submitted", "completed", error=MISSING),
        submission("rejected", error=ERROR),
        submission("rejected", "completed", error=ERROR),
        submission("abandoned", error=ERROR),
    ],
)
def test_only_a_complete_backup_is_a_success(
    submit: AwsWire, capsys: pytest.CaptureFixture[str], last: dict[str, Any]
) -> None:
    answers(submit, first(), last)
    assert backup.main(["prod", "--target", "orders", "--wait"]) == Exit.FINDINGS
    printed = capsys.readouterr().out
    assert printed.endswith("prod: the backup of orders did not complete.\n")
    if "error" in last:
        assert f"{last['error']['message']} {last['error']['hint']}" in printed


def test_a_joined_job_counts_by_its_state(submit: AwsWire) -> None:
    answers(submit, first("joined"), submission("joined", "running"), submission("joined", "completed"))
    assert backup.main(["prod", "--target", "orders", "--wait"]) == Exit.OK


def test_a_failed_job_is_reported_when_the_others_have_ended_too(submit: AwsWire) -> None:
    answers(submit, submission("submitted", "failed", "running"), submission("submitted", "failed", "completed"))
    assert backup.main(["prod", "--target", "orders", "--wait"]) == Exit.FINDINGS
    assert len(events(submit)) == 2


@pytest.mark.parametrize("last", [submission("submitted", "unknown"), submission("scheduled")])
def test_what_is_not_followed_cannot_be_waited_for(
    submit: AwsWire, capsys: pytest.CaptureFixture[str], last: dict[str, Any]
) -> None:
    answers(submit, last)
    assert backup.main(["prod", "--target", "orders"]) == Exit.OK
    assert backup.main(["prod", "--target", "orders", "--wait"]) == Exit.COULD_NOT_RUN
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prod: the backup of orders was submitted and cannot be waited for: ")
    assert "FollowHours is 0" in line


def test_all_targets_must_complete(submit: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    queued = [{"status": "queued", "target": name} for name in ("orders", "billing")]
    done = submission("submitted", "completed")
    submit.answer(
        "Invoke",
        {"submissions": queued},
        {"submissions": [done, queued[1]]},
        {"submissions": [done, submission("submitted", "failed") | {"target": "billing"}]},
    )
    assert backup.main(["prod", "--target", "*", "--wait"]) == Exit.FINDINGS
    assert len(events(submit)) == 3
    assert "orders submitted: job 1354 completed; billing queued" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "printed"),
    [
        ({"submissions": [], "ignored": "The target orders is disabled."}, "Nothing was started: The target orders is"),
        (
            {"submissions": [], "refused": {"code": "TARGET_UNKNOWN", "message": "No such target.", "hint": "Add it."}},
            "No such target. Add it.",
        ),
    ],
)
@pytest.mark.parametrize("wait", [[], ["--wait"]])
def test_what_does_not_start_a_backup_is_not_a_success(
    submit: AwsWire, capsys: pytest.CaptureFixture[str], answer: dict[str, Any], printed: str, wait: list[str]
) -> None:
    submit.answer("Invoke", answer)
    assert backup.main(["prod", "--target", "orders", *wait]) == Exit.FINDINGS
    assert printed in capsys.readouterr().out


def test_a_function_that_fails_is_named_and_the_request_id_is_known(
    submit: AwsWire, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = json.dumps({"errorMessage": "Task timed out after 50.00 seconds"})
    submit.answers["Invoke"] = lambda _: (200, failed, {"X-Amz-Function-Error": "Unhandled"})
    assert backup.main(["prod", "--target", "orders", "--wait", "--request-id", "migration-42"]) == Exit.COULD_NOT_RUN
    said = capsys.readouterr()
    assert "request ID migration-42 " in said.out
    assert (
        said.err == "prod: its Submit function failed: Task timed out after 50.00 seconds See the log of prod-submit.\n"
    )


def test_another_kind_of_answer_is_not_taken_for_a_backup(submit: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    submit.answer("Invoke", {"ok": True})
    assert backup.main(["prod", "--target", "orders"]) == Exit.COULD_NOT_RUN
    assert "returned no submission" in capsys.readouterr().err


def test_a_call_that_fails_is_made_again_by_the_sdk(submit: AwsWire, monkeypatch: pytest.MonkeyPatch) -> None:
    done = json.dumps({"submissions": [submission("submitted", "completed")]})
    left = [(429, json.dumps({"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"})), (200, done)]
    submit.answers["Invoke"] = lambda _: (*left.pop(0), {"X-Amzn-ErrorType": "TooManyRequestsException"})
    assert backup.main(["prod", "--target", "orders", "--wait"]) == Exit.OK
    assert not left


def test_a_text_from_outside_stays_on_its_line(submit: AwsWire, capsys: pytest.CaptureFixture[str]) -> None:
    answers(submit, DEFERRED | {"error": ERROR | {"message": "\x1b[31m[bold]one\ntwo" + "x" * 999}})
    backup.main(["prod", "--target", "orders"])
    _, line = capsys.readouterr().out.splitlines()
    assert "[31m[bold]one two" in line
    assert "\x1b" not in line
    assert len(line) < 400


def test_the_target_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        backup.main(["prod"])
    assert stopped.value.code == Exit.COULD_NOT_RUN
    assert "--target" in capsys.readouterr().err
