"""Commvault's clients, in Commvault's sense: an AWS account, as a rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.outcomes import Unauthorized
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed


@dataclass(frozen=True)
class Client:
    """A client, by its ID, its name and the name that people see."""

    id: str
    name: str
    display_name: str


def find_client(commvault: Commvault, name: str, deadline: float) -> Client | Unauthorized | QueryFailed | None:
    """Return the client of exactly this name, None where Commvault shows none."""
    match commvault.get(f"/Client/byName(clientName='{quote(name, safe='')}')", deadline, not_found_is_empty=True):
        case JsonDocument(document):
            return clients_in(document).get(name)
        case failure:
            return failure


def clients_in(document: Mapping[str, Any]) -> dict[str, Client]:
    """Return the clients in an answer, by name."""
    found: dict[str, Client] = {}
    listed = document.get("clientProperties")
    for row in listed if isinstance(listed, list) else ():
        match row:
            case {"client": {"clientEntity": {"clientId": int() | str() as identity, "clientName": str(name), **rest}}}:
                found[name] = Client(str(identity), name, str(rest.get("displayName") or name))
    return found
