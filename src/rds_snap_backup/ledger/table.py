"""DynamoDB as the ledger uses it: conditional updates, alone or as one transaction. It knows none of the ledger's items.

In conditions, names are written `#name` and values `:name`: every name goes through a placeholder, since DynamoDB
reserves hundreds of ordinary words.
"""

import random
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Value = str | int | float | bool
type Item = dict[str, Any]

MAX_READ = 100
# Writes that meet a transaction on one of their items are refused, not queued; a few jittered tries separate them.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
CONFLICT_PAUSES = (0.05, 0.15, 0.45)


@dataclass(frozen=True)
class Update:
    """An update of one item, made where `condition` holds: it makes the item if there is none."""

    key: str
    values: Mapping[str, Value]
    remove: tuple[str, ...] = ()
    condition: str = ""
    where: Mapping[str, Value] = field(default_factory=dict)

    def expression(self) -> dict[str, Any]:
        """Return the request's part that `UpdateItem` and `TransactWriteItems` have in common."""
        assignments = ", ".join(f"#{name} = :set_{name}" for name in self.values)
        removals = ", ".join(f"#{name}" for name in self.remove)
        text = f"SET {assignments}" + (f" REMOVE {removals}" if removals else "")
        return {
            "UpdateExpression": text,
            **_condition(self.key, self.condition, self.where, text, {f"set_{n}": v for n, v in self.values.items()}),
        }


class ConditionFailed(Exception):
    """A condition did not hold and nothing was written.

    `found` has an entry for each operation: None where its condition held, else the item there is (`{}`: none).
    """

    def __init__(self, found: tuple[Item | None, ...]) -> None:
        super().__init__("a condition did not hold")
        self.found = found


class Contended(BotoCoreError):
    """Other transactions held an item for too long, or the table is throttled. A later try succeeds."""

    fmt = "The ledger is busy."


class Table:
    """The ledger's table: key attribute `pk`."""

    def __init__(self, name: str, client: "DynamoDBClient") -> None:
        self._name = name
        self._client = client

    def get(self, key: str) -> Item | None:
        """Read one item, as it is now."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, Item]:
        """Read the items of these keys that exist, as they are now; raise `Contended` if the table is throttled."""
        found: dict[str, Item] = {}
        for batch in batched(keys, MAX_READ, strict=False):
            keyed = [{"pk": {"S": key}} for key in batch]
            left: Any = {self._name: {"Keys": keyed, "ConsistentRead": True}}
            for pause in (0.0, *CONFLICT_PAUSES):
                time.sleep(pause)
                answer = self._client.batch_get_item(RequestItems=left)
                for row in answer["Responses"].get(self._name, []):
                    item = _decode(row)
                    found[item["pk"]] = item
                left = answer.get("UnprocessedKeys")
                if not left:
                    break
            else:
                raise Contended
        return found

    def query(self, index: str, equal: Mapping[str, Value], below: Mapping[str, Value]) -> Iterator[str]:
        """Return the keys that an index has for one value of its hash key, below one of its range key; lowest first."""
        ((hash_name, hash_value),) = equal.items()
        ((range_name, range_value),) = below.items()
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            IndexName=index,
            KeyConditionExpression="#hash = :hash AND #range < :range",
            ExpressionAttributeNames={"#hash": hash_name, "#range": range_name},
            ExpressionAttributeValues={":hash": _encode(hash_value), ":range": _encode(range_value)},
        )
        for page in pages:
            yield from (item["pk"]["S"] for item in page["Items"])

    def write(self, *updates: Update) -> None:
        """Make all of it or nothing; raise `ConditionFailed` when a condition does not hold, `Contended` as it says."""
        for pause in (*CONFLICT_PAUSES, None):
            try:
                match updates:
                    case (update,):
                        self._update(update)
                    case _:
                        self._transact(updates)
            except ClientError as error:
                if not _is_transaction_conflict(error):
                    raise
                if pause is None:
                    raise Contended from error
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # nosec B311 # a jitter, not a secret
            else:
                return

    def _update(self, update: Update) -> None:
        try:
            self._client.update_item(
                TableName=self._name, ReturnValuesOnConditionCheckFailure="ALL_OLD", **update.expression()
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            response: Any = error.response
            raise ConditionFailed((_decode(response.get("Item", {})),)) from None

    def _transact(self, updates: tuple[Update, ...]) -> None:
        common = {"TableName": self._name, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        request: Any = [{"Update": {**common, **update.expression()}} for update in updates]
        try:
            self._client.transact_write_items(TransactItems=request)
        except ClientError as error:
            response: Any = error.response
            reasons = response.get("CancellationReasons", [])
            if all(reason.get("Code") != "ConditionalCheckFailed" for reason in reasons):
                raise
            raise ConditionFailed(
                tuple(
                    _decode(reason.get("Item", {})) if reason.get("Code") == "ConditionalCheckFailed" else None
                    for reason in reasons
                )
            ) from None


def _is_transaction_conflict(error: ClientError) -> bool:
    """Tell whether another transaction held an item: single updates meet that too, and the SDK retries neither."""
    response: Any = error.response
    codes = {reason.get("Code") for reason in response.get("CancellationReasons", [])}
    return response["Error"]["Code"] == "TransactionConflictException" or "TransactionConflict" in codes


def _condition(
    key: str, condition: str, where: Mapping[str, Value], text: str, values: Mapping[str, Value]
) -> dict[str, Any]:
    parts: dict[str, Any] = {"Key": {"pk": {"S": key}}, "ExpressionAttributeNames": _names(f"{condition} {text}")}
    if condition:
        parts["ConditionExpression"] = condition
    if everything := {**values, **where}:
        parts["ExpressionAttributeValues"] = {f":{name}": _encode(value) for name, value in everything.items()}
    return parts


@lru_cache(maxsize=64)
def _names(expressions: str) -> dict[str, str]:
    """Return the placeholders of names. They are kept, since all subclient items have the same."""
    return {f"#{name}": name for name in sorted(set(re.findall(r"#(\w+)", expressions)))}


def _encode(value: Value) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | float():
            return {"N": str(round(value, 3))}


def _decode(item: Mapping[str, Mapping[str, Any]]) -> Item:
    def plain(attribute: Mapping[str, Any]) -> Value:
        match attribute:
            case {"BOOL": bool(value)}:
                return value
            case {"N": str(number)}:
                return float(number)
            case _:
                return str(attribute["S"])

    return {name: plain(attribute) for name, attribute in item.items()}
