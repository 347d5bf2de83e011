"""Planning a fleet, at the wire: what would change, who loses protection, and what Commvault has to bear."""

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup.targets import parse_target
from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.fleet.capacity import hours_of, overlaps
from rds_snap_backup_cli.fleet.changes import Due, State
from tests.cli.calls import Cli, Done
from tests.cli.fleet_account import FUNCTION, NIGHTLY, Account, association, document, failure, write_fleet
from tests.cli.wire import AwsWire

BERLIN = NIGHTLY | {"timezone": "Europe/Berlin"}


@pytest.fixture
def account(wire: AwsWire) -> Account:
    return Account(wire)


def plan(cli: Cli, fleet: str, *options: str) -> Done:
    return cli("plan", "prod", fleet, *options)


def rows(cli: Cli, fleet: str, *options: str) -> list[tuple[str, ...]]:
    """Return action, target, field, and both values of each row."""
    done = plan(cli, fleet, "--format", "csv", *options)
    fields = ("action", "target", "kind", "field", "stored", "wanted")
    found = [tuple(row[field] for field in fields) for row in csv.DictReader(done.out.splitlines())]
    differs = any(row[0].lstrip("'") != "-" or "--prune" in options for row in found)
    assert done.status == (Exit.FINDINGS if differs else Exit.OK), done.err
    return [(row[0].lstrip("'"), *row[1:]) for row in found]


ORDERS = document("orders-db", databases=["orders-*", "orders"], coolDownMinutes=5)


@pytest.mark.parametrize(
    "stored",
    [
        ORDERS,
        ORDERS | {"backupLevel": "FULL", "taskType": "IMMEDIATE", "allowTag": True, "enabled": True},
        ORDERS | {"databases": ["orders", "orders-*"]},
        ORDERS | {"associations": [association("orders-db", displayName="aws-prod")]},
    ],
    ids=["same", "defaults", "order", "display name"],
)
def test_documents_are_compared_and_not_texts(cli: Cli, account: Account, tmp_path: Path, stored: Any) -> None:
    account.put("orders", stored)
    assert rows(cli, write_fleet(tmp_path, {"orders": ORDERS})) == []


def test_names_with_the_separator_are_different_associations(cli: Cli, account: Account, tmp_path: Path) -> None:
    stored, wanted = (
        {"associations": [dict(zip(("clientName", "instanceName", "subclientName"), names, strict=True))]}
        for names in (("a / b", "c", "d"), ("a", "b / c", "d"))
    )
    account.put("orders", stored)
    assert [row[3] for row in rows(cli, write_fleet(tmp_path, {"orders": wanted}))] == [
        '"a / b" / c / d',
        'a / "b / c" / d',
    ]


@pytest.mark.parametrize("stack", ["prod", "arn:aws:cloudformation:eu-central-1:111122223333:stack/prod/1"])
def test_a_target_may_be_named_as_the_schedule_of_all(cli: Cli, account: Account, tmp_path: Path, stack: str) -> None:
    account.put("all", ORDERS)
    account.schedule("all")
    account.schedule("nightly", fleet=None)
    account.schedules["prod-nightly"]["Target"]["Input"] = json.dumps({"target": "*"})
    done = cli("plan", stack, write_fleet(tmp_path, {"all": ORDERS | {"schedule": NIGHTLY}}))
    assert (done.status, "prod (account 111122223333, eu-central-1): no differences." in done.out) == (Exit.OK, True)


def test_changes_are_shown_field_by_field(cli: Cli, account: Account, tmp_path: Path) -> None:
    account.put("orders", ORDERS | {"allowTag": False})
    account.schedule("orders")
    account.put("old", document("old-db"))
    account.schedule("old")
    account.put("unscheduled", document("unscheduled"))
    account.schedule("unscheduled")
    changed = document("orders-db", "billing-db", databases=["orders"], backupLevel="INCREMENTAL") | {
        "schedule": BERLIN
    }
    fleet = write_fleet(
        tmp_path,
        {
            "orders": changed,
            "new": document("new-db", maxAgeHours=4) | {"schedule": NIGHTLY},
            "unscheduled": document("unscheduled"),
        },
    )
    expected = [
        ("+", "new", "document", "aws-prod / new-db / default", "", "yes"),
        ("+", "new", "document", "maxAgeHours", "", "4"),
        ("+", "new", "schedule", "schedule: expression", "", NIGHTLY["expression"]),
        ("+", "new", "schedule", "schedule: timezone", "", "UTC"),
        ("-", "old", "document", "document", "", ""),
        ("-", "old", "schedule", "schedule", "", ""),
        ("~", "orders", "document", "allowTag", "false", "true"),
        ("~", "orders", "document", "backupLevel", "FULL", "INCREMENTAL"),
        ("~", "orders", "document", "databases", "orders, orders-*", "orders"),
        ("~", "orders", "document", "coolDownMinutes", "5", ""),
        ("~", "orders", "document", "aws-prod / billing-db / default", "", "yes"),
        ("~", "orders", "schedule", "schedule: timezone", "UTC", "Europe/Berlin"),
        ("-", "unscheduled", "schedule", "schedule", "", ""),
    ]
    assert sorted(rows(cli, fleet)) == sorted(expected)
    assert not account.writes
    assert (
        plan(cli, fleet)
        .out.splitlines()[-1]
        .endswith(": 1 to make, 1 to change, 2 no longer in the files (--prune removes).")
    )
    only_removed = {"orders": ORDERS | {"allowTag": False, "schedule": NIGHTLY}, "unscheduled": document("unscheduled")}
    assert {row[0] for row in rows(cli, write_fleet(tmp_path, only_removed))} == {"-"}
    assert {row[0] for row in rows(cli, write_fleet(tmp_path, only_removed), "--prune")} == {"-"}


def hand_edited(account: Account) -> None:
    account.put("orders", ORDERS)
    account.edit("orders", enabled=False)


def mark_without_a_record(account: Account) -> None:
    account.put("orders", ORDERS | {"fleet": "prod"}, fleet=None)
    account.edit("orders", enabled=False)


def schedule_edited(account: Account) -> None:
    account.put("orders", ORDERS)
    account.schedule("orders")
    account.schedules["prod-orders"]["ScheduleExpression"] = "rate(1 day)"


@pytest.mark.parametrize(
    ("store", "reason", "is_adopted"),
    [
        (hand_edited, "edited by hand: version 2 by jane", True),
        (mark_without_a_record, "edited by hand: version 2 by jane", True),
        (lambda account: account.put("orders", document("other"), fleet=None), "owned by no fleet", True),
        (lambda account: account.put("orders", "no JSON", fleet=None), "owned by no fleet", True),
        (lambda account: account.put("orders", ORDERS, fleet="sales"), "owned by the fleet sales", False),
        (schedule_edited, "edited by hand", True),
        (lambda account: account.schedule("orders", arn=f"{FUNCTION}-2"), "does something else", False),
        (lambda account: account.schedule("orders", fleet=None, expression="rate(1 day)"), "owned by no fleet", True),
        (lambda account: account.schedule("orders", fleet="sales"), "owned by the fleet sales", False),
    ],
)
def test_what_is_not_as_the_fleet_left_it_is_a_conflict(
    cli: Cli, account: Account, tmp_path: Path, *, store: Any, reason: str, is_adopted: bool
) -> None:
    store(account)
    fleet = write_fleet(tmp_path, {"orders": ORDERS | {"schedule": NIGHTLY}})
    (conflict,) = (row for row in changes(cli, fleet) if row["action"] == "!")
    assert reason in conflict["reason"]
    adopted = {row["action"] for row in changes(cli, fleet, "--adopt")}
    assert ("!" in adopted, "~" in adopted) == (not is_adopted, is_adopted)


def changes(cli: Cli, fleet: str, *options: str) -> list[Any]:
    found: list[Any] = json.loads(plan(cli, fleet, "--format", "json", *options).out)["changes"]
    return found


def test_what_is_edited_by_hand_is_not_removed(cli: Cli, account: Account, tmp_path: Path) -> None:
    hand_edited(account)
    account.put("sales", ORDERS, fleet="sales")
    account.put("nobodys", ORDERS, fleet=None)
    (only,) = changes(cli, write_fleet(tmp_path, {}), "--prune")
    assert (only["action"], only["target"]) == ("!", "orders")


def test_what_is_as_the_files_say_and_not_the_fleets_is_told(cli: Cli, account: Account, tmp_path: Path) -> None:
    account.put("orders", ORDERS, fleet=None)
    account.schedule("orders", fleet=None)
    fleet = write_fleet(tmp_path, {"orders": ORDERS | {"schedule": NIGHTLY}})
    done = plan(cli, fleet)
    assert (done.status, done.out.endswith("no differences.\n")) == (Exit.OK, True)
    assert "1 target (orders) stored as the files say, but not by `apply`." in done.err
    assert [row[:4] for row in rows(cli, fleet, "--adopt")] == [
        ("~", "orders", "document", "mark"),
        ("~", "orders", "schedule", "schedule: mark"),
    ]


MEMBER = "444455556666"
ARN = "arn:aws:rds:eu-central-1:111122223333:db:"


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (document("old-db"), None, ["old-db"]),
        (document("old-db"), document("old-db", enabled=False), ["old-db"]),
        (document("old-db", databases=["old-*", "kept-1"]), None, ["old-*", "old-db"]),
        (
            document("old-db", databases=["kept-db"], accounts=[MEMBER]),
            None,
            [f"kept-db ({MEMBER})", f"old-db ({MEMBER})"],
        ),
        (document("a-db", "b-db", databases=["*-db"]), document("a-db", databases=["*-db"]), ["b-db"]),
        (document("a", databases=["a-*"]), document("a", databases=["b-*"]), ["a-*"]),
        (document("a-db"), {"associations": [association("a-db", databases=[f"{ARN}A-DB"])]}, []),
        ({"associations": [association("a", databases=["a-1", "a-2"])]}, document("A-2", databases=["a-*"]), ["a-1"]),
        ({"associations": [association("a", databases=["kept-1"])]}, None, []),
        (document("a", backupLevel="FULL"), document("a", backupLevel="INCREMENTAL"), []),
    ],
)
def test_databases_that_no_target_names_any_more_lose_protection(
    cli: Cli, account: Account, tmp_path: Path, *, before: Any, after: Any, lost: list[str]
) -> None:
    kept = {"kept": {"associations": [association("kept", databases=["kept-*"])]}}
    account.put("kept", kept["kept"])
    account.put("changed", before)
    fleet = write_fleet(tmp_path, kept | ({"changed": after} if after else {}))
    assert [change["loses"] for change in changes(cli, fleet, "--prune")] == [lost]
    line = f"changed: {', '.join(lost)} would lose protection{'' if after else ' with --prune'}."
    assert (line in plan(cli, fleet).out) is bool(lost)


def test_commvault_is_asked_for_the_names(cli: Cli, account: Account, tmp_path: Path) -> None:
    fleet = write_fleet(tmp_path, {"orders": document("known", "unknown", "unheard-of")})
    row = {"match": "commvault-only", "arn": None, "engine": None, **association("known")}
    account.inventory = {"ok": True, "inventory": [row], "unread": [], "counts": {}}
    assert "orders: Commvault knows no subclient aws-prod / unknown / default and 1 more." in plan(cli, fleet).err
    unread = {"account": None, "region": None, "message": "The token is refused.", "hint": "Renew it."}
    account.inventory |= {"ok": False, "unread": [unread]}
    done = plan(cli, fleet)
    assert "names were not compared: The token is refused." in done.err
    assert "knows no subclient" not in done.err
    account.wire.answers["Invoke"] = lambda _: failure("AccessDeniedException", 403)
    done = plan(cli, fleet)
    assert (done.status, "names were not compared: This is AccessDeniedException." in done.err) == (1, True)


def test_schedules_that_stay_as_they_are_are_told(cli: Cli, account: Account, tmp_path: Path) -> None:
    account.put("off", document("off"))
    account.schedule("off")
    account.schedules["prod-off"]["State"] = "DISABLED"
    account.put("by-hand", document("by-hand"))
    account.schedule("by-hand", fleet=None)
    files = {"off": document("off") | {"schedule": BERLIN}, "by-hand": document("by-hand")}
    done = plan(cli, write_fleet(tmp_path, files))
    assert "off: its schedule prod-off is disabled, and stays so." in done.err
    assert "by-hand: its file has no schedule, and no fleet owns the schedule prod-by-hand" in done.err
    assert "no valid document" not in done.err
    pruned = plan(cli, write_fleet(tmp_path, {"off": files["off"]}), "--prune").err
    assert "by-hand: it will have no valid document, but the schedule prod-by-hand names it." in pruned
    assert [line for line in done.out.splitlines() if "an hour" in line] == ["03:00: 1 request of 100 an hour"]


def test_invalid_files_are_named_and_a_missing_directory_too(cli: Cli, account: Account, tmp_path: Path) -> None:
    done = plan(cli, write_fleet(tmp_path, {"orders": '{\n"asociations": []}'}))
    assert (done.status, "orders.json:2: asociations: " in done.err) == (Exit.FINDINGS, True)
    assert plan(cli, str(tmp_path / "elsewhere")).status == Exit.FINDINGS
    assert "GetParametersByPath" not in account.wire.operations


# ---- Capacity


def state(*dues: Due, targets: int = 3, enabled: bool = True) -> State:
    texts = {f"target-{number}": json.dumps(document(str(number), enabled=enabled)) for number in range(targets)}
    documents = {name: parse_target(name, name, text) for name, text in texts.items()}
    return State(documents, {str(number): due for number, due in enumerate(dues)})


MONDAY = date(2026, 1, 5)


@pytest.mark.parametrize(
    ("dues", "expected"),
    [
        ([Due("target-1", "cron(0 3 * * ? *)", "UTC")], {3: 1}),
        ([Due("*", "cron(30 3,4 * * ? *)", "Europe/Berlin")], {2: 3, 3: 3}),
        ([Due("target-1", "cron(0/20 3 * * ? *)", "Asia/Kolkata")], {21: 2, 22: 1}),
        ([Due("target-1", "cron(0 3 ? * MON *)", "UTC"), Due("target-2", "cron(0 3 ? * 3-4 *)", "UTC")], {3: 1}),
        ([Due("target-1", "cron(0 3 ? * MON *)", "UTC"), Due("target-2", "cron(0 3 1 * ? *)", "UTC")], {3: 2}),
        ([Due("target-1", "cron(0 3 ? * 6L *)", "UTC")], {3: 1}),
        ([Due("target-1", "at(2026-01-07T05:00:00)", "UTC")], {5: 1}),
        ([Due("target-1", "at(2026-02-07T05:00:00)", "UTC")], {}),
        ([Due("target-1", "rate(30 minutes)", "UTC")], dict.fromkeys(range(24), 2)),
        ([Due("target-1", "rate(1 day)", "UTC"), Due("target-2", "rate(2 days)", "UTC")], dict.fromkeys(range(24), 1)),
        ([Due("gone", "cron(0 3 * * ? *)", "UTC")], {}),
        ([Due("target-1", "cron(0 3 * * ? *)", "Not/Known")], {3: 1}),
        (
            [
                Due("target-1", "cron(0 14 ? * SUN *)", "UTC"),
                Due("target-2", "cron(0 3 ? * MON *)", "Pacific/Auckland"),
            ],
            {14: 2},
        ),
    ],
)
def test_requests_are_counted_by_the_hour(dues: list[Due], expected: dict[int, int]) -> None:
    found = {hour.hour: hour.requests for hour in hours_of(state(*dues), MONDAY)}
    assert {hour: number for hour, number in found.items() if number} == expected
    assert not any(hour.requests for hour in hours_of(state(*dues, enabled=False), MONDAY))


def test_an_hour_with_too_many_requests_stands_out() -> None:
    nightly = Due("*", "cron(0 2 * * ? *)", "UTC")
    for targets, is_too_much in ((24, False), (100, False), (101, True)):
        (hour,) = hours_of(state(nightly, targets=targets), MONDAY)
        assert (str(hour), hour.is_too_much) == (f"02:00: {targets} requests of 100 an hour", is_too_much)


def test_the_busiest_hour_is_shown(cli: Cli, account: Account, tmp_path: Path) -> None:
    targets: dict[str, Any] = {
        f"target-{number}": document(f"db-{number}") | {"schedule": NIGHTLY} for number in range(24)
    }
    targets["late"] = document("late") | {"schedule": NIGHTLY | {"expression": "cron(0 4 * * ? *)"}}
    lines = plan(cli, write_fleet(tmp_path, targets)).out.splitlines()
    assert [line for line in lines if "an hour" in line] == ["03:00: 24 requests of 100 an hour"]


def test_two_targets_with_the_same_association_overlap() -> None:
    twice = state(Due("target-0", "rate(1 day)", "UTC"), Due("target-0", "rate(2 days)", "UTC"))
    assert overlaps(twice, {}) == ["target-0 has 2 schedules."]
    same = parse_target("same", "same", json.dumps(document("0")))
    both = State({**twice.targets, "same": same}, {"0": Due("same", "rate(1 day)", "UTC"), "1": twice.schedules["0"]})
    assert overlaps(both, {"target-0": None}) == ["target-0 and same are scheduled and share 1 association."]
    assert overlaps(both, {"target-0": None, "same": None}) == []
