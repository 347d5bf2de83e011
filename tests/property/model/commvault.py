"""A CommServe in memory: it starts jobs, lists them by its own clock, and fails in every way that its wire can."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.property.model.answers import ANSWERS, HTML, NO_ACCESS, NO_SUBCLIENT, Reply
from tests.property.model.jobs import CLIENTS, CONVERTED, ENDS, Job, Names, names_of
from tests.property.model.kernel import Kernel, Run
from tests.property.model.tokens import Chain

FIRST_ID = 1001
GROUPS = ("orders", "orders-2", "a", "a-2", "b", "c", "d", "plan", "plan-2")
STARTED: Reply = (200, {"taskId": 402, "jobIds": "started"}, {})


@dataclass(slots=True)
class Settings:
    """What differs between CommServes: clocks, queueing, how soon a job is listed, and how long it runs.

    `ahead` is its web server's clock before ours, `drift` the CommServe's before its web server's. `crowd` is how many
    jobs of other clients its list has, and `page_seconds` how long a page of it takes.
    """

    ahead: float = 0.0
    drift: float = 0.0
    refuses_second: bool = False
    converts: bool = False
    listed_after: float = 0.0
    queued: float = 0.0
    job_seconds: float = 600.0
    newest_first: bool = True
    crowd: int = 0
    hides_clients: bool = False
    page_seconds: float = 0.0
    limit: int = 0
    limit_seconds: int = 600
    latest_acceptance: float = 0.0
    has_pair: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    """A request that is acted on later: `after` seconds after it was sent, or after its attempt's end."""

    request: dict[str, Any]
    out: tuple[str, int]
    sent: float
    after: float
    is_after_end: bool


@dataclass(slots=True)
class CommServe:
    """Its state. `mood` is what it does to every request until it is repaired; `unknown` and `ineligible` names exist
    not, or cannot be backed up.

    `jobs` are those that it knows, `history` all that there ever were. `attempt_end` tells when an attempt of a
    submission ended: when its request was answered or given up, or where its run was cut off, when that run's lease
    ends. `observe` sees every request.
    """

    kernel: Kernel
    settings: Settings
    attempt_end: Callable[[str, int], float] = lambda _key, _attempt: 0.0
    observe: Callable[[Run, dict[str, Any]], None] = lambda _run, _request: None
    token: str = "fake-token-1"
    chain: Chain | None = None
    mood: str = ""
    unknown: set[Names] = field(default_factory=set)
    ineligible: set[Names] = field(default_factory=set)
    jobs: list[Job] = field(default_factory=list)
    history: list[Job] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)
    requests: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)

    def catch_up(self) -> None:
        """Act on requests that were accepted late."""
        due = sorted(((self._due(late), late) for late in self.late), key=lambda pair: pair[0])
        self.late = [late for at, late in due if at > self.kernel.now]
        for at, late in due:
            if at <= self.kernel.now:
                self.kernel.seen["accepted after the attempt's end"] += late.is_after_end
                self.start(late.request, late.out[0], at)

    def _due(self, late: Late) -> float:
        return late.after + (self.attempt_end(*late.out) if late.is_after_end else late.sent)

    def start(self, request: dict[str, Any], origin: str, at: float, count: int | None = None) -> list[Job]:
        """Act on a request: start its jobs, or make its schedule."""
        if _is_schedule(request):
            self.tasks.append(origin)
            return []
        names = [names_of(association) for association in request["taskInfo"]["associations"][:count]]
        return [self.start_job(name, _level(request), 59, at, origin) for name in names]

    def start_job(self, names: Names, level: str, kind: int, at: float, origin: str = "") -> Job:
        """Start a job, whoever asked for it."""
        if self.settings.converts and level in CONVERTED:
            self.kernel.seen["level converted"] += 1
            level = CONVERTED[level]
        status, outcome = ENDS[len(self.history) % len(ENDS)]
        job_id = str(int(self.jobs[-1].id) + 1 if self.jobs else FIRST_ID)
        starts = at + self.settings.queued
        job = Job(job_id, names, level, kind, at, starts, starts + self.settings.job_seconds, status, outcome, origin)
        self.jobs.append(job)
        self.history.append(job)
        return job

    def restore(self, kept: int) -> None:
        """Be restored from a backup that knows so many jobs: the later ones are gone, and IDs are counted again."""
        for job in self.jobs[kept:]:
            job.is_gone = True
        del self.jobs[kept:]
        self.late.clear()

    def find(self, job_id: str) -> Job | None:
        """Return the job that has this ID now."""
        return next((job for job in self.jobs if job.id == job_id), None)

    def create(self, request: dict[str, Any], token: str, run: Run, fault: str) -> Reply | None:
        """Answer CreateTask; None: never."""
        self.catch_up()
        self.requests.append((*run.out, request))
        self.observe(run, request)
        associations = request["taskInfo"]["associations"]
        if reply := self._refusal(token) or self._limit():
            return reply
        how_much, reply = ANSWERS.get(fault, ("all", STARTED))
        if how_much == "some" and len(associations) == 1:
            how_much, reply = "all", None if reply is None else STARTED
        if fault == "already running, in part":
            # A second job of a subclient whose first one still runs is not what this answer tells of.
            free = [association for association in associations if not self._runs(names_of(association))]
            request = {"taskInfo": {**request["taskInfo"], "associations": free}}
        if fault == "no jobs" and _is_schedule(request):
            how_much = "all"  # That is what success looks like there.
        names = {names_of(association) for association in associations}
        if how_much != "none" and names & (self.unknown | self.ineligible):
            self.kernel.seen["a group with a bad name" if len(names) > 1 else "a bad name"] += 1
            how_much, reply = "none", reply and (500, NO_SUBCLIENT, {})
        elif fault not in ANSWERS and self.settings.refuses_second and any(map(self._runs, names)):
            self.kernel.seen["a group with a running job"] += len(names) > 1
            how_much, reply = ANSWERS["already running, 409"]
        return self._with_jobs(reply, request, self._act(how_much, request, run))

    def _act(self, how_much: str, request: dict[str, Any], run: Run) -> list[Job] | None:
        """Act on a request, or not; None where that is still to come, or never."""
        now, count, latest = self.kernel.now, len(request["taskInfo"]["associations"]), self.settings.latest_acceptance
        match how_much:
            case "all":
                return self.start(request, run.out[0], now)
            case "some":
                return self.start(request, run.out[0], now, min(count, max(1, count - 1)))
            case "late":
                # Commvault acts on a request within ReconcileSeconds of its attempt's end, and no later.
                which = self.kernel.choice // len(ANSWERS) % 4
                after = (min(1.5, latest), min(20.0, latest), latest / 2, latest)[which]
                self.late.append(Late(request, run.out, now, after, is_after_end=which > 1))
        return None

    def _with_jobs(self, reply: Reply | None, request: dict[str, Any], jobs: list[Job] | None) -> Reply | None:
        """Put what was started into an answer that speaks of it."""
        if reply is None or not isinstance(reply[1], dict):
            return reply
        if _is_schedule(request) and jobs is not None and reply[0] == 200:
            return (200, {"taskId": 500 + len(self.tasks)}, {})
        ids: list[Any] = [job.id for job in jobs or []]
        match reply[1].get("jobIds"):
            case "not the last":
                ids = ids[:-1] or ids
            case "numbers":
                ids = [int(job_id) for job_id in ids] + ids[:1]
            case "reversed":
                ids.reverse()
            case "one too many" if ids:
                ids.append(self.start_job(("elsewhere", "RDS", "erp"), "FULL", 59, self.kernel.now).id)
            case list() | None:
                return reply
        return (reply[0], {**reply[1], "jobIds": ids}, reply[2])

    # ---- Reading calls

    def read(self, path: str, query: dict[str, str], page: tuple[int, int], token: str) -> Reply:
        """Answer a `GET`; `page` is the limit and the offset of a list."""
        self.catch_up()
        if reply := self._refusal(token):
            return reply
        client = query.get("clientId", "")
        name = next((name for name, number in CLIENTS.items() if number == client), "")
        match path.rpartition("/")[2]:
            case "Job":
                return self._list(float(query["completedJobLookupTime"]), page, client)
            case "Instance":
                return (
                    200,
                    {"instanceProperties": [{"instance": {"instanceName": "RDS"}}]},
                    {},
                )
            case "Subclient":
                entities = [
                    {"instanceName": "RDS", "subclientName": group}
                    for group in GROUPS
                    if (name, "RDS", group) not in self.unknown
                ]
                return (200, {"subClientProperties": [{"subClientEntity": entity} for entity in entities]}, {})
            case last if last.startswith("byName"):
                name = last.partition("'")[2].removesuffix("')")
                entity = {"clientId": int(CLIENTS[name]), "clientName": name}
                rows = [] if self.settings.hides_clients else [{"client": {"clientEntity": entity}}]
                return (200, {"clientProperties": rows}, {})
            case job_id:
                job = self.find(job_id)
                if job is None or not self._shows(job, float("inf")):
                    return (200, {"totalRecordsWithoutPaging": 0}, {})
                return (200, {"totalRecordsWithoutPaging": 1, "jobs": [self._row(job)]}, {})

    def _list(self, lookup: float, page: tuple[int, int], client: str) -> Reply:
        """Answer with the backup jobs, of a client or all, that run or ended within the look-back."""
        now, settings, (limit, offset) = self.kernel.now, self.settings, page
        rows = [self._row(job) for job in self.jobs if self._shows(job, lookup)]
        rows += [_foreign(number, now + settings.ahead) for number in range(settings.crowd)]
        if client:
            rows = [row for row in rows if CLIENTS[row["jobSummary"]["subclient"]["clientName"]] == client]
        rows = rows[::-1] if settings.newest_first else rows
        return (200, {"totalRecordsWithoutPaging": len(rows), "jobs": rows[offset : offset + limit]}, {})

    def _row(self, job: Job) -> dict[str, Any]:
        return {"jobSummary": job.summary(self.kernel.now, self.settings.ahead + self.settings.drift)}

    def _shows(self, job: Job, lookup: float) -> bool:
        now = self.kernel.now
        return job.accepted + self.settings.listed_after <= now and job.ends >= now - lookup

    def _runs(self, names: Names) -> bool:
        return any(job.names == names and job.kind in {4, 59} and self.kernel.now < job.ends for job in self.jobs)

    def _refusal(self, token: str) -> Reply | None:
        match self.mood:
            case "maintenance":
                return (200, HTML, {})
            case "refuses tokens":
                return NO_ACCESS
        is_accepted = self.chain.accepts(token) if self.chain else token == self.token
        return None if is_accepted else NO_ACCESS

    def renew(self, pair: dict[str, str]) -> Reply:
        """Answer a renewal of the token."""
        if self.mood == "maintenance":
            return (200, HTML, {})
        assert self.chain is not None
        return self.chain.renew(pair["accessToken"], pair["refreshToken"])

    def _limit(self) -> Reply | None:
        now, limit, period = self.kernel.now, self.settings.limit, self.settings.limit_seconds
        self.writes = [at for at in self.writes if at > now - period]
        if limit and len(self.writes) >= limit:
            self.kernel.seen["rate limit"] += 1
            return (429, "", {"X-RateLimit-Limit": str(limit), "X-RateLimit-Period": str(period)})
        self.writes.append(now)
        return None


def _foreign(number: int, now: float) -> dict[str, Any]:
    """Return the row of a job of another client."""
    job = Job(str(900_000 + number), ("elsewhere", "RDS", "erp"), "FULL", 59, now, now, now + 50, "", "")
    return {"jobSummary": job.summary(now, 0)}


def _level(request: dict[str, Any]) -> str:
    return str(request["taskInfo"]["subTasks"][0]["options"]["backupOpts"]["backupLevel"])


def _is_schedule(request: dict[str, Any]) -> bool:
    return bool(request["taskInfo"]["task"]["taskType"] == "SCHEDULE")


def body_of(content: Any) -> bytes:
    """Return an answer's content as it goes over the wire."""
    return content if isinstance(content, bytes) else json.dumps(content).encode()
