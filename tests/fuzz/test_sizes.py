"""The largest thing that can arrive is read in a second, whatever it holds: linear time is not fast enough by itself."""

import gc
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from rds_snap_backup.commvault.answers import HttpResponse
from rds_snap_backup.commvault.connection import MAX_BODY
from rds_snap_backup.commvault.jobs import get_job, list_page
from rds_snap_backup.commvault.outcomes import classify
from rds_snap_backup.commvault.queries import read
from rds_snap_backup.follow.tracking import NotASubmission, TrackedSubmission
from rds_snap_backup.messaging.queues import Queues
from rds_snap_backup.problems import InvalidInput
from rds_snap_backup.triggers import Arrival, parse
from tests.fuzz.limits import MAX_MESSAGE, MAX_SECONDS
from tests.fuzz.targets.job_lists import COMMVAULT, SUMMARY, Wire
from tests.fuzz.wire import Aws

# What a synchronous invocation takes (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
MAX_EVENT = 6 * 1024 * 1024
ELEMENTS: dict[str, Any] = {
    "numbers": 1,
    "lists": [],
    "texts without text": {"errorMessage": "\u200b"},
    "long texts without text": {"errorMessage": "\u200b" * 2000, "errorString": "%41" * 700},
    "errors": {"errorCode": 4, "errorMessage": "x"},
    "lists of errors": {"errList": [{"errorCode": 0}] * 9},
    "jobs": {"jobSummary": SUMMARY},
    "jobs without anything": {"jobSummary": {"jobId": 1}},
    "jobs with long reasons": {"jobSummary": {**SUMMARY, "status": "%41" * 600, "pendingReason": "&#65;" * 600}},
}
every_element = pytest.mark.parametrize("element", ELEMENTS.values(), ids=ELEMENTS)


def how_many(element: Any, size: int) -> int:
    """Return how many elements of a list fit into a size."""
    return size // (len(json.dumps(element)) + 2) - 20


def many(element: Any, size: int) -> str:
    """Return a list of as many elements, as JSON: quicker than to serialize each of a million."""
    return f"[{', '.join([json.dumps(element)] * how_many(element, size))}]"


def takes_less_than_a_second[T](call: Callable[[], T]) -> T:
    # What the other tests have left on the heap is not traversed, as in a function, whose heap is small.
    gc.collect()
    gc.freeze()
    try:
        begun = time.process_time()
        result = call()
        taken = time.process_time() - begun
    finally:
        gc.unfreeze()
    assert taken <= MAX_SECONDS
    return result


@every_element
def test_an_answer_to_create_task(element: Any) -> None:
    elements = many(element, MAX_BODY)
    for body in (elements, f'{{"jobIds": {elements}}}'):
        takes_less_than_a_second(partial(classify, HttpResponse(500, {}, body.encode()), "IMMEDIATE"))


@pytest.mark.parametrize(
    "piece", ['errorCode="0" ', 'errorMessage="', 'errorCode="', "<", "errorString=", "\n", "é", "&#65;"]
)
def test_an_answer_in_xml(piece: str) -> None:
    body = f"<{piece * (MAX_BODY // len(piece.encode()))}".encode()
    takes_less_than_a_second(lambda: classify(HttpResponse(500, {}, body), "IMMEDIATE"))


@every_element
def test_an_answer_to_a_reading_call(element: Any) -> None:
    response = HttpResponse(200, {}, f'{{"jobs": {many(element, MAX_BODY)}}}'.encode())
    Wire.response = response
    deadline = time.monotonic() + 60
    takes_less_than_a_second(lambda: read(response, not_found_is_empty=False))
    takes_less_than_a_second(lambda: list_page(COMMVAULT, 3600, 0, deadline))
    takes_less_than_a_second(lambda: get_job(COMMVAULT, "41", deadline))


@every_element
def test_an_event(element: Any) -> None:
    event = {"source": "aws.rds", "detail-type": "x", "detail": {"Tags": [element] * how_many(element, MAX_EVENT)}}

    def refuse() -> None:
        aws: Any = Aws()
        with pytest.raises(InvalidInput) as refused:
            parse(event, Arrival("id", 0.0))
        Queues("submissions", "dead-letters", lambda: aws).refuse(event, "id", refused.value.problem.to_json())

    takes_less_than_a_second(refuse)


@every_element
def test_a_message_of_the_jobs_queue(element: Any) -> None:
    def refuse() -> None:
        with pytest.raises(NotASubmission):
            TrackedSubmission.parse(f'{{"associations": {many(element, MAX_MESSAGE)}}}')

    takes_less_than_a_second(refuse)
