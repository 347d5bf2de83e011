"""The target documents, and what an owner does to them between any two steps."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.property.model.jobs import Names, names_of


def association(instance: str) -> dict[str, str]:
    return {"clientName": "aws-prod", "instanceName": instance, "subclientName": "default"}


DOCUMENTS: dict[str, dict[str, Any]] = {
    "one": {"associations": [association("orders")], "databases": ["orders-*"]},
    "three": {
        "associations": [association(name) for name in ("a", "b", "c")],
        "databases": ["orders-*"],
        "coolDownMinutes": 5,
    },
    "twin": {"associations": [association("orders")], "coolDownMinutes": 0},
    "plan": {"associations": [association("plan")], "taskType": "SCHEDULE"},
}
EDITS = (
    *("incremental", "differential", "synthetic full", "renamed", "shortened", "lengthened"),
    *("narrowed", "cool-down", "broken", "disabled", "deleted", "restored"),
)
# The states of a document in which a trigger may come to nothing.
UNUSABLE = {"narrowed", "broken", "disabled", "deleted"}


@dataclass(slots=True)
class Documents:
    """The documents as SSM has them now (`parameters`), and everything that they ever were."""

    path: str
    parameters: dict[str, str] = field(default_factory=dict)
    states: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    sent: defaultdict[str, list[tuple[set[Names], str]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.restore()

    def restore(self) -> None:
        """Put all documents back as they were."""
        for name in DOCUMENTS:
            self.edit(name, "restored")

    def add(self, name: str, document: dict[str, Any]) -> None:
        """Let there be another target."""
        self._put(name, document, json.dumps(document))

    def edit(self, name: str, how: str) -> None:
        """Let a document's owner do something to it."""
        document = {**DOCUMENTS[name]}
        first, *others = document["associations"]
        match how:
            case "incremental" | "differential" | "synthetic full":
                document["backupLevel"] = how.upper().replace(" ", "_")
            case "renamed":
                document["associations"] = [association(f"{first['instanceName']}-2"), *others]
            case "shortened":
                document["associations"] = others or [first]
            case "lengthened":
                document["associations"] = [first, *others, association("d")]
            case "narrowed":
                document["rdsEventIds"] = ["RDS-EVENT-0005"]
            case "cool-down":
                document["coolDownMinutes"] = 0 if document.get("coolDownMinutes") else 30
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
        self.sent[name].append(
            ({names_of(one) for one in document["associations"]}, document.get("backupLevel", "FULL"))
        )

    def ever_had(self, name: str, names: set[Names], level: str) -> bool:
        """Tell whether a request can have been made from the document as it is or was."""
        return any(names <= known and level == had for known, had in self.sent[name])
