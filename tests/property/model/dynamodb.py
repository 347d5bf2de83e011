"""DynamoDB's client in memory: the calls and the expressions that the ledger sends, answered as AWS answers them.

`test_dynamodb_model.py` holds it against the emulator.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from tests.property.model.kernel import AWS_FAULTS, Kernel

type Item = dict[str, dict[str, Any]]
type Condition = Callable[[Item, Mapping[str, str], Mapping[str, Any]], bool]

TOKEN = re.compile(r"\s*(attribute_not_exists|AND|OR|<=|[=(),]|[#:]\w+)")


class DynamoDB:
    """The part of a DynamoDB client that the ledger uses. `observe` is told of every item that changed."""

    def __init__(self, kernel: Kernel, observe: Callable[[str, Item, Item], None] = lambda *_: None) -> None:
        self.items: dict[str, Item] = {}
        self._kernel = kernel
        self._observe = observe

    def update_item(self, **request: Any) -> None:
        def act() -> None:
            _validate([request])
            if not self._holds(request):
                raise _error("ConditionalCheckFailedException", "UpdateItem", **self._old(request))
            self._apply([request])

        self._kernel.effect("ledger update", act)

    def transact_write_items(self, **call: Any) -> None:
        operations: list[dict[str, Any]] = call["TransactItems"]

        def act() -> None:
            requests = [request for one in operations for request in one.values()]
            _validate(requests)
            if all(results := [self._holds(request) for request in requests]):
                self._apply([one["Update"] for one in operations if "Update" in one])
                return
            reasons = [
                {"Code": "None"} if holds else {"Code": "ConditionalCheckFailed", **self._old(request)}
                for holds, request in zip(results, requests, strict=True)
            ]
            raise _error("TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons)

        kernel = self._kernel
        if kernel.fault("transaction in the way", ("no", "yes")) == "yes":
            kernel.begin_effect()
            reasons = [{"Code": "TransactionConflict"}, *[{"Code": "None"}] * (len(operations) - 1)]
            raise _error("TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons)
        # The SDK repeats a transaction with the same token, and then it takes effect once.
        kernel.effect("ledger transaction", act, [name for name in AWS_FAULTS if name != "twice"])

    def _holds(self, request: Mapping[str, Any]) -> bool:
        if "ConditionExpression" not in request:
            return True
        item = self.items.get(request["Key"]["pk"]["S"], {})
        names, values = request["ExpressionAttributeNames"], request.get("ExpressionAttributeValues", {})
        holds = _condition(request["ConditionExpression"])(item, names, values)
        if not holds:
            self._kernel.seen[f"condition failed: {request['Key']['pk']['S'].partition('#')[0]}"] += 1
        return holds

    def _old(self, request: Mapping[str, Any]) -> dict[str, Any]:
        item = self.items.get(request["Key"]["pk"]["S"])
        return {"Item": dict(item)} if item else {}

    def _apply(self, updates: list[dict[str, Any]]) -> None:
        for update in updates:
            key = update["Key"]["pk"]["S"]
            old = self.items.get(key, {})
            names, values = update["ExpressionAttributeNames"], update.get("ExpressionAttributeValues", {})
            sets, _, removes = update["UpdateExpression"].removeprefix("SET ").partition(" REMOVE ")
            new = {"pk": {"S": key}, **old}
            for assignment in filter(None, sets.split(", ")):
                name, _, value = assignment.partition(" = ")
                new[names[name]] = values[value]
            for name in filter(None, removes.split(", ")):
                new.pop(names[name], None)
            self._observe(key, old, new)
            self.items[key] = new


def _validate(requests: list[dict[str, Any]]) -> None:
    """Refuse what AWS refuses: one item twice, and placeholders that are not given or not used."""
    keys = [request["Key"]["pk"]["S"] for request in requests]
    is_valid = len(set(keys)) == len(keys) <= 100
    for request in requests:
        text = f"{request.get('ConditionExpression', '')} {request.get('UpdateExpression', '')}"
        used = set(re.findall(r"[#:]\w+", text))
        given = {*request.get("ExpressionAttributeNames", {}), *request.get("ExpressionAttributeValues", {})}
        is_valid &= used == given and not text.endswith("SET ")
    if not is_valid:
        raise _error("ValidationException", "TransactWriteItems" if len(requests) > 1 else "UpdateItem")


def _error(code: str, operation: str, **beside: Any) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": code}, **beside}
    return ClientError(response, operation)


@cache
def _condition(text: str) -> Condition:
    tokens = TOKEN.findall(text)
    assert "".join(tokens) == re.sub(r"\s", "", text), text

    def either() -> Condition:
        parts = [both()]
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            parts.append(both())
        return lambda *given: any(part(*given) for part in parts)

    def both() -> Condition:
        parts = [term()]
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            parts.append(term())
        return lambda *given: all(part(*given) for part in parts)

    def term() -> Condition:
        match tokens.pop(0):
            case "(":
                inner = either()
                assert tokens.pop(0) == ")"
                return inner
            case "attribute_not_exists":
                _, name, _ = tokens.pop(0), tokens.pop(0), tokens.pop(0)
                return lambda item, names, _values: names[name] not in item
            case name:
                operator, value = tokens.pop(0), tokens.pop(0)
                return lambda item, names, values: _compare(item.get(names[name]), operator, values[value])

    condition = either()
    assert not tokens, text
    return condition


def _compare(one: dict[str, Any] | None, operator: str, other: dict[str, Any]) -> bool:
    if one is None or one.keys() != other.keys():
        return False
    (kind, mine), (_, theirs) = next(iter(one.items())), next(iter(other.items()))
    if kind == "N":
        mine, theirs = Decimal(mine), Decimal(theirs)
    return bool(mine == theirs if operator == "=" else mine <= theirs)
