"""What is promised while runs go on, checked at every write and every message; `accounts.py` checks the end.

What is promised of jobs, whose they are and how they ended, is in `credits.py`.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rds_snap_backup.config import Config
from rds_snap_backup.ledger.states import TRANSITIONS
from tests.property.credits import ENDED, Credits
from tests.property.documents import Documents
from tests.property.model.commvault import CommServe
from tests.property.model.jobs import names_of
from tests.property.model.kernel import TIMEOUT_SECONDS, Kernel, Run
from tests.property.plain import SLACK, key_of, plain, seconds

OPEN = {"submitting", "deferred", "unknown"}
CREDITED = {"submitted", "scheduled", "joined"}
WRONG = {"rejected", "abandoned"}
CUT_OFF_RUNS = 5


@dataclass(slots=True)
class Attempt:
    """An attempt of a submission: when it began, its lease's end, and when its outcome was known, if it was."""

    began: float
    lease: float
    ended: float | None = None


@dataclass(slots=True)
class End:
    """A submission's end that was recorded."""

    item: str
    attempt: int
    notification: dict[str, Any]
    starts_cool_down: bool


@dataclass(slots=True)
class Promises:
    """The watcher."""

    kernel: Kernel
    server: CommServe
    config: Config
    documents: Documents
    items: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    ends: list[End] = field(default_factory=list)
    redriven: Counter[tuple[str, int]] = field(default_factory=Counter)
    throttled_at: float = 0.0
    cut_offs: Counter[str] = field(default_factory=Counter)
    published: list[tuple[str, Run | None]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    credits: Credits = field(init=False)

    def __post_init__(self) -> None:
        self.credits = Credits(self.kernel, self.server, self.config, self.last_attempt)

    # ---- Attempts, in the model's time.

    def attempt_end(self, item: str, attempt: int) -> float:
        """Return when an attempt ended: when its outcome was known, else when its lease ends."""
        one = self.attempts[item, attempt]
        return one.lease if one.ended is None else one.ended

    def last_attempt(self, item: str) -> tuple[float, float]:
        """Return when an item's last attempt began and ended."""
        number = max(number for key, number in self.attempts if key == item)
        return self.attempts[item, number].began, self.attempt_end(item, number)

    # ---- While runs go on.

    def item_changed(self, key: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        was, now = plain(old), plain(new)
        if key.startswith("job#"):
            self.credits.job_changed(key, was, now)
        if key == "throttle":
            self.throttled_at = self.kernel.now
        if not key.startswith("submission#"):
            return
        self._is_findable(key, now)
        before, after = was.get("status", ""), now["status"]
        is_repeated = before == after and was.get("owner") == now["owner"]
        if not is_repeated:
            if before != after:
                self._must(after in TRANSITIONS[before], f"{key}: {before} -> {after}")
            self.kernel.seen[f"state: {before} -> {after}"] += 1
        self._must(now.get("attempt", 0) >= was.get("attempt", 0), f"{key}: the attempt fell")
        if was and was["owner"] != now["owner"]:
            self._must(was["lease"] <= self.kernel.now + SLACK, f"{key} was taken over while its lease was live")
            self.cut_offs[key] += was["lease"] > 0
        if now["lease"] == 0:
            self.cut_offs[key] = 0
        run = self.kernel.current
        assert run is not None
        if before == "submitting" and after != before and was["owner"] == now["owner"]:
            attempt = self.attempts[key, int(was["attempt"])]
            attempt.ended = max(run.answered, attempt.began)
        if after == "submitting" and (before != after or was["attempt"] != now["attempt"]):
            run.item, run.attempt = key, int(now["attempt"])
            self.attempts[key, run.attempt] = Attempt(now["attemptedAt"], now["lease"])
            self._must(run.started - SLACK <= now["attemptedAt"] <= self.kernel.now + SLACK, f"{key} began when?")
            self._must(now["lease"] >= run.started + TIMEOUT_SECONDS, f"{key}: the lease ends before its run may")
            self._begins(key, now, run)
        if before in WRONG and after not in WRONG:
            self.kernel.seen["opened again"] += 1
            self.redriven[key, int(was["attempt"])] += 1
            self.cut_offs[key] = 0
            self._must(was.get("published") is True, f"{key} was opened before it was published")
            self._must(self.redriven[key, int(was["attempt"])] == 1, f"{key} was opened twice by one dead letter")
        if after not in OPEN and before != after:
            self._ends(key, before, now)
        if after not in OPEN and before == after and was["notification"] != now["notification"]:
            self._amended(key, was, json.loads(now["notification"]))

    def _is_findable(self, key: str, now: dict[str, Any]) -> None:
        """A submission is in the index of the open ones until its end is published, and there when it should go on."""
        is_settled = now["status"] not in OPEN and now["published"]
        self._must(is_settled == ("open" not in now), f"{key} is {now['status']} and open: {now.get('open')}")
        self._must(is_settled or now["wakeAt"] >= self.kernel.now - TIMEOUT_SECONDS, f"{key} is woken too early")

    def _begins(self, key: str, now: dict[str, Any], run: Run) -> None:
        """A request is about to leave: nothing may stand in its way."""
        time = self.kernel.now
        if run.is_queued:
            throttle = plain(self.items.get("throttle", {}))
            is_new = self.throttled_at > time - SLACK
            self._must(is_new or throttle.get("until", 0) <= time + SLACK, f"{key} was sent while throttled")
        cool_down = plain(self.items.get(f"cooldown#{now['target']}", {}))
        obeys = json.loads(now["trigger"])["kind"] == "rds" and json.loads(now["pin"])["coolDownSeconds"]
        if obeys and cool_down:
            has_failed = any(map(self.credits.has_failed, json.loads(cool_down.get("jobIds", "[]"))))
            is_over = cool_down.get("until", 0) <= time + SLACK or has_failed
            self._must(is_over, f"{key} was sent inside the cool-down")
            self._must(not self._is_held(cool_down, key), f"{key} was sent although {cool_down.get('claimer')} is open")

    def _is_held(self, cool_down: dict[str, Any], key: str) -> bool:
        """Tell whether another submission that can still end holds the cool-down."""
        claimer = plain(self.items.get(cool_down.get("claimer", key), {}))
        if cool_down.get("claimer", key) == key or claimer.get("status") not in OPEN:
            return False
        return bool(self.kernel.now + SLACK < claimer["createdAt"] + self.config.retry_hours * 3600)

    def _ends(self, key: str, before: str, now: dict[str, Any]) -> None:
        notification = json.loads(now["notification"])
        status, error = notification["status"], notification.get("error", {})
        self.kernel.seen[f"ended: {status}"] += 1
        self._must(status == now["status"], f"{key}: {status} is published of {now['status']}")
        # What waited joins in the cool-down; what was sent joins the job that stood in its way.
        waited = status == "joined" and before == "deferred"
        if status == "abandoned":
            is_early = self.kernel.now < now["createdAt"] + self.config.retry_hours * 3600 - SLACK
            self.kernel.seen[f"abandoned: {error['code']}"] += 1
            is_cut_off = error["code"] == "RUNS_CUT_OFF"
            self._must(
                not is_cut_off or self.cut_offs[key] >= CUT_OFF_RUNS, f"{key}: not that many runs in a row were cut off"
            )
            self._must(is_cut_off or now["target"] == "plan" or not is_early, f"{key} was abandoned early: {error}")
        if waited:
            self._must(notification["trigger"]["kind"] == "rds", f"{key} joined another, and is not an RDS event")
            self.kernel.seen["joined in the cool-down"] += 1
            self._joins(key, notification)
        elif status == "joined":
            self._must(key in self.server.answered_running, f"{key} joined although nothing stood in its way")
            self.kernel.seen["joined the running job"] += 1
        if notification["reconciled"]:
            self.kernel.seen["adopted"] += 1
        if status in WRONG and notification["jobIds"]:
            self.kernel.seen["went wrong in part"] += 1
        self.ends.append(End(key, int(now.get("attempt", 0)), notification, starts_cool_down=not waited))
        self.credits.credit(key, notification, joined_from=self.ends[:-1] if waited else ())

    def _amended(self, key: str, was: dict[str, Any], notification: dict[str, Any]) -> None:
        """An end may gain jobs until it is published."""
        self.kernel.seen["jobs that were not named"] += 1
        has_more = {*notification["jobIds"]} >= {*json.loads(was["notification"])["jobIds"]}
        self._must(not was["published"] and has_more, f"{key}: its end changed")
        next(end for end in reversed(self.ends) if end.item == key).notification = notification
        self.credits.credit(key, notification, joined_from=())

    def _joins(self, key: str, notification: dict[str, Any]) -> None:
        """What was joined was submitted within the cool-down, and had not failed."""
        longest = 60 * max(self.config.cool_down_minutes, 30)
        firsts = [end.notification for end in self.ends if end.starts_cool_down and end.notification["submittedAt"]]
        # Jobs of its own, of an attempt that was accepted in part, are published beside those that it joins.
        for job_id in set(notification["jobIds"]) - self.credits.claimed_by(key):
            at = [first["submittedAt"] for first in firsts if job_id in first["jobIds"]]
            self._must(bool(at), f"{key} joined the job {job_id}, which no submission has")
            age = seconds(notification["submittedAt"]) - seconds(max(at))
            self._must(age <= longest + SLACK, f"{key} joined a job that was submitted {age:.0f} s before")
            failed_at = self.credits.failed_at(job_id)
            self._must(failed_at > self.kernel.now - TIMEOUT_SECONDS, f"{key} joined {job_id}, which had failed")

    def publishes(self, notification: dict[str, Any], is_followed: bool) -> None:
        """A message goes to the topic, and to the Jobs queue where it `is_followed`."""
        status, run = notification["status"], self.kernel.current
        if status in ENDED:
            self._must(not is_followed, f"the end of a job is followed: {notification}")
            self.credits.end_published(notification)
            self.published.append((json.dumps(notification), run))
            return
        item = plain(self.items.get(key_of(notification), {}))
        self._must(item.get("status") == status, f"published before it was recorded: {notification}")
        self._must(is_followed == bool(notification["jobIds"]), f"jobs are not followed, or none are: {notification}")
        has_time = notification["submittedAt"] is not None
        self._must(has_time or not notification["jobIds"], f"jobs without a time: {notification}")
        self.published.append((f"{key_of(notification)} {item.get('attempt')} {json.dumps(notification)}", run))

    def sends(self, how: str, url: str) -> None:
        """A message goes to a queue: never by who was given one of that queue."""
        run = self.kernel.current
        if run and run.is_queued and how == "send" and url == self.config.submissions_queue_url:
            self.kernel.fail("a message of the queue was sent to it again")
        if run and run.is_follow:
            self.kernel.fail("Follow sent a message to a queue")

    def raised(self, error: BaseException) -> None:
        self.errors.append(error)

    def requested(self, item: str, request: dict[str, Any]) -> None:
        """Check a request at the wire: it is what some document of its target has asked for."""
        task = request["taskInfo"]
        names = {names_of(one) for one in task["associations"]}
        level = task["subTasks"][0]["options"]["backupOpts"]["backupLevel"]
        self._must(self.documents.ever_had(item.split("#")[1], names, level), f"{item} sent {level} of {names}")

    def _must(self, holds: bool, message: str) -> None:
        if not holds:
            self.kernel.fail(message)
