"""`explain`: what an event would do now, from the decisions that the function acts on. It reads, and changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from rds_snap_backup.backup.decisions import Decisions, Selected, Unusable
from rds_snap_backup.backup.results import entries, ignored, names_in, refused
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.commvault.client import task_body
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.record import MINUTE, Backup, Submission, map_backups, submission_key
from rds_snap_backup.selection import SelectedBy, selected_associations
from rds_snap_backup.submission import (
    Look,
    Publish,
    ReadInventory,
    Settle,
    Start,
    decide,
    elapse,
    out_attempt,
    published,
)
from rds_snap_backup.targets import Association
from rds_snap_backup.triggers import Arrival, Ignored, SubmissionMessage, Trigger, database_event, parse, unwrap

type Would = Literal["submit", "join", "wait", "reject", "nothing"]

ONLY_REPORTS = "A call whose requestId was used before only reports."
SENT_AGAIN = "The message of its submission was lost, and is sent again."
# What has to ask Commvault first is not due in an explanation.
NEVER = float("inf")


@dataclass(frozen=True)
class Verdict:
    """What happens with one association, None for a target as a whole."""

    association: Association | None
    would: Would
    why: str

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `associations`."""
        return {**names_in(self.association), "would": self.would, "why": self.why}


@dataclass(frozen=True)
class Explainer:
    """Explains events, for one sandbox."""

    services: Services
    decisions: Decisions

    def explain(self, asked: Any, arrival: Arrival) -> dict[str, Any]:
        """Return what an event, or the event of a database, would do if it arrived now."""
        event, warning, is_message = asked, "", False
        try:
            match asked:
                case {"database": str(arn), "event": str(event_id)}:
                    event = database_event(arn, event_id, str(iso(arrival.now)))
                    event["detail"]["Tags"], warning = self._tags(arn)
                case {"Records": [{"body": str(body), "messageId": str(message_id), **record}]}:
                    event, arrival = unwrap(body, message_id, record.get("messageAttributes"), arrival.now)
                    is_message = True
            selected = self.decisions.select(parse(event, arrival, self.services.config.service), past_cache=True)
        except InvalidInput as invalid:
            return refused(invalid.problem)
        match selected:
            case Ignored(reason):
                answer = ignored(reason)
            case SubmissionMessage() as message:
                answer = _answer(message.trigger, [self._submission(message, "name", {})])
            case Selected(trigger, reasons):
                requested: dict[str, str] = {}
                submissions = [
                    self._submission(SubmissionMessage(trigger, name), by, requested, is_direct=not is_message)
                    for name, by in reasons.items()
                ]
                answer = _answer(trigger, submissions)
        return answer | ({"warning": warning} if warning else {})

    def _tags(self, arn: str) -> tuple[Mapping[str, str], str]:
        """Return the tags that a database's event would bring, and a warning where RDS does not tell them."""
        match self.decisions.tags(arn):
            case Problem(message=message):
                return {}, f"The tags of {arn} cannot be read, so they select nothing here. {message}"
            case None:
                return {}, f"RDS does not know {arn}, so no tags select anything here."
            case tags:
                return tags, ""

    def _submission(
        self, message: SubmissionMessage, by: SelectedBy, requested: dict[str, str], *, is_direct: bool = False
    ) -> dict[str, Any]:
        """Explain one target. `requested` names the target that requests a subclient, for the targets after it."""
        trigger, name = message.trigger, message.target
        known = self.services.submissions.load(submission_key(name, trigger))
        request = None
        if known and is_direct and trigger.kind == "manual":
            is_stuck = known.is_stuck(self.services.clock())
            verdicts = [_reported(backup, is_stuck=is_stuck) for backup in known.backups]
            verdicts = verdicts or [Verdict(None, "nothing", ONLY_REPORTS)]
        else:
            # The selection has just read the documents, except those of targets that the trigger names.
            past_cache = by == "name"
            match self.decisions.resume(message, known, past_cache=past_cache):
                case Ignored(reason):
                    verdicts = [
                        Verdict(association, "nothing", reason) for association in self._associations(trigger, name)
                    ]
                case Unusable(problem):
                    verdicts = [Verdict(None, "nothing", problem.message)]
                case Submission(error=Problem(message=why)):
                    verdicts = [Verdict(None, "nothing" if known else "reject", why)]
                case submission:
                    foreseen = self._foresee(submission, past_cache=past_cache)
                    is_begun = foreseen.attempt_count > submission.attempt_count
                    verdicts = [
                        _judge(before, after, foreseen, requested, is_begun=is_begun)
                        for before, after in zip(submission.backups, foreseen.backups, strict=True)
                    ]
                    request = _request(foreseen, requested) if is_begun else None
                    sent = [
                        verdict.association for verdict in verdicts if verdict.association and verdict.would == "submit"
                    ]
                    requested.update({association.key: name for association in sent})
        return {
            "target": name,
            "selectedBy": by,
            "associations": [verdict.to_json() for verdict in verdicts],
            "known": entries(self.services, [known])[0] if known else None,
            "request": request,
        }

    def _associations(self, trigger: Trigger, name: str) -> tuple[Association | None, ...]:
        """Return what a trigger would select of a target that declines it."""
        target = self.decisions.target(name)
        if isinstance(target, Problem):
            return (None,)
        own_account = self.services.config.own_account
        return selected_associations(target, trigger, own_account) or target.request.associations

    def _foresee(self, submission: Submission, *, past_cache: bool) -> Submission:
        """Return a submission as the next run leaves it when its request is out, or when it waits."""
        clock = self.services.clock
        submission = elapse(submission, clock())
        while True:
            match decide(submission, clock()):
                case Publish():
                    submission = published(submission)
                case Settle():
                    submission = self.decisions.settle(submission)
                case Look(keys=keys):
                    submission = _put_off(submission, keys)
                case ReadInventory(associations):
                    submission = _put_off(submission, [association.key for association in associations])
                case Start(keys):
                    read_target = partial(self.decisions.target, submission.target, past_cache=past_cache)
                    return self.decisions.start(submission, keys, read_target).submission
                case _:
                    return submission


def _answer(trigger: Trigger, submissions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"explain": {"kind": trigger.kind, "identity": trigger.id, "submissions": submissions}}


def _put_off(submission: Submission, keys: "tuple[str, ...] | list[str]") -> Submission:
    return map_backups(submission, lambda backup: replace(backup, due=NEVER) if backup.key in keys else backup)


def _request(foreseen: Submission, requested: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the body of the request that is out, without what an earlier target requests."""
    attempt = out_attempt(foreseen)
    if attempt is None:
        return None
    request = foreseen.request(attempt)
    left = tuple(association for association in request.associations if association.key not in requested)
    return task_body(replace(request, associations=left)) if left else None


def _reported(backup: Backup, *, is_stuck: bool) -> Verdict:
    """Return what a repeated manual call does with a backup."""
    if is_stuck and backup.is_open:
        return Verdict(backup.association, "wait", SENT_AGAIN)
    return Verdict(backup.association, "nothing", ONLY_REPORTS)


def _judge(
    before: Backup, after: Backup, foreseen: Submission, requested: Mapping[str, str], *, is_begun: bool
) -> Verdict:
    """Return what happens with a backup. `is_begun`: its submission begins an attempt."""
    would, why = _would(before, after, foreseen, is_begun=is_begun)
    if would == "submit" and (other := requested.get(after.key)):
        would, why = "wait", f"The target {other!r} requests it for the same trigger. It joins that job, or follows it."
    return Verdict(after.association, would, why)


def _would(before: Backup, after: Backup, foreseen: Submission, *, is_begun: bool) -> tuple[Would, str]:
    reason = after.error.message if after.error else ""
    match before.state, after.state:
        case "waiting", "requested":
            return "submit", f"A {foreseen.attempt_of(after).level} backup is requested at once."
        case "waiting", "joined":
            return "join", _joined(after, foreseen)
        case "waiting", "rejected":
            return "reject", reason
        case _, "waiting" if is_begun and after == before and after.due <= foreseen.attempts[-1].began:
            return "submit", "It is requested after the first request, in another one."
        case _, "waiting":
            return "wait", reason or "It waits for its submission's next try."
        case _, "requested" if after.is_in_doubt:
            return "wait", f"Commvault may have accepted its request: its job is looked for first. {reason}".rstrip()
        case _, "requested":
            return "wait", "Its request is out."
        case _:
            job = f": job {after.job.id}" if after.job else ""
            return "nothing", f"It arrived before, and its backup is {after.state}{job}. {reason}".rstrip()


def _joined(backup: Backup, submission: Submission) -> str:
    """Say why a job satisfies a backup."""
    if backup.job is None:
        return "A job satisfies it."
    early = backup.moment - backup.job.started
    if early <= 0:
        return f"Job {backup.job.id} began after it, and satisfies it."
    allowed = submission.pin.cool_down_seconds / MINUTE
    return f"Job {backup.job.id} began {early / MINUTE:.0f} min before it, within the cool-down of {allowed:g} min."
