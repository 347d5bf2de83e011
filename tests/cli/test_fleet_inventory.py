"""The inventory, and the groups of a fleet that are made of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.fleet.files import Entry, no_fleet, read_fleet
from rds_snap_backup_cli.fleet.grouping import Covered, exact_associations, extend
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire

ACCOUNT = "111122223333"
PLACE = f"prod (account {ACCOUNT}, eu-central-1)"
UNREAD = {"account": "444455556666", "region": "eu-west-1", "message": "Access denied.", "hint": "Deploy member.yaml."}

type Take = Callable[..., Any]
type Row = dict[str, Any]


def arn(name: str, account: str = ACCOUNT, kind: str = "db") -> str:
    return f"arn:aws:rds:eu-central-1:{account}:{kind}:{name}"


def exact(name: str, client: str = "aws-prod", **more: Any) -> Row:
    """Return the row of a database and the subclient of its name."""
    names = {"clientName": client, "instanceName": name, "subclientName": "default"}
    return {"match": "exact", **names, "arn": arn(name), "engine": "mysql", **more}


def many(number: int, begin: int = 0) -> list[Row]:
    return [exact(f"db-{index:03}") for index in range(begin, begin + number)]


def answer(rows: list[Row], *unread: Row, **more: Any) -> Row:
    return {"ok": not unread, "inventory": rows, "counts": {"commvaultCalls": 3}, "unread": list(unread), **more}


@pytest.fixture
def take(cli: Cli, wire: AwsWire) -> Take:
    """Call the command for a stack whose function answers with these rows."""
    wire.stack(AuditFunctionName="prod-audit")

    def call(rows: list[Row], *arguments: str, unread: tuple[Row, ...] = ()) -> Any:
        wire.answer("Invoke", answer(rows, *unread))
        return cli("inventory", "prod", *arguments)

    return call


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    return tmp_path / "fleet"


def groups(fleet: Path) -> dict[str, list[str]]:
    """Return the instances of each target, which are valid, in the order of the file."""
    found = read_fleet(fleet)
    assert found.errors == ()
    return {
        entry.name: [association["instanceName"] for association in entry.document["associations"]]
        for entry in found.entries.values()
    }


def contents(fleet: Path) -> dict[str, str]:
    return {str(path.relative_to(fleet)): path.read_text() for path in fleet.rglob("*") if path.is_file()}


def test_each_pair_is_shown_with_its_match(take: Take) -> None:
    cluster = exact("orders") | {"match": "ambiguous", "arn": arn("orders", "444455556666", "cluster")}
    unpaired = exact("x") | {"match": "rds-only", "clientName": None, "instanceName": None, "subclientName": None}
    lost = exact("y") | {"match": "commvault-only", "arn": None, "engine": None}
    found = [exact("crm"), cluster, unpaired, lost, exact("old", excluded=True)]
    assert json.loads(take(found, "--format", "json").out) == found
    done = take(found)
    assert (done.status, done.err) == (Exit.OK, "")
    *lines, last = done.out.splitlines()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert rows[0] == ["exact", "aws-prod", "crm", "default", f"crm {ACCOUNT}/eu-central-1", "mysql"]
    assert rows[1][4] == "orders (cluster) 444455556666/eu-central-1"
    assert rows[3] == ["commvault-only", "aws-prod", "y", "default", "", ""]
    assert last == f"{PLACE}: 1 exact, 1 ambiguous, 1 commvault-only, 1 rds-only, 1 excluded."


def test_all_pages_are_read_and_a_row_counts_once(cli: Cli, wire: AwsWire) -> None:
    wire.stack(AuditFunctionName="prod-audit")
    one, two, three = many(3)
    wire.answer("Invoke", *(answer(rows, UNREAD, pages=2) for rows in ([one, two], [two, three])))
    done = cli("inventory", "prod", "--format", "json")
    assert (json.loads(done.out), done.status) == ([one, two, three], Exit.FINDINGS)
    assert [asked.get("page") for asked in wire.asked("Invoke")] == [None, 2]
    assert done.err.splitlines() == [
        "Not read: 444455556666/eu-west-1: Access denied. Deploy member.yaml.",
        f"{PLACE}: 3 exact, 0 ambiguous, 0 commvault-only, 0 rds-only, 0 excluded, not all was read.",
    ]


@pytest.mark.parametrize(
    "reply",
    [
        None,
        [],
        answer([{"match": "exact"}]),
        answer([exact("a") | {"arn": 7}]),
        answer([], {"message": "x"}),
        {"ok": True},
    ],
)
def test_another_answer_is_one_line(cli: Cli, wire: AwsWire, reply: Any) -> None:
    wire.stack(AuditFunctionName="prod-audit")
    wire.answer("Invoke", reply)
    done = cli("inventory", "prod")
    assert (done.status, "does not understand" in done.line) == (Exit.COULD_NOT_RUN, True)


def test_a_new_fleet_has_groups_of_25_of_one_client(take: Take, fleet: Path) -> None:
    done = take([*many(26), exact("crm", "Sales (EU)/x")], "--write", str(fleet))
    assert done.status == Exit.OK
    assert {name: len(found) for name, found in groups(fleet).items()} == {
        "aws-prod-1": 25,
        "aws-prod-2": 1,
        "Sales-EU-x-1": 1,
    }
    found = read_fleet(fleet)
    assert found.name == "fleet"
    entry = found.entries["aws-prod-2"]
    assert entry.schedule
    assert (entry.schedule.expression, entry.schedule.timezone) == ("cron(0 3 * * ? *)", "UTC")
    assert entry.document == {
        "associations": [
            {
                "clientName": "aws-prod",
                "instanceName": "db-025",
                "subclientName": "default",
                "databases": [arn("db-025")],
            }
        ],
    }
    before = contents(fleet)
    done = take([*many(26), exact("crm", "Sales (EU)/x")], "--write", str(fleet), "--format", "json")
    assert contents(fleet) == before
    assert json.loads(done.out)[25]["file"] == str(fleet / "targets/aws-prod-2.yaml")
    assert f"{fleet} has all that is exact." in done.err


def test_what_is_not_exact_is_never_written(take: Take, fleet: Path) -> None:
    rows = [exact("a") | {"match": match} for match in ("ambiguous", "commvault-only", "rds-only")]
    done = take([*rows, exact("old", excluded=True)], "--write", str(fleet))
    assert (done.status, fleet.exists()) == (Exit.OK, False)


def test_a_new_database_changes_one_file(take: Take, fleet: Path) -> None:
    take([*many(30, 10), *many(3)][::-1], "--write", str(fleet))
    before = contents(fleet)
    take([*many(40), exact("crm", "other")], "--write", str(fleet), "--client", "aws-prod", "--account", ACCOUNT)
    after = contents(fleet)
    assert [name for name in after if after[name] != before.get(name)] == ["targets/aws-prod-2.yaml"]
    assert after["targets/aws-prod-2.yaml"].startswith(before["targets/aws-prod-2.yaml"])
    assert take(many(40), "--write", str(fleet), "--account", "444455556666").status == Exit.OK
    assert contents(fleet) == after


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: f"# owned by the sales team\n{text}",
        lambda text: f"{text}backupLevel: INCREMENTAL\n",
        lambda text: text.replace(arn("db-000"), "db-000"),
        lambda text: text.replace("clientName: aws-prod", "clientName: 'aws-prod'"),
        lambda text: f"{text}schedule:\n  expression: rate(1 day)\n",
    ],
)
def test_an_edited_file_is_kept_and_a_newcomer_goes_to_another(
    take: Take, fleet: Path, edit: Callable[[str], str]
) -> None:
    take(many(2), "--write", str(fleet))
    file = fleet / "targets/aws-prod-1.yaml"
    file.write_text(edited := edit(file.read_text()))
    take(many(3), "--write", str(fleet))
    assert file.read_text() == edited
    assert groups(fleet) == {"aws-prod-1": ["db-000", "db-001"], "aws-prod-2": ["db-002"]}


def test_what_any_file_has_is_not_added_twice(take: Take, fleet: Path) -> None:
    take(many(1), "--write", str(fleet))
    names = {"clientName": "aws-prod", "subclientName": "archive"}
    own = [
        {**names, "instanceName": "db-001", "subclientName": "default"},  # by name
        {**names, "instanceName": "elsewhere", "databases": [arn("db-002*")]},  # its database
        {**names, "instanceName": "third", "databases": ["DB-003"]},
        {**names, "instanceName": "fourth", "databases": [arn("DB-005")]},
    ]
    other = {
        "associations": [{**names, "instanceName": "x", "databases": [arn("db-004")]}],
        "accounts": ["999988887777"],
    }
    (fleet / "targets/elsewhere.json").write_text(json.dumps(other))
    # The target's own patterns start backups of all its associations: they do not say whose a database is.
    (fleet / "targets/mine.json").write_text(json.dumps({"associations": own, "databases": ["*", "db-004"]}))
    take(many(6), "--write", str(fleet))
    assert groups(fleet)["aws-prod-1"] == ["db-000", "db-004"]


def test_what_is_gone_is_shown_and_kept(take: Take, fleet: Path) -> None:
    take(many(4), "--write", str(fleet))
    before = contents(fleet)
    lost = exact("db-001") | {"match": "commvault-only", "arn": None, "engine": None}
    unpaired = exact("db-002") | {"match": "rds-only", "clientName": None, "instanceName": None, "subclientName": None}
    done = take([exact("db-000"), lost, unpaired], "--write", str(fleet), "--format", "json")
    assert (done.status, "has all that is exact. 3 missing." in done.err) == (Exit.OK, True)
    file = str(fleet / "targets/aws-prod-1.yaml")
    missing = [row for row in json.loads(done.out) if row["match"] == "missing"]
    assert missing == [
        exact(name) | {"match": "missing", "engine": None, "file": file} for name in ("db-001", "db-002", "db-003")
    ]
    assert contents(fleet) == before
    home = {"account": ACCOUNT, "region": "eu-central-1", "message": "Throttled."}
    commvault = {"account": None, "region": None, "message": "Too many clients."}
    (fleet / "targets/mine.json").write_text(
        json.dumps(
            {"associations": [{"clientName": "b", "instanceName": "c", "subclientName": "d", "databases": ["e*"]}]}
        )
    )
    done = take([exact("db-000")], "--write", str(fleet), "--client", "b", "--format", "json")
    assert [(row["instanceName"], row["arn"]) for row in json.loads(done.out)] == [("c", None)]
    (fleet / "targets/mine.json").unlink()
    for unread, expected in (
        ((home,), ["db-002", "db-003"]),
        ((commvault,), ["db-001", "db-003"]),
        ((home, commvault), []),
    ):
        done = take([exact("db-000"), lost, unpaired], "--write", str(fleet), "--format", "json", unread=unread)
        found = [row["instanceName"] for row in json.loads(done.out) if row["match"] == "missing"]
        assert (done.status, found) == (Exit.FINDINGS, expected)


def test_two_clients_whose_names_give_the_same_file_have_files_of_their_own(take: Take, fleet: Path) -> None:
    clients = ["aws prod", "AWS/prod", "aws-prod", "生产", "c" * 100]
    rows = [exact(f"db-{number}", client) for number, client in enumerate(clients)]
    take(rows, "--write", str(fleet))
    assert sorted(groups(fleet)) == ["AWS-prod-1", "aws-prod-2", "aws-prod-3", f"{'c' * 59}-1", "group-1"]


def test_a_group_of_long_names_ends_before_its_parameter_is_full(take: Take, fleet: Path) -> None:
    take([exact(f"{index:03}{'é' * 240}") for index in range(25)], "--write", str(fleet))
    assert {len(found) for found in groups(fleet).values()} == {6, 1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--name", "no name"), "'no name' is not a valid name of a fleet"),
        (("--name", "sales"), ""),
    ],
)
def test_a_fleet_has_a_valid_name(take: Take, fleet: Path, arguments: tuple[str, ...], said: str) -> None:
    done = take(many(1), "--write", str(fleet), *arguments)
    if said:
        assert (done.status, said in done.line, fleet.exists()) == (Exit.COULD_NOT_RUN, True, False)
        return
    assert read_fleet(fleet).name == "sales"
    assert "is sales. Leave out --name" in take(many(2), "--write", str(fleet), "--name", "eu").line


def test_a_fleet_with_errors_is_not_extended(take: Take, wire: AwsWire, fleet: Path) -> None:
    take(many(1), "--write", str(fleet))
    (fleet / "targets/mine.yaml").write_text("associations: []\n")
    before, calls = contents(fleet), len(wire.calls)
    done = take(many(2), "--write", str(fleet))
    assert (done.status, "mine.yaml:1: associations: must be" in done.err) == (Exit.FINDINGS, True)
    assert (contents(fleet), len(wire.calls)) == (before, calls)


def test_names_with_braces_are_left_out_and_said(take: Take, fleet: Path) -> None:
    done = take([exact("a"), exact("{{resolve:ssm:x}}")], "--write", str(fleet))
    assert groups(fleet) == {"aws-prod-1": ["a"]}
    assert "Left out: aws-prod / {{resolve:ssm:x}} / default. A document must not have {{." in done.err


@pytest.mark.parametrize("link", ["fleet.yaml", "targets", "targets/aws-prod-1.yaml", ""])
def test_nothing_is_written_through_a_link(take: Take, fleet: Path, tmp_path: Path, link: str) -> None:
    take(many(1), "--write", str(fleet))
    there = tmp_path / "there"
    (fleet / link).rename(there)
    (fleet / link).symlink_to(there)
    before = contents(tmp_path)
    done = take(many(2), "--write", str(fleet))
    assert (done.status, " a link" in done.err) == (Exit.FINDINGS, True)
    assert contents(tmp_path) == before


def test_what_lies_in_the_place_of_the_new_file_is_left_alone(take: Take, fleet: Path, tmp_path: Path) -> None:
    take(many(1), "--write", str(fleet))
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (fleet / "targets" / ".aws-prod-1.yaml.part").symlink_to(victim)
    take(many(2), "--write", str(fleet))
    assert victim.read_text() == "kept"
    assert groups(fleet) == {"aws-prod-1": ["db-000", "db-001"]}
    file = fleet / "targets/aws-prod-1.yaml"
    assert not file.is_symlink()
    assert file.stat().st_mode & 0o777 == (fleet / "fleet.yaml").stat().st_mode & 0o777


DATABASES = st.sets(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=60)


@settings(deadline=None, max_examples=40)
@given(st.lists(DATABASES, min_size=1, max_size=4), st.data())
def test_groups_only_grow(batches: list[set[tuple[str, int]]], data: st.DataObject) -> None:
    """Each association is in one group, a group has one client, and an edited file stays as it is."""
    texts: dict[str, str] = {}
    seen: set[str] = set()
    for batch in batches:
        rows = [exact(f"{client}-{number}", client) for client, number in batch]
        entries = {name: entry(name, text) for name, text in texts.items()}
        fleet = replace(no_fleet(Path(), "prod"), entries=entries)
        covered = Covered(fleet, ACCOUNT)
        found = extend(
            fleet, covered, {f"targets/{name}.yaml": text for name, text in texts.items()}, exact_associations(rows)
        )
        for file, text in found.files.items():
            name = file.removeprefix("targets/").removesuffix(".yaml")
            assert text.startswith(texts.get(name, "associations:\n"))
            texts[name] = text
        groups = [yaml.safe_load(text)["associations"] for text in texts.values()]
        seen |= {row["instanceName"] for row in rows}
        assert sorted(association["instanceName"] for group in groups for association in group) == sorted(seen)
        assert all(
            len(group) <= 25 and len({association["clientName"] for association in group}) == 1 for group in groups
        )
        edited = data.draw(st.sampled_from([None, *sorted(texts)]))
        if edited:
            texts[edited] += "enabled: false\n" if "enabled" not in texts[edited] else ""


def entry(name: str, text: str) -> Entry:
    return Entry(name, yaml.safe_load(text), None, f"targets/{name}.yaml")
