"""The preflight, `{"check": true}`: whether a trigger that came now would start a backup, and hints if not.

One check for each thing that must be right, in the order in which they depend on each other. It submits nothing, and it
ends before the function's time does. The audit makes findings of the same checks.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rds_snap_backup.audit.access import access_checks, renewal_check
from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.checks import Check, answer, not_read, passed
from rds_snap_backup.audit.coverage import Coverage
from rds_snap_backup.audit.documents import (
    StoredTarget,
    association_checks,
    events_check,
    missing_check,
    names_of,
    read_targets,
    targets_check,
)
from rds_snap_backup.audit.verdicts import STALE_HINT, Ages, Judge
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.commvault.inventory import Discovery
from rds_snap_backup.messaging.notifications import Subscription, iso
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.calls import Calls
from rds_snap_backup.rds.databases import Place

NOBODY = "NOBODY_LISTENS"
STALE = "BACKUP_STALE"
MAX_NAMED = 3


@dataclass(frozen=True)
class Preflight:
    """The checks, and the facts behind them that the audit uses too."""

    checks: list[Check]
    stored: Sequence[StoredTarget] | Problem
    coverage: Coverage | Problem
    judge: Judge
    discovery: Discovery
    target_count: int


def check(
    services: Services, seconds_left: Callable[[], float], target: str | None = None, page: int = 1
) -> dict[str, Any]:
    """Check everything, of all targets or of one, and answer `{"ok", "checks"}`."""
    preflight = run_preflight(services, aws_calls(seconds_left), target)
    checks = preflight.checks
    if target is None and services.config.has_rds_events and not isinstance(preflight.stored, Problem):
        checks.append(events_check(preflight.stored))
    logger.info("Checked", checks=len(checks), failed=sum(not check.ok for check in checks))
    return answer(checks, page)


def run_preflight(services: Services, aws: Calls, only: str | None = None) -> Preflight:
    """Make all checks, of all targets or of the one named `only`."""
    config, now = services.config, services.clock()
    # AWS first: its calls are short, and Commvault gets the time that is left.
    secret = aws.result(services.auth.unusable_secret)
    documents = aws.rows(services.targets.stored)
    stored = documents if isinstance(documents, Problem) else read_targets(services.targets, documents)
    targets = [] if isinstance(stored, Problem) else [target for target in stored if only in {None, target.name}]
    coverage = Coverage(targets, Place(config.own_account, config.region))
    keys = {backup.key: None for backup in coverage.associations}
    judge = Judge(aws.result(lambda: services.submissions.subclients(keys)), Ages.of(config), now)
    discovery = Discovery(services.commvault, aws.seconds_left)
    first = discovery.begin(secret)

    checks = access_checks(config, secret, first)
    checks.append(renewal_check(aws.result(services.auth.report), now))
    checks.append(targets_check(services.targets.parameter(""), stored))
    for name, topic_arn in (("listeners", config.notifications_topic_arn), ("alarm_listeners", config.alarm_topic_arn)):
        subscriptions = aws.rows(lambda topic_arn=topic_arn: services.notifications.subscriptions(topic_arn))  # type: ignore[misc]
        checks.append(listeners_check(name, topic_arn, subscriptions))
    if only is not None and not targets and not isinstance(stored, Problem):
        checks.append(missing_check(only, services.targets.parameter(only)))
    for target in targets:
        checks += [target.check, *association_checks(target, discovery), *_last_backup(target, coverage, judge)]
    found = stored if isinstance(stored, Problem) else coverage
    return Preflight(checks, stored, found, judge, discovery, len(targets))


def listeners_check(name: str, topic_arn: str, subscriptions: Sequence[Subscription] | Problem) -> Check:
    """Check that a topic has a subscriber: without a subscriber every failure is silent."""
    if isinstance(subscriptions, Problem):
        return not_read(name, None, subscriptions, f"The subscriptions of {topic_arn}")
    confirmed = Counter(subscription.protocol for subscription in subscriptions if subscription.is_confirmed)
    waiting = sum(not subscription.is_confirmed for subscription in subscriptions)
    pending = f" {waiting} not confirmed yet." if waiting else ""
    if not confirmed:
        detail = f"Nobody receives the messages of {topic_arn}.{pending}"
        hint = "Subscribe a person or a program to the topic, such as an e-mail address, and confirm the subscription."
        return Check(name, None, ok=False, detail=detail, hint=hint, code=NOBODY)
    shown = ", ".join(f"{count} by {protocol}" for protocol, count in sorted(confirmed.items()))
    return passed(name, None, f"Confirmed subscriptions: {shown}.{pending}")


def _last_backup(target: StoredTarget, coverage: Coverage, judge: Judge) -> Iterable[Check]:
    """Yield the check of an enabled target's backups: it fails only if they must be recent, and one is not."""
    backups = coverage.of_target(target.name)
    # The ledger does not have the jobs of a task that Commvault starts by itself; the audit judges them by its list.
    if not backups or (target.content and target.content.request.task_type == "SCHEDULE"):
        return
    if isinstance(judge.subclients, Problem):
        yield not_read("last_backup", target.name, judge.subclients, "The ledger")
        return
    verdicts = [judge.judge(backup) for backup in backups]
    stale = [names_of(verdict.backup.association) for verdict in verdicts if verdict.name == "stale" and verdict.backup]
    if stale and judge.ages.is_required(backups[0].target):
        more = f" and {len(stale) - MAX_NAMED} more" if len(stale) > MAX_NAMED else ""
        hours = judge.ages.hours(backups[0].target)
        detail = f"No backup completed within {hours} h of {', '.join(stale[:MAX_NAMED])}{more}."
        yield Check("last_backup", target.name, ok=False, detail=detail, hint=STALE_HINT, code=STALE)
        return
    completed = [verdict.completed for verdict in verdicts if verdict.completed]
    detail = f"{len(completed)} of {len(backups)} subclients have a completed backup"
    if completed:
        oldest = min(completed, key=lambda job: job.began)
        detail += f", the oldest began at {iso(oldest.began)} (job {oldest.job_id})"
    yield passed("last_backup", target.name, f"{detail}.")
