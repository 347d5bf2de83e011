"""A request as it was received, kept so that tests can check what a client sent."""

from dataclasses import asdict, dataclass, replace
from typing import Any

PREFIXES = ("/commandcenter/api", "/webconsole/api")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request. `path` is without the API prefix; `connection` counts TCP connections."""

    id: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    authorized: bool
    body: bytes
    json: Any
    at: float  # Unix time on the machine's clock
    clock: float  # Unix time on the simulator's clock
    client: tuple[str, int]
    connection: int
    bearer: str | None = None  # the token in the header `Authorization`; not kept
    fault: str | None = None

    def header(self, name: str) -> str:
        """Return a header's value, or an empty string; the name may have any case."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")

    def bearer_of(self, access: str) -> bool:
        """Tell whether the header `Authorization`, if it was sent, holds the access token."""
        return self.bearer in (None, f"Bearer {access}")

    def without_pair(self) -> "Recorded":
        """Return it without the token pair that a renewal presents."""
        return replace(self, bearer=None, body=b"***", json=None)

    def as_dict(self) -> dict[str, Any]:
        """Return it for the control API; the body as text."""
        return asdict(self) | {"body": self.body.decode(errors="replace")}


def without_prefix(path: str) -> str:
    """Return a URL's path without the API prefix, as the endpoints know it."""
    lowered = path.lower()
    for prefix in PREFIXES:
        if lowered == prefix or lowered.startswith(prefix + "/"):
            return path[len(prefix) :] or "/"
    return path
