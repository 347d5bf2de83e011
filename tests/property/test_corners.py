"""Corners in time that chance seldom reaches, played in the property test's world: one script each."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.ledger import records
from rds_snap_backup.ledger.steps import FoundJob, LostLease, Pin, Reconcile, Send, Submission
from rds_snap_backup.observability import logger
from rds_snap_backup.problems import Problem
from rds_snap_backup.targets import Association, BackupRequest
from rds_snap_backup.triggers import Trigger
from tests.property.documents import association
from tests.property.model.answers import ANSWERS, READS
from tests.property.model.aws import MAX_MESSAGE_BYTES
from tests.property.model.commvault import CommServe, Settings
from tests.property.model.kernel import AWS_FAULTS, Kernel, Run, Schedule
from tests.property.plain import plain
from tests.property.script import ARN, RDS, SCHEDULE, Example
from tests.property.wire import in_charge
from tests.property.world import DEAD_LETTERS, ENVELOPE_DELAYS, SUBMISSIONS, Event, World

CONFIG = {"cool_down_minutes": 15, "retry_hours": 1, "first_retry_seconds": 30, "reconcile_seconds": 600}


class Stage(Example):
    """An example that a test plays step by step."""

    def invoke(
        self, kind: str, number: int, target: str = "one", *, is_sync: bool = False, is_tagged: bool = True
    ) -> str:
        """Let something fire; return its item."""
        time = f"2026-01-31T02:{number:02}:00Z"
        match kind:
            case "rds":
                detail: dict[str, Any] = {
                    "SourceArn": ARN,
                    "EventID": "RDS-EVENT-0043",
                    "Date": time,
                    "SourceType": "DB_INSTANCE",
                }
                if is_tagged:
                    detail["Tags"] = {"rds-snap-backup:target": target}
                body, identity = {**RDS, "detail": detail}, f"rds#{ARN}|RDS-EVENT-0043|{time}"
            case "schedule":
                body = {"schedule": SCHEDULE, "time": time, "target": target}
                identity = f"schedule#{SCHEDULE}|{time}"
            case _:
                body, identity = {"target": target, "requestId": f"request-{number}"}, f"manual#request-{number}"
        item = f"submission#{target}#{identity}"
        others = tuple(f"submission#{name}#{identity}" for name in ("one", "three") if name != target and kind == "rds")
        event = Event(body, f"invocation-{number}", (item,), instead=others, is_sync=is_sync)
        self.world.events.append(event)
        self.world.go([self.world.invoke(event)])
        return item

    def answered(self, *answers: str) -> None:
        """Let the next requests to CreateTask be answered so, one after the other."""
        self.kernel.faults["create"] = Schedule([(0, tuple(ANSWERS).index(answer)) for answer in answers])

    def accepted_late(self, delay: int) -> None:
        """Let the next CreateTask be acted on after one of the delays, its connection being reset."""
        choice = tuple(ANSWERS).index("reset, accepted late") + delay * len(ANSWERS)
        self.kernel.faults["create"] = Schedule([(0, choice)])

    def cut_off(self, answer: str, delay: int = 0) -> None:
        """Let something befall the next CreateTask; a run that it kills is redelivered after 85 s.

        What is acted on late is acted on after one of the delays.
        """
        fitting = (
            choice
            for choice in range(10_000)
            if ENVELOPE_DELAYS[choice % len(ENVELOPE_DELAYS)] == 85.0 and choice // len(ANSWERS) % 4 == delay
        )
        index = tuple(ANSWERS).index(answer)
        self.kernel.faults["create"] = Schedule([(0, next(one for one in fitting if one % len(ANSWERS) == index))])

    def status(self, item: str) -> str:
        return str(plain(self.world.dynamodb.items[item])["status"])

    def dead_letters(self) -> list[str]:
        return [message.body for message in self.world.sqs.queues.get(DEAD_LETTERS, [])]

    def started(self) -> int:
        self.server.catch_up()
        return len(self.server.jobs)


@pytest.fixture
def stage() -> Iterator[Stage]:
    kernel = Kernel({"aws": Schedule(())}, Schedule(()))
    server = CommServe(kernel, Settings(latest_acceptance=590))
    world = World(kernel, server, CONFIG, (0.0,))
    level = logger.log_level
    logger.setLevel("CRITICAL")
    with in_charge(server):
        yield Stage(world, kernel, server)
    logger.setLevel(level)


def test_no_such_job_is_believed_by_when_commvault_was_asked(stage: Stage) -> None:
    """The list was read before the request was acted on, and its answer came after the wait was over."""
    stage.accepted_late(3)
    item = stage.invoke("schedule", 1)
    stage.world.deliver_until(stage.kernel.now + 585)
    stage.kernel.faults["list"] = Schedule([(0, READS.index("slow"))])
    stage.world.go([stage.world.invoke(stage.world.events[0])])
    stage.heal()
    assert stage.status(item) == "submitted"
    assert stage.started() == 1
    stage.check()


def test_no_such_job_is_believed_by_when_the_attempt_may_have_ended(stage: Stage) -> None:
    """Its run was killed, and its request under way until the lease ended: the wait begins then, and not at its start."""
    stage.cut_off("die with it under way", 3)
    item = stage.invoke("schedule", 1)
    begun = stage.kernel.now
    stage.world.deliver_until(begun + 610)
    stage.world.go([stage.world.invoke(stage.world.events[0])])
    assert stage.started() == 0
    stage.heal()
    assert stage.status(item) == "submitted"
    assert stage.started() == 1
    stage.check()


def test_what_was_abandoned_in_doubt_and_redriven_waits_before_it_is_sent_again(stage: Stage) -> None:
    stage.cut_off("die before")
    item = stage.invoke("schedule", 1)
    stage.server.mood = "down"
    stage.world.deliver_until(stage.kernel.now + 3550)
    stage.server.mood = ""
    stage.kernel.now += 100
    stage.accepted_late(2)
    stage.world.drain()
    assert stage.status(item) == "abandoned"
    stage.world.redrive(stage.dead_letters()[0])
    stage.heal()
    stage.kernel.now += 600
    assert stage.status(item) == "submitted"
    assert stage.started() == 1
    stage.check()


def test_a_dead_letter_opens_its_submission_once_even_if_it_has_to_wait(stage: Stage) -> None:
    """A copy of a dead letter does nothing, even where the submission waited for a cool-down when it was opened."""
    stage.server.mood = "down"
    stage.invoke("manual", 1)
    item = stage.invoke("rds", 2)
    stage.world.sqs.queues.clear()
    stage.kernel.now += 3700
    stage.invoke("manual", 3)
    stage.world.go([stage.world.invoke(stage.world.events[1])])
    assert stage.status(item) == "abandoned"
    (letter,) = [one for one in stage.dead_letters() if json.loads(one)["trigger"]["kind"] == "rds"]
    for _ in range(2):
        stage.world.redrive(letter)
        stage.world.deliver_until(stage.kernel.now + 1)
        stage.kernel.now += 3700
        stage.invoke("manual", 4 + len(stage.world.events))
        stage.world.go([stage.world.invoke(stage.world.events[1])])
    stage.world.redrive(letter)
    stage.world.deliver_until(stage.kernel.now + 1)
    assert stage.status(item) == "abandoned"


def test_a_write_that_the_sdk_repeats_is_our_own_where_a_submission_has_to_wait(stage: Stage) -> None:
    stage.server.mood = "down"
    stage.invoke("manual", 1)
    stage.kernel.faults["ledger update"] = Schedule([(0, AWS_FAULTS.index("twice"))])
    item = stage.invoke("rds", 2)
    assert plain(stage.world.dynamodb.items[item])["lease"] == 0


def test_a_run_whose_lease_was_taken_over_records_nothing_more(stage: Stage) -> None:
    """It cannot outlive its lease unless clocks differ by more than the room that a lease leaves."""
    ledger, kernel = stage.world.services(stage.world.sandboxes[0]).ledger, stage.kernel
    kernel.current = Run(stage.world.sandboxes[0], started=kernel.now)
    submission = Submission(Trigger("manual", "request-1"), "one")
    pin = Pin(BackupRequest((Association("aws-prod", "orders", "aws-prod", "default"),)), 900)
    first = ledger.begin(submission, "first", pin)
    assert isinstance(first, Send)
    kernel.now += 81
    kernel.current.started = kernel.now
    assert isinstance(ledger.begin(submission, "second", pin), Reconcile)
    problem = Problem("NONE", "None.", "None.")
    notification: dict[str, Any] = {"status": "submitted", "jobIds": ["1001"], "reconciled": False}
    writes: tuple[Callable[[], object], ...] = (
        lambda: ledger.close(first.lease, "submitted", notification, ["1001"]),
        lambda: ledger.amend(first.lease, notification, notification, [FoundJob("1001", kernel.now)]),
        lambda: ledger.defer(first.lease, problem, kernel.now),
        lambda: ledger.unknown(first.lease, problem, kernel.now),
        lambda: ledger.adopt(first.lease, {"a": FoundJob("1001", kernel.now)}),
    )
    for write in writes:
        with pytest.raises(LostLease):
            write()
    ledger.mark_published(first.lease)
    item = plain(stage.world.dynamodb.items[submission.key])
    assert (item["status"], item["owner"], "published" in item) == ("unknown", "second", False)
    assert "job#1001" not in stage.world.dynamodb.items


def test_a_target_of_many_associations_with_long_names_is_recorded_and_published(stage: Stage) -> None:
    """A hundred associations, of names so long that a message that lists them all is larger than SNS accepts."""
    names = [f"{number:03}-{'n' * 450}" for number in range(100)]
    associations = [
        {
            "clientName": "aws-prod",
            "instanceName": name,
            "displayName": f"Of {name}",
            "subclientName": f"{name} default",
        }
        for name in names
    ]
    document = json.dumps({"associations": associations})
    assert len(document) * 2 > MAX_MESSAGE_BYTES
    stage.world.documents.add("one", {"associations": associations})
    item = stage.invoke("schedule", 1)
    assert stage.status(item) == "submitted"
    assert stage.started() == 100
    (message,) = [one for one in stage.world.sns.messages if one["status"] == "submitted"]
    assert len(message["jobIds"]) == 100
    stage.heal()
    assert len({one["jobIds"][0] for one in stage.world.sns.messages if len(one["jobIds"]) == 1}) == 100


def test_a_synchronous_call_that_is_killed_is_resumed_by_its_safety_net(stage: Stage) -> None:
    """Nothing delivers it again, and it holds the cool-down: an RDS event waits for it, and joins its jobs."""
    stage.cut_off("die after")
    item = stage.invoke("manual", 1, is_sync=True)
    assert stage.status(item) == "submitting"
    waiting = stage.invoke("rds", 2)
    stage.heal()
    assert [stage.status(one) for one in (item, waiting)] == ["submitted", "joined"]
    assert stage.started() == 1
    stage.check()


def test_a_list_that_takes_longer_than_a_run_is_read_on_by_the_next(stage: Stage) -> None:
    """Sixty rows of others in pages of three, each of which takes its time, and no client's own list to be had."""
    stage.server.settings.crowd, stage.server.settings.page_seconds = 60, 4.0
    stage.server.settings.hides_clients = True
    stage.answered("reset, accepted")
    item = stage.invoke("schedule", 1)
    stage.heal()
    assert stage.status(item) == "submitted"
    assert stage.started() == 1
    stage.check()


@pytest.mark.parametrize("how", ["narrowed", "broken", "disabled", "deleted", "renamed", "incremental"])
@pytest.mark.parametrize("answer", ["reset, accepted", "failed", "die after"])
@pytest.mark.parametrize("kind", ["schedule", "rds", "rds, by its database"])
def test_a_submission_is_driven_by_what_was_sent_whatever_happens_to_its_document(
    stage: Stage, kind: str, answer: str, how: str
) -> None:
    stage.world.documents.edit("three", "deleted")  # It would match the database, too.
    stage.cut_off(answer)
    item = stage.invoke(kind.partition(",")[0], 1, is_tagged=kind == "rds")
    stage.world.documents.edit("one", how)
    stage.kernel.now += 61
    stage.heal()
    assert stage.status(item) == "submitted"
    assert [job.origin for job in stage.server.history].count(item) == 1
    assert not stage.kernel.seen["found by the audit"]
    stage.check()


def test_no_job_is_adopted_while_the_list_does_not_show_those_that_were_named(stage: Stage) -> None:
    """The third request is accepted in part, and its list of jobs ends before them, and after a job that is lost."""
    stage.answered("in part", "reset, accepted", "in part, without an error")
    stage.kernel.faults["list"] = Schedule([(1, READS.index("429"))])
    stage.server.settings.newest_first = False
    items = [stage.invoke("schedule", number, "three") for number in range(3)]
    stage.heal()
    assert [stage.status(item) for item in items] == ["submitted"] * 3
    stage.check()


def test_jobs_that_were_claimed_before_a_run_was_killed_are_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More jobs than one transaction holds are claimed by two; between them the run is killed."""
    monkeypatch.setattr(records, "MAX_TRANSACTION", 4)
    stage.kernel.faults["ledger transaction"] = Schedule([(2, AWS_FAULTS.index("die before"))])
    item = stage.invoke("schedule", 1, "three")
    claimed = {key for key in stage.world.dynamodb.items if key.startswith("job#")}
    assert (stage.status(item), len(claimed)) == ("submitting", 1)
    # Newer jobs, of a request whose answer is lost, come first in the list, whose next page cannot be read.
    stage.cut_off("reset, accepted")
    stage.invoke("schedule", 2, "three")
    stage.kernel.now += 81
    stage.kernel.faults["list"] = Schedule([(1, READS.index("429"))])
    stage.world.go([stage.world.invoke(stage.world.events[0])])
    stage.heal()
    assert stage.started() == 6
    stage.check()


def test_a_request_is_never_empty_and_what_has_all_its_jobs_is_submitted(stage: Stage) -> None:
    """One of two associations has its job, the other one fails, and is then taken out of the target."""
    both = [association("a"), association("b")]
    stage.world.documents.add("two", {"associations": both})
    item = in_part(stage, "failed", "two")
    stage.world.documents.add("two", {"associations": both[:1]})
    stage.kernel.now += 61
    stage.heal()
    assert stage.status(item) == "submitted"
    assert stage.kernel.seen["deliveries"] > 2
    assert stage.started() == 1
    stage.check()


def test_only_runs_that_are_cut_off_in_a_row_end_a_submission(stage: Stage) -> None:
    """Seven runs are cut off in all, and never more than three in a row: others come to their end between them."""
    stage.cut_off("die before")
    die = READS.index("die before")
    stage.kernel.faults["list"] = Schedule([(gap, die) for gap in (0, 0, 1, 0, 1, 0)])
    item = stage.invoke("schedule", 1)
    stage.world.drain()
    assert stage.kernel.seen["list: die before"] == 6
    assert stage.status(item) == "submitted"
    assert stage.started() == 1
    stage.check()


def test_a_single_write_that_meets_a_transaction_is_tried_again_by_its_run(stage: Stage) -> None:
    stage.kernel.faults["update in the way"] = Schedule([(0, 1)])
    item = stage.invoke("schedule", 1)
    assert stage.kernel.seen["update in the way: yes"] == 1
    assert plain(stage.world.dynamodb.items[item])["published"] is True
    assert not stage.world.sqs.queues.get(SUBMISSIONS)


def in_part(stage: Stage, then: str, target: str = "three") -> str:
    """Let a schedule's request be accepted for all subclients but one, and something else befall the last one."""
    stage.answered("reset, accepted in part", then)
    item = stage.invoke("schedule", 1, target)
    while not stage.kernel.seen[f"create: {then}"]:
        stage.world.deliver_until(stage.kernel.now + 30)
    return item


def submitted(stage: Stage, kind: str) -> dict[str, Any]:
    (message,) = (
        one for one in stage.world.sns.messages if (one["status"], one["trigger"]["kind"]) == ("submitted", kind)
    )
    return message


def test_jobs_that_are_gone_and_whose_ids_are_anothers_by_now_are_started_again(stage: Stage) -> None:
    """Two of three jobs were adopted, the CommServe is restored, and another submission is given their IDs."""
    item = in_part(stage, "failed")
    stage.server.restore(0)
    stage.invoke("manual", 2, "three")
    stage.heal()
    assert stage.status(item) == "submitted"
    assert submitted(stage, "manual")["jobIds"] == ["1001", "1002", "1003"]
    assert submitted(stage, "schedule")["jobIds"] == ["1004", "1005", "1006"]
    stage.check()


def test_a_dead_letter_whose_jobs_are_gone_starts_them_again(stage: Stage) -> None:
    item = in_part(stage, "rejected with 403")
    stage.world.drain()
    assert stage.status(item) == "rejected"
    stage.server.restore(0)
    stage.invoke("manual", 2, "three")
    stage.world.redrive(stage.dead_letters()[0])
    stage.heal()
    assert submitted(stage, "manual")["jobIds"] == ["1001", "1002", "1003"]
    assert submitted(stage, "schedule")["jobIds"] == ["1004", "1005", "1006"]
    stage.check()


def test_jobs_that_go_while_the_last_one_is_looked_for_are_missed_before_the_end_is_recorded(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the run reads the list of jobs, another submission is credited with the ID of the first one."""
    item = in_part(stage, "reset, accepted")
    items, real = stage.world.dynamodb.items, CommServe.list

    def credit_another(server: CommServe, *arguments: Any, **named: Any) -> Any:
        items["job#1001"]["submission"] = {"S": "submission#three#manual#request-2"}
        return real(server, *arguments, **named)

    monkeypatch.setattr(CommServe, "list", credit_another)
    stage.world.deliver_until(plain(items[item])["wakeAt"] + 1)
    assert json.loads(plain(items[item])["error"])["code"] == "JOB_TAKEN"
    stage.heal()
    assert submitted(stage, "schedule")["jobIds"] == ["1002", "1003", "1004"]
    assert [job.names[1] for job in stage.server.jobs] == ["a", "b", "c", "a"]


def test_an_id_that_is_counted_again_for_the_same_submission_is_not_two_jobs(stage: Stage) -> None:
    item = in_part(stage, "failed")
    stage.server.restore(0)
    stage.heal()
    assert stage.status(item) == "submitted"
    message = submitted(stage, "schedule")
    assert message["error"]["code"] == "JOBS_MISSING"
    assert "/ a /" in message["error"]["message"]
    stage.check()


def test_a_claim_of_a_run_that_was_killed_and_lost_its_job_since_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between its two transactions; then the CommServe is restored, and the ID of the claimed job is another's."""
    monkeypatch.setattr(records, "MAX_TRANSACTION", 4)
    stage.kernel.faults["ledger transaction"] = Schedule([(2, AWS_FAULTS.index("die before"))])
    item = stage.invoke("schedule", 1, "three")
    stage.server.restore(0)
    stage.kernel.now += 5
    stage.invoke("manual", 2, "three")
    stage.kernel.now += 81
    stage.heal()
    assert not stage.world.promises.errors
    assert stage.status(item) == "submitted"
    assert submitted(stage, "manual")["jobIds"] == ["1001", "1002", "1003"]
    assert submitted(stage, "schedule")["jobIds"] == ["1004", "1005", "1006"]
    stage.check()


def test_a_dead_letter_of_a_broken_document_that_is_redriven_too_soon_stays_a_dead_letter(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is moved before its run has noted that it published, which it does while the letter's run begins."""
    stage.world.documents.edit("one", "broken")
    item = stage.invoke("schedule", 1)
    items, (letter,) = stage.world.dynamodb.items, stage.dead_letters()
    marked = items[item]
    lease = {"N": str(stage.kernel.now + 80)}
    items[item] = {**marked, "published": {"BOOL": False}, "lease": lease, "open": {"S": "yes"}, "wakeAt": lease}
    prepare = Commvault.prepare

    def mark_then_prepare(commvault: Commvault, deadline: float) -> None:
        items[item] = marked
        prepare(commvault, deadline)

    monkeypatch.setattr(Commvault, "prepare", mark_then_prepare)
    stage.world.redrive(letter)
    stage.world.drain()
    assert [one["status"] for one in stage.world.sns.messages] == ["rejected"]
    assert stage.dead_letters() == [letter, letter]


def joins(stage: Stage, answer: str) -> dict[str, Any]:
    """Let a schedule's request be answered so, its jobs complete, and an RDS event join them."""
    stage.server.settings.job_seconds = 100
    stage.answered(answer)
    stage.invoke("schedule", 1, "three")
    for job in stage.server.jobs:
        job.status, job.outcome = "Completed", "completed"
    stage.kernel.now += 30
    item = stage.invoke("rds", 2, "three")
    assert stage.status(item) == "joined"
    (message,) = (one for one in stage.world.sns.messages if one["status"] == "joined")
    return message


def test_who_joins_a_submission_joins_the_job_too_that_was_found_after_its_end_was_recorded(stage: Stage) -> None:
    message = joins(stage, "not all named")
    assert message["jobIds"] == submitted(stage, "schedule")["jobIds"] == ["1001", "1002", "1003"]
    assert "error" not in message
    stage.heal()
    stage.check()


def test_a_job_that_was_found_after_the_end_was_recorded_and_failed_is_not_joined(stage: Stage) -> None:
    stage.server.settings.job_seconds = 100
    stage.answered("not all named")
    stage.invoke("schedule", 1, "three")
    for job in stage.server.jobs:
        job.status, job.outcome = ("Failed", "failed") if job.id == "1003" else ("Completed", "completed")
    stage.world.deliver_until(stage.kernel.now + 230)
    assert [one["jobIds"] for one in stage.world.sns.messages if one["status"] == "failed"] == [["1003"]]
    item = stage.invoke("rds", 2, "three")
    assert stage.status(item) == "submitted"
    assert stage.started() == 6


def test_who_joins_a_submission_without_all_its_jobs_says_so_and_does_not_count_as_a_whole_backup(
    stage: Stage,
) -> None:
    message = joins(stage, "in part, without an error")
    assert message["error"] == submitted(stage, "schedule")["error"]
    assert message["error"]["code"] == "JOBS_MISSING"
    stage.heal()
    assert "completedAt" not in plain(stage.world.dynamodb.items["cooldown#three"])
    stage.check()
