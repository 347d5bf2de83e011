"""The preflight, `{"check": true}`: whether a backup would be submitted if a trigger came now, and if not what to do.

One row for each thing that must be right, in the order in which they depend on each other. It submits
nothing, and it ends before the function's time does: what there was no time for is reported as such. The audit makes
findings of the same rows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rds_snap_backup.audit.access import access_rows
from rds_snap_backup.audit.asking import Asking
from rds_snap_backup.audit.documents import StoredTarget, association_rows, missing_row, read_targets, targets_row
from rds_snap_backup.audit.freshness import Ages, Freshness, judge, last_backup_row
from rds_snap_backup.audit.listeners import listeners_row
from rds_snap_backup.audit.report import Row, answer, unread
from rds_snap_backup.audit.token import renewal_row
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.commvault.inventory import Discovery
from rds_snap_backup.ledger.history import TargetHistory
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem


@dataclass(frozen=True)
class Checked:
    """What was asked: the rows, the targets, and for each target that it was possible for the verdict on its backups.

    `targets` is the problem where they could not be listed.
    """

    rows: list[Row]
    targets: list[StoredTarget] | Problem
    freshness: Mapping[str, Freshness]


def check(services: Services, seconds_left: Callable[[], float], target: str | None = None) -> dict[str, Any]:
    """Check everything, of all targets or of one, and answer `{"ok", "checks"}`."""
    rows = examine(services, seconds_left, target).rows
    logger.info("Checked", rows=len(rows), failed=sum(not row.ok for row in rows))
    return answer(rows)


def examine(services: Services, seconds_left: Callable[[], float], only: str | None = None) -> Checked:
    """Ask everything, of all targets or of one; `seconds_left` counts down to the end of asking."""
    asking, now = Asking(seconds_left), services.clock()
    # AWS first: its calls are short, and Commvault gets the time that is left.
    secret = asking.one(services.commvault.unusable_secret)
    documents = asking.all(services.targets.stored)
    targets = documents if isinstance(documents, Problem) else read_targets(services.targets, documents)
    asked = [] if isinstance(targets, Problem) else [one for one in targets if only in {None, one.name}]
    histories = asking.one(lambda: services.history.find(one.name for one in asked))
    subscriptions = asking.all(services.notifications.subscriptions)
    discovery = Discovery(services.commvault, seconds_left)
    first = discovery.begin(secret)

    rows = access_rows(services.config, secret, first)
    rows.append(renewal_row(asking.one(services.commvault.token_report), now))
    rows.append(targets_row(services.targets.parameter(""), targets))
    rows.append(listeners_row(subscriptions, services.config.jobs_queue_url))
    if only is not None and not asked and not isinstance(targets, Problem):
        rows.append(missing_row(only, services.targets.parameter(only)))
    ages = Ages.of(services.config)
    judged = _judge_all(asked, histories, ages, now)
    for one in asked:
        rows += [one.row, *association_rows(one, discovery)]
        match histories:
            case Problem():
                rows.append(unread("last_backup", one.name, histories, "The ledger"))
            case _:
                rows.append(last_backup_row(one.name, judged[one.name], ages, now))
    return Checked(rows, targets, judged)


def _judge_all(
    targets: Iterable[StoredTarget], histories: Mapping[str, TargetHistory] | Problem, ages: Ages, now: float
) -> dict[str, Freshness]:
    if isinstance(histories, Problem):
        return {}
    return {one.name: judge(one, histories.get(one.name, TargetHistory()), ages, now) for one in targets}
