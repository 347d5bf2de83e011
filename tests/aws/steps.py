"""The steps of the verification on AWS, by name."""

from collections.abc import Callable, Mapping
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from rds_snap_backup_cli.errors import CannotRun, in_one_line
from tests.aws import acting, counted, standing, watched
from tests.aws.subject import Later, Subject

# Returns what it saw. Raises `Later`, or any error of the command line or AWS where it fails.
type Step = Callable[[Subject], str]
type Verdict = Literal["ok", "failed", "later"]


def named(*steps: Step) -> Mapping[str, Step]:
    """Return steps by their names, in their order."""
    return {step.__name__.replace("_", "-"): step for step in steps}


# Steps that make something happen come before those that look at its traces.
STEPS = named(
    *(standing.deployment, standing.tags, standing.first_invocation, standing.rds_rule, standing.rds_access),
    *(
        standing.listeners,
        standing.dashboard,
        acting.compare_and_set,
        acting.topic,
        standing.member_role,
        acting.member_event,
    ),
    *(acting.queue, acting.placeholders, acting.dead_letters, acting.killed_run),
    *(watched.metrics, watched.alarm_action, watched.dead_mans_switch, watched.recursion, watched.redaction),
)
# Those of a stack whose CommvaultApiUrl leads to a CommServe simulator.
COUNTED = named(counted.duplicate, counted.lost_answer, counted.cut_short)


def attempt(step: Step, subject: Subject) -> tuple[Verdict, str]:
    """Run a step, and delete what it made; return its verdict and what it saw. An error of AWS fails only this step."""
    try:
        with subject.made:
            return "ok", step(subject)
    except Later as reason:
        return "later", str(reason)
    except (CannotRun, BotoCoreError, ClientError) as error:
        return "failed", in_one_line(error)
