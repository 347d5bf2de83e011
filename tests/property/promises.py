"""What is promised: checked at every write, request and message, and once everything has ended."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rds_snap_backup.config import HOUR, Config
from rds_snap_backup.core.backups import CLOCK_SKEW_SECONDS, DAY, LEASE_SECONDS, MAX_OPEN_SECONDS, Attempt, Backup
from rds_snap_backup.core.levels import covers
from rds_snap_backup.core.phases import SUCCEEDED, Doubted, Ended, Out, Unlisted
from rds_snap_backup.core.record import Notice, Submission
from rds_snap_backup.ledger.records import from_text
from tests.property.documents import UNUSABLE, Documents
from tests.property.model.commvault import CommServe
from tests.property.model.jobs import Job, Names, names_of
from tests.property.model.kernel import Kernel, Run

# Sandboxes' clocks differ, calls take their time, and rows show whole seconds.
SLACK = 8.0
JOB_ENDS = {"completed", "completed_with_errors", "failed", "killed", "lost"}
# What AWS failed at may be raised; nothing else is.
RAISED = {"EndpointConnectionError", "ClientError", "FanOutError", "Contended"}


@dataclass(slots=True)
class Promises:
    """The watcher. `begun` is which backup was in which attempt, `lost` are submissions whose message was deleted by hand, `strangers` those that adopted a job of
    Commvault's own schedule, with the subclient."""

    kernel: Kernel
    server: CommServe
    config: Config
    documents: Documents
    records: dict[str, Submission] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    begun: set[tuple[str, str, int]] = field(default_factory=set)
    notices: defaultdict[str, list[Notice]] = field(default_factory=lambda: defaultdict(list))
    published: set[tuple[str, Notice]] = field(default_factory=set)
    letters: set[tuple[str, int]] = field(default_factory=set)
    owners: dict[Job, str] = field(default_factory=dict)
    ended: dict[Job, str] = field(default_factory=dict)
    strangers: set[tuple[str, Names]] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    errors: list[BaseException] = field(default_factory=list)

    def attempt_end(self, key: str, number: int) -> float:
        """Return when an attempt ended: when its outcome was recorded, else when its lease ends."""
        attempt = self.attempts[key, number]
        return attempt.ended or attempt.began + LEASE_SECONDS

    def raised(self, error: BaseException) -> None:
        """A run raised something."""
        self.errors.append(error)

    # ---- At every write of a record

    def item_changed(self, key: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        if not key.startswith("submission#"):
            return
        run, was = self.kernel.current, self.records.get(key)
        now = from_text(new["record"]["S"], int(new["version"]["N"]), new["writeId"]["S"])
        self._must(now.version == (was.version if was else 0) + 1, f"{key}: a version was skipped")
        self._must(
            now.is_over == ("open" not in new), f"{key} is {'over' if now.is_over else 'open'}, and its index not"
        )
        self._must(not old or was is not None, f"{key} was written unseen")
        self.records[key], self.changed[key] = now, self.kernel.now
        self.attempts |= {(key, attempt.number): attempt for attempt in now.attempts}
        if run and now.out:
            run.out = key, now.out.number
            self.begun |= {(key, backup.key, now.out.number) for backup in now.backups if isinstance(backup.phase, Out)}
        for backup in now.backups:
            self._backup_changed(now, was, backup)
        self._outbox_changed(now, was.outbox if was else ())
        if now.is_over:
            self._must(self.kernel.now <= now.opened + MAX_OPEN_SECONDS + DAY, f"{key} was open for too long")

    def _backup_changed(self, now: Submission, was: Submission | None, backup: Backup) -> None:
        old = was.backup_of(backup.key) if was else None
        state = now.state_of(backup)
        if was and old and was.state_of(old) != state:
            self.kernel.seen[f"state: {was.state_of(old)} -> {state}"] += 1
            self.kernel.seen["opened again"] += was.state_of(old) in {"rejected", "abandoned"}
        is_new = backup.job is not None and (old is None or old.job is None or old.job.id != backup.job.id)
        if backup.job and is_new and (job := self._job(backup.job.id)):
            if state == "joined":
                self._must(job.names == _names(backup), f"{now.key} joined {job}")
            elif attempt := self.attempts.get((now.key, backup.attempt or (old.attempt if old else 0))):
                is_adopted = job.id not in attempt.job_ids
                self._owned(now, backup, job, attempt.level, is_adopted=is_adopted)

    def _outbox_changed(self, now: Submission, was: tuple[Notice, ...]) -> None:
        key = now.key
        for notice in was:
            if notice not in now.outbox:
                self._must((key, notice) in self.published, f"{key} forgot to publish {notice}")
                has_letter = not notice.letter or (key, notice.letter) in self.letters
                self._must(has_letter, f"{key} has no dead letter for {notice}")
        for notice in now.outbox:
            if notice not in was:
                self.notices[key].append(notice)
                if notice.status == "retrying" or (notice.status == "submitted" and notice.is_reconciled):
                    # A job may be found, and found to have failed, in one step.
                    for position, job_id in zip(notice.backups, notice.job_ids, strict=True):
                        if job := self._job(job_id):
                            self._owned(now, now.backups[position], job, notice.level, is_adopted=notice.is_reconciled)
                self.kernel.seen[f"notice: {notice.status}"] += 1
                if notice.error and notice.letter:
                    self.kernel.seen[f"{notice.status}: {notice.error.code}"] += 1

    def _owned(self, now: Submission, backup: Backup, job: Job, level: str, *, is_adopted: bool) -> None:
        """A backup has got a job: its own, or where it was in doubt one of Commvault's own schedule."""
        key, names = now.key, _names(backup)
        self._must(job.names == names, f"{key}: the job {job} is not of {names}")
        self._must(self.owners.setdefault(job, key) == key, f"{key} took a job of {self.owners[job]}")
        if job.origin != key and (key, names) not in self.strangers:
            self._must(not job.origin and is_adopted, f"{key} adopted the job of {job.origin}")
            self.strangers.add((key, names))
            self.kernel.seen["adopted a job that is not ours"] += 1
        self._must(covers(job.level, level), f"{key} asked for {level} and has {job}")
        self.kernel.seen["adopted"] += is_adopted

    # ---- At every request

    def requested(self, run: Run, request: dict[str, Any]) -> None:
        """A request leaves: recorded, the only one of its subclients, and after no job that its trigger has."""
        key, number = run.out
        record = self.records.get(key)
        sent = {names_of(association) for association in request["taskInfo"]["associations"]}
        level = request["taskInfo"]["subTasks"][0]["options"]["backupOpts"]["backupLevel"]
        attempt = record.out if record else None
        if record is None or attempt is None or attempt.number != number:
            self.kernel.fail(f"a request was sent before it was recorded: {request}")
            return
        recorded = {_names(backup) for backup in record.backups if backup.phase == Out(number)}
        self._must(
            bool(sent) and sent == recorded and level == attempt.level, f"{key} recorded {recorded}, sent {sent}"
        )
        self._must(sent <= self.documents.named[record.target], f"{key} sent what no document named: {sent}")
        is_of_document = level in self.documents.levels[record.target] or level == "FULL"
        self._must(is_of_document, f"{key} sent the level {level}")
        for names in sent:
            self._is_due(key, names)
        for late in self.server.late:
            meant = {names_of(association) for association in late.request["taskInfo"]["associations"]} & sent
            self._must(not meant, f"{key} sent {meant} while a request of {late.out} is under way")

    def _is_due(self, key: str, names: Names) -> None:
        now = self.kernel.now
        # A job whose ID was counted again is not adopted where the subclient's item knows that ID.
        gone = {job.id for job in self.server.history if job.is_gone}
        for job in self.server.history:
            if job.origin == key and job.names == names and job.id not in gone and (key, names) not in self.strangers:
                self._must(job.outcome == "failed" and job.ends <= now, f"{key} started {job}, and sends again")
        for other in self.records.values():
            if other.key == key or other.is_stuck(now) or other.key in self.lost:
                continue
            for backup in other.backups:
                if _names(backup) == names and _is_in_doubt(backup):
                    ended = self.attempts[other.key, backup.attempt].ended
                    until = ended + self.config.reconcile_seconds + CLOCK_SKEW_SECONDS - SLACK
                    self._must(ended > 0 and until < now, f"{key} sent within the window of {other.key}")

    # ---- At every message

    def sends(self, url: str, body: str) -> None:
        """A message is sent to a queue: never again by a run that messages of the queue have started."""
        run = self.kernel.current
        if url == self.config.submissions_queue_url:
            self._must(run is None or not run.is_queued, "a message of the queue was sent to it again")
            return
        message = json.loads(body)
        if "target" in message:
            self.letters.add((key_of(message), message["letter"]))

    def publishes(self, message: dict[str, Any]) -> None:
        """A notification reaches the topic: it was recorded, and it is true."""
        key, status = key_of(message), message["status"]
        found = [
            notice
            for notice in self.notices[key]
            if (notice.status, list(notice.job_ids), notice.attempt) == (status, message["jobIds"], message["attempt"])
        ]
        self._must(bool(found), f"published before it was recorded: {message}")
        self.published |= {(key, notice) for notice in found}
        if status == "retrying" or (
            status in JOB_ENDS and any(association["jobId"] for association in message["associations"])
        ):
            for job_id in message["jobIds"]:
                self._ends(key, job_id, message)

    def _ends(self, key: str, job_id: str, message: dict[str, Any]) -> None:
        status, now = message["status"], self.kernel.now
        job = self.server.find(job_id)
        if gone := [past_job for past_job in self.server.history if past_job.id == job_id and past_job.is_gone]:
            # An ID that was counted again may be that of a later job of the same subclient.
            self.ended |= dict.fromkeys([*gone, *([job] if job else [])], status)
            return
        if job is None or self.owners.get(job) != key:
            self.kernel.fail(f"{key} published the end of another's job: {message}")
            return
        self.ended[job] = status
        if status == "lost":
            code, began = message["error"]["code"], min(job.accepted, _seconds(message["submittedAt"]))
            is_over = now >= began + self.config.follow_hours * HOUR - SLACK
            self._must(
                code == "JOB_STILL_RUNNING" and is_over and now < job.ends + HOUR,
                f"{key}: {job} is not lost: {code} {is_over} {now}",
            )
            return
        outcome = "failed" if status == "retrying" else status
        self._must((job.outcome, now >= job.ends - SLACK) == (outcome, True), f"{job} did not end so: {message}")
        if status != "retrying":
            started = _seconds(message["startedAt"]) - self.server.settings.drift
            self._must(abs(started - job.started) < SLACK, f"{job} did not start at {message['startedAt']}")

    # ---- At the end

    def check(self, expected: dict[str, bool]) -> None:
        """Check what is promised of the end; `expected` are the keys of submissions, and whether each must exist."""
        surprises = [error for error in self.errors if type(error).__name__ not in RAISED]
        assert not surprises, f"a run raised {surprises[0]!r}"
        for key, must_exist in expected.items():
            is_usable = not self.documents.states[key.split("#")[1]] & UNUSABLE
            assert key in self.records or not (must_exist and is_usable) or key in self.lost, f"{key} was lost"
        identities = {key.split("#", 2)[2] for key in expected}
        for key, record in self.records.items():
            assert key.split("#", 2)[2] in identities, f"{key} has no trigger"
            assert record.is_over, f"{key} is left open: {record}"
            for backup in record.backups:
                told = [
                    notice
                    for notice in self.notices[key]
                    if notice.status == record.state_of(backup) and record.position_of(backup) in notice.backups
                ]
                assert told, f"{key}: nobody heard that {backup.key} is {record.state_of(backup)}"
            assert record.backups or record.error, f"{key} has no backups and no error"
            assert self.server.tasks.count(key) <= len(self.notices[key])
        gone = {job.id for job in self.server.history if job.is_gone}
        for job in self.server.history:
            if job.origin and job.id not in gone and not self._may_be_unknown(job):
                assert job in self.ended, f"the end of {job} was never published"
        for job in self.owners:
            assert job in self.ended or job.is_gone, f"the end of {job} was never published"
        self.kernel.seen["submissions"] += len(self.records)
        self.kernel.seen["backups that succeeded"] += sum(
            record.state_of(backup) in SUCCEEDED for record in self.records.values() for backup in record.backups
        )

    def _may_be_unknown(self, job: Job) -> bool:
        """Tell whether a job's submission was abandoned in doubt, or adopted another job in its place."""
        if (job.origin, job.names) in self.strangers:
            return True
        record = self.records[job.origin]
        return any(
            _names(backup) == job.names and isinstance(backup.phase, Ended) and backup.phase.doubted
            for backup in record.backups
        )

    def _job(self, job_id: str) -> Job | None:
        """Return the job of an ID; None where the CommServe was restored to a time before it."""
        if any(job.id == job_id and job.is_gone for job in self.server.history):
            return None
        job = self.server.find(job_id)
        if job is None:
            self.kernel.fail(f"there is no job {job_id}")
        return job

    def _must(self, holds: bool, message: str) -> None:
        if not holds:
            self.kernel.fail(message)


def key_of(message: dict[str, Any]) -> str:
    """Return the key of the submission that a notification or a message is about."""
    trigger = message["trigger"]
    return f"submission#{message['target']}#{trigger['kind']}#{trigger['id']}"


def _names(backup: Backup) -> Names:
    association = backup.association
    return association.client_name, association.instance_name, association.subclient_name


def _is_in_doubt(backup: Backup) -> bool:
    """Tell whether its request is out, or may have been accepted, also where it has ended so."""
    is_ended = isinstance(backup.phase, Ended) and backup.phase.doubted
    return bool(is_ended) or isinstance(backup.phase, (Out, Doubted, Unlisted))


def _seconds(iso: str | None) -> float:
    return datetime.fromisoformat(iso).timestamp() if iso else 0.0
