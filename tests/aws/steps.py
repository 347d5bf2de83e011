"""The steps of the verification on AWS, by name."""

from collections.abc import Callable, Mapping

from tests.aws import acting, counted, hops, standing, watched
from tests.aws.subject import Finding, Subject

type Step = Callable[[Subject], Finding]

# By name, in this order: steps that make something happen come before those that look at its traces.
STEPS: Mapping[str, Step] = {
    "deployment": standing.deployment,
    "tags": standing.tags,
    "first-invocation": standing.first_invocation,
    "rds-rule": standing.rds_rule,
    "rds-access": standing.rds_access,
    "listeners": standing.listeners,
    "dashboard": standing.dashboard,
    "compare-and-set": acting.compare_and_set,
    "topic": acting.topic,
    "member-role": hops.member_role,
    "member-event": hops.member_event,
    "queue": acting.queue,
    "placeholders": acting.placeholders,
    "dead-letters": acting.dead_letters,
    "killed-run": acting.killed_run,
    "metrics": watched.metrics,
    "alarm-action": watched.alarm_action,
    "dead-mans-switch": watched.dead_mans_switch,
    "recursion": watched.recursion,
    "redaction": watched.redaction,
}
# Those of a stack whose CommvaultApiUrl leads to a CommServe simulator.
COUNTED: Mapping[str, Step] = {
    "duplicate": counted.duplicate,
    "lost-answer": counted.lost_answer,
    "cut-short": counted.cut_short,
}
