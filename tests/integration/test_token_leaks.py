"""No secret is shown, whatever a server gives back: nothing in logs at DEBUG, messages, dead letters, ledger or answers."""

import json
import logging
import time
import uuid
from typing import Any

import pytest

from local.commserve import CommServe
from tests.integration.leaks import leaks
from tests.integration.pairs import RENEW, PairInSecret
from tests.integration.world import World

PLACES = ("text", "page", "header", "redirect", "status_line", "malformed_header", "length", "chunk")
FORMS = ("plain", "json", "url")


class Seen:
    """Everything that leaves the function, in one text."""

    def __init__(self, world: World, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
        self.world, self.capfd, self.caplog = world, capfd, caplog
        self.answers: list[Any] = []

    def text(self) -> str:
        out, err = self.capfd.readouterr()
        logged = "\n".join(f"{one.getMessage()} {one.exc_info} {one.__dict__}" for one in self.caplog.records)
        waiting = [self.world.messages_of(url) for url in (self.world.submissions, self.world.dead_letter_queue)]
        parts = (self.answers, self.world.notifications(), self.world.items(""), waiting)
        return "\n".join((out, err, logged, *(json.dumps(part, default=str) for part in parts)))


@pytest.fixture
def seen(world: World, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Seen:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "test")
    return Seen(world, capfd, caplog)


def trigger() -> dict[str, Any]:
    return {"target": "default", "schedule": f"arn:aws:scheduler:::{uuid.uuid4()}", "time": "2026-01-31T02:00:00Z"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", PLACES)
def test_what_a_server_gives_back_is_shown_nowhere(world: World, seen: Seen, where: str, form: str) -> None:
    pair = PairInSecret(world)
    secrets = list(pair.issue().values())
    fault: dict[str, Any] = {"where": where, "form": form}
    for status in (500, 401, 400):
        world.commserve.fault("echo", path="/CreateTask", status=status, **fault)
        seen.answers.append(world.deliver(trigger()))
    world.commserve.fault("echo", path="/Client", **fault)
    seen.answers.append(world.deliver({"check": True}))
    pair.expire()
    world.commserve.fault("echo", path=RENEW, **fault)
    seen.answers.append(world.deliver(trigger(), world.sandbox()))
    secrets += world.commserve.tokens.pair.values()

    text = seen.text()
    assert len(text) > 5000
    assert leaks(text, secrets) == []
    assert world.commserve.requests
    if where == "text":
        assert "Refused: " in text


def test_the_search_finds_what_is_planted(world: World, seen: Seen) -> None:
    pair = PairInSecret(world).issue()
    for form in (pair["refreshToken"], json.dumps(pair["refreshToken"]).replace("/", "\\/"), "fake-refresh%2D1%2F"):
        logging.getLogger("test").debug("planted %s", form)
        assert leaks(seen.text(), list(pair.values())), form
        seen.caplog.clear()
    assert leaks("nothing", list(pair.values())) == []


def test_a_text_of_a_job_gives_no_secret_away(world: World, seen: Seen, commserve: CommServe) -> None:
    access = PairInSecret(world).issue()["accessToken"]
    world.deliver(trigger())
    (job,) = commserve.jobs
    commserve.end_job(job, "Failed", f"The token Bearer {access} was refused.")
    from rds_snap_backup.commvault.jobs import Job, get_job

    row = get_job(world.services.commvault, job, time.monotonic() + 10)
    assert isinstance(row, Job)
    assert "was refused" in row.reason
    assert leaks(row.reason, [access]) == []
