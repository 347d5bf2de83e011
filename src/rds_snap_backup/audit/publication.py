"""When a scheduled audit's findings are published: when they change, once when they are gone, and weekly while they last.

They are recorded before they are published and marked after, so that a run that is killed leaves the rest to the next one.
"""

import uuid
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from rds_snap_backup.audit.findings import Finding, Question
from rds_snap_backup.audit.summary import published_form
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.ledger.audits import Audited, Audits, AuditState, Keys
from rds_snap_backup.ledger.steps import Publish
from rds_snap_backup.observability import count, logger

# Somewhat less than a week: the audit of the seventh day may begin a little earlier than the first one did.
REPEAT_SECONDS = 7 * 86400 - 3600
# Of one question: the item holds 400 KB. A change beyond that is not noticed.
MAX_KEYS = 2000


@dataclass(frozen=True)
class Change:
    """What became of the findings since the last audit: the keys of all, how many are new, and whether to publish."""

    keys: Keys
    new: int
    is_due: bool


def change_of(state: AuditState, findings: Sequence[Finding], unanswered: AbstractSet[Question], now: float) -> Change:
    """Compare findings with those of the last audit. What was known of a question that was not answered still stands.

    Of findings that last, all count as new once a week.
    """
    today: dict[str, set[str]] = {}
    for one in findings:
        today.setdefault(one.question, set()).add(one.key)
    for question in unanswered:
        today.setdefault(question, set()).update(state.keys.get(question, ()))
    keys = {question: frozenset(sorted(some)[:MAX_KEYS]) for question, some in today.items() if some}
    now_known, known = (frozenset(key for some in one.values() for key in some) for one in (keys, state.keys))
    if now_known and now >= state.notified_at + REPEAT_SECONDS:
        return Change(keys, len(now_known), is_due=True)
    return Change(keys, len(now_known - known), is_due=now_known != known)


class Publication:
    """The publishing of one scheduled run, which is identified by `run`: delivered again, it publishes nothing more."""

    def __init__(self, services: Services, audits: Audits, run: str) -> None:
        self._services = services
        self._audits = audits
        self._run = run
        self._owner = uuid.uuid4().hex

    def publish(
        self, report: Mapping[str, Any], findings: Sequence[Finding], unanswered: AbstractSet[Question]
    ) -> None:
        """Publish what an earlier run had recorded, and this run's findings where they are due."""
        state = self._audits.last()
        if state.is_pending:
            match self._audits.resume(state, self._owner):
                case Publish(notification):
                    self._send(notification, state.new_findings)
        if state.run == self._run:
            logger.info("This run has been recorded before", run=self._run)
            return
        change = change_of(state, findings, unanswered, self._services.clock())
        due = published_form(report) if change.is_due else None
        outcome = Audited(self._run, change.keys, due, change.new)
        if not self._audits.record(state, outcome, self._owner):
            logger.info("Another run has recorded its findings meanwhile", run=self._run)
        elif due is not None:
            self._send(due, change.new)

    def _send(self, notification: Mapping[str, Any], new_findings: int) -> None:
        try:
            self._services.notifications.publish_audit(notification)
        except Exception:
            self._audits.release(self._owner)
            raise
        if new_findings:
            count("AuditFinding", self._services.config.service, new_findings)
        self._audits.mark_published(self._owner)
        logger.info("Published the audit", findings=notification["counts"]["findings"], new=new_findings)
