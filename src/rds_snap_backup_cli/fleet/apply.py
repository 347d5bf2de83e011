"""`apply`: makes a stack hold what a fleet's files say.

It writes documents and schedules, then removes schedules and documents, so that no schedule names a missing target. Killed
anywhere, the next `apply` finds what is left to do.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rds_snap_backup.targets import CACHE_SECONDS
from rds_snap_backup.untrusted import NotJson, read_json
from rds_snap_backup_cli.errors import CannotRun, Exit
from rds_snap_backup_cli.fleet.changes import Change, Wish, compare, content_of
from rds_snap_backup_cli.fleet.files import STANDARD_BYTES, Schedule, stored_text
from rds_snap_backup_cli.fleet.lease import FleetLease
from rds_snap_backup_cli.fleet.plan import NOT_PRUNED, Adopt, Directory, Plan, Prune, valid_fleet
from rds_snap_backup_cli.fleet.stored import PATIENT, Mark, Stored, StoredSchedule, digest, read_stored
from rds_snap_backup_cli.output import counted, stderr
from rds_snap_backup_cli.program import Call, command
from rds_snap_backup_cli.schedule import definition, find, group_of, schedule_name

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_ssm import SSMClient

# SSM takes three writes a second, unless the account pays for more.
PACE_SECONDS = 1 / 3
# A sandbox that has just read the targets uses them for so long.
WAIT_SECONDS = CACHE_SECONDS
# More than five targets, or a tenth of the fleet, are removed only if their number is given.
FEW, SHARE = 5, 10
ORDER = (("document", "+~"), ("schedule", "+~"), ("schedule", "-"), ("document", "-"))
STANDARD, ADVANCED = "Standard", "Advanced"

PlanFile = Annotated[
    str | None, typer.Option("--plan", metavar="FILE", help="Refuse to do anything else than this plan.")
]
Limit = Annotated[
    int,
    typer.Option(
        "--prune-limit",
        metavar="N",
        min=0,
        show_default=False,
        help="Prune up to N targets. Default: up to 5, and a tenth of the fleet.",
    ),
]


class Refused(RuntimeError):
    """Something must be decided before more is written. The message says what."""


@command(
    "apply prod fleet",
    "apply prod fleet --plan plan.json --prune",
    "apply prod fleet --adopt",
    "apply prod fleet --prune-limit 12",
)
def apply(  # noqa: PLR0913, PLR0917 # a parameter for each option
    call: Call,
    directory: Directory,
    plan_file: PlanFile = None,
    adopt: Adopt = False,
    prune: Prune = False,
    limit: Limit = 0,
) -> Exit:
    """Make the stack hold what the files say.

    Only what bears the fleet's mark is changed. Nothing is written if a file is not valid, a change is in conflict, or the
    plan is stale. If apply is killed, run it again.

    Exit status 1: it was refused, or a target was changed by hand meanwhile.
    """
    stack = call.stack()
    fleet = valid_fleet(directory)
    if not fleet:
        return Exit.FINDINGS
    wish = Wish(stack.name, stack.account, adopt, prune or limit > 0)
    try:
        with FleetLease(stack, fleet.name) as lease:
            with call.progress("Reading targets and schedules"):
                stored = read_stored(stack)
            planned = Plan(stack, fleet, wish, compare(fleet, stored, wish))
            require_agreed(planned, stored, plan_file, limit)
            steps = list(ordered(planned))
            writer = Writer(planned, stored)
            with call.progress(f"Writing {counted(len(steps), 'change')}") as update:
                for number, step in enumerate(steps, 1):
                    lease.extend()
                    update(f"Writing change {number} of {len(steps)}: {step.target}")
                    writer.write(step)
    except Refused as refused:
        stderr().print(f"{stack.place}: {refused}")
        return Exit.FINDINGS
    if steps:
        with call.progress(f"Waiting {WAIT_SECONDS} s, for which the functions may use what they have read"):
            time.sleep(WAIT_SECONDS)
    verbs = {"+": "made", "~": "changed", "-": "removed" if wish.prune else NOT_PRUNED}
    call.conclude(
        f"{stack.place}: the fleet {fleet.name} is applied, {planned.summary(verbs) or 'no differences'}.", "green"
    )
    return Exit.OK


# ---- Before the first write


def require_agreed(planned: Plan, stored: Stored, plan_file: str | None, limit: int) -> None:
    """Raise `Refused` if the plan is stale, has conflicts, or prunes too much."""
    if plan_file is not None and read_plan(plan_file) != planned.to_json():
        raise Refused(
            f"{plan_file} is stale: the files, the stack or the options differ from those of the plan. Nothing was "
            "written. Make a new plan."
        )
    if conflicts := [change for change in planned.found.changes if change.action == "!"]:
        first = f"{conflicts[0].target} ({conflicts[0].kind}): {conflicts[0].reason}"
        raise Refused(f"{counted(len(conflicts), 'conflict')}, and nothing was written. {first}. `plan` shows all.")
    removed = (
        len({change.target for change in planned.found.changes if change.action == "-"}) if planned.wish.prune else 0
    )
    owned = sum(target.fleet == planned.fleet.name for target in stored.targets.values())
    allowed = limit or min(FEW, owned // SHARE)
    if removed > allowed:
        raise Refused(
            f"{removed} of {counted(owned, 'target')} would lose their document or schedule, which is more than "
            f"{allowed}. Nothing was written. If that is meant: --prune-limit {removed}"
        )


def read_plan(file: str) -> Any:
    """Return the content of a plan's file. Raises `CannotRun` if it is none."""
    try:
        return read_json(Path(file).read_bytes())
    except NotJson as error:
        raise CannotRun(f"{file} is not a plan: {error}. Make one with `plan --out {file}`.") from None


def ordered(planned: Plan) -> Iterator[Change]:
    """Yield the changes to write, in an order in which no schedule ever names a missing target."""
    for kind, actions in ORDER:
        for change in planned.found.changes:
            if change.kind == kind and change.action in actions and (change.action != "-" or planned.wish.prune):
                yield change


# ---- Writing


class Writer:
    """Writes one change at a time, if what is stored is still what was planned with. Raises `Refused`."""

    def __init__(self, planned: Plan, stored: Stored) -> None:
        self._planned = planned
        self._stored = stored
        self._stack = planned.stack
        self._path = planned.stack.output("TargetsPath")
        session = planned.stack.session
        self._ssm: SSMClient = session.client("ssm", config=PATIENT)
        self._scheduler: EventBridgeSchedulerClient = session.client("scheduler", config=PATIENT)

    def write(self, change: Change) -> None:
        """Write a change."""
        match change.kind, change.action:
            case "document", "-":
                self._require_version(change)
                # The SDK sends a removal again if its answer was lost.
                with suppress(self._ssm.exceptions.ParameterNotFound):
                    self._ssm.delete_parameter(Name=self._path + change.target)
            case "document", _:
                self._put_document(change)
            case "schedule", "-":
                self._require_schedule(change)
                name = schedule_name(self._stack.name, change.target)
                with suppress(self._scheduler.exceptions.ResourceNotFoundException):
                    self._scheduler.delete_schedule(Name=name, GroupName=group_of(self._stack))
            case _:
                self._put_schedule(change)
        if change.kind == "document":
            time.sleep(PACE_SECONDS)

    def _put_document(self, change: Change) -> None:
        document = self._planned.fleet.entries[change.target].document
        stored = self._stored.targets.get(change.target)
        name, text = self._path + change.target, stored_text(document)
        tier = ADVANCED if len(text.encode()) > STANDARD_BYTES else STANDARD
        version = self._require_version(change)
        try:
            put = self._ssm.put_parameter(
                Name=name,
                Description=str(Mark(self._planned.fleet.name, digest(document))),
                Value=text,
                Type="String",
                # SSM makes no advanced parameter a standard one again.
                Tier=tier if stored is None or stored.tier == STANDARD else stored.tier,  # type: ignore[arg-type]
                Overwrite=stored is not None,
            )["Version"]
        except self._ssm.exceptions.ParameterAlreadyExists:
            if self._holds(name, text):
                return
            raise changed(change) from None
        if put > version + 1 and not self._holds(f"{name}:{put - 1}", text):
            raise Refused(
                f"{change.target}: another person or run wrote version {put - 1} at the same moment, and version {put} has replaced it. "
                f"Nothing more was written. Compare them with `aws ssm get-parameter-history --name {name}`."
            )

    def _holds(self, name: str, text: str) -> bool:
        """Tell whether a parameter's version has this text: the SDK sends a write again if its answer was lost."""
        return self._ssm.get_parameter(Name=name)["Parameter"]["Value"] == text

    def _require_version(self, change: Change) -> int:
        """Return the version that is stored now, 0 for none: PutParameter knows no condition."""
        if change.version is None:
            return 0
        try:
            version = self._ssm.get_parameter(Name=self._path + change.target)["Parameter"]["Version"]
        except self._ssm.exceptions.ParameterNotFound:
            raise changed(change) from None
        if version != change.version:
            raise changed(change)
        return version

    def _put_schedule(self, change: Change) -> None:
        schedule = self._planned.fleet.entries[change.target].schedule or Schedule("")
        existing = self._require_schedule(change)
        wanted = definition(self._stack, change.target, schedule.expression, existing.answer if existing else {})
        wanted |= {
            "ScheduleExpressionTimezone": schedule.timezone,
            "Description": str(Mark(self._planned.fleet.name, digest(content_of(schedule)))),
        }
        try:
            (self._scheduler.update_schedule if existing else self._scheduler.create_schedule)(**wanted)
        except self._scheduler.exceptions.ConflictException:
            raise changed(change) from None

    def _require_schedule(self, change: Change) -> StoredSchedule | None:
        """Return the schedule that is stored now."""
        name = schedule_name(self._stack.name, change.target)
        planned = self._stored.all_schedules.get(name)
        found = find(self._scheduler, name, group_of(self._stack))
        now = StoredSchedule.of(found, self._stack.output("BackupFunctionArn")) if found else None
        if now != planned:
            raise changed(change)
        return now


def changed(change: Change) -> Refused:
    """Return the refusal to overwrite what was written after it was read."""
    return Refused(
        f"{change.target}: its {change.kind} was changed by hand or by another run meanwhile, and was not overwritten. What was "
        "written before it stays; nothing more was written. `plan` shows what is left."
    )
