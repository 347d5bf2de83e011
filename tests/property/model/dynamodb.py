"""DynamoDB's client in memory: the calls and the expressions that the ledger sends, answered as AWS answers them.

`test_dynamodb_model.py` holds it against the emulator.
"""

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from functools import cache
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from tests.property.model.kernel import ONCE_FAULTS, READ_FAULTS, Kernel

type Item = dict[str, dict[str, Any]]
type Condition = Callable[[Item, Mapping[str, str], Mapping[str, Any]], bool]

TOKEN = re.compile(r"\s*(attribute_(?:not_)?exists|AND|OR|<=|>=|<>|[<>=(),]|[#:]\w+)")
COMPARISONS = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MAX_ITEM_BYTES = 400 * 1024
ROWS_PER_PAGE = 2


class DynamoDB:
    """The part of a DynamoDB client that the ledger uses. `observe` sees every item that changed."""

    def __init__(self, kernel: Kernel, observe: Callable[[str, Item, Item], None] = lambda *_: None) -> None:
        self.items: dict[str, Item] = {}
        self._kernel = kernel
        self._observe = observe

    def batch_get_item(self, **call: Any) -> dict[str, Any]:
        ((table, request),) = call["RequestItems"].items()
        keys = [key["pk"]["S"] for key in request["Keys"]]
        assert 0 < len(set(keys)) == len(keys) <= 100
        assert request["ConsistentRead"]

        def act() -> dict[str, Any]:
            rows = [dict(self.items[key]) for key in keys if self.items.get(key)]
            return {"Responses": {table: rows}, "UnprocessedKeys": {}}

        return self._kernel.effect("ledger read", act, READ_FAULTS)

    def query(self, **call: Any) -> dict[str, Any]:
        """Answer a query of the one index there is: the keys of the items that have both of its attributes."""
        assert call["KeyConditionExpression"] == "#hash = :hash AND #range < :range"
        names, values = call["ExpressionAttributeNames"], call["ExpressionAttributeValues"]
        hash_name, range_name = names["#hash"], names["#range"]
        found = [
            item
            for item in self.items.values()
            if _compare(item.get(hash_name), operator.eq, values[":hash"])
            and _compare(item.get(range_name), operator.lt, values[":range"])
        ]
        found.sort(key=lambda item: (Decimal(item[range_name]["N"]), item["pk"]["S"]))
        rows = [{name: item[name] for name in ("pk", hash_name, range_name)} for item in found]
        start = rows.index(call["ExclusiveStartKey"]) + 1 if "ExclusiveStartKey" in call else 0
        page = rows[start : start + ROWS_PER_PAGE]
        more = {"LastEvaluatedKey": page[-1]} if start + ROWS_PER_PAGE < len(rows) else {}
        return self._kernel.effect("ledger query", lambda: {"Items": page, **more}, READ_FAULTS)

    def get_paginator(self, name: str) -> Any:
        """Return the pages of a query, for tests that use this model in the place of the SDK's client."""
        assert name == "query"

        def pages(**call: Any) -> Iterator[dict[str, Any]]:
            start: dict[str, Any] = {}
            while True:
                page = self.query(**call, **start)
                yield page
                if "LastEvaluatedKey" not in page:
                    return
                start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

        return SimpleNamespace(paginate=pages)

    def update_item(self, **request: Any) -> None:
        def act() -> None:
            _validate([request])
            if not self._holds(request):
                raise _error("ConditionalCheckFailedException", "UpdateItem", **self._old(request))
            self._apply([request])

        if self._kernel.fault("update in the way", ("another write",)):
            self._kernel.begin_effect()
            raise _error("TransactionConflictException", "UpdateItem")
        self._kernel.effect("ledger update", act)

    def transact_write_items(self, **call: Any) -> None:
        operations: list[dict[str, Any]] = call["TransactItems"]
        requests = [request for operation in operations for request in operation.values()]
        keys = [request["Key"]["pk"]["S"] for request in requests]

        def act() -> None:
            _validate(requests)
            if all(results := [self._holds(request) for request in requests]):
                self._apply([operation["Update"] for operation in operations if "Update" in operation])
                return
            reasons = [
                {"Code": "None"} if holds else {"Code": "ConditionalCheckFailed", **self._old(request)}
                for holds, request in zip(results, requests, strict=True)
            ]
            raise _error("TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons)

        kernel = self._kernel
        if kernel.fault("transaction in the way", ("another write",)):
            kernel.begin_effect()
            raise _cancelled(keys, {keys[-1]})
        kernel.effect("ledger transaction", act, ONCE_FAULTS)

    def _holds(self, request: Mapping[str, Any]) -> bool:
        if "ConditionExpression" not in request:
            return True
        item = self.items.get(request["Key"]["pk"]["S"], {})
        names, values = request["ExpressionAttributeNames"], request.get("ExpressionAttributeValues", {})
        return _condition(request["ConditionExpression"])(item, names, values)

    def _old(self, request: Mapping[str, Any]) -> dict[str, Any]:
        item = self.items.get(request["Key"]["pk"]["S"])
        return {"Item": dict(item)} if item else {}

    def _apply(self, updates: list[dict[str, Any]]) -> None:
        news: list[tuple[str, Item, Item]] = []
        for update in updates:
            key = update["Key"]["pk"]["S"]
            old = self.items.get(key, {})
            names, values = update["ExpressionAttributeNames"], update.get("ExpressionAttributeValues", {})
            sets, _, removes = f" {update['UpdateExpression']}".removeprefix(" SET ").partition(" REMOVE ")
            new = {"pk": {"S": key}, **old}
            for assignment in filter(None, sets.split(", ")):
                name, _, value = assignment.partition(" = ")
                new[names[name]] = values[value]
            for name in filter(None, removes.split(", ")):
                new.pop(names[name], None)
            if _size(new) > MAX_ITEM_BYTES:
                raise _error("ValidationException", "UpdateItem")
            news.append((key, old, new))
        self.items |= {key: new for key, _, new in news}
        for key, old, new in news:
            self._observe(key, old, new)


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


def _size(item: Item) -> int:
    """Return an item's size as DynamoDB counts it, nearly: names and values in UTF-8."""
    return sum(
        len(name.encode()) + len(str(value).encode())
        for name, attribute in item.items()
        for value in attribute.values()
    )


def _cancelled(keys: list[str], in_the_way: Collection[str]) -> ClientError:
    """Return the error of a transaction that met another write on these items."""
    reasons = [{"Code": "TransactionConflict" if key in in_the_way else "None"} for key in keys]
    return _error("TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons)


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
            case "attribute_not_exists" | "attribute_exists" as function:
                _, name, _ = tokens.pop(0), tokens.pop(0), tokens.pop(0)
                return lambda item, names, _values: (names[name] in item) is (function == "attribute_exists")
            case name:
                comparison, value = COMPARISONS[tokens.pop(0)], tokens.pop(0)
                return lambda item, names, values: _compare(item.get(names[name]), comparison, values[value])

    condition = either()
    assert not tokens, text
    return condition


def _compare(attribute: dict[str, Any] | None, comparison: Callable[[Any, Any], Any], other: dict[str, Any]) -> bool:
    # A missing attribute, or one of another type, equals nothing and compares with nothing.
    if attribute is None or attribute.keys() != other.keys():
        return comparison is operator.ne
    (kind, mine), (_, theirs) = next(iter(attribute.items())), next(iter(other.items()))
    if kind == "N":
        mine, theirs = Decimal(mine), Decimal(theirs)
    return bool(comparison(mine, theirs))
