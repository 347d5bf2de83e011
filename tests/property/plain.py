"""Small shapes that the watchers share: items without their types, and keys."""

from datetime import datetime
from typing import Any

# Sandboxes' clocks differ, and calls take their time.
SLACK = 8.0


def plain(item: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return an item without its types."""
    return {
        name: float(value) if kind == "N" else value
        for name, attribute in item.items()
        for kind, value in attribute.items()
    }


def key_of(notification: dict[str, Any]) -> str:
    """Return the ledger's key of what a notification or a dead letter is about."""
    trigger = notification["trigger"]
    return f"submission#{notification['target']}#{trigger['kind']}#{trigger['id']}"


def seconds(iso: str) -> float:
    """Return a notification's time in Unix seconds."""
    return datetime.fromisoformat(iso).timestamp()
