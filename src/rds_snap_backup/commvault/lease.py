"""What renewing the token needs of whoever keeps runs apart: a lease, and what it records. The ledger implements it."""

from collections.abc import Mapping
from typing import Protocol


class RenewalState(Protocol):
    """What earlier renewals left; `ledger.token.RenewalState` says what each field means."""

    @property
    def presented(self) -> str: ...  # noqa: D102
    @property
    def version_id(self) -> str: ...  # noqa: D102
    @property
    def new_version_id(self) -> str: ...  # noqa: D102
    @property
    def renewed(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def renewed_at(self) -> float: ...  # noqa: D102
    @property
    def stored_version_id(self) -> str: ...  # noqa: D102
    @property
    def refused(self) -> str: ...  # noqa: D102
    @property
    def refused_at(self) -> float: ...  # noqa: D102


class HeldLease(Protocol):
    """The lease while a run holds it; the ledger implements it. `record` and `release` write."""

    @property
    def state(self) -> RenewalState:
        """What is recorded by now."""

    def record(self, fingerprint: str, version_id: str, new_version_id: str) -> bool:
        """Record what is about to be presented; return whether the lease still holds."""

    def mark_renewed(self, fingerprint: str, stored_version_id: str) -> None:
        """Have it recorded that a pair was renewed and the new one is stored."""

    def mark_refused(self, fingerprint: str) -> None:
        """Have it recorded that a renewal was refused."""

    def release(self) -> None:
        """Let the next run take it."""


class RenewalLease(Protocol):
    """The one lease of all runs of a stack."""

    def take(self, seconds: float) -> HeldLease | None:
        """Take it for so many seconds; None while another run holds it."""
