"""The token reaches Commvault and nothing else: not the logs at DEBUG, not a message, a dead letter or the ledger."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import CANARY
from tests.e2e.product import Product, scheduled
from tests.e2e.tap import Tap

pytestmark = pytest.mark.e2e

SECRET_PART = "5f1d8c70e2"


def test_the_token_is_nowhere_but_in_the_request(product: Product, tap: Tap) -> None:
    assert SECRET_PART in CANARY
    faults = ("unauthorized", "reset_before", "garbage", "error_top", "bare_string_400")
    targets = [product.target("token") for _ in faults]
    for fault, target in zip(faults, targets, strict=True):
        product.commserve.fault(fault, about=target)
        product.stack.invoke(scheduled(target))
    product.wait_for_messages(*targets, number=len(targets))
    assert {request.header("Authtoken") for request in product.commserve.create_tasks} == {CANARY}
    configuration = product.stack.aws.client("lambda").get_function_configuration(
        FunctionName=product.stack.outputs["BackupFunctionName"]
    )
    assert configuration["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == "DEBUG"
    found = [text for text in _everything_written(product, tap) if SECRET_PART in text]
    assert not found


def _everything_written(product: Product, tap: Tap) -> Iterator[str]:
    yield from product.stack.logs()
    for message in product.subscriber.received:
        yield json.dumps([message.body, message.attributes])
    for queue in ("SubmissionsQueueUrl", "DeadLetterQueueUrl"):
        yield from (str(message["Body"]) for message in product.stack.messages(queue))
    yield from (json.dumps(item) for item in product.stack.ledger())
    yield from (call.text for call in tap.calls)
    yield product.stack.aws.log.read_text(errors="replace")
