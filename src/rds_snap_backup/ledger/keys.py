"""The keys of the ledger's items that are not a submission's: the one place that spells them."""

AUDIT = "audit"
THROTTLE = "throttle"
TOKEN = "token"  # noqa: S105  # nosec B105 # a key, not a token
# The sparse index of the submissions that are open; its range key is `wakeAt`. Removing `open` leaves it.
OPEN = "open"
OPEN_INDEX = "open-submissions"


def subclient_key(association_key: str) -> str:
    """Return the key of a subclient's item; the association's key is JSON of client, instance and subclient."""
    return f"subclient#{association_key}"
