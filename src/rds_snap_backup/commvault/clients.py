"""Commvault's clients: a client usually stands for an AWS account."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.untrusted import is_name, list_in, whole_number

# The list of clients in an answer.
CLIENTS = "clientProperties"


@dataclass(frozen=True)
class Client:
    """A client, by its ID, its name and the name that people see."""

    id: str
    name: str
    display_name: str


def find_client(commvault: Commvault, name: str, deadline: float) -> Client | Unauthorized | QueryFailed | None:
    """Return the client of exactly this name, None if Commvault shows none."""
    match commvault.get(f"/Client/byName(clientName='{quote(name, safe='')}')", deadline, listed=CLIENTS):
        case JsonDocument(document):
            return clients_in(document).get(name)
        case failure:
            return failure


def clients_in(document: Mapping[str, Any]) -> dict[str, Client]:
    """Return the clients in an answer, by name."""
    found: dict[str, Client] = {}
    for row in list_in(document, CLIENTS):
        match row:
            case {"client": {"clientEntity": {"clientId": identity, "clientName": name, **rest}}} if is_name(name):
                shown = rest.get("displayName")
                if (number := whole_number(identity, 1)) is not None:
                    found[name] = Client(str(number), name, shown if is_name(shown) else name)
    return found
