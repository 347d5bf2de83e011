"""The endpoints that list clients, instances and subclients."""

from typing import Any

from local.commserve.answers import Answer, bare_string, error
from local.commserve.catalogue import Subclient
from local.commserve.recorded import Recorded
from local.commserve.state import State

CLOUD_APPS = 134


def list_clients(state: State, _request: Recorded) -> Answer:
    """`GET /Client`."""
    entries = [
        {"client": {"clientEntity": client_entity(name, identifier)}}
        for name, identifier in state.catalogue.clients.items()
    ]
    return Answer(value={"clientProperties": entries}, root="App_GetClientPropertiesResponse")


def get_client(state: State, _request: Recorded, name: str) -> Answer:
    """`GET /Client/byName(clientName='{name}')`."""
    entries = [
        {"client": {"clientEntity": client_entity(known, identifier)}}
        for known, identifier in state.catalogue.clients.items()
        if known.lower() == name.lower()
    ]
    return listing("clientProperties", entries, "App_GetClientPropertiesResponse")


def list_instances(state: State, request: Recorded) -> Answer:
    """`GET /Instance?clientId=`."""
    client = number(request, "clientId")
    if client is None:
        return bare_string("clientId is missing")
    name = state.catalogue.client_name(client)
    entries = [
        instance_properties(state, (owner, instance), identifier)
        for (owner, instance), identifier in list(state.catalogue.instances.items())
        if owner == name
    ]
    return listing("instanceProperties", entries, "App_GetInstancePropertiesResponse")


def list_subclients(state: State, request: Recorded) -> Answer:
    """`GET /Subclient?clientId=&applicationId=134&propertyLevel=20`, with contents if `State.lists_content`."""
    client, application = number(request, "clientId"), number(request, "applicationId")
    if client is None:
        return bare_string("clientId is missing")
    instance, backupset = number(request, "instanceId"), number(request, "backupsetId")
    entries = [
        subclient_properties(state, subclient, with_content=state.lists_content)
        for subclient in state.catalogue.subclients(client)
        if application in (None, CLOUD_APPS)
        and instance in (None, subclient.instance_id)
        and backupset in (None, subclient.backupset_id)
    ]
    return listing("subClientProperties", entries, "App_GetSubClientPropertiesResponse")


def show_subclient(state: State, _request: Recorded, identifier: str) -> Answer:
    """`GET /Subclient/{id}`, always with the content."""
    found = state.catalogue.by_id(int(identifier))
    properties = [subclient_properties(state, found)] if found else []
    return listing("subClientProperties", properties, "App_GetSubClientPropertiesResponse")


def listing(name: str, entries: list[dict[str, Any]], root: str) -> Answer:
    """Return a list; an empty one is 404."""
    return Answer(value={name: entries}, root=root) if entries else error(0, "No entries were found.", 404)


def client_entity(name: str, identifier: int) -> dict[str, Any]:
    """Return a client's entity."""
    return {"clientId": identifier, "clientName": name, "displayName": name, "hostName": name, "clientGUID": name}


def instance_properties(state: State, names: tuple[str, str], identifier: int) -> dict[str, Any]:
    """Return an instance, named by its client and itself, as Commvault shows it."""
    client, instance = names
    return {
        "instance": {
            "clientId": state.catalogue.clients[client],
            "clientName": client,
            "appName": "Cloud Apps",
            "applicationId": CLOUD_APPS,
            "instanceName": instance,
            "instanceId": identifier,
        },
        "cloudAppsInstance": {"instanceType": state.catalogue.instance_type(identifier)},
        "instanceActivityControl": {},
    }


def subclient_properties(state: State, subclient: Subclient, *, with_content: bool = True) -> dict[str, Any]:
    """Return an instance group as Commvault shows it."""
    content = state.catalogue.content(subclient)
    kind = {"instanceType": state.catalogue.instance_type(subclient.instance_id)}
    properties = {
        "subClientEntity": subclient_entity(subclient),
        "commonProperties": {"isDefaultSubclient": subclient.name == "default"},
        "cloudAppsSubClientProp": kind,
        "planEntity": {"planName": "rds-plan"},
    }
    if not with_content:
        return properties
    selected: dict[str, Any] = {"cloudDbContent": {"children": list(content.children)}}
    excluded = {"cloudDbFilter": {"children": list(content.filters)} if content.filters else {}}
    return properties | selected | excluded


def subclient_entity(subclient: Subclient) -> dict[str, Any]:
    """Return a subclient's entity."""
    return {
        "clientId": subclient.client_id,
        "clientName": subclient.client,
        "appName": "Cloud Apps",
        "applicationId": CLOUD_APPS,
        "instanceName": subclient.instance,
        "instanceId": subclient.instance_id,
        "backupsetName": "defaultBackupSet",
        "backupsetId": subclient.backupset_id,
        "subclientName": subclient.name,
        "subclientId": subclient.id,
    }


def number(request: Recorded, name: str) -> int | None:
    """Return a number from the query; its name may have any case."""
    text = next((value for key, value in request.query.items() if key.lower() == name.lower()), "")
    return int(text) if text.isdigit() else None
