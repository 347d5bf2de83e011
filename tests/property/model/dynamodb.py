"""DynamoDB's client in memory: the calls and the expressions that the ledger sends, answered as AWS answers them.

`test_dynamodb_model.py` holds it against the emulator.
"""

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from tests.property.model.kernel import ONCE_FAULTS, READ_FAULTS, Kernel

type Item = dict[str, dict[str, Any]]
type Condition = Callable[[Item, Mapping[str, str], Mapping[str, Any]], bool]

EXISTS = re.compile(r"attribute_(not_)?exists\((#\w+)\)")
COMPARED = re.compile(r"(#\w+) (=|<=?|>=?) (:\w+)")
COMPARISONS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
MAX_ITEM_BYTES = 400 * 1024
ROWS_PER_PAGE = 2


class DynamoDB:
    """The part of a DynamoDB client that the ledger uses. `observe` sees every item that changed."""

    def __init__(self, kernel: Kernel, observe: Callable[[str, Item], None] = lambda *_: None) -> None:
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
            if _compare(item.get(hash_name), "=", values[":hash"])
            and _compare(item.get(range_name), "<", values[":range"])
        ]
        found.sort(key=lambda item: (Decimal(item[range_name]["N"]), item["pk"]["S"]))
        rows = [{name: item[name] for name in ("pk", hash_name, range_name)} for item in found]
        start = rows.index(call["ExclusiveStartKey"]) + 1 if "ExclusiveStartKey" in call else 0
        page = rows[start : start + ROWS_PER_PAGE]
        more = {"LastEvaluatedKey": page[-1]} if start + ROWS_PER_PAGE < len(rows) else {}
        return self._kernel.effect("ledger query", lambda: {"Items": page, **more}, READ_FAULTS)

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
        requests = [operation["Update"] for operation in call["TransactItems"]]

        def act() -> None:
            _validate(requests)
            if all(results := [self._holds(request) for request in requests]):
                self._apply(requests)
                return
            reasons = [
                {"Code": "None"} if holds else {"Code": "ConditionalCheckFailed", **self._old(request)}
                for holds, request in zip(results, requests, strict=True)
            ]
            raise _error("TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons)

        kernel = self._kernel
        if kernel.fault("transaction in the way", ("another write",)):
            kernel.begin_effect()
            in_the_way = [{"Code": "None"}] * (len(requests) - 1) + [{"Code": "TransactionConflict"}]
            raise _error("TransactionCanceledException", "TransactWriteItems", CancellationReasons=in_the_way)
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
        news: dict[str, Item] = {}
        for update in updates:
            key = update["Key"]["pk"]["S"]
            names, values = update["ExpressionAttributeNames"], update.get("ExpressionAttributeValues", {})
            sets, _, removes = f" {update['UpdateExpression']}".removeprefix(" SET ").partition(" REMOVE ")
            new = {"pk": {"S": key}, **self.items.get(key, {})}
            for assignment in filter(None, sets.split(", ")):
                name, _, value = assignment.partition(" = ")
                new[names[name]] = values[value]
            for name in filter(None, removes.split(", ")):
                new.pop(names[name], None)
            if _size(new) > MAX_ITEM_BYTES:
                raise _error("ValidationException", "UpdateItem")
            news[key] = new
        self.items |= news
        for key, new in news.items():
            self._observe(key, new)


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


def _error(code: str, operation: str, **beside: Any) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": code}, **beside}
    return ClientError(response, operation)


@cache
def _condition(text: str) -> Condition:
    """Return a condition as a function of an item, the names and the values."""
    text = EXISTS.sub(lambda found: f"(names[{found[2]!r}] {found[1] and 'not'} in item)", text)
    text = COMPARED.sub(r"_compare(item.get(names['\1']), '\2', values['\3'])", text)
    text = text.replace(" AND ", " and ").replace(" OR ", " or ")
    condition: Condition = eval(f"lambda item, names, values: {text}")
    return condition


def _compare(attribute: dict[str, Any] | None, comparison: str, other: dict[str, Any]) -> bool:
    # A missing attribute, or one of another type, equals nothing and compares with nothing.
    if attribute is None or attribute.keys() != other.keys():
        return False
    (kind, mine), (_, theirs) = next(iter(attribute.items())), next(iter(other.items()))
    if kind == "N":
        mine, theirs = Decimal(mine), Decimal(theirs)
    return bool(COMPARISONS[comparison](mine, theirs))
