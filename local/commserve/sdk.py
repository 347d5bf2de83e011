"""What only Commvault's own SDK calls."""

from collections.abc import Callable

from local.commserve.answers import Answer

ROUTES: list[tuple[str, str, Callable[..., Answer]]] = []
