"""What is promised while runs go on, checked at every write and every message; `accounts.py` checks the end."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rds_snap_backup.config import Config
from tests.property.model.commvault import CommServe
from tests.property.model.kernel import TIMEOUT_SECONDS, Kernel

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
        if was and was["owner"] != now["owner"]:
            self._must(was["lease"] <= self.kernel.now + SLACK, f"{key} was taken over while its lease was live")
        run = self.kernel.current
        if after == "submitting" and (before != after or was["attempt"] != now["attempt"]):
            assert run is not None
            run.item = key
            self._must(now["lease"] >= run.started + TIMEOUT_SECONDS, f"{key}: the lease ends before its run may")
            self._begins(key, now)
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
        for job_id in set(notification["jobIds"]) - self.claimed_by(key):
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

    def claimed_by(self, key: str) -> set[str]:
        """Return the jobs that a submission has claimed."""
        jobs = {name.removeprefix("job#"): item for name, item in self.items.items() if name.startswith("job#")}
        return {job_id for job_id, item in jobs.items() if plain(item)["submission"] == key}

    def _must(self, holds: bool, message: str) -> None:
        if not holds:
            self.kernel.fail(message)


def key_of(notification: dict[str, Any]) -> str:
    return f"submission#{notification['target']}#{notification['trigger']['id']}"


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()
