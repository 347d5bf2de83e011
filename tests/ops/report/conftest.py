"""A deployed stack at the wire: its Audit function answers, and its ledger has pages."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.ops.wire import AwsWire

TOPIC = "arn:aws:sns:eu-central-1:111122223333:prod-Notifications-1"
OUTPUTS = {"AuditFunctionName": "prod-Audit-1", "LedgerTableName": "prod-Ledger-1", "NotificationsTopicArn": TOPIC}


@dataclass(frozen=True, slots=True)
class AuditedStack:
    """The stack `prod`."""

    wire: AwsWire

    def answers(self, answer: Any) -> None:
        """Let the Audit function answer this."""
        self.wire.answers["Invoke"] = lambda _: (200, json.dumps(answer))

    def has_ledger(self, *pages: Sequence[dict[str, Any]]) -> None:
        """Let the ledger's scan have these pages."""

        def scan(asked: Any) -> tuple[int, str]:
            number = int(asked.get("ExclusiveStartKey", {"pk": {"S": "0"}})["pk"]["S"])
            page: dict[str, Any] = {"Items": pages[number], "Count": len(pages[number]), "ScannedCount": 1000}
            if number + 1 < len(pages):
                page["LastEvaluatedKey"] = {"pk": {"S": str(number + 1)}}
            return 200, json.dumps(page)

        self.wire.answers["Scan"] = scan

    def calls(self, operation: str) -> list[dict[str, Any]]:
        """Return the parameters of an operation's calls."""
        return [parameters for called, parameters, _ in self.wire.calls if called == operation]


@pytest.fixture
def prod(wire: AwsWire, monkeypatch: pytest.MonkeyPatch) -> AuditedStack:
    """A stack that is deployed, seen from a wide shell."""
    monkeypatch.setenv("COLUMNS", "200")
    wire.stack(Version="1.1.0", **OUTPUTS)
    return AuditedStack(wire)
