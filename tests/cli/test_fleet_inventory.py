"""The inventory, and the targets of a fleet that are made of it."""

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
from rds_snap_backup_cli.fleet.additions import additions_of, extend, files_of
from rds_snap_backup_cli.fleet.files import Entry, no_fleet, read_fleet
from rds_snap_backup_cli.output import moment
from tests.cli.calls import Cli
from tests.cli.wire import AwsWire

ACCOUNT, OTHER = "111122223333", "444455556666"
PLACE = f"prod (account {ACCOUNT}, eu-central-1)"
UNREAD = {"account": OTHER, "region": "eu-west-1", "message": "Access denied.", "hint": "Deploy member.yaml."}
NOBODY: dict[str, Any] = {
    "clientName": None,
    "instanceName": None,
    "subclientName": None,
    "content": None,
    "selectedBy": None,
}
POINT = {"name": "s-1", "createdAt": "2026-01-31T02:09:44Z", "snapshot": "arn:aws:rds:eu-central-1:1:snapshot:s-1"}

type Take = Callable[..., Any]
type Row = dict[str, Any]


def arn(name: str, account: str = ACCOUNT, kind: str = "db", region: str = "eu-central-1") -> str:
    return f"arn:aws:rds:{region}:{account}:{kind}:{name}"


def row(name: str, group: str | None = None, client: str = "aws-prod", **more: Any) -> Row:
    """Return the row of a database and the group of its name, or another group."""
    names = {"clientName": client, "instanceName": "RDS", "subclientName": group or name}
    about: Row = {"content": name, "targets": [], "selectedBy": "its name", "doubt": None}
    database = {"arn": arn(name), "engine": "mysql", "excluded": False, "restorePoint": None}
    return {**names, **about, **database, **more}


def many(number: int, begin: int = 0) -> list[Row]:
    return [row(f"db-{index:03}") for index in range(begin, begin + number)]


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
    """Return the groups of each target, which are valid, in the order of the file."""
    found = read_fleet(fleet)
    assert found.errors == ()
    return {
        entry.name: [association["subclientName"] for association in entry.document["associations"]]
        for entry in found.entries.values()
    }


def contents(fleet: Path) -> dict[str, str]:
    return {str(path.relative_to(fleet)): path.read_text() for path in fleet.rglob("*") if path.is_file()}


def test_each_pair_is_shown_with_what_selects_it(take: Take) -> None:
    cluster = row("orders", "nightly", arn=arn("orders", OTHER, "cluster"), content="crm, orders", targets=["a", "b"])
    alone = row("x", **NOBODY, doubt="The content of aws-prod / RDS / odd is not understood")
    idle = row("y", "idle", arn=None, engine=None, content="nothing", selectedBy=None)
    found = [row("old", **NOBODY, excluded=True), alone, row("crm", "nightly", content="crm, orders"), cluster, idle]
    found[2] |= {"restorePoint": POINT, "targets": ["a", "b"]}
    done = take(found, "--format", "json")
    assert json.loads(done.out) == [idle, *found[2:4], *found[:2]]
    done = take(found)
    assert (done.status, done.err) == (Exit.OK, "")
    *lines, last = done.out.splitlines()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert rows == [
        ["aws-prod / RDS / idle: nothing", "", "", "", ""],
        [
            "aws-prod / RDS / nightly: crm, orders",
            f"crm {ACCOUNT}/eu-central-1",
            "its name",
            moment(POINT["createdAt"]),
            "a, b",
        ],
        ["aws-prod / RDS / nightly", f"orders (cluster) {OTHER}/eu-central-1", "its name", "", "a, b"],
        ["", f"old {ACCOUNT}/eu-central-1", "excluded by its tag", "", ""],
        ["", f"x {ACCOUNT}/eu-central-1", f"perhaps: {alone['doubt']}", "", ""],
    ]
    said = "2 instance groups, 4 databases; 1 group without a target, 1 database without a group."
    assert last == f"{PLACE}: {said}"
    shown = take(found, "--format", "csv").out.splitlines()
    assert shown[3].startswith('"aws-prod / RDS / nightly","crm, orders"')


def test_all_pages_are_read_and_a_row_counts_once(cli: Cli, wire: AwsWire) -> None:
    wire.stack(AuditFunctionName="prod-audit")
    one, two, three = many(3)
    wire.answer("Invoke", *(answer(rows, UNREAD, pages=2) for rows in ([one, two], [two, three])))
    done = cli("inventory", "prod", "--format", "json")
    assert (json.loads(done.out), done.status) == ([one, two, three], Exit.FINDINGS)
    assert [asked.get("page") for asked in wire.asked("Invoke")] == [None, 2]
    unread, last = done.err.splitlines()
    assert unread == f"Not read: {OTHER}/eu-west-1: Access denied. Deploy member.yaml."
    assert last.startswith(f"{PLACE}: 3 instance groups, 3 databases; 3 groups without a target")
    assert last.endswith(", not all was read.")


@pytest.mark.parametrize(
    "reply",
    [
        None,
        [],
        answer([{"clientName": "a"}]),
        answer([row("a", arn=7)]),
        answer([row("a", targets="b")]),
        answer([row("a", restorePoint={"createdAt": 1})]),
        answer([], {"message": "x"}),
        {"ok": True},
    ],
)
def test_another_answer_is_one_line(cli: Cli, wire: AwsWire, reply: Any) -> None:
    wire.stack(AuditFunctionName="prod-audit")
    wire.answer("Invoke", reply)
    done = cli("inventory", "prod")
    assert (done.status, "does not understand" in done.line) == (Exit.COULD_NOT_RUN, True)


def test_a_new_fleet_has_targets_of_25_groups_of_one_client(take: Take, fleet: Path) -> None:
    rows = [*many(26), row("crm", client="Sales (EU)/x")]
    done = take(rows, "--write", str(fleet))
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
    names = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "db-025"}
    assert entry.document == {"associations": [{**names, "databases": [arn("db-025")]}]}
    before = contents(fleet)
    done = take(rows, "--write", str(fleet), "--format", "json")
    assert contents(fleet) == before
    assert json.loads(done.out)[26]["file"] == str(fleet / "targets/aws-prod-2.yaml")
    assert f"{fleet} has all groups without a target." in done.err


@pytest.mark.parametrize(
    ("rows", "databases", "remark"),
    [
        # By names: the databases.
        ([row("a", "g"), row("b", "g", arn=arn("b", kind="cluster"))], [arn("b", kind="cluster"), arn("a")], ""),
        # All, or a region: the pattern of the account or of the region.
        (
            [row("a", "g", selectedBy="everything"), row("b", "g", arn=arn("b", region="x"), selectedBy="everything")],
            [f"arn:aws:rds:*:{ACCOUNT}:*"],
            "",
        ),
        ([row("a", "g", selectedBy="region eu-central-1")], [f"arn:aws:rds:eu-central-1:{ACCOUNT}:*"], ""),
        # Another region or account does not matter.
        (
            [
                row("a", "g", selectedBy="region eu-central-1"),
                row("b", **NOBODY, arn=arn("b", region="us-east-1")),
                row("c", **NOBODY, arn=arn("c", OTHER)),
            ],
            [f"arn:aws:rds:eu-central-1:{ACCOUNT}:*"],
            "",
        ),
        # One is excepted, so the pattern would select too many.
        (
            [row("a", "g", selectedBy="everything", content="everything except b"), row("b", **NOBODY)],
            [arn("a")],
            "everything except b",
        ),
        # A rule: the names that match today.
        (
            [row(name, "g", selectedBy="rule ^web", content="rule ^web") for name in ("web-1", "web-2")],
            [arn("web-1"), arn("web-2")],
            "rule ^web",
        ),
        # A database with the tag is left out.
        ([row("a", "g"), row("b", "g", excluded=True)], [arn("a")], ""),
    ],
)
def test_the_databases_are_those_of_the_content(
    take: Take, fleet: Path, rows: list[Row], databases: list[str], remark: str
) -> None:
    take(rows, "--write", str(fleet))
    (entry,) = read_fleet(fleet).entries.values()
    assert [association["databases"] for association in entry.document["associations"]] == [databases]
    text = Path(entry.file).read_text()
    said = f"    # Content: {remark}. These databases match today; add new ones here.\n"
    assert (said in text) is bool(remark)
    take(rows, "--write", str(fleet))
    assert Path(entry.file).read_text() == text
    take([*rows, row("z")], "--write", str(fleet))
    assert Path(entry.file).read_text().startswith(text), "a remark is no edit"
    assert groups(fleet) == {"aws-prod-1": ["g", "z"]}


def test_databases_that_do_not_fit_in_a_document_are_left_to_people(take: Take, fleet: Path) -> None:
    rows = [row(f"web-{number:03}", "web", selectedBy="rule ^web", content="rule ^web") for number in range(200)]
    take([row("a"), *rows, row("z")], "--write", str(fleet))
    assert groups(fleet) == {"aws-prod-1": ["a", "z"], "aws-prod-2": ["web"]}
    text = (fleet / "targets/aws-prod-2.yaml").read_text()
    assert "# Content: rule ^web. Its 200 databases do not fit in a document: write patterns" in text
    take([row("b"), *rows], "--write", str(fleet))
    assert (fleet / "targets/aws-prod-2.yaml").read_text() == text


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (row("a", targets=["default"]), ""),
        (row("a", targets=["orders"]), ""),
        (row("a", targets=None), ""),  # the documents could not be read
        (row("a", **NOBODY), ""),
        (row("a", arn=None, selectedBy=None), "Left out: aws-prod / RDS / a. It selects no database for certain."),
        (row("a", excluded=True), "Left out: aws-prod / RDS / a. It selects no database for certain."),
        (row("{{resolve:ssm:x}}"), "Left out: aws-prod / RDS / {{resolve:ssm:x}}. A document must not have {{."),
    ],
)
def test_a_group_with_a_target_or_without_a_database_is_left_out(
    take: Take, fleet: Path, found: Row, said: str
) -> None:
    done = take([found], "--write", str(fleet))
    assert (done.status, fleet.exists(), done.err.strip()) == (Exit.OK, False, said)


def test_a_new_group_changes_one_file(take: Take, fleet: Path) -> None:
    take([*many(30, 10), *many(3)][::-1], "--write", str(fleet))
    before = contents(fleet)
    take([*many(40), row("crm", client="other")], "--write", str(fleet), "--client", "aws-prod", "--account", ACCOUNT)
    after = contents(fleet)
    assert [name for name in after if after[name] != before.get(name)] == ["targets/aws-prod-2.yaml"]
    assert after["targets/aws-prod-2.yaml"].startswith(before["targets/aws-prod-2.yaml"])
    assert take(many(41), "--write", str(fleet), "--account", OTHER).status == Exit.OK
    assert contents(fleet) == after


def test_a_part_that_is_written_knows_the_databases_of_the_rest(take: Take, fleet: Path) -> None:
    rows = [row("a", "g", selectedBy="everything"), row("b", **NOBODY)]
    take(rows, "--write", str(fleet), "--client", "aws-prod")
    assert arn("a") in contents(fleet)["targets/aws-prod-1.yaml"]


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


def test_a_group_that_any_file_names_is_not_added_twice(take: Take, fleet: Path) -> None:
    take(many(1), "--write", str(fleet))
    own = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "db-001"}
    (fleet / "targets/mine.json").write_text(json.dumps({"associations": [own]}))
    take(many(3), "--write", str(fleet))
    assert groups(fleet)["aws-prod-1"] == ["db-000", "db-002"]


def test_two_clients_whose_names_give_the_same_file_have_files_of_their_own(take: Take, fleet: Path) -> None:
    clients = ["aws prod", "AWS/prod", "aws-prod", "生产", "c" * 100]
    rows = [row(f"db-{number}", client=client) for number, client in enumerate(clients)]
    take(rows, "--write", str(fleet))
    assert sorted(groups(fleet)) == ["AWS-prod-1", "aws-prod-2", "aws-prod-3", f"{'c' * 59}-1", "group-1"]


def test_a_target_of_long_names_ends_before_its_parameter_is_full(take: Take, fleet: Path) -> None:
    take([row(f"{index:03}{'é' * 240}") for index in range(25)], "--write", str(fleet))
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
def test_targets_only_grow(batches: list[set[tuple[str, int]]], data: st.DataObject) -> None:
    """Each group is in one target, a target has one client, and an edited file stays as it is."""
    texts: dict[str, str] = {}
    seen: set[str] = set()
    for batch in batches:
        rows = [row(f"{client}-{number}", client=client) for client, number in batch]
        entries = {name: entry(name, text) for name, text in texts.items()}
        fleet = replace(no_fleet(Path(), "prod"), entries=entries)
        files, known = {f"targets/{name}.yaml": text for name, text in texts.items()}, files_of(fleet)
        new = [addition for addition in additions_of(rows) if addition.association.names not in known]
        for file, text in extend(fleet, files, new).items():
            name = file.removeprefix("targets/").removesuffix(".yaml")
            assert text.startswith(texts.get(name, "associations:\n"))
            texts[name] = text
        targets = [yaml.safe_load(text)["associations"] for text in texts.values()]
        seen |= {row["subclientName"] for row in rows}
        assert sorted(association["subclientName"] for some in targets for association in some) == sorted(seen)
        assert all(len(some) <= 25 and len({item["clientName"] for item in some}) == 1 for some in targets)
        edited = data.draw(st.sampled_from([None, *sorted(texts)]))
        if edited:
            texts[edited] += "enabled: false\n" if "enabled" not in texts[edited] else ""


def entry(name: str, text: str) -> Entry:
    return Entry(name, yaml.safe_load(text), None, f"targets/{name}.yaml")
