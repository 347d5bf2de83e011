"""What is promised of the end: each trigger has its one job or its one notice, and everybody was told."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.property.promises import OPEN, WRONG, Promises, key_of, plain

# What AWS failed at may be raised; nothing else is.
RAISED = {"EndpointConnectionError", "ClientError", "GetParameterError", "FanOutError"}


@dataclass(frozen=True, slots=True)
class Accounts:
    """The ledger's items as plain values, and the notification in each."""

    promises: Promises
    items: dict[str, dict[str, Any]]
    notices: dict[str, dict[str, Any]]
    claims: dict[str, str]

    @classmethod
    def of(cls, promises: Promises) -> "Accounts":
        """Read the ledger."""
        items = {key: plain(item) for key, item in promises.items.items()}
        submissions = {key: item for key, item in items.items() if key.startswith("submission#")}
        claims = {k.removeprefix("job#"): item["submission"] for k, item in items.items() if k.startswith("job#")}
        for key, item in submissions.items():
            assert item["status"] not in OPEN, f"{key} is left open: {item}"
        notices = {key: json.loads(item["notification"]) for key, item in submissions.items()}
        return cls(promises, submissions, notices, claims)

    def check(self, expected: set[str], messages: list[dict[str, Any]], letters: list[str]) -> None:
        """Check all of it; raise AssertionError for the first that does not hold."""
        surprises = [error for error in self.promises.errors if type(error).__name__ not in RAISED]
        assert not surprises, f"a run raised {surprises[0]!r}"
        assert self.items.keys() == expected
        self._check_silence(messages, letters)
        for key in self.items:
            self._check_jobs_of(key)
        self._check_credits()
        for key, item in self.promises.items.items():
            assert not (key.startswith("cooldown#") and "claimer" in item), f"{key} is held by nobody open: {item}"

    def _check_silence(self, messages: list[dict[str, Any]], letters: list[str]) -> None:
        """Every end was told, and what went wrong was kept."""
        for key, item in self.items.items():
            assert item["published"] is True, f"{key} is not marked"
        told = {json.dumps(message) for message in messages}
        kept = {(key_of(letter), letter["attempt"]) for letter in map(json.loads, letters)}
        for end in self.promises.ends:
            assert json.dumps(end.notification) in told, f"nobody was told of {end}"
            if end.notification["status"] in WRONG:
                assert (end.item, end.attempt) in kept, f"no dead letter of {end}"

    def _check_jobs_of(self, key: str) -> None:
        """A submission's jobs are of its associations, one of each, and backups of its level."""
        notice, item, server = self.notices[key], self.items[key], self.promises.server
        assert notice["status"] == item["status"]
        ids = notice["jobIds"]
        assert len(set(ids)) == len(ids)
        jobs = [job for job in server.jobs if job.id in ids]
        assert len(jobs) == len(ids), f"{key} has a job that does not exist"
        wanted = [(one["clientName"], one["instanceName"], one["subclientName"]) for one in notice["associations"]]
        assert {job.names for job in jobs} <= set(wanted)
        assert all(job.kind in {4, 59} for job in jobs)
        # Jobs of its own, of an attempt that was accepted in part, are told beside those that it joins.
        own = self.promises.claimed_by(key) if item["status"] == "joined" else set()
        names = [job.names for job in jobs if job.id not in own]
        assert len(set(names)) == len(names), f"{key} has two jobs of one association"
        match item["status"]:
            case "submitted":
                assert jobs
                assert "error" in notice or len(jobs) == len(wanted), f"an association of {key} has no job"
                assert all(self.claims[job.id] == key for job in jobs), f"{key} has a job that it did not claim"
                assert all(job.level == notice["backupLevel"] for job in jobs)
            case "joined":
                assert jobs
            case "scheduled":
                assert server.tasks.count(key) == 1

    def _check_credits(self) -> None:
        """No job is credited twice, none is nobody's, and no submission started two."""
        submitted = [key for key, item in self.items.items() if item["status"] == "submitted"]
        credited = Counter(job_id for key in submitted for job_id in self.notices[key]["jobIds"])
        assert all(count == 1 for count in credited.values()), f"a job is credited to two: {credited}"
        listed = {job_id for notice in self.notices.values() for job_id in notice["jobIds"]}
        ours = [job for job in self.promises.server.jobs if job.origin]
        for key, item in self.items.items():
            own = Counter(job.names for job in ours if job.origin == key and self.claims.get(job.id, key) == key)
            assert all(count == 1 for count in own.values()), f"{key} started two jobs: {own}"
            assert self.promises.server.tasks.count(key) <= (item["target"] == "plan"), f"{key} made two schedules"
        # A job that is credited to nobody is one of a submission that was abandoned in doubt.
        doubtful = sum(item.get("uncertain", False) for item in self.items.values() if item["target"] != "plan")
        for names, count in Counter(job.names for job in ours if job.id not in {*self.claims, *listed}).items():
            assert count <= doubtful, f"{count} jobs of {names} are nobody's"
