"""A CommServe in memory: it starts jobs, lists them by its own clock, and fails in every way that its wire can."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.property.model.answers import ANSWERS, HTML, NO_ACCESS, Reply
from tests.property.model.kernel import Kernel

type Names = tuple[str, str, str]


@dataclass(slots=True, eq=False)
class Job:
    """A job. `origin` is the ledger's item that its request was for, empty where somebody else started it."""

    id: str
    names: Names
    level: str
    kind: int
    started: float
    origin: str = ""


@dataclass(slots=True)
class Settings:
    """What differs between CommServes: clocks, queueing, how soon a job is listed, and how long it runs."""

    ahead: float = 0.0
    refuses_second: bool = False
    listed_after: float = 0.0
    job_seconds: float = 600.0
    newest_first: bool = True
    limit: int = 0
    limit_seconds: int = 600
    latest_acceptance: float = 0.0


@dataclass(slots=True)
class CommServe:
    """Its state. `mood` is what it does to every request until it is mended."""

    kernel: Kernel
    settings: Settings
    token: str = "fake-token-1"
    mood: str = ""
    jobs: list[Job] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    late: list[tuple[float, dict[str, Any], str]] = field(default_factory=list)
    requests: list[tuple[float, str]] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    answered_running: set[str] = field(default_factory=set)

    def catch_up(self) -> None:
        """Act on requests that were accepted late."""
        due = [one for one in self.late if one[0] <= self.kernel.now]
        self.late = [one for one in self.late if one[0] > self.kernel.now]
        for at, request, origin in sorted(due, key=lambda one: one[0]):
            self.start(request, origin, at)

    def start(self, request: dict[str, Any], origin: str, at: float, count: int | None = None) -> list[Job]:
        """Act on a request: start its jobs, or make its schedule."""
        task = request["taskInfo"]
        if _is_schedule(request):
            self.tasks.append(origin)
            return []
        level = task["subTasks"][0]["options"]["backupOpts"]["backupLevel"]
        return [self.start_job(_names(one), level, 59, at, origin) for one in task["associations"][:count]]

    def start_job(self, names: Names, level: str, kind: int, at: float, origin: str = "") -> Job:
        """Start a job, whoever asked for it."""
        self.jobs.append(Job(str(1001 + len(self.jobs)), names, level, kind, at, origin))
        return self.jobs[-1]

    def is_running(self, job: Job) -> bool:
        return self.kernel.now < job.started + self.settings.job_seconds

    def create(self, request: dict[str, Any], token: str, origin: str, fault: str) -> Reply | None:
        """Answer CreateTask; None: never."""
        self.catch_up()
        self.requests.append((self.kernel.now, origin))
        if reply := self._refusal(token) or self._limit():
            return reply
        count = len(request["taskInfo"]["associations"])
        how_much, reply = ANSWERS.get(fault, ("all", (200, {"taskId": 402, "jobIds": "started"}, {})))
        some = max(1, count - 1)
        if how_much == "some" and count == 1:
            how_much = "all"
            reply = None if reply is None else (200, {"taskId": 402, "jobIds": "started"}, {})
        if fault == "already running, in part":
            # A second job of a subclient whose first one still runs is not what this answer tells of.
            free = [one for one in request["taskInfo"]["associations"] if not self._runs(_names(one))]
            request = {"taskInfo": {**request["taskInfo"], "associations": free}}
            some = min(len(free), some)
        if fault == "no jobs" and _is_schedule(request):
            how_much = "all"  # That is what success looks like there.
        if fault not in ANSWERS and self.settings.refuses_second and self._running(request):
            how_much, reply = ANSWERS["already running, 409"]
        if reply and (reply[0] == 409 or (isinstance(reply[1], dict) and reply[1].get("errorCode") == 2)):
            self.answered_running.add(origin)
        jobs: list[Job] = []
        match how_much:
            case "all" | "some":
                jobs = self.start(request, origin, self.kernel.now, some if how_much == "some" else None)
            case "late":
                delays = (1.5, 20.0, self.settings.latest_acceptance / 2, self.settings.latest_acceptance)
                delay = min(delays[self.kernel.choice // len(ANSWERS) % 4], self.settings.latest_acceptance)
                self.late.append((self.kernel.now + delay, request, origin))
        if reply and isinstance(reply[1], dict) and isinstance(form := reply[1].get("jobIds"), str):
            ids: list[Any] = [job.id if form == "started" else int(job.id) for job in jobs]
            reply = (reply[0], {**reply[1], "jobIds": ids}, reply[2])
        if reply and _is_schedule(request) and how_much == "all" and reply[0] == 200:
            reply = (200, {"taskId": 500 + len(self.tasks)}, {}) if isinstance(reply[1], dict) else reply
        return reply

    def list(self, lookup: float, limit: int, offset: int, token: str) -> Reply:
        """Answer `GET /Job` with the backup jobs that run or ended within the look-back."""
        self.catch_up()
        if reply := self._refusal(token):
            return reply
        settings, now = self.settings, self.kernel.now
        rows = [
            {"jobSummary": self._summary(job)}
            for job in self.jobs
            if job.started + settings.listed_after <= now
            and (self.is_running(job) or job.started + settings.job_seconds >= now - lookup)
        ]
        rows = rows[::-1] if settings.newest_first else rows
        return (200, {"totalRecordsWithoutPaging": len(rows), "jobs": rows[offset : offset + limit]}, {})

    def _summary(self, job: Job) -> dict[str, Any]:
        client, instance, subclient = job.names
        ahead, end = self.settings.ahead, job.started + self.settings.job_seconds
        return {
            "jobId": int(job.id),
            "status": "Running" if self.is_running(job) else "Completed",
            "jobStartTime": int(job.started + ahead),
            "jobEndTime": 0 if self.is_running(job) else int(end + ahead),
            "jobType": {59: "Snap Backup", 4: "Backup"}.get(job.kind, "Restore"),
            "backupLevelName": job.level.title().replace("_", " "),
            "opType": job.kind,
            "subclient": {"clientName": client, "instanceName": instance, "subclientName": subclient},
        }

    def _running(self, request: dict[str, Any]) -> bool:
        return any(self._runs(_names(one)) for one in request["taskInfo"]["associations"])

    def _runs(self, names: Names) -> bool:
        return any(job.names == names and job.kind in {4, 59} and self.is_running(job) for job in self.jobs)

    def _refusal(self, token: str) -> Reply | None:
        match self.mood:
            case "maintenance":
                return (200, HTML, {})
            case "refuses tokens":
                return NO_ACCESS
        return None if token == self.token else NO_ACCESS

    def _limit(self) -> Reply | None:
        now, limit, period = self.kernel.now, self.settings.limit, self.settings.limit_seconds
        self.writes = [at for at in self.writes if at > now - period]
        if limit and len(self.writes) >= limit:
            self.kernel.seen["rate limit"] += 1
            return (429, "", {"X-RateLimit-Limit": str(limit), "X-RateLimit-Period": str(period)})
        self.writes.append(now)
        return None


def _names(association: dict[str, str]) -> Names:
    return association["clientName"], association["instanceName"], association["subclientName"]


def _is_schedule(request: dict[str, Any]) -> bool:
    return bool(request["taskInfo"]["task"]["taskType"] == "SCHEDULE")


def body_of(content: Any) -> bytes:
    """Return an answer's content as it goes over the wire."""
    return content if isinstance(content, bytes) else json.dumps(content).encode()
