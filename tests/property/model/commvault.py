"""A CommServe in memory: it starts jobs, lists them by its own clock, and fails in every way that its wire can."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.property.model.answers import ANSWERS, HTML, NO_ACCESS, Reply
from tests.property.model.jobs import CLIENTS, CONVERTED, ENDS, Job, Names, names_of
from tests.property.model.kernel import Kernel, Run
from tests.property.model.tokens import Chain

FIRST_ID = 1001


@dataclass(slots=True)
class Settings:
    """What differs between CommServes: clocks, queueing, how soon a job is listed, and how long it runs.

    `crowd` is how many jobs of other clients its list has, and `page_seconds` how long a page of it takes.
    """

    ahead: float = 0.0
    refuses_second: bool = False
    converts: bool = False
    listed_after: float = 0.0
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
    origin: str
    attempt: int
    sent: float
    after: float
    is_after_end: bool


@dataclass(slots=True)
class CommServe:
    """Its state. `mood` is what it does to every request until it is repaired.

    `jobs` are those that it knows, `history` all that there ever were. `attempt_end` tells when an attempt of an item
    ended: when its request was answered or given up, or where its run was cut off, when that run's lease ends. `observe`
    sees every request.
    """

    kernel: Kernel
    settings: Settings
    attempt_end: Callable[[str, int], float] = lambda _item, _attempt: 0.0
    observe: Callable[[str, dict[str, Any]], None] = lambda _item, _request: None
    token: str = "fake-token-1"
    chain: Chain | None = None
    mood: str = ""
    jobs: list[Job] = field(default_factory=list)
    history: list[Job] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)
    requests: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    answered_running: set[str] = field(default_factory=set)

    def catch_up(self) -> None:
        """Act on requests that were accepted late."""
        due = sorted(((self._due(one), one) for one in self.late), key=lambda pair: pair[0])
        self.late = [one for at, one in due if at > self.kernel.now]
        for at, one in due:
            if at <= self.kernel.now:
                self.kernel.seen["accepted after the attempt's end"] += one.is_after_end
                self.start(one.request, one.origin, at)

    def _due(self, late: Late) -> float:
        return late.after + (self.attempt_end(late.origin, late.attempt) if late.is_after_end else late.sent)

    def start(self, request: dict[str, Any], origin: str, at: float, count: int | None = None) -> list[Job]:
        """Act on a request: start its jobs, or make its schedule."""
        task = request["taskInfo"]
        if _is_schedule(request):
            self.tasks.append(origin)
            return []
        level = _level(request)
        return [self.start_job(names_of(one), level, 59, at, origin) for one in task["associations"][:count]]

    def start_job(self, names: Names, level: str, kind: int, at: float, origin: str = "") -> Job:
        """Start a job, whoever asked for it."""
        if self.settings.converts and level in CONVERTED:
            self.kernel.seen["level converted"] += 1
            level = CONVERTED[level]
        status, outcome = ENDS[len(self.history) % len(ENDS)]
        job_id = str(int(self.jobs[-1].id) + 1 if self.jobs else FIRST_ID)
        job = Job(job_id, names, level, kind, at, at + self.settings.job_seconds, status, outcome, origin)
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
        self.requests.append((run.item, run.attempt, request))
        self.observe(run.item, request)
        if not request["taskInfo"]["associations"]:
            self.kernel.fail(f"a request of {run.item} has no association")
        if reply := self._refusal(token) or self._limit():
            return reply
        how_much, reply = ANSWERS.get(fault, ("all", (200, {"taskId": 402, "jobIds": "started"}, {})))
        if how_much == "some" and len(request["taskInfo"]["associations"]) == 1:
            how_much = "all"
            reply = None if reply is None else (200, {"taskId": 402, "jobIds": "started"}, {})
        if fault == "already running, in part":
            # A second job of a subclient whose first one still runs is not what this answer tells of.
            free = [one for one in request["taskInfo"]["associations"] if not self._runs(names_of(one))]
            request = {"taskInfo": {**request["taskInfo"], "associations": free}}
        if fault == "no jobs" and _is_schedule(request):
            how_much = "all"  # That is what success looks like there.
        if fault not in ANSWERS and self.settings.refuses_second and self._running(request):
            how_much, reply = ANSWERS["already running, 409"]
        if reply and (reply[0] == 409 or (isinstance(reply[1], dict) and reply[1].get("errorCode") == 2)):
            self.answered_running.add(run.item)
        return _with_jobs(reply, request, self._act(how_much, request, run), len(self.tasks))

    def _act(self, how_much: str, request: dict[str, Any], run: Run) -> list[Job] | None:
        """Act on a request, or not; None where that is still to come, or never."""
        now, count, latest = self.kernel.now, len(request["taskInfo"]["associations"]), self.settings.latest_acceptance
        match how_much:
            case "all":
                return self.start(request, run.item, now)
            case "some":
                return self.start(request, run.item, now, min(count, max(1, count - 1)))
            case "late":
                # Commvault acts on a request within ReconcileSeconds of its attempt's end, and no later.
                which = self.kernel.choice // len(ANSWERS) % 4
                after = (min(1.5, latest), min(20.0, latest), latest / 2, latest)[which]
                self.late.append(Late(request, run.item, run.attempt, now, after, is_after_end=which > 1))
        return None

    def list(self, lookup: float, limit: int, offset: int, token: str, client: str = "") -> Reply:
        """Answer `GET /Job` with the backup jobs, of a client or all, that run or ended within the look-back."""
        self.catch_up()
        if reply := self._refusal(token):
            return reply
        settings, now = self.settings, self.kernel.now
        rows = [{"jobSummary": job.summary(now, settings.ahead)} for job in self.jobs if self._shows(job, lookup)]
        rows += [_foreign(number, now + settings.ahead) for number in range(settings.crowd)]
        if client:
            rows = [row for row in rows if CLIENTS[row["jobSummary"]["subclient"]["clientName"]] == client]
        rows = rows[::-1] if settings.newest_first else rows
        return (200, {"totalRecordsWithoutPaging": len(rows), "jobs": rows[offset : offset + limit]}, {})

    def client(self, name: str, token: str) -> Reply:
        """Answer `GET /Client/byName`."""
        if reply := self._refusal(token):
            return reply
        entity = {"clientId": int(CLIENTS[name]), "clientName": name}
        rows = [] if self.settings.hides_clients else [{"client": {"clientEntity": entity}}]
        return (200, {"clientProperties": rows}, {})

    def show(self, job_id: str, token: str) -> Reply:
        """Answer `GET /Job/{id}`."""
        self.catch_up()
        if reply := self._refusal(token):
            return reply
        job = self.find(job_id)
        if job is None or not self._shows(job, float("inf")):
            return (200, {"totalRecordsWithoutPaging": 0}, {})
        row = {"jobSummary": job.summary(self.kernel.now, self.settings.ahead)}
        return (200, {"totalRecordsWithoutPaging": 1, "jobs": [row]}, {})

    def _shows(self, job: Job, lookup: float) -> bool:
        now = self.kernel.now
        return job.started + self.settings.listed_after <= now and job.ends >= now - lookup

    def _running(self, request: dict[str, Any]) -> bool:
        return any(self._runs(names_of(one)) for one in request["taskInfo"]["associations"])

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


def _with_jobs(reply: Reply | None, request: dict[str, Any], jobs: list[Job] | None, tasks: int) -> Reply | None:
    """Put what was started into an answer that speaks of it."""
    if reply is None or not isinstance(reply[1], dict):
        return reply
    if _is_schedule(request) and jobs is not None and reply[0] == 200:
        return (200, {"taskId": 500 + tasks}, {})
    ids: list[Any] = [job.id for job in jobs or []]
    match reply[1].get("jobIds"):
        case "started":
            return (reply[0], {**reply[1], "jobIds": ids}, reply[2])
        case "not the last":
            return (reply[0], {**reply[1], "jobIds": ids[:-1] or ids}, reply[2])
        case "numbers":
            return (reply[0], {**reply[1], "jobIds": [int(one) for one in ids]}, reply[2])
    return reply


def _foreign(number: int, now: float) -> dict[str, Any]:
    """Return the row of a job of another client."""
    return {
        "jobSummary": Job(
            str(900_000 + number), ("elsewhere", "erp", "default"), "FULL", 59, now, now + 50, "", ""
        ).summary(now, 0)
    }


def _level(request: dict[str, Any]) -> str:
    return str(request["taskInfo"]["subTasks"][0]["options"]["backupOpts"]["backupLevel"])


def _is_schedule(request: dict[str, Any]) -> bool:
    return bool(request["taskInfo"]["task"]["taskType"] == "SCHEDULE")


def body_of(content: Any) -> bytes:
    """Return an answer's content as it goes over the wire."""
    return content if isinstance(content, bytes) else json.dumps(content).encode()
