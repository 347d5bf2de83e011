"""Reads the instance groups that the token can see, with their contents, within the audit's part of the calls."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from rds_snap_backup.audit.coverage import Contents
from rds_snap_backup.audit.metered import CONTENT_CALLS, OUT_OF_CALLS, Metered
from rds_snap_backup.commvault.clients import Client
from rds_snap_backup.commvault.inventory import UNREAD, Discovery, Group, Instance
from rds_snap_backup.problems import Problem

# client, instance and subclient
type GroupNames = tuple[str, str, str]


def read_groups(
    discovery: Discovery, commvault: Metered, named: Collection[GroupNames], most: int = CONTENT_CALLS
) -> Contents:
    """Read all groups until `most` calls are made, those of the clients that targets name first.

    A list of clients that is too long is not read; then only the clients that targets name are.
    """
    mine = {client for client, _, _ in named}
    listed = discovery.clients
    problem = listed if isinstance(listed, Problem) else None
    clients = _looked_up(discovery, mine) if isinstance(listed, Problem) else {each.name: each for each in listed}
    instances: list[Instance] = []
    groups: list[Group] = []
    unread: dict[str, Problem] = {}
    for name in sorted(clients, key=lambda name: name not in mine):
        client = clients[name]
        found = client if isinstance(client, Problem) else _read(discovery, commvault, client, most)
        if isinstance(found, Problem):
            unread[name] = found
        else:
            instances += found[0]
            groups += found[1]
    groups.sort(key=lambda group: group.association.names not in named)
    return Contents([_with_content(discovery, commvault, group, most) for group in groups], instances, unread, problem)


def _looked_up(discovery: Discovery, names: Collection[str]) -> Mapping[str, Client | Problem]:
    found = {name: discovery.client(name) for name in sorted(names)}
    return {name: client for name, client in found.items() if client is not None}


def _read(
    discovery: Discovery, commvault: Metered, client: Client, most: int
) -> tuple[list[Instance], list[Group]] | Problem:
    if commvault.calls >= most:
        return OUT_OF_CALLS
    instances, groups = discovery.instances(client), discovery.groups(client)
    if isinstance(instances, Problem):
        return instances
    return groups if isinstance(groups, Problem) else (instances, groups)


def _with_content(discovery: Discovery, commvault: Metered, group: Group, most: int) -> Group:
    if group.content is not UNREAD:
        return group
    return replace(group, content=OUT_OF_CALLS) if commvault.calls >= most else discovery.with_content(group)
