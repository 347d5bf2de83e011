"""The publishing of scheduled audits: every day one message, which says what is news.

It is recorded before it is published, so that the next run publishes what a killed run has not. A subscriber may see a
message twice, never zero times.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from rds_snap_backup.audit.findings import Finding
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.ledger.audits import AuditChangedError, Audits, AuditState, Keys
from rds_snap_backup.messaging import audit_messages
from rds_snap_backup.messaging.audit_messages import MAX_FINDINGS, title
from rds_snap_backup.observability import count, logger

# Somewhat less than a week: the audit of the seventh day may begin a little earlier than the first one did.
REPEAT_SECONDS = 7 * 86400 - 3600
# The item holds 400 KB. A change beyond that is not noticed.
MAX_KEYS = 6000
# Longer lists of places are not published.
MAX_SHOWN_PLACES = 300


@dataclass(frozen=True)
class News:
    """The changes since the last scheduled audit: the keys of all findings, and the number of those that are new.

    `is_news` is also true if findings are gone.
    """

    keys: Keys
    new: int
    is_news: bool

    def recorded(self, state: AuditState, now: float) -> AuditState:
        """Return the state of the last audit with this one's findings."""
        return replace(state, keys=self.keys, told_at=now if self.new else state.told_at, pending_new=self.new)


def news_of(state: AuditState, findings: Sequence[Finding], unanswered: AbstractSet[str], now: float) -> News:
    """Compare findings with those of the last audit. Those of a question that was not answered still stand.

    `unanswered` has questions, or their groups for those that were not answered in one place: then findings of that place
    stand, and those without a place. All findings count as new again when they have lasted for a week.
    """
    standing = unanswered | {group.partition("@")[0] for group in unanswered}
    today: dict[str, set[str]] = {}
    for finding in findings:
        today.setdefault(finding.group, set()).add(finding.key)
    for group, known_keys in state.keys.items():
        if group in standing or group.partition("@")[0] in unanswered:
            today.setdefault(group, set()).update(known_keys)
    keys = _limited(today)
    current, known = (frozenset[str]().union(*each.values()) for each in (keys, state.keys))
    if current and now >= state.told_at + REPEAT_SECONDS:
        return News(keys, len(current), is_news=True)
    return News(keys, len(current - known), is_news=current != known)


def _limited(found: Mapping[str, AbstractSet[str]]) -> Keys:
    """Return as many keys as are kept, always the same ones."""
    kept: dict[str, frozenset[str]] = {}
    left = MAX_KEYS
    for group in sorted(found, key=lambda group: (len(found[group]), group)):
        if some := sorted(found[group])[:left]:
            kept[group] = frozenset(some)
            left -= len(some)
    return kept


def notification_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is published of an answer: the first findings, and no long list of accounts; `counts` has their numbers."""
    scope = answer["scope"]
    accounts = scope["accounts"] if len(scope["accounts"]) <= MAX_SHOWN_PLACES else []
    shown = {"findings": answer["findings"][:MAX_FINDINGS], "scope": {**scope, "accounts": accounts}}
    return {**answer, **shown, "title": title(answer)}


def publish(services: Services, audits: Audits, state: AuditState) -> None:
    """Record a run's state, whose `pending` is its notification, and publish that."""
    try:
        recorded = audits.save(state)
    except AuditChangedError:
        logger.info("Another run has recorded its findings meanwhile", run=state.run)
    else:
        publish_pending(services, audits, recorded)


def publish_pending(services: Services, audits: Audits, state: AuditState) -> AuditState:
    """Publish the recorded notification that may not have been published; return the state without it."""
    if state.pending is None:
        return state
    audit_messages.publish(services.notifications, state.pending, is_problem=state.pending_new > 0)
    if state.pending_new:
        count("AuditFinding", services.config.service, state.pending_new)
    logger.info("Published the audit", counts=state.pending["counts"], new=state.pending_new)
    published = replace(state, pending=None, pending_new=0)
    try:
        return audits.save(published)
    except AuditChangedError:
        logger.info("Another run has published it too")
        return audits.load()
