"""What happens in the demo, in order. Each act fires a trigger for real and waits for its outcome."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local.demo.machine import Machine
from local.demo.observed import Observed, Row
from local.demo.summary import Summary
from local.demo.view import View
from local.rds import RESTORED, create_instance, rds_event

PATIENCE = 30.0  # seconds for one trigger's outcome; each takes a few

SCHEDULE = Row("Schedule, by itself", "default", "orders-db")
RESTORE = Row(f"RDS: restored ({RESTORED})", "billing", "billing-db")
DUPLICATE = Row("The same event again", "billing", "billing-db", calls=0, status=None)
MANUAL = Row("Manual invoke", "users", "users-db")
REJECTED = Row("Unknown to Commvault", "typo", "no-such-db", status="rejected")
RESET = Row("Reset after the job was made", "reports", "reports-db", reconciled=True)
ROWS = (SCHEDULE, RESTORE, DUPLICATE, MANUAL, REJECTED, RESET)


@dataclass(frozen=True, slots=True)
class Stage:
    """The acts' way to wait while everything that happens is shown."""

    view: View
    observed: Observed
    summary: Summary

    def wait(self, until: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Show what happens until a condition holds or the time is over; the summary shows which."""
        deadline = time.monotonic() + seconds
        while True:
            for who, what in self.observed.observe():
                self.view.say(who, what)
            self.view.show(self.summary.table())
            if until() or time.monotonic() > deadline:
                return
            time.sleep(0.2)

    def begin(self, row: Row, what: str) -> None:
        """A trigger fires now."""
        self.view.say("trigger", what)
        row.begins = time.time()


def perform(machine: Machine, view: View) -> Summary:
    """Let everything happen, and return what was observed."""
    observed = Observed(machine)
    stage = Stage(view, observed, Summary(observed, ROWS))
    machine.add_target("billing", "billing-db", databases=["billing-*"])
    machine.add_target("users", "users-db")
    machine.add_target("typo", "no-such-db")
    machine.add_target("reports", "reports-db", databases=["reports-*"])
    _have_databases(stage, machine)
    stage.begin(SCHEDULE, f"the stack's schedule is due at {machine.due:%H:%M:%S} UTC; the others begin meanwhile")
    _restore(stage, machine)
    _manual(stage, machine)
    _reject(stage, machine)
    stage.wait(lambda: stage.summary.is_submitted(SCHEDULE))
    _reset(stage, machine)
    view.say(
        "stack", "every trigger has been answered; now the jobs run, and the Follow function waits for them to end"
    )
    stage.wait(lambda: stage.summary.is_complete)
    stage.wait(lambda: not machine.stack.messages("JobsQueueUrl"))  # What completed is recorded after it is published.
    return stage.summary


def _have_databases(stage: Stage, machine: Machine) -> None:
    """Let RDS have one database that is backed up, one whose target last worked long ago, and one that nobody thought of."""
    stage.view.say("RDS", "there are three databases: orders-main, archive-main and web-sessions")
    old = datetime.now(UTC) - timedelta(days=40)
    machine.add_target("archive", "archive-db", databases=["archive-*"], maxAgeHours=168, changed=old)
    rds = machine.aws.client("rds")
    for name, engine in (("orders-main", "postgres"), ("archive-main", "mysql"), ("web-sessions", "mariadb")):
        create_instance(rds, name, engine)
    rds.create_db_snapshot(DBSnapshotIdentifier="orders-before-upgrade", DBInstanceIdentifier="orders-main")


def _restore(stage: Stage, machine: Machine) -> None:
    event = rds_event("billing-restored")
    stage.begin(RESTORE, "RDS reports on the event bus that billing-restored was restored from a snapshot")
    machine.stack.put_event(event)
    stage.wait(lambda: stage.summary.is_submitted(RESTORE))
    runs = machine.finished_runs()
    stage.begin(DUPLICATE, "the bus delivers the same event a second time")
    RESTORE.ends = DUPLICATE.begins
    machine.stack.put_event(event)
    stage.wait(lambda: machine.finished_runs() > runs)


def _manual(stage: Stage, machine: Machine) -> None:
    stage.begin(MANUAL, 'a manual invoke with {"target": "users"}')
    machine.stack.invoke({"target": "users"})
    stage.wait(lambda: stage.summary.is_submitted(MANUAL))


def _reject(stage: Stage, machine: Machine) -> None:
    stage.begin(REJECTED, "a manual invoke for a target whose instance Commvault does not know")
    machine.stack.invoke({"target": "typo"})
    stage.wait(lambda: stage.summary.is_submitted(REJECTED))


def _reset(stage: Stage, machine: Machine) -> None:
    machine.commserve.fault("reset_after")
    stage.begin(
        RESET, "RDS reports that reports-main was restored; Commvault resets the connection just after it made the job"
    )
    machine.stack.put_event(rds_event("reports-main"))
    stage.wait(lambda: stage.summary.is_submitted(RESET))
