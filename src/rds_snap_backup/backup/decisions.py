"""Decisions: what a trigger selects, begins and does next, with reads only.

The Backup function acts on these decisions and `explain` shows them, so the two cannot differ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from rds_snap_backup.bootstrap import Services
from rds_snap_backup.core.opening import DatabaseStatus, apply_status, begin, reject_trigger
from rds_snap_backup.core.policy import Pin
from rds_snap_backup.core.record import Submission
from rds_snap_backup.core.starting import StartInputs
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.rds.statuses import OtherEngine, Statuses
from rds_snap_backup.selection import Rules, SelectedBy, selected_associations
from rds_snap_backup.targets import Target
from rds_snap_backup.triggers import ALL, Ignored, Request, SubmissionMessage, Trigger
from rds_snap_backup.untrusted import clean_text

EXPIRED = Problem(
    "SUBMISSION_EXPIRED",
    "The ledger does not know the dead letter's submission any more: its item has expired.",
    "Start the target by hand if a backup is still needed, and delete the dead letter.",
)


@dataclass(frozen=True)
class Selected:
    """A trigger, and by the names of its targets what selected each."""

    trigger: Trigger
    reasons: Mapping[str, SelectedBy]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its targets."""
        return tuple(self.reasons)


@dataclass(frozen=True)
class Unusable:
    """A message whose submission cannot be begun or opened again: its letter is kept as it is."""

    problem: Problem


class Decisions:
    """Decides for one sandbox. It reads SSM, RDS and the ledger, and changes nothing."""

    def __init__(self, services: Services, statuses: Statuses) -> None:
        self._services = services
        self._statuses = statuses
        self._policy = services.config.policy

    # ---- Which submissions

    def select(
        self,
        parsed: Request | SubmissionMessage | Ignored,
        seconds_left: Callable[[], float] | None = None,
        *,
        past_cache: bool = False,
    ) -> Selected | SubmissionMessage | Ignored:
        """Return the targets that a trigger is for. Raises `OutOfTime` where they cannot be read in time."""
        if not isinstance(parsed, Request):
            return parsed
        trigger, names, targets = parsed.trigger, parsed.names, self._services.targets
        if ALL in names:
            found = targets.documents(past_cache=True)
            return Selected(trigger, dict.fromkeys(found, "all")) if found else Ignored("There are no targets.")
        if names:
            return Selected(trigger, dict.fromkeys(names, "name"))
        config = self._services.config
        if trigger.account not in config.account_ids and not config.admits_every_account:
            return Ignored(f"Events of the account {trigger.account!r} do not count: AccountIds does not list it.")
        # A usable name on the tag decides alone: its document is one call, and the list of 600 is 60.
        documents = targets.named(trigger.tagged, past_cache=past_cache, seconds_left=seconds_left)
        selection = Rules.read(documents, config.own_account).select(trigger)
        if selection.reason != "tag":
            documents = targets.documents(past_cache=past_cache, seconds_left=seconds_left)
            selection = Rules.read(documents, config.own_account).select(trigger)
        reasons: dict[str, SelectedBy] = dict.fromkeys(selection.names, selection.reason)
        if reasons := reasons | dict.fromkeys(selection.unknown, "tag"):
            return Selected(trigger, reasons)
        return Ignored(f"No target's databases match {clean_text(trigger.source_arn or 'anything')}.")

    def target(self, name: str, *, past_cache: bool = False) -> Target | Problem:
        """Return a target as its document is now, or why there is none."""
        try:
            return self._services.targets.load(name, past_cache=past_cache)
        except InvalidInput as invalid:
            return invalid.problem

    def tags(self, arn: str) -> Mapping[str, str] | Problem | None:
        """Return a database's tags, which its events bring; None where RDS does not know it."""
        return self._statuses.tags(arn)

    def begin(self, trigger: Trigger, name: str, *, past_cache: bool = False) -> Submission | Ignored:
        """Return a new submission as the target's document says, or why there is none.

        Of a target that is unknown or not valid it is a rejected one, with an `error`.
        """
        now, target = self._services.clock(), self.target(name, past_cache=past_cache)
        if isinstance(target, Problem):
            return reject_trigger(trigger, name, target, now)
        if reason := target.declines(trigger):
            return Ignored(reason)
        associations = selected_associations(target, trigger, self._services.config.own_account)
        if not associations:
            return Ignored(f"The target {name!r} does not select {clean_text(trigger.source_arn or 'it')}.")
        submission = begin(trigger, target, associations, self._policy, now)
        if submission.gathering is None:
            return submission
        status = self._statuses.status(trigger)
        if isinstance(status, OtherEngine):
            return Ignored(status.reason)
        return apply_status(submission, status, self._policy, self._services.clock())

    def resume(
        self, message: SubmissionMessage, known: Submission | None, *, past_cache: bool = True
    ) -> Submission | Ignored | Unusable:
        """Return the submission that a message continues or begins."""
        if known is None:
            is_letter = message.letter is not None
            return (
                Unusable(EXPIRED) if is_letter else self.begin(message.trigger, message.target, past_cache=past_cache)
            )
        return known

    # ---- What the coordinator asks for

    def fresh(self, known: Submission) -> Submission | Problem:
        """Return what the current document begins, for a letter that opens a submission again, or why it cannot."""
        target = self.target(known.target, past_cache=True)
        if isinstance(target, Problem):
            return target
        if known.backups:
            return known
        fresh = self.begin(known.trigger, known.target)
        if isinstance(fresh, Ignored):
            hint = "Let its document take this trigger (enabled, rdsEventIds, databases), then redrive."
            return Problem("TARGET_DISABLED", fresh.reason, hint)
        return fresh

    def status(self, trigger: Trigger) -> DatabaseStatus:
        """Return the status of an event's database."""
        status = self._statuses.status(trigger)
        return None if isinstance(status, OtherEngine) else status

    def start_inputs(self, submission: Submission, keys: tuple[str, ...], *, past_cache: bool = False) -> StartInputs:
        """Return what a start of these backups depends on. What is pinned is sent if the document is not usable.

        While a rate limit lasts the target is not read: a fleet that waits for it would exceed SSM's limit of reads.
        """
        inputs = self._services.submissions.start_inputs(submission, keys)
        if inputs.throttled_until > self._services.clock():
            return inputs
        match self.target(submission.target, past_cache=past_cache):
            case Problem() as problem:
                logger.warning("The pinned request is sent", target=submission.target, error=problem.to_json())
                return inputs
            case target:
                return replace(inputs, target=target, pin=Pin.of(target, self._policy))
