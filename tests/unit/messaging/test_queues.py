"""The queues: bodies, delays and limits as SQS gets them, and batches of which some entries fail."""

import json
from contextlib import nullcontext
from typing import Any

import pytest

from rds_snap_backup.messaging import queues
from rds_snap_backup.messaging.queues import FanOutError, Queues
from rds_snap_backup.triggers import SubmissionMessage, Trigger, parse, unwrap
from tests.property.model.aws import SQS
from tests.property.model.kernel import Kernel
from tests.property.model.sdk import clients

URL, LETTERS = "https://sqs.us-east-1.amazonaws.com/0/submissions", "https://sqs.us-east-1.amazonaws.com/0/letters"
TRIGGER = Trigger("rds", "arn|RDS-EVENT-0043|now", "now", "RDS-EVENT-0043", "arn:aws:rds:x:1:db:o", tagged=("a", "b"))
ERROR = {"code": "X", "message": "m", "hint": "h"}


class Sent:
    """Queues before a model of SQS; `bodies` are the messages of one."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.sqs = SQS(self.kernel)
        self.queues = Queues(URL, LETTERS, clients({"sqs": self.sqs}).sqs)

    def bodies(self, url: str = URL) -> list[dict[str, Any]]:
        return [json.loads(message.body) for message in self.sqs.queues.get(url, [])]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    monkeypatch.setattr(queues, "BATCH_PAUSE_SECONDS", 0)
    return Sent()


@pytest.mark.parametrize(
    ("delay", "delayed", "pause", "hidden"),
    [(0, 0, -5, 0), (0.2, 1, 0.2, 1), (60, 60, 90, 90), (5000, 900, 1e6, 43_000)],
)
def test_a_message_is_delayed_and_hidden_for_what_sqs_allows(
    sent: Sent, delay: float, delayed: float, pause: float, hidden: float
) -> None:
    sent.queues.send(TRIGGER, "one", delay)
    (message,) = sent.sqs.queues[URL]
    assert message.visible_at == pytest.approx(sent.kernel.now + delayed, abs=0.1)
    sent.queues.postpone({sent.sqs.receive(URL, message)["receiptHandle"]: pause})
    assert message.visible_at == pytest.approx(sent.kernel.now + hidden, abs=0.1)


def test_a_message_and_a_dead_letter_keep_the_trigger(sent: Sent) -> None:
    sent.queues.send(TRIGGER, "one")
    sent.queues.dead_letter(TRIGGER, "one", 3, ERROR)
    for url, letter in ((URL, None), (LETTERS, 3)):
        (message,) = sent.sqs.queues[url]
        event, arrival = unwrap(message.body, "id", None, sent.kernel.now)
        assert parse(event, arrival, "stack") == SubmissionMessage(TRIGGER, "one", letter)
    assert sent.bodies(LETTERS)[0]["error"] == ERROR


@pytest.mark.parametrize("failures", [2, 3])
def test_a_fan_out_whose_entries_fail_three_times_is_an_error_that_names_them(sent: Sent, failures: int) -> None:
    sent.kernel.faults["queue batch"] = ["partial"] * failures  # Every other entry of a batch fails.
    with nullcontext() if failures < 3 else pytest.raises(FanOutError, match="targets a"):
        sent.queues.send_all(TRIGGER, ["a", "b"])
    assert sorted(body["target"] for body in sent.bodies()) == (["a", "b"] if failures < 3 else ["b"])


def test_a_stale_receipt_handle_harms_no_other_message(sent: Sent, caplog: pytest.LogCaptureFixture) -> None:
    sent.queues.send_all(TRIGGER, [f"t{number}" for number in range(12)])
    messages = list(sent.sqs.queues[URL])
    handles = [sent.sqs.receive(URL, message)["receiptHandle"] for message in messages]
    sent.sqs.delete(URL, messages[0])
    sent.queues.postpone(dict.fromkeys(handles, 600))
    assert min(message.visible_at for message in messages[1:]) > sent.kernel.now + 500
    assert caplog.messages == ["A message could not be postponed"]


def test_an_event_is_refused_under_its_first_identity_however_often(sent: Sent) -> None:
    sent.queues.refuse({"odd": 1}, "first", ERROR)
    (kept,) = sent.bodies(LETTERS)
    sent.queues.refuse(kept, "second", ERROR)
    assert sent.bodies(LETTERS) == [kept, kept]
    assert kept == {"event": {"odd": 1}, "deliveryId": "first", "refused": ERROR}
