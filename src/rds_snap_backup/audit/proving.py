"""The gate, `{"prove": {"database": ARN, "since": TIME}}`: whether a restore point of a database was made after a time.

The database's place is asked for the database and its snapshots, Commvault for the restore points. A sandbox keeps
Commvault's groups for ten minutes and the restore points of a database for one.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from rds_snap_backup.audit.aws_calls import aws_calls
from rds_snap_backup.audit.coverage import Listed
from rds_snap_backup.audit.documents import read_targets
from rds_snap_backup.audit.estate import Estate, judge_of
from rds_snap_backup.audit.evidence import gather
from rds_snap_backup.audit.groups import read_groups
from rds_snap_backup.audit.metered import Metered
from rds_snap_backup.audit.proofs import Proof
from rds_snap_backup.audit.verdicts import Judge
from rds_snap_backup.bootstrap import Services
from rds_snap_backup.commvault.inventory import Discovery
from rds_snap_backup.messaging.notifications import iso
from rds_snap_backup.problems import InvalidInput, Problem
from rds_snap_backup.rds.calls import Calls
from rds_snap_backup.rds.databases import Database, Databases, Kind, Place
from rds_snap_backup.rds.members import Listing, Members

ARN = re.compile(r"arn:aws[a-z-]*:rds:([a-z0-9-]+):([0-9]{12}):(db|cluster):([A-Za-z0-9-]{1,63})")
GROUPS_SECONDS = 600.0
POINTS_SECONDS = 60.0
# Databases whose restore points are kept.
MAX_KEPT = 100
NOT_AUDITED = "The audit does not read this account and region: add them to AuditMembers and AuditRegions."


@dataclass(frozen=True)
class Question:
    """A database, and a time in Unix seconds."""

    arn: str
    kind: Kind
    name: str
    place: Place
    since: float

    @classmethod
    def read(cls, asked: object) -> Self:
        """Read the question. Raises `InvalidInput`."""
        match asked:
            case {"database": str(arn), "since": str(since), **rest} if not rest and (parts := ARN.fullmatch(arn)):
                region, account, kind, name = parts.groups()
            case _:
                raise _invalid('"database" must be the ARN of an RDS instance or cluster, and "since" a time')
        try:
            at = datetime.fromisoformat(since)
        except ValueError:
            raise _invalid('"since" must be a time such as 2026-01-31T02:00:04Z') from None
        if at.tzinfo is None:
            raise _invalid('"since" must have a time zone, such as Z')
        return cls(
            arn, "cluster" if kind == "cluster" else "instance", name.lower(), Place(account, region), at.timestamp()
        )


@dataclass(frozen=True)
class Asked:
    """The restore points of a database that were created since a time, and when they were asked for."""

    asked_at: float
    since: float
    judge: Judge
    database: Database


@dataclass
class Prover:
    """Answers the gate in one sandbox."""

    services: Services
    databases: Databases
    members: Members
    home: Place
    _groups: tuple[float, Judge] | None = field(default=None, init=False)
    _points: dict[str, Asked] = field(default_factory=dict, init=False)

    def prove(self, question: Question, seconds_left: Callable[[], float]) -> dict[str, Any]:
        """Return `{"proved": true|false|null, "restorePoint", "reason"}`; null: it could not be asked."""
        now = self.services.clock()
        kept = self._points.get(question.arn)
        if kept is None or now >= kept.asked_at + POINTS_SECONDS or question.since < kept.since:
            aws = aws_calls(seconds_left)
            database = self._database(question, aws)
            if isinstance(database, Problem):
                return _answer(None, None, database.message)
            if database is None:
                return _answer(False, None, "RDS does not know the database.")
            judge = self._ask(database, aws, question.since)
            if isinstance(judge, Problem):
                return _answer(None, None, judge.message)
            if len(self._points) >= MAX_KEPT:
                self._points.clear()
            since = min(question.since, now - judge.look_back)
            kept = self._points[question.arn] = Asked(now, since, judge, database[0])
        return _judged(kept.judge, kept.database, question.since)

    def _database(self, question: Question, aws: Calls) -> "tuple[Database, Databases] | Problem | None":
        """Return the database, for a member its cluster, and what reads its place."""
        if question.place == self.home:
            source: Databases | Problem = self.databases
        elif question.place in self.members.places:
            source = self.members.open(question.place)
        else:
            return Problem("NOT_AUDITED", NOT_AUDITED, "")
        if isinstance(source, Problem):
            return source
        found: Database | Problem | None = aws.result(lambda: source.database(question.kind, question.name))
        if isinstance(found, Database) and found.resource.cluster:
            cluster = found.resource.cluster
            found = aws.result(lambda: source.database("cluster", cluster))
        if not isinstance(found, Database):
            return found
        # A tag excludes a database from the audit, not from the question whether it can be restored.
        return replace(found, resource=replace(found.resource, tags={})), source

    def _ask(self, known: tuple[Database, Databases], aws: Calls, since: float) -> Judge | Problem:
        """Ask Commvault for the restore points of a database, and RDS for their snapshots."""
        database, source = known
        commvault = Metered(self.services.commvault, self.services.config.commvault_api_url)
        discovery = Discovery(commvault, aws.seconds_left)
        place = database.resource.place
        now = self.services.clock()
        if self._groups and now < self._groups[0] + GROUPS_SECONDS:
            judge = self._groups[1]
        else:
            secret = aws.result(self.services.auth.unusable_secret)
            documents = aws.rows(self.services.targets.stored)
            if isinstance(secret, Problem) or isinstance(documents, Problem):
                return secret if isinstance(secret, Problem) else documents  # type: ignore[return-value]
            stored = read_targets(self.services.targets, documents)
            targets = [each.target for each in stored if each.target and each.target.enabled]
            discovery.begin(None)
            judge = judge_of(self.services.config, now, Estate(self.home, {}, []), targets)
            judge = replace(judge, contents=read_groups(discovery, commvault, judge.named))
            self._groups = None if judge.contents.problems else (now, judge)
        # What the other places have is not known: a name alone identifies no database.
        places = {self.home, *self.members.places}
        judge = replace(judge, databases=[database], now=now, places=places, unread=places - {place})
        coverage = judge.coverage(database)
        relevant = replace(judge.contents, groups=[*coverage.certain, *coverage.doubtful])
        estate = Estate(self.home, {place: Listing([database.resource], [], databases=source)}, [database])
        gathered = gather(replace(judge, contents=relevant), discovery, estate, aws.seconds_left, since)
        return replace(gathered, contents=judge.contents)


def _judged(judge: Judge, database: Database, since: float) -> dict[str, Any]:
    """Return the answer from what is known of a database."""
    resource = database.resource
    proof = judge.proof(database.resource)
    unread = judge.found.get(resource.place)
    if proof and proof.created > since:
        by_name = "RDS's snapshots could not be read: Commvault's restore point counts by name."
        return _answer(True, proof, by_name if isinstance(unread, Problem) else "")
    if isinstance(unread, Problem):
        return _answer(None, proof, f"RDS's snapshots could not be read: {unread.message}")
    coverage = judge.coverage(database)
    for instance in coverage.instances:
        match judge.listed.get(instance):
            case None:
                return _answer(None, proof, "Commvault's restore points were not asked for.")
            case Problem(message=message):
                return _answer(None, proof, f"Commvault's restore points could not be read: {message}")
            case Listed(since=known) if known > since:
                return _answer(None, proof, "Commvault's list of restore points since then is too long.")
    if coverage.unread:
        return _answer(None, proof, f"Not all contents of Commvault's groups were read: {coverage.unread.message}")
    if not coverage.instances:
        return _answer(False, proof, "No instance group of Commvault selects it.")
    return _answer(False, proof, f"No restore point was made after {iso(since)}.")


def _answer(proved: bool | None, proof: Proof | None, reason: str) -> dict[str, Any]:
    return {"proved": proved, "restorePoint": proof.to_json() if proof else None, "reason": reason}


def _invalid(what: str) -> InvalidInput:
    hint = 'Send {"prove": {"database": "arn:aws:rds:REGION:ACCOUNT:db:NAME", "since": "2026-01-31T02:00:04Z"}}.'
    return InvalidInput("EVENT_INCOMPLETE", f"The question is not complete: {what}.", hint)
