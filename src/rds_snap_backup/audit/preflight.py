"""The preflight, `{"check": true}`: whether a trigger that came now would start a backup, and hints if not.

One check for each thing that must be right, in the order in which they depend on each other. It submits nothing, and it
ends before the function's time does. The audit makes findings of the same checks.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rds_snap_backup.audit.access import access_checks, renewal_check
from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.checks import Check, not_read, passed, warned
from rds_snap_backup.audit.coverage import Contents
from rds_snap_backup.audit.documents import (
    Counts,
    StoredTarget,
    association_checks,
    events_check,
    gather_checks,
    level_checks,
    missing_check,
    read_targets,
    targets_check,
)
from rds_snap_backup.audit.estate import judge_of, read_estate, selected_by
from rds_snap_backup.audit.findings import QUOTA_HINT
from rds_snap_backup.audit.pages import Reading
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.commvault.clients import Client
from rds_snap_backup.commvault.inventory import Discovery, Group
from rds_snap_backup.ledger.audits import Audits
from rds_snap_backup.messaging.notifications import Subscription
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.calls import Calls
from rds_snap_backup.rds.databases import Databases, Quota
from rds_snap_backup.rds.members import Members
from rds_snap_backup.targets import Target

NOBODY = "NOBODY_LISTENS"

type Count = Callable[[Discovery, Sequence[Target]], Counts]


@dataclass(frozen=True)
class Preflight:
    """The checks, and the facts behind them that the audit uses too."""

    checks: list[Check]
    stored: Sequence[StoredTarget] | Problem
    discovery: Discovery
    counts: Counts

    @property
    def targets(self) -> list[Target]:
        """The enabled targets whose documents are valid."""
        stored = [] if isinstance(self.stored, Problem) else self.stored
        return [each.target for each in stored if each.target and each.target.enabled]

    def snapshots(self, only: str | None) -> int | None:
        """Return how many snapshots one backup of the targets makes; None if the databases of a group are not counted."""
        keys = keys_of(target for target in self.targets if only in {None, target.name})
        return sum(self.counts.of[key] for key in keys) if keys <= self.counts.of.keys() else None


def check(
    services: Services,
    databases: Databases,
    members: Members,
    seconds_left: Callable[[], float],
    target: str | None = None,
) -> Reading:
    """Check everything, of all targets or of one, and answer `{"ok", "checks"}`. `databases` are those of the stack's account.

    The databases of groups are those of the last audit; they are counted now if it has not counted those of all targets.
    """
    aws = aws_calls(seconds_left)
    audits = Audits(services.table, services.config.ledger_days, services.clock)
    known = aws.result(audits.load)
    last = Counts({} if isinstance(known, Problem) else known.groups)
    quotas = aws.result(databases.quotas)

    def count(discovery: Discovery, targets: Sequence[Target]) -> Counts:
        if keys_of(targets) <= last.of.keys():
            return last
        estate = read_estate(services.config, databases, members, aws)
        judge = judge_of(services.config, services.clock(), estate, targets)
        counted = selected_by(replace(judge, contents=Contents(list(groups_of(discovery, targets)))))
        return last if estate.unread else Counts({**last.of, **counted}, counted)

    preflight = run_preflight(services, aws, count, target)
    checks = preflight.checks
    if target is None and services.config.has_rds_events and not isinstance(preflight.stored, Problem):
        checks.append(events_check(preflight.stored))
    checks.append(quota_check(services.config.region, quotas, preflight.snapshots(target)))
    logger.info("Checked", checks=len(checks), failed=sum(not check.ok for check in checks))
    return Reading({"ok": all(check.ok for check in checks)}, "checks", [check.to_json() for check in checks])


def run_preflight(services: Services, aws: Calls, count: Count, only: str | None = None) -> Preflight:
    """Make all checks, of all targets or of the one named `only`."""
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
        checks += [target.check, *level_checks(target), *association_checks(target, discovery)]
    counts = count(discovery, [target.target for target in targets if target.target])
    checks = [
        *map(counts.added_to, checks),
        *(check for target in targets for check in gather_checks(target, counts.of)),
    ]
    return Preflight(checks, stored, discovery, counts)


def keys_of(targets: Iterable[Target]) -> set[str]:
    """Return the keys of the groups that targets name."""
    return {association.key for target in targets for association in target.request.associations}


def groups_of(discovery: Discovery, targets: Iterable[Target]) -> Iterator[Group]:
    """Yield the groups of the clients that targets name, as far as the checks of the targets read them."""
    names = {association.client_name for target in targets for association in target.request.associations}
    for client in map(discovery.client, sorted(names)):
        if isinstance(client, Client):
            groups = discovery.groups(client)
            yield from () if isinstance(groups, Problem) else groups


def quota_check(region: str, quotas: Sequence[Quota] | Problem, snapshots: int | None) -> Check:
    """Check that the stack's region has room for the manual snapshots that one backup of the targets makes."""
    if isinstance(quotas, Problem):
        return not_read("quota", None, quotas, f"The quota of manual snapshots in {region}")
    used = ", ".join(f"{quota.used} of {quota.limit} ({quota.name})" for quota in quotas)
    more = (
        "How many databases the targets' groups select is not known."
        if snapshots is None
        else f"One backup of the targets makes {snapshots} in all regions."
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
