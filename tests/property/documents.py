"""The target documents, and what an owner does to them between any two steps."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.property.model.jobs import Names, names_of


def association(group: str) -> dict[str, str]:
    return {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": group}


# They overlap, at different levels.
DOCUMENTS: dict[str, dict[str, Any]] = {
    "one": {"associations": [association("orders")], "databases": ["orders-*"]},
    "three": {
        "associations": [
            association("a"),
            {**association("b"), "databases": ["orders-1"]},
            {**association("c"), "databases": ["orders-2"]},
        ],
        "databases": ["orders-*"],
        "gatherMinutes": 1,
        "retryFailedJobs": 2,
    },
    "twin": {"associations": [association("orders"), association("b")], "backupLevel": "INCREMENTAL"},
    "two": {"associations": [association("a"), association("orders")], "backupLevel": "DIFFERENTIAL"},
    "plan": {"associations": [association("plan")], "taskType": "SCHEDULE"},
}
EDITS = (
    *("incremental", "differential", "synthetic full", "renamed", "shortened", "lengthened"),
    *("narrowed", "gathering", "broken", "disabled", "deleted", "restored"),
)
# The states of a document in which a trigger may start nothing.
UNUSABLE = {"narrowed", "broken", "disabled", "deleted"}


@dataclass(slots=True)
class Documents:
    """The documents as SSM has them now (`parameters`), every state that they had, and all that they ever named."""

    path: str
    parameters: dict[str, str] = field(default_factory=dict)
    states: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    named: defaultdict[str, set[Names]] = field(default_factory=lambda: defaultdict(set))
    levels: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        self.restore()

    def restore(self) -> None:
        """Put all documents back as they were."""
        for name in DOCUMENTS:
            self.edit(name, "restored")

    def add(self, name: str, document: dict[str, Any]) -> None:
        """Store a document."""
        self._put(name, document, json.dumps(document))

    def edit(self, name: str, how: str) -> None:
        """Let a document's owner do something to it."""
        document = {**DOCUMENTS[name]}
        first, *others = document["associations"]
        match how:
            case "incremental" | "differential" | "synthetic full":
                document["backupLevel"] = how.upper().replace(" ", "_")
            case "renamed":
                document["associations"] = [association(f"{first['subclientName']}-2"), *others]
            case "shortened":
                document["associations"] = others or [first]
            case "lengthened":
                document["associations"] = [first, *others, association("d")]
            case "narrowed":
                document["rdsEventIds"] = ["RDS-EVENT-0005"]
            case "gathering":
                document["gatherMinutes"] = 0 if document.get("gatherMinutes") else 30
            case "disabled":
                document["enabled"] = False
        self.states[name].add(how)
        if how == "deleted":
            self.parameters.pop(self.path + name, None)
            return
        text = json.dumps(document)
        self._put(name, document, text[:-1] if how == "broken" else text)

    def _put(self, name: str, document: dict[str, Any], text: str) -> None:
        self.parameters[self.path + name] = text
        self.named[name] |= {names_of(entry) for entry in document["associations"]}
        self.levels[name].add(document.get("backupLevel", "FULL"))
