"""`explain`: what an event would do now, from the decisions that the function acts on. It reads, and changes nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, assert_never

from rds_snap_backup.backup.decisions import Decisions, Selected, Unusable
from rds_snap_backup.backup.results import entries, ignored, names_in, refused
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.commvault.client import task_body
from rds_snap_backup.core.backups import Backup
from rds_snap_backup.core.coordinator import (
    AskStatus,
    Coordinator,
    ReadInventory,
    ReadJobs,
    ReadStart,
    ReadSubclients,
    ReadTarget,
    Save,
    Saved,
    Send,
)
from rds_snap_backup.core.phases import Doubted, Ended, Named, Out, Running, Unlisted, Waiting
from rds_snap_backup.core.reading import JobsRead
from rds_snap_backup.core.record import Gathering, Submission, submission_key
from rds_snap_backup.ledger.audits import Audits
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.selection import SelectedBy, selected_associations
from rds_snap_backup.targets import NAMES, Association
from rds_snap_backup.triggers import Arrival, Ignored, SubmissionMessage, Trigger, database_event, parse, unwrap

type Would = Literal["submit", "join", "wait", "reject", "nothing"]

ONLY_REPORTS = "A call whose requestId was used before only reports."
SENT_AGAIN = "The message of its submission was lost, and is sent again."
NOT_ASKED = Problem("NOT_ASKED", "An explanation does not ask Commvault.", "No action is needed.")


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
                answer = self._answer(message.trigger, [self._submission(message, "name", {})])
            case Selected(trigger, reasons):
                requested: dict[str, str] = {}
                submissions = [
                    self._submission(SubmissionMessage(trigger, name), by, requested, is_direct=not is_message)
                    for name, by in reasons.items()
                ]
                answer = self._answer(trigger, submissions)
        return answer | ({"warning": warning} if warning else {})

    def _answer(self, trigger: Trigger, submissions: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the answer; what would be requested says how many databases its group selected at the last audit."""
        started = [row for each in submissions for row in each["associations"] if row["would"] == "submit"]
        if started:
            config = self.services.config
            known = Audits(self.services.table, config.ledger_days, self.services.clock).load().groups
            for row in started:
                row["why"] += _snapshots(known.get(json.dumps([row[name] for name in NAMES])))
        return {"explain": {"kind": trigger.kind, "identity": trigger.id, "submissions": submissions}}

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
                    foreseen = self._foresee(submission, message.letter or 0, past_cache=past_cache)
                    after = foreseen.submission
                    if foreseen.problem:
                        verdicts = [Verdict(None, "nothing", foreseen.problem.message)]
                    else:
                        pairs = zip(submission.backups or after.backups, after.backups, strict=True)
                        verdicts = [_judge(before, now, foreseen, requested) for before, now in pairs]
                    request = _request(foreseen.send, requested) if foreseen.send else None
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

    def _foresee(self, submission: Submission, letter: int, *, past_cache: bool) -> "Foreseen":
        """Drive the coordinator as the next run does, until its request is out or it waits; nothing is written.

        Commvault is not asked: what depends on its jobs stays as it is.
        """
        submission = _gathered(submission, self.services.clock())
        steps = Coordinator(self.services.config.policy, self.services.clock).run(submission, letter)
        answer: Any = None
        while True:
            try:
                request = steps.send(answer)
            except StopIteration as stop:
                problem = stop.value if isinstance(stop.value, Problem) else None
                return Foreseen(submission, problem=problem)
            match request:
                case Save(change):
                    submission = change.submission
                    answer = Saved(submission)
                case AskStatus():
                    status = self.decisions.status(submission.trigger)
                    # As if it had gathered, also where RDS cannot be asked.
                    answer = None if isinstance(status, Problem) else status
                case ReadJobs():
                    answer = JobsRead(self.services.clock(), problem=NOT_ASKED)
                case ReadInventory():
                    answer = NOT_ASKED
                case ReadSubclients(keys):
                    answer = self.services.submissions.subclients(keys)
                case ReadStart(keys):
                    answer = self.decisions.start_inputs(submission, keys, past_cache=past_cache)
                case ReadTarget():
                    answer = self.decisions.fresh(submission)
                case Send():
                    return Foreseen(submission, request)
                case _:
                    answer = None


@dataclass(frozen=True)
class Foreseen:
    """A submission as the next run leaves it: when its request is out (`send`), or when it waits or is over.

    `problem` is why its letter cannot open it again.
    """

    submission: Submission
    send: Send | None = None
    problem: Problem | None = None


def _gathered(submission: Submission, now: float) -> Submission:
    """Return a submission as if its event had gathered."""
    if not (gathering := submission.gathering):
        return submission
    waiting = submission.changed(lambda backup: replace(backup, phase=Waiting(now)))
    return replace(
        waiting,
        wake_at=0,
        gathering=Gathering(min(0, now - submission.trigger.moment(submission.created)), gathering.available_since),
    )


def _snapshots(count: int | None) -> str:
    """Say how many databases a job would snapshot, as far as the last audit knows it."""
    if count is None:
        return ""
    return f" At the last audit its group selected {count} database{'' if count == 1 else 's'}: one snapshot of each."


def _request(send: Send, requested: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the body of the request that is out, without what an earlier target requests."""
    left = tuple(association for association in send.request.associations if association.key not in requested)
    return task_body(replace(send.request, associations=left)) if left else None


def _reported(backup: Backup, *, is_stuck: bool) -> Verdict:
    """Return what a repeated manual call does with a backup."""
    if is_stuck and backup.is_open:
        return Verdict(backup.association, "wait", SENT_AGAIN)
    return Verdict(backup.association, "nothing", ONLY_REPORTS)


def _judge(before: Backup, after: Backup, foreseen: Foreseen, requested: Mapping[str, str]) -> Verdict:
    """Return what happens with a backup."""
    would, why = _would(before, after, foreseen.send)
    if would == "submit" and (other := requested.get(after.key)):
        would, why = "wait", f"The target {other!r} requests it for the same trigger. It joins that job, or follows it."
    return Verdict(after.association, would, why)


def _would(before: Backup, after: Backup, send: Send | None) -> tuple[Would, str]:
    reason = after.error.message if after.error else ""
    match after.phase:
        case Out(number) if send and number == send.attempt.number:
            return "submit", f"A {send.attempt.level} backup is requested at once."
        case Ended("joined") if before.is_open:
            return "join", _joined(after)
        case Ended("rejected") if before.is_open:
            return "reject", reason
        case Waiting(due) if send and due <= send.attempt.began:
            return "submit", "It is requested after the first request, in another one."
        case Waiting():
            return "wait", reason or "It waits for its submission's next try."
        case Doubted() | Unlisted():
            return "wait", f"Commvault may have accepted its request: its job is looked for first. {reason}".rstrip()
        case Out():
            return "wait", "Its request is out."
        case Named() | Running() | Ended():
            job = f": job {after.job.id}" if after.job else ""
            end = after.phase.end if isinstance(after.phase, Ended) else "running"
            return "nothing", f"It arrived before, and its backup is {end}{job}. {reason}".rstrip()
        case never:
            assert_never(never)


def _joined(backup: Backup) -> str:
    """Say why a job satisfies a backup."""
    return f"Job {backup.job.id} began after it, and satisfies it." if backup.job else "A job satisfies it."
