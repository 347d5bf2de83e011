"""The outcome table: what each outcome of an attempt does with one backup, with a group, and with a SCHEDULE."""

from dataclasses import replace

import pytest

from rds_snap_backup.core.answering import apply_outcome
from rds_snap_backup.core.backups import Attempt, Backup, Tried
from rds_snap_backup.core.outcomes import AlreadyRunning, Failed, Outcome, Rejected, Scheduled, Throttled, Unauthorized
from rds_snap_backup.core.phases import Doubted, Ended, Named, Out, Running, Waiting
from rds_snap_backup.core.policy import Pin
from rds_snap_backup.core.record import Submission
from rds_snap_backup.core.subclients import Subclient
from rds_snap_backup.triggers import Trigger
from tests.unit.core.world import BEGIN, DOWN, LOST, POLICY, REFUSED, WHY, X, Y, jobs

ANSWERED = BEGIN + 5


def out(task: str, count: int) -> Submission:
    """Return a submission with an attempt that is out for this many backups."""
    attempt = Attempt(1, "FULL", "SCHEDULE" if task == "SCHEDULE" else "IMMEDIATE", 0, BEGIN)
    backups = tuple(Backup(one, BEGIN, Out(1), Tried(BEGIN), pauses=2) for one in (X, Y)[:count])
    trigger = Trigger("manual", "A")
    return Submission(trigger, "A", BEGIN, BEGIN, Pin(), backups, (attempt,), cut_offs=3)


def doubted(doubt: str) -> str:
    """Return how a backup that is looked for in 30 s is shown."""
    return f"Doubted {doubt} 30"


# What becomes of the backups: their phase, why, and in how many seconds they are due; and the notice.
@pytest.mark.parametrize(
    ("outcome", "one", "group", "schedule", "notice"),
    [
        (jobs("1"), "Running 60", "Named 60", "Named 60", "submitted"),
        (jobs("1", "2", "2"), "Named 60", "Named 60", "Named 60", "submitted"),
        (replace(jobs("1"), problem=WHY), "Running 60", "Named 60", "Named 60", "submitted"),
        (Scheduled(402), "scheduled", "scheduled", "scheduled", "scheduled"),
        (AlreadyRunning(WHY), "Waiting busy 120", doubted("running"), "Waiting busy 120", ""),
        (Rejected(WHY), "rejected", "rejected", "rejected", "rejected"),
        (REFUSED, "rejected", doubted("refused"), "rejected", "rejected"),
        (Failed(WHY), "Waiting trying 120", "Waiting trying 120", "Waiting trying 120", ""),
        (Unauthorized(WHY), "Waiting trying 120", "Waiting trying 120", "Waiting trying 120", ""),
        (Throttled(WHY, 500), "Waiting throttled 500", "Waiting throttled 500", "Waiting throttled 500", ""),
        (DOWN, "Waiting trying 120", "Waiting trying 120", "Waiting trying 120", ""),
        (LOST, doubted("unanswered"), doubted("unanswered"), doubted("unanswered"), ""),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else None,
)
@pytest.mark.parametrize(("column", "count"), [("one", 1), ("group", 2), ("schedule", 2)])
def test_each_outcome_leads_to_one_phase(
    *, outcome: Outcome, one: str, group: str, schedule: str, notice: str, column: str, count: int
) -> None:
    expected = {"one": one, "group": group, "schedule": schedule}[column]
    change = apply_outcome(out(column.upper(), count), outcome, {}, POLICY, ANSWERED)
    after = change.submission
    shown = set()
    for backup in after.backups:
        match backup.phase:
            case Waiting(due, reason, error):
                shown.add(f"Waiting {reason} {due - ANSWERED:g}")
                assert error == WHY
                assert backup.pauses == 3
            case Doubted(1, doubt, due, error):
                shown.add(f"Doubted {doubt} {due - ANSWERED:g}")
                assert error == WHY
                assert backup.pauses == 3
            case Named(1, due) | Running(attempt=1, due=due):
                shown.add(f"{type(backup.phase).__name__} {due - ANSWERED:g}")
                assert backup.pauses == 0
            case Ended(end, error=error):
                shown.add(end)
                assert error == (WHY if end == "rejected" else None)
            case Out():
                shown.add("Out")
    assert shown == {expected}
    assert (after.attempts[0].ended, after.cut_offs) == (ANSWERED, 0)
    statuses = [] if expected.startswith(("Waiting", "Doubted")) else [notice]
    assert [told.status for told in after.outbox] == statuses
    assert [told.letter for told in after.outbox] == [int(status == "rejected") for status in statuses]
    for told in after.outbox:
        assert told.error == (outcome.problem if not isinstance(outcome, Scheduled) else None)


def test_job_ids_are_kept_once_and_only_a_single_one_is_known_at_once() -> None:
    items = {X.key: Subclient(X.key)}
    group = apply_outcome(out("", 2), jobs("1", "2", "1"), items, POLICY, ANSWERED)
    (attempt,) = group.submission.attempts
    assert (attempt.job_ids, attempt.untold, attempt.task_id) == (("1", "2"), ("1", "2"), 402)
    assert group.subclients == ()
    single = apply_outcome(out("", 1), jobs("1"), items, POLICY, ANSWERED)
    assert [item.known_ids for item in single.subclients] == [("1",)]


def test_an_outcome_without_an_attempt_that_is_out_is_an_error() -> None:
    after = apply_outcome(out("", 1), DOWN, {}, POLICY, ANSWERED).submission
    with pytest.raises(ValueError, match="no attempt is out"):
        apply_outcome(after, DOWN, {}, POLICY, ANSWERED)
