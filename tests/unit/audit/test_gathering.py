"""What the audit asks Commvault and RDS, and in which order: within the calls of an audit, and never more than is needed."""

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from rds_snap_backup.audit import metered
from rds_snap_backup.audit.coverage import Contents, Listed
from rds_snap_backup.audit.estate import Estate
from rds_snap_backup.audit.evidence import gather
from rds_snap_backup.audit.groups import read_groups
from rds_snap_backup.audit.metered import CONTENT_CALLS, MAX_CALLS, MAX_SAAS_QUERIES, OUT_OF_CALLS, Metered
from rds_snap_backup.commvault.inventory import Discovery
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.problems import Problem
from rds_snap_backup.rds.databases import Databases
from rds_snap_backup.rds.members import Listing
from tests.unit.audit.support import ACCOUNT, EVERYTHING, HOME, HOUR, NOW, database, judge, target

OWN, SAAS = "https://commvault.example/commandcenter/api", "https://api.metallic.example"
TOO_LONG = QueryFailed(Problem("ANSWER_TOO_LONG", "Longer than 4 MiB.", "-"))
ORDERS = database("orders")


class Tenant:
    """Commvault with clients `c-000` and so on, each with one RDS instance whose group `nightly` has everything.

    `refused` are answers to paths by their first part. `rows` is the list of restore points.
    """

    def __init__(self, clients: int = 1, *, lists_content: bool = True, servers: int = 0) -> None:
        self.clients, self.lists_content, self.servers = clients, lists_content, servers
        self.refused: dict[str, QueryFailed] = {}
        self.rows: list[dict[str, Any]] = []
        self.spans: list[float] = []
        self.most_hours = float("inf")
        self.calls: Counter[str] = Counter()

    def get(self, path: str, _deadline: float, _headers: Any = None, *, listed: str = "") -> JsonDocument | QueryFailed:
        """Answer a reading call."""
        kind, _, rest = path[1:].partition("?")
        kind, _, identity = kind.partition("/")
        self.calls[kind] += 1
        if kind in self.refused:
            return self.refused[kind]
        number = int(identity or rest.partition("=")[2].partition("&")[0] or 0)
        is_server = number > self.clients
        rows: list[Any] = []
        match kind:
            case "Client":
                entities = [
                    {"clientId": one + 1, "clientName": f"c-{one:03}"} for one in range(self.clients + self.servers)
                ]
                rows = [{"client": {"clientEntity": entity}} for entity in entities]
            case "Instance":
                kind_of = {} if is_server else {"cloudAppsInstance": {"instanceType": "4"}}
                rows = [{"instance": {"instanceName": "RDS", "instanceId": 1000 + number}, **kind_of}, {"odd": 1}, None]
            case "Subclient":
                entity = {"instanceName": "RDS", "subclientName": "nightly", "subclientId": number}
                content = {"cloudDbContent": {"children": [EVERYTHING]}} if self.lists_content or identity else {}
                rows = [{"subClientEntity": entity, **content}]
        return JsonDocument({listed or "clientProperties": rows}, 0)

    def query(self, _path: str, body: Any, _deadline: float, *, listed: str) -> JsonDocument | QueryFailed:
        """Answer with restore points."""
        self.calls["Browse"] += 1
        self.spans.append((NOW - body["startTime"]) / HOUR)
        if "Browse" in self.refused:
            return self.refused["Browse"]
        return TOO_LONG if self.spans[-1] > self.most_hours else JsonDocument({listed: self.rows}, 0)


class Rds:
    """The SDK's client of RDS, with these manual snapshots of instances."""

    def __init__(self, *snapshots: dict[str, Any]) -> None:
        self.snapshots = snapshots
        self.asked: list[list[str]] = []

    def get_paginator(self, operation: str) -> Any:
        assert operation == "describe_db_snapshots"
        return SimpleNamespace(paginate=self.paginate)

    def paginate(self, **given: Any) -> Any:
        (names,) = given["Filters"]
        self.asked.append(names["Values"])
        yield {"DBSnapshots": [row for row in self.snapshots if row["DBSnapshotIdentifier"] in names["Values"]]}


def begun(tenant: Tenant, base_url: str = OWN) -> tuple[Discovery, Metered]:
    commvault: Any = tenant
    limited = Metered(commvault, base_url)
    discovery = Discovery(limited, lambda: 1000.0)
    discovery.begin(None)
    return discovery, limited


def read(tenant: Tenant, named: Collection[Any] = (), base_url: str = OWN) -> tuple[Contents, Discovery, Metered]:
    discovery, limited = begun(tenant, base_url)
    return read_groups(discovery, limited, named), discovery, limited


def estate(rds: Rds, *databases: Any) -> Estate:
    client: Any = rds
    source = Databases(lambda: client)
    return Estate(HOME, {HOME: Listing([each.resource for each in databases], [], databases=source)}, list(databases))


# ---- Groups


def test_a_client_without_rds_costs_one_call_and_one_with_it_two() -> None:
    tenant = Tenant(2, servers=5)
    contents, _, limited = read(tenant)
    assert tenant.calls == {"Client": 1, "Instance": 7, "Subclient": 2}
    assert (limited.calls, len(contents.groups), contents.problems) == (10, 2, [])


def test_contents_that_the_list_lacks_are_read_singly_those_of_targets_first(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = Tenant(80, lists_content=False)
    named = {("c-070", "RDS", "nightly")}
    contents, _, limited = read(tenant, named)
    assert limited.calls == CONTENT_CALLS
    contents_read = [group for group in contents.groups if not isinstance(group.content, Problem)]
    assert len(contents_read) == CONTENT_CALLS - 1 - 2 * 80
    assert contents.groups[0].instance.client == "c-070"
    assert contents.problems == [OUT_OF_CALLS] * (80 - len(contents_read))


def test_clients_that_were_not_reached_are_unread_those_of_targets_last() -> None:
    contents, _, limited = read(Tenant(150), {("c-149", "RDS", "nightly")})
    assert limited.calls <= CONTENT_CALLS + 1
    assert {each.instance.client for each in contents.groups} >= {"c-149", "c-000"}
    assert len(contents.groups) + len(contents.unread) == 150
    assert set(contents.unread.values()) == {OUT_OF_CALLS}


def test_one_client_that_is_refused_stops_no_other() -> None:
    tenant = Tenant(3)
    tenant.refused["Subclient"] = QueryFailed(Problem("HTTP_403", "No.", "-"))
    contents, _, _ = read(tenant)
    assert set(contents.unread) == {"c-000", "c-001", "c-002"}
    assert tenant.calls["Subclient"] == 3


def test_a_list_of_clients_that_cannot_be_read_is_a_problem() -> None:
    tenant = Tenant(3)
    tenant.refused["Client"] = QueryFailed(Problem("UNREACHABLE", "Connection refused", "-"))
    contents, _, _ = read(tenant)
    assert (contents.groups, contents.problem and contents.problem.code) == ([], "UNREACHABLE")


# ---- Restore points


def row(name: str, hours: float, snapshot: str) -> dict[str, Any]:
    return {"dbName": name, "createTime": int(NOW - hours * HOUR), "snapShotName": snapshot}


def listed(name: str, hours: float = 1) -> dict[str, Any]:
    """Return a snapshot as RDS lists it."""
    at = SimpleNamespace(timestamp=lambda: NOW - hours * HOUR)
    resource = {"DBInstanceIdentifier": "orders", "DbiResourceId": "id-orders", "Status": "available"}
    return {"DBSnapshotIdentifier": name, "DBSnapshotArn": f"arn:{name}", "SnapshotCreateTime": at, **resource}


def test_rds_is_asked_for_the_newest_snapshot_and_then_for_the_next_one() -> None:
    tenant, rds = Tenant(), Rds(listed("s-2", 2))
    tenant.rows = [row("orders", hours, f"S-{hours}") for hours in (3, 1, 2)] + [row("other", 1, "o"), {"odd": 1}]
    contents, discovery, _ = read(tenant)
    found = gather(judge(ORDERS, groups=contents.groups), discovery, estate(rds, ORDERS), lambda: 1000.0)
    assert rds.asked == [["s-1"], ["s-2"]]
    verdict = found.judge(ORDERS)
    assert (verdict.name, verdict.proof and verdict.proof.arn) == ("protected", "arn:s-2")
    assert tenant.spans == [168]


def test_without_restore_points_rds_is_not_asked() -> None:
    rds = Rds()
    contents, discovery, _ = read(Tenant())
    found = gather(judge(ORDERS, groups=contents.groups), discovery, estate(rds, ORDERS), lambda: 1000.0)
    assert (rds.asked, found.judge(ORDERS).name) == ([], "stale")


def test_a_list_that_is_too_long_is_asked_for_from_later_on() -> None:
    tenant = Tenant()
    tenant.most_hours = 50
    contents, discovery, _ = read(tenant)
    found = gather(judge(ORDERS, groups=contents.groups), discovery, estate(Rds(), ORDERS), lambda: 1000.0)
    assert tenant.spans == [168, 42]
    assert found.judge(ORDERS).name == "stale"
    # Nothing is known of the hours before, which another maximum age includes.
    weekly = replace(found, ages=replace(found.ages, default_hours=100))
    assert weekly.judge(ORDERS).name == "unreadable"


def test_they_are_asked_for_as_far_back_as_the_greatest_maximum_age() -> None:
    tenant = Tenant()
    contents, discovery, _ = read(tenant)
    targets = [target(maxAgeHours=1000)]
    gather(judge(ORDERS, groups=contents.groups, targets=targets), discovery, estate(Rds(), ORDERS), lambda: 1000.0)
    assert tenant.spans == [1000]


@pytest.mark.parametrize(("base_url", "most"), [(OWN, 30), (SAAS, MAX_SAAS_QUERIES), (f"{SAAS}/", MAX_SAAS_QUERIES)])
def test_on_saas_few_queries_are_made_and_what_was_not_reached_is_unreadable(base_url: str, most: int) -> None:
    tenant = Tenant(30)
    contents, discovery, limited = read(tenant, (), base_url)
    judged = gather(judge(ORDERS, groups=contents.groups), discovery, estate(Rds(), ORDERS), lambda: 1000.0)
    assert (tenant.calls["Browse"], limited.calls <= MAX_CALLS) == (most, True)
    unread = [each for each in judged.listed.values() if not isinstance(each, Listed)]
    assert len(unread) == 30 - most
    assert judged.judge(ORDERS).name == ("unreadable" if unread else "stale")


def test_the_list_of_jobs_is_left_some_calls() -> None:
    _, limited = begun(Tenant())
    limited.calls = MAX_CALLS - metered.JOB_CALLS
    answer = limited.query("/BrowseRDSBackups", {}, time.monotonic() + 10, listed="snapList")
    assert answer == QueryFailed(OUT_OF_CALLS)
    assert isinstance(limited.get("/Client", time.monotonic() + 10), JsonDocument)


def test_an_excluded_database_and_one_of_no_account_cost_nothing() -> None:
    tenant, rds = Tenant(), Rds()
    tenant.rows = [row("orders", 1, "s-1")]
    excluded = database("orders", exclude="true")
    contents, discovery, _ = read(tenant)
    gather(judge(excluded, groups=contents.groups), discovery, estate(rds, excluded), lambda: 1000.0)
    assert rds.asked == []
    assert excluded.resource.account == ACCOUNT
