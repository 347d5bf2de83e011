"""What is promised of the end: each trigger has its one job or its one notice, and everything was published."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.property.documents import UNUSABLE
from tests.property.model.aws import Message
from tests.property.model.jobs import Job, Names, names_of
from tests.property.plain import SLACK, key_of, plain, seconds
from tests.property.promises import OPEN, WRONG, End
from tests.property.world import DEAD_LETTERS, World

# What AWS failed at may be raised; nothing else is.
RAISED = {"EndpointConnectionError", "ClientError", "GetParameterError", "FanOutError"}
COMPLETED = {"completed", "completed_with_errors"}
LEVELS = ("INCREMENTAL", "DIFFERENTIAL", "FULL")


@dataclass(frozen=True, slots=True)
class Accounts:
    """The ledger's submissions as plain values, and the last end of each."""

    world: World
    items: dict[str, dict[str, Any]]
    ends: dict[str, End]

    @classmethod
    def of(cls, world: World) -> "Accounts":
        """Read the ledger."""
        items = {key: plain(item) for key, item in world.dynamodb.items.items() if key.startswith("submission#")}
        for key, item in items.items():
            assert item["status"] not in OPEN, f"{key} is left open: {item}"
        return cls(world, items, {end.item: end for end in world.promises.ends})

    def check(self) -> None:
        """Check all of it; raise AssertionError for the first that does not hold."""
        surprises = [error for error in self.world.promises.errors if type(error).__name__ not in RAISED]
        assert not surprises, f"a run raised {surprises[0]!r}"
        letters = [json.loads(message.body) for message in self._queue(DEAD_LETTERS)]
        self._check_presence(letters)
        self._check_silence(letters)
        for key in self.items:
            self._check_jobs_of(key)
        self._check_orphans()
        self._check_job_ends()
        self._check_histories()
        for key, item in self.world.dynamodb.items.items():
            assert not (key.startswith("cooldown#") and "claimer" in item), f"{key} is held by a closed one: {item}"

    def _queue(self, url: str) -> list[Message]:
        return self.world.sqs.queues.get(url, [])

    def _check_presence(self, letters: list[dict[str, Any]]) -> None:
        """Every trigger is in the ledger, unless its target was not to be backed up or nothing came of its call."""
        expected = {item: event for event in self.world.events for item in event.items}
        instead = {
            item
            for event in self.world.events
            for item in event.instead
            if "deleted" in self.world.documents.states[event.items[0].split("#")[1]]
        }
        surplus = self.items.keys() - expected.keys() - instead
        assert not surplus, f"of no trigger: {surplus}"
        kept = {key_of(letter) for letter in letters if "trigger" in letter}
        for key in expected.keys() - self.items.keys():
            event = expected[key]
            has_reason = bool(self.world.documents.states[key.split("#")[1]] & UNUSABLE)
            is_unselected = has_reason and (not event.is_named or "ignored" in self.world.answers[key])
            is_caller_s = event.is_sync and event.was_cut_off
            assert is_unselected or is_caller_s or (has_reason and key in kept), f"{key} was lost"

    def _check_silence(self, letters: list[dict[str, Any]]) -> None:
        """Every end was published, once where nothing went wrong, and what went wrong was kept."""
        for key, item in self.items.items():
            assert item["published"] is True, f"{key} is not marked"
        published = {json.dumps(message) for message in self.world.sns.messages}
        kept = {(key_of(letter), letter.get("attempt", 0)) for letter in letters if "trigger" in letter}
        for end in self.world.promises.ends:
            assert json.dumps(end.notification) in published, f"never published: {end}"
            if end.notification["status"] in WRONG:
                assert (end.item, end.attempt) in kept, f"no dead letter of {end}"
        # A message that was published twice had at least one run that something befell.
        smooth = Counter(text for text, run in self.world.promises.published if run and not run.befallen)
        assert all(count == 1 for count in smooth.values()), f"published twice: {smooth.most_common(1)}"

    def _check_jobs_of(self, key: str) -> None:
        """A submission's jobs are of its associations, one of each, and backups of its level or a fuller one."""
        end, item, whose = self.ends[key], self.items[key], self.world.promises.credits
        notice, ids = end.notification, end.notification["jobIds"]
        assert notice["status"] == item["status"]
        assert len(set(ids)) == len(ids)
        jobs = [whose.credited[key, job_id] for job_id in ids]
        own = [job for job in jobs if whose.claimed.get(job) == key]
        wanted = {names_of(one) for one in notice["associations"]}
        assert all(job.kind in {4, 59} for job in jobs)
        for some in (own, [job for job in jobs if job not in own]):
            names = [job.names for job in some]
            assert len(set(names)) == len(names), f"{key} has two jobs of one association"
        # What was abandoned in doubt may not know of all its jobs: they are found when it is redriven.
        knows = item.get("uncertain") is not True
        # A job that is gone with the CommServe's old database may have been claimed by a run that was killed.
        existing = {job.id for job, owner in whose.claimed.items() if owner == key and not job.is_gone}
        assert not knows or existing <= {*ids}, f"{key} does not name jobs that are its own"
        match item["status"]:
            case "submitted":
                assert jobs
                assert own == jobs, f"{key} has a job that it did not claim"
            case "joined":
                assert jobs
            case "scheduled":
                assert self.world.server.tasks.count(key) == 1
                return
        if item["status"] != "joined":
            assert {job.names for job in jobs} <= wanted, f"{key} has a job of what it does not name"
        # A job that is gone may have had an ID that a later one of the same submission has got.
        gone = {job.names for job, owner in whose.claimed.items() if owner == key and job.is_gone}
        is_whole = {job.names for job in jobs} | gone == wanted | gone
        assert is_whole or "error" in notice or item["status"] == "joined", f"an association of {key} has no job"
        # What joined others' jobs in the end says their level.
        for job in own if item["status"] != "joined" else ():
            sent = {self._level_sent(key, job.names), notice["backupLevel"]}
            assert any(_is_as_full(job.level, level) for level in sent), f"{key} asked for {sent} and has {job}"

    def _level_sent(self, key: str, names: Names) -> str:
        """Return the level that was last asked for a subclient."""
        levels = [
            request["taskInfo"]["subTasks"][0]["options"]["backupOpts"]["backupLevel"]
            for item, _, request in self.world.server.requests
            if item == key and names in {names_of(one) for one in request["taskInfo"]["associations"]}
        ]
        return str(levels[-1]) if levels else ""

    def _check_orphans(self) -> None:
        """No submission started two jobs, and each job of ours that nobody has is one that a notice lacks."""
        promises, server = self.world.promises, self.world.server
        # What the CommServe was restored from before it knows nothing of, nobody can find.
        ours = [job for job in server.history if job.origin and not job.is_gone]
        owners = promises.credits.claimed
        for key, item in self.items.items():
            own = Counter(job.names for job in ours if job.origin == key and owners.get(job, key) == key)
            assert all(count == 1 for count in own.values()), f"{key} started two jobs: {own}"
            assert server.tasks.count(key) <= (item["target"] == "plan"), f"{key} made two schedules"
        named = {*promises.credits.credited.values()}
        orphans = [job for job in ours if job not in owners and job not in named]
        for names, count in Counter(job.names for job in orphans).items():
            lacking = sum(self._may_lack(key, names) for key in self.items)
            strangers = sum(not job.origin and job.names == names for job in promises.credits.adopted)
            gone = sum(job.is_gone and job.names == names for job in owners)
            late = sum(self._is_swapped(job) for job in orphans if job.names == names)
            assert count <= lacking + strangers + gone + late, f"{count} jobs of {names} are nobody's"

    def _is_swapped(self, orphan: Job) -> bool:
        """Tell whether a job is one that a submission has not got because it adopted another's, which cannot adopt this one.

        Two requests for one subclient within seconds, both without an answer, cannot be distinguished. The other has given
        up before this job was accepted, or asked for a fuller level.
        """
        latest = orphan.started - self.world.config.reconcile_seconds
        return any(
            job.names == orphan.names
            and job.origin
            and job.origin != owner == orphan.origin
            and (job.started < latest or not _is_as_full(orphan.level, job.level))
            for job, owner in self.world.promises.credits.claimed.items()
        )

    def _may_lack(self, key: str, names: Names) -> bool:
        """Tell whether a submission says that it does not know of its job of a subclient."""
        end, item = self.ends[key], self.items[key]
        is_doubtful = item.get("uncertain") is True or (item["status"] == "submitted" and "error" in end.notification)
        has = {self.world.promises.credits.credited[key, job_id].names for job_id in end.notification["jobIds"]}
        return is_doubtful and item["target"] != "plan" and names not in has

    def _check_job_ends(self) -> None:
        """Every job that a notice names has its end published, and no more messages are about it."""
        whose = self.world.promises.credits
        for (key, job_id), job in whose.credited.items():
            # The end of one that is gone may be that of a job of its subclients that has got its ID.
            ids = {other.id for other in whose.ended if job.is_gone and other.names in whose.associations[key]}
            assert job in whose.ended or job_id in ids, (
                f"the end of the job {job_id} of {key} was never published: {job}"
            )
        for key, item in self.world.dynamodb.items.items():
            if key.startswith("job#") and "end" in item:
                assert plain(item)["endPublished"] is True, f"{key}: its end is not marked"

    def _check_histories(self) -> None:
        """A target's last completed backup is the newest submission all of whose jobs completed, and none that is not."""
        whose = self.world.promises.credits
        completed = {job for job, (_, status) in whose.ended.items() if status in COMPLETED}
        histories = {
            key.removeprefix("cooldown#"): (item["completedAt"], {*json.loads(item["completedJobs"])})
            for key, item in ((key, plain(item)) for key, item in self.world.dynamodb.items.items())
            if key.startswith("cooldown#") and "completedAt" in item
        }
        ends = [
            end for end in self.world.promises.ends if end.notification["jobIds"] and "error" not in end.notification
        ]
        for target, (_, ids) in histories.items():
            named = [{*end.notification["jobIds"]} for end in ends if end.notification["target"] == target]
            assert ids in named, f"{target}: no submission has got the jobs {ids} for all that it backs up"
            assert ids <= {job.id for job in completed}, f"{target}: not all of {ids} completed"
        for end in ends:
            notice = end.notification
            jobs = [whose.credited[end.item, job_id] for job_id in notice["jobIds"]]
            if any(job.is_gone or job not in completed for job in jobs):
                continue
            self.world.kernel.seen["completed targets"] += 1
            at = min(seconds(notice["submittedAt"]), *(job.started for job in jobs)) - abs(
                self.world.server.settings.ahead
            )
            recorded, _ = histories.get(notice["target"], (0, None))
            assert recorded >= at - SLACK, f"{end.item} completed, and the history of its target ends at {recorded}"


def _is_as_full(level: str, asked: str) -> bool:
    return level == asked or (level in LEVELS and asked in LEVELS and LEVELS.index(level) >= LEVELS.index(asked))
