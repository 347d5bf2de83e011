"""The proxy that Commvault is reached through, as the parameter HttpsProxy names it. Not for calls to AWS.

The tunnel through it is made in `sockets.py`.
"""

import re
from dataclasses import dataclass

# Without a user: a parameter must not hold a password.
FORM = r"http://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):([0-9]{1,5})"
MAX_PORT = 65535


class ProxyInvalid(Exception):
    """The setting is not of the form; its value is never shown, since it may hold a password."""


class ProxyFailed(Exception):
    """The proxy cannot be reached or gives no connection; the text may be the proxy's own."""


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy that knows CONNECT."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def read_proxy(setting: str) -> Proxy | None:
    """Return the proxy in a setting, None for an empty one; raise `ProxyInvalid` for anything but http://HOST:PORT."""
    if not setting:
        return None
    parts = re.fullmatch(FORM, setting)
    if parts is None or not 0 < int(parts[2]) <= MAX_PORT:
        raise ProxyInvalid
    return Proxy(parts[1].strip("[]"), int(parts[2]))
