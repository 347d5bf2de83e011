"""Decisions: what a trigger selects, begins and does next, with reads only.

The Backup function acts on these decisions and `explain` shows them, so the two cannot differ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rds_snap_backup.bootstrap import Services, policy_of
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.rds.statuses import Statuses
from rds_snap_backup.record import Change, Pin, Submission
from rds_snap_backup.selection import Rules, SelectedBy, selected_associations
from rds_snap_backup.submission import begin, pin_of, reject_trigger, reopen, repin, settle, start
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
        self._policy = policy_of(services.config)

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
        return begin(trigger, target, associations, self._pin(target), now)

    def resume(
        self, message: SubmissionMessage, known: Submission | None, *, past_cache: bool = True
    ) -> Submission | Ignored | Unusable:
        """Return the submission that a message continues, begins, or as a redriven letter opens again."""
        trigger, name, letter = message.trigger, message.target, message.letter
        if known is None:
            return self.begin(trigger, name, past_cache=past_cache) if letter is None else Unusable(EXPIRED)
        return known if letter is None or letter <= known.opened_letter else self._reopen(known, letter)

    def _reopen(self, known: Submission, letter: int) -> Submission | Unusable:
        target = self.target(known.target, past_cache=True)
        if isinstance(target, Problem):
            return Unusable(target)
        fresh = known if known.backups else self.begin(known.trigger, known.target)
        if isinstance(fresh, Ignored):
            hint = "Let its document take this trigger (enabled, rdsEventIds, databases), then redrive."
            return Unusable(Problem("TARGET_DISABLED", fresh.reason, hint))
        return reopen(known, letter, fresh, self._services.clock())

    # ---- The next step of a submission

    def settle(self, submission: Submission) -> Submission:
        """Let a submission go on, or wait for its event's database."""
        status = self._statuses.status(submission.trigger)
        return settle(submission, status, self._policy, self._services.clock())

    def start(
        self, submission: Submission, keys: tuple[str, ...], read_target: Callable[[], Target | Problem]
    ) -> Change:
        """Join, hold, or begin an attempt for these waiting backups. What is pinned is sent if the target is a problem.

        While a rate limit lasts the target is not read: a fleet that waits for it would exceed SSM's limit of reads.
        """
        surroundings = self._services.submissions.surroundings(submission, keys)
        target, now = None, self._services.clock()
        if surroundings.throttled_until <= now:
            read, now = read_target(), self._services.clock()
            target = None if isinstance(read, Problem) else read
        submission = repin(submission, target, self._pin(target) if target else submission.pin, now)
        return start(submission, surroundings, self._policy, now)

    def _pin(self, target: Target) -> Pin:
        config = self._services.config
        return pin_of(target, config.cool_down_minutes, config.retry_failed_jobs)
