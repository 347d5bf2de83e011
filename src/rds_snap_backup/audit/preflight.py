"""The preflight, `{"check": true}`: whether a trigger that came now would start a backup, and hints if not.

One check for each thing that must be right, in the order in which they depend on each other. It submits nothing, and it
ends before the function's time does. The audit makes findings of the same checks.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rds_snap_backup.audit.access import access_checks, renewal_check
from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.checks import Check, not_read, passed, warned
from rds_snap_backup.audit.documents import (
    StoredTarget,
    association_checks,
    events_check,
    level_checks,
    missing_check,
    read_targets,
    targets_check,
)
from rds_snap_backup.audit.findings import QUOTA_HINT
from rds_snap_backup.audit.pages import Reading
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.commvault.inventory import Discovery
from rds_snap_backup.ledger.audits import Audits
from rds_snap_backup.messaging.notifications import Subscription
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.calls import Calls
from rds_snap_backup.rds.databases import Databases, Quota
from rds_snap_backup.targets import Target

NOBODY = "NOBODY_LISTENS"


@dataclass(frozen=True)
class Preflight:
    """The checks, and the facts behind them that the audit uses too."""

    checks: list[Check]
    stored: Sequence[StoredTarget] | Problem
    discovery: Discovery

    @property
    def targets(self) -> list[Target]:
        """The enabled targets whose documents are valid."""
        stored = [] if isinstance(self.stored, Problem) else self.stored
        return [each.target for each in stored if each.target and each.target.enabled]


def check(
    services: Services, databases: Databases, seconds_left: Callable[[], float], target: str | None = None
) -> Reading:
    """Check everything, of all targets or of one, and answer `{"ok", "checks"}`. `databases` are those of the stack's account."""
    aws = aws_calls(seconds_left)
    audits = Audits(services.table, services.config.ledger_days, services.clock)
    known = aws.result(audits.load)
    counts = {} if isinstance(known, Problem) else known.groups
    quotas = aws.result(databases.quotas)
    preflight = run_preflight(services, aws, counts, target)
    checks = preflight.checks
    if target is None and services.config.has_rds_events and not isinstance(preflight.stored, Problem):
        checks.append(events_check(preflight.stored))
    checks.append(quota_check(services.config.region, quotas, snapshots_of(preflight, counts, target)))
    logger.info("Checked", checks=len(checks), failed=sum(not check.ok for check in checks))
    return Reading({"ok": all(check.ok for check in checks)}, "checks", [check.to_json() for check in checks])


def run_preflight(services: Services, aws: Calls, counts: Mapping[str, int], only: str | None = None) -> Preflight:
    """Make all checks, of all targets or of the one named `only`; `counts` as in `association_checks`."""
    config, now = services.config, services.clock()
    # AWS first: its calls are short, and Commvault gets the time that is left.
    secret = aws.result(services.auth.unusable_secret)
    documents = aws.rows(services.targets.stored)
    stored = documents if isinstance(documents, Problem) else read_targets(services.targets, documents)
    targets = [] if isinstance(stored, Problem) else [target for target in stored if only in {None, target.name}]
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
        checks += [target.check, *level_checks(target), *association_checks(target, discovery, counts)]
    return Preflight(checks, stored, discovery)


def snapshots_of(preflight: Preflight, counts: Mapping[str, int], only: str | None) -> int | None:
    """Return how many snapshots one backup of the targets makes, by the last audit; None if it counted no database of one."""
    targets = [target for target in preflight.targets if only in {None, target.name}]
    keys = {association.key for target in targets for association in target.request.associations}
    return sum(counts[key] for key in keys) if keys <= counts.keys() else None


def quota_check(region: str, quotas: Sequence[Quota] | Problem, snapshots: int | None) -> Check:
    """Check that the stack's region has room for the manual snapshots that one backup of the targets makes."""
    if isinstance(quotas, Problem):
        return not_read("quota", None, quotas, f"The quota of manual snapshots in {region}")
    used = ", ".join(f"{quota.used} of {quota.limit} ({quota.name})" for quota in quotas)
    more = (
        "The next audit counts the databases of the targets' groups."
        if snapshots is None
        else f"One backup of the targets makes {snapshots} in all regions, by the last audit."
    )
    detail = f"Manual snapshots in {region}: {used} are used. {more}"
    if any(quota.limit and quota.used + (snapshots or 0) > quota.limit for quota in quotas):
        return warned("quota", None, detail, QUOTA_HINT)
    return passed("quota", None, detail)


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
