"""What is promised: checked at every write and message while runs go on, and once more when everything has ended."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rds_snap_backup.config import Config
from tests.property.commvault import CommServe, Job
from tests.property.kernel import Kernel

OPEN = {"submitting", "deferred", "unknown"}
CREDITED = {"submitted", "scheduled", "joined"}
WRONG = {"rejected", "abandoned"}
# What may follow a status. What went wrong is opened again by a dead letter alone.
NEXT = {
    "": {"submitting", "deferred"},
    "submitting": {"unknown", "deferred", *CREDITED, *WRONG},
    "deferred": {"submitting", "deferred", "unknown", "joined", "abandoned"},
    "unknown": {"submitting", "deferred", "unknown", "submitted", "joined", "abandoned"},
    "rejected": {"submitting", "deferred"},
    "abandoned": {"submitting", "deferred", "unknown"},
    "submitted": set(),
    "scheduled": set(),
    "joined": set(),
}
# Sandboxes' clocks differ, and calls take their time.
SLACK = 8.0


def plain(item: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return an item without its types."""
    return {
        name: float(value) if kind == "N" else value
        for name, attribute in item.items()
        for kind, value in attribute.items()
    }


@dataclass(slots=True)
class End:
    """An end that was recorded."""

    item: str
    attempt: int
    notification: dict[str, Any]
    starts_cool_down: bool


@dataclass(slots=True)
class Promises:
    """The watcher. `associations` says how many each target has."""

    kernel: Kernel
    server: CommServe
    config: Config
    associations: dict[str, int]
    items: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    ends: list[End] = field(default_factory=list)
    redriven: Counter[tuple[str, int]] = field(default_factory=Counter)
    errors: list[BaseException] = field(default_factory=list)

    # ---- While runs go on.

    def item_changed(self, key: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        was, now = plain(old), plain(new)
        if key.startswith("job#"):
            self._must(was.get("submission", now["submission"]) == now["submission"], f"{key} changed hands")
        if not key.startswith("submission#"):
            return
        before, after = was.get("status", ""), now["status"]
        is_repeated = before == after and was.get("owner") == now["owner"]
        if before != after and not is_repeated:
            self._must(after in NEXT[before], f"{key}: {before} -> {after}")
        self._must(now.get("attempt", 0) >= was.get("attempt", 0), f"{key}: the attempt fell")
        run = self.kernel.current
        if after == "submitting" and (before != after or was["attempt"] != now["attempt"]):
            self._begins(key, now)
            assert run is not None
            run.item = key
        if before in WRONG and after not in WRONG:
            self.kernel.seen["opened again"] += 1
            self.redriven[key, int(was["attempt"])] += 1
            self._must(was.get("published") is True, f"{key} was opened before it was told")
            self._must(self.redriven[key, int(was["attempt"])] == 1, f"{key} was opened twice by one dead letter")
        if after not in OPEN and before != after:
            self._ends(key, before, now)
        if after in CREDITED and before == after:
            self._must(was["notification"] == now["notification"], f"{key}: its end changed")

    def _begins(self, key: str, now: dict[str, Any]) -> None:
        """A request is about to leave: nothing may stand in its way."""
        time = self.kernel.now
        throttle = plain(self.items.get("throttle", {}))
        self._must(throttle.get("until", 0) <= time + SLACK, f"{key} was sent while throttled")
        cool_down = plain(self.items.get(f"cooldown#{now['target']}", {}))
        if json.loads(now["trigger"])["kind"] == "rds" and cool_down:
            self._must(cool_down.get("until", 0) <= time + SLACK, f"{key} was sent inside the cool-down")
            is_held = cool_down.get("claimer", key) != key and cool_down["claimerDeadline"] > time + SLACK
            self._must(not is_held, f"{key} was sent although {cool_down.get('claimer')} is open")

    def _ends(self, key: str, before: str, now: dict[str, Any]) -> None:
        notification = json.loads(now["notification"])
        status, error = notification["status"], notification.get("error", {})
        self.kernel.seen[f"ended: {status}"] += 1
        self._must(status == now["status"], f"{key}: {status} is told of {now['status']}")
        # What waited joins in the cool-down; what was sent joins the job that stood in its way.
        waited = status == "joined" and before == "deferred"
        self.ends.append(End(key, int(now["attempt"]), notification, starts_cool_down=not waited))
        if status == "abandoned":
            is_early = self.kernel.now < now["createdAt"] + self.config.retry_hours * 3600 - SLACK
            is_given_up = error["code"] == "RUNS_CUT_OFF" or now["target"] == "plan"
            self.kernel.seen[f"abandoned: {error['code']}"] += 1
            self._must(is_given_up or not is_early, f"{key} was abandoned early: {error}")
        if waited:
            is_rds = notification["trigger"]["kind"] == "rds"
            self._must(is_rds, f"{key} joined another, and is no RDS event")
            self.kernel.seen["joined in the cool-down"] += 1
            self._joins(key, notification)
        elif status == "joined":
            self._must(key in self.server.answered_running, f"{key} joined although nothing stood in its way")
            self.kernel.seen["joined the running job"] += 1
        if notification["reconciled"]:
            self.kernel.seen["adopted"] += 1

    def _joins(self, key: str, notification: dict[str, Any]) -> None:
        """What was joined was submitted within the cool-down."""
        seconds = 60 * {"three": 5}.get(notification["target"], self.config.cool_down_minutes)
        firsts = [end.notification for end in self.ends if end.starts_cool_down and end.notification["submittedAt"]]
        # Jobs of its own, of an attempt that was accepted in part, are told beside those that it joins.
        for job_id in set(notification["jobIds"]) - self._claimed_by(key):
            at = [first["submittedAt"] for first in firsts if job_id in first["jobIds"]]
            self._must(bool(at), f"{key} joined the job {job_id} of nobody")
            age = _seconds(notification["submittedAt"]) - _seconds(max(at))
            self._must(age <= seconds + SLACK, f"{key} joined a job that was submitted {age:.0f} s before")

    def publishes(self, notification: dict[str, Any]) -> None:
        item = plain(self.items.get(key_of(notification), {}))
        self._must(item.get("status") == notification["status"], f"told before it was recorded: {notification}")

    def sends(self, how: str, to_submissions: bool) -> None:
        run = self.kernel.current
        if to_submissions and how == "send" and run and run.is_queued:
            self.kernel.fail("a message of the queue was sent to it again")

    def raised(self, error: BaseException) -> None:
        self.errors.append(error)

    def _claimed_by(self, key: str) -> set[str]:
        jobs = {name.removeprefix("job#"): item for name, item in self.items.items() if name.startswith("job#")}
        return {job_id for job_id, item in jobs.items() if plain(item)["submission"] == key}

    def _must(self, holds: bool, message: str) -> None:
        if not holds:
            self.kernel.fail(message)

    # ---- When everything has ended.

    def check(self, expected: set[str], messages: list[dict[str, Any]], dead_letters: list[str]) -> None:
        """Each trigger came to its end, everybody was told, and there is a job for each and no other."""
        known = {"EndpointConnectionError", "ClientError", "GetParameterError", "FanOutError"}
        surprises = [error for error in self.errors if type(error).__name__ not in known]
        assert not surprises, f"a run raised {surprises[0]!r}"
        items = {key: plain(item) for key, item in self.items.items() if key.startswith("submission#")}
        assert items.keys() == expected
        for key, item in items.items():
            assert item["status"] not in OPEN, f"{key} is left open: {item}"
            assert item["published"] is True, f"{key} is not marked"
        told = [json.dumps(message, sort_keys=True) for message in messages]
        kept = Counter((letter["target"], letter["trigger"]["id"], letter["attempt"]) for letter in map(json.loads, dead_letters))
        for end in self.ends:
            assert json.dumps(end.notification, sort_keys=True) in told, f"{end.item}: nobody was told of {end}"
            if end.notification["status"] in WRONG:
                identity = (end.notification["target"], end.notification["trigger"]["id"], end.attempt)
                assert kept[identity], f"{end.item}: no dead letter of attempt {end.attempt}"
        self._check_jobs(items)

    def _check_jobs(self, items: dict[str, dict[str, Any]]) -> None:
        claims = {key.removeprefix("job#"): plain(item)["submission"] for key, item in self.items.items() if key.startswith("job#")}
        jobs = {job.id: job for job in self.server.jobs}
        credits: Counter[str] = Counter()
        for key, item in items.items():
            notification = json.loads(item["notification"])
            ids = notification["jobIds"]
            assert len(set(ids)) == len(ids)
            if item["status"] == "submitted":
                credits.update(ids)
                assert all(claims[job_id] == key for job_id in ids), f"{key}: a job of it is not claimed"
            if item["status"] in {"submitted", "joined"}:
                names = [(one["clientName"], one["instanceName"], one["subclientName"]) for one in notification["associations"]]
                own = self._claimed_by(key) if item["status"] == "joined" else set()
                found = [jobs[job_id].names for job_id in ids if job_id not in own]
                is_partial = "error" in notification or item["status"] == "joined"
                assert len(set(found)) == len(found), f"{key}: two jobs of one association"
                assert set(found) <= set(names)
                assert found
                assert is_partial or len(found) == len(names), f"{key}: not every association has its job"
                assert all(jobs[job_id].kind in {4, 59} for job_id in ids)
            if item["status"] == "submitted":
                assert all(jobs[job_id].level == notification["backupLevel"] for job_id in ids)
        assert all(count == 1 for count in credits.values()), "a job is credited to two"
        listed = {job_id for item in items.values() for job_id in json.loads(item["notification"])["jobIds"]}
        self._check_spare(items, [job for job in self.server.jobs if job.origin and job.id not in {*claims, *listed}])
        for key in items:
            own = Counter(job.names for job in self.server.jobs if job.origin == key and claims.get(job.id, key) == key)
            assert all(count == 1 for count in own.values()), f"{key} started two jobs: {own}"
            is_planned = items[key]["target"] == "plan"
            assert self.server.tasks.count(key) <= is_planned, f"{key} made two schedules"

    def _check_spare(self, items: dict[str, dict[str, Any]], spare: list[Job]) -> None:
        """A job that is credited to nobody is one of a submission that was abandoned in doubt."""
        doubtful = sum(item.get("uncertain", False) for item in items.values())
        for names in {job.names for job in spare}:
            count = sum(job.names == names for job in spare)
            assert count <= doubtful, f"{count} jobs of {names} are nobody's: {[job for job in spare]}"


def key_of(notification: dict[str, Any]) -> str:
    return f"submission#{notification['target']}#{notification['trigger']['id']}"


def _seconds(iso: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(iso).timestamp()
