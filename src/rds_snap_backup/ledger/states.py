"""The states of a submission, and which may follow which. `docs/architecture.md` draws them.

Tests compare the two, and hold every write of the property test against them.
"""

from collections.abc import Mapping
from typing import Literal

type Closed = Literal["submitted", "scheduled", "joined", "rejected", "abandoned"]
type Open = Literal["submitting", "deferred", "unknown"]

CLOSED = frozenset({"submitted", "scheduled", "joined", "rejected", "abandoned"})
# What went wrong has a dead letter, and a redrive of it opens the submission again.
REOPENABLE = frozenset({"rejected", "abandoned"})

# "" is a submission that has no item yet.
TRANSITIONS: Mapping[str, frozenset[str]] = {
    "": frozenset({"submitting", "deferred", "rejected"}),
    "submitting": frozenset({"submitted", "scheduled", "joined", "rejected", "abandoned", "deferred", "unknown"}),
    "deferred": frozenset({"submitting", "deferred", "unknown", "submitted", "joined", "abandoned"}),
    "unknown": frozenset({"submitting", "deferred", "unknown", "submitted", "abandoned"}),
    "submitted": frozenset(),
    "scheduled": frozenset(),
    "joined": frozenset(),
    "rejected": frozenset({"submitting", "deferred"}),
    "abandoned": frozenset({"submitting", "deferred", "unknown"}),
}
