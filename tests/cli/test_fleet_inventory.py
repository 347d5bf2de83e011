"""The inventory, and the targets of a fleet that are made of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.fleet.files import Schedule, read_fleet
from rds_snap_backup_cli.output import moment
from tests.cli.calls import Cli, Done
from tests.cli.wire import PLACE, AwsWire

ACCOUNT, OTHER = "111122223333", "444455556666"
UNREAD = {"account": OTHER, "region": "eu-west-1", "message": "Access denied.", "hint": "Deploy member.yaml."}
NOBODY: dict[str, Any] = dict.fromkeys(("clientName", "instanceName", "subclientName", "content", "selectedBy"))
POINT = {"name": "s-1", "createdAt": "2026-01-31T02:09:44Z", "snapshot": "arn:aws:rds:eu-central-1:1:snapshot:s-1"}

type Take = Callable[..., Done]
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

    def call(rows: list[Row], *arguments: str) -> Done:
        wire.answer("Invoke", answer(rows))
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
    nightly: Row = {"content": "crm, orders", "targets": ["a", "b"]}
    cluster = row("orders", "nightly", arn=arn("orders", OTHER, "cluster"), **nightly)
    alone = row("x", **NOBODY, doubt="The content of aws-prod / RDS / odd is not understood")
    idle = row("y", "idle", arn=None, engine=None, content="nothing", selectedBy=None)
    found = [
        row("old", **NOBODY, excluded=True),
        alone,
        row("crm", "nightly", restorePoint=POINT, **nightly),
        cluster,
        idle,
    ]
    assert take(found, "--format", "json").json == [idle, *found[2:4], *found[:2]]
    done, home, group = take(found), f"{ACCOUNT}/eu-central-1", "aws-prod / RDS / nightly"
    assert (done.status, done.err) == (Exit.OK, "")
    assert done.rows == [
        ["aws-prod / RDS / idle: nothing", "", "", "", ""],
        [f"{group}: crm, orders", f"crm {home}", "its name", moment(POINT["createdAt"]), "a, b"],
        [group, f"orders (cluster) {OTHER}/eu-central-1", "its name", "", "a, b"],
        ["", f"old {home}", "excluded by its tag", "", ""],
        ["", f"x {home}", f"perhaps: {alone['doubt']}", "", ""],
    ]
    said = "2 instance groups, 4 databases; 1 group without a target, 1 database without a group."
    assert done.out.splitlines()[-1] == f"{PLACE}: {said}"
    assert take(found, "--format", "csv").out.splitlines()[3].startswith(f'"{group}","crm, orders"')


def test_all_pages_are_read_and_a_row_counts_once(cli: Cli, wire: AwsWire) -> None:
    wire.stack(AuditFunctionName="prod-audit")
    one, two, three = many(3)
    wire.answer("Invoke", *(answer(rows, UNREAD, pages=2) for rows in ([one, two], [two, three])))
    done = cli("inventory", "prod", "--format", "json")
    assert (done.json, done.status) == ([one, two, three], Exit.FINDINGS)
    assert [asked.get("page") for asked in wire.asked("Invoke")] == [None, 2]
    unread, last = done.err.splitlines()
    assert unread == f"Not read: {OTHER}/eu-west-1: Access denied. Deploy member.yaml."
    assert last.startswith(f"{PLACE}: 3 instance groups, 3 databases; 3 groups without a target")
    assert last.endswith(", not all was read.")


def test_a_new_fleet_has_targets_of_25_groups_of_one_client(take: Take, fleet: Path) -> None:
    rows = [*many(26), row("crm", client="Sales (EU)/x")]
    assert take(rows, "--write", str(fleet)).status == Exit.OK
    sizes = {name: len(found) for name, found in groups(fleet).items()}
    assert sizes == {"aws-prod-1": 25, "aws-prod-2": 1, "Sales-EU-x-1": 1}
    found, before = read_fleet(fleet), contents(fleet)
    names = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "db-025"}
    assert found.entries["aws-prod-2"].document == {"associations": [{**names, "databases": [arn("db-025")]}]}
    assert (found.name, found.entries["aws-prod-2"].schedule) == ("fleet", Schedule("cron(0 3 * * ? *)", "UTC"))
    done = take(rows, "--write", str(fleet), "--format", "json")
    assert contents(fleet) == before
    assert done.json[26]["file"] == str(fleet / "targets/aws-prod-2.yaml")
    assert f"{fleet} has all groups without a target." in done.err


EVERYTHING, REGION = {"selectedBy": "everything"}, {"selectedBy": "region eu-central-1"}
RULE = {"selectedBy": "rule ^web", "content": "rule ^web"}
# The rows, the databases that are written, and what is remarked.
CONTENTS: list[tuple[list[Row], list[str], str]] = [
    # By names: the databases. One with the tag is left out.
    ([row("a", "g"), row("b", "g", arn=arn("b", kind="cluster"))], [arn("b", kind="cluster"), arn("a")], ""),
    ([row("a", "g"), row("b", "g", excluded=True)], [arn("a")], ""),
    # All, or a region: the pattern of the account or of the region. Another region or account does not matter.
    (
        [row("a", "g", **EVERYTHING), row("b", "g", arn=arn("b", region="x"), **EVERYTHING)],
        [f"arn:aws:rds:*:{ACCOUNT}:*"],
        "",
    ),
    (
        [row("a", "g", **REGION), *(row("b", **NOBODY, arn=each) for each in (arn("b", region="x"), arn("c", OTHER)))],
        [f"arn:aws:rds:eu-central-1:{ACCOUNT}:*"],
        "",
    ),
    # One is excepted, so the pattern would select too many.
    ([row("a", "g", **EVERYTHING, content="all except b"), row("b", **NOBODY)], [arn("a")], "all except b"),
    # A rule: the names that match today.
    ([row(name, "g", **RULE) for name in ("web-1", "web-2")], [arn("web-1"), arn("web-2")], "rule ^web"),
]


@pytest.mark.parametrize(("rows", "databases", "remark"), CONTENTS)
def test_the_databases_are_those_of_the_content(
    take: Take, fleet: Path, rows: list[Row], databases: list[str], remark: str
) -> None:
    take(rows, "--write", str(fleet), "--client", "aws-prod")  # the rest is known all the same
    (entry,) = read_fleet(fleet).entries.values()
    assert [association["databases"] for association in entry.document["associations"]] == [databases]
    text = Path(entry.file).read_text()
    said = f"    # Content: {remark}. These databases match today; add new ones here.\n"
    assert (said in text) is bool(remark)
    take([*rows, row("z")], "--write", str(fleet))
    assert Path(entry.file).read_text().startswith(text), "a remark is no edit"
    assert groups(fleet) == {"aws-prod-1": ["g", "z"]}


def test_databases_that_do_not_fit_in_a_document_are_left_to_people(take: Take, fleet: Path) -> None:
    rows = [row(f"web-{number:03}", "web", **RULE) for number in range(200)]
    take([row("a"), *rows, row("z")], "--write", str(fleet))
    assert groups(fleet) == {"aws-prod-1": ["a", "z"], "aws-prod-2": ["web"]}
    text = (fleet / "targets/aws-prod-2.yaml").read_text()
    assert "# Content: rule ^web. Its 200 databases do not fit in a document: write patterns" in text
    take([row("b"), *rows], "--write", str(fleet))
    assert (fleet / "targets/aws-prod-2.yaml").read_text() == text


UNCERTAIN = "Left out: aws-prod / RDS / a. It selects no database for certain."


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (row("a", targets=["orders"]), ""),
        (row("a", targets=None), ""),  # the documents could not be read
        (row("a", **NOBODY), ""),
        (row("a", arn=None, selectedBy=None), UNCERTAIN),
        (row("a", excluded=True), UNCERTAIN),
        (row("a{{x}}"), "Left out: aws-prod / RDS / a{{x}}. A document must not have {{."),
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


@pytest.mark.parametrize(
    ("text", "edited"), [("associations", "# owned by sales\nassociations"), (arn("db-000"), "db-000")]
)
def test_an_edited_file_is_kept_and_a_newcomer_goes_to_another(take: Take, fleet: Path, text: str, edited: str) -> None:
    take(many(2), "--write", str(fleet))
    file = fleet / "targets/aws-prod-1.yaml"
    file.write_text(own := file.read_text().replace(text, edited))
    take(many(3), "--write", str(fleet))
    assert file.read_text() == own
    assert groups(fleet) == {"aws-prod-1": ["db-000", "db-001"], "aws-prod-2": ["db-002"]}


def test_a_group_that_any_file_names_is_not_added_twice(take: Take, fleet: Path) -> None:
    take(many(1), "--write", str(fleet))
    own = {"clientName": "aws-prod", "instanceName": "RDS", "subclientName": "db-001"}
    (fleet / "targets/mine.json").write_text(json.dumps({"associations": [own]}))
    take(many(3), "--write", str(fleet))
    assert groups(fleet)["aws-prod-1"] == ["db-000", "db-002"]


def test_targets_have_names_of_their_own_and_fit_into_their_parameters(take: Take, fleet: Path) -> None:
    clients = ["aws prod", "AWS/prod", "aws-prod", "生产", "c" * 100]
    rows = [row(f"db-{number}", client=client) for number, client in enumerate(clients)]
    take([*rows, *(row(f"{index:03}{'é' * 240}", client="long") for index in range(25))], "--write", str(fleet))
    found = {name: len(some) for name, some in groups(fleet).items()}
    one_each = ("AWS-prod-1", "aws-prod-2", "aws-prod-3", f"{'c' * 59}-1", "group-1", "long-5")
    assert found == dict.fromkeys(one_each, 1) | {f"long-{number}": 6 for number in range(1, 5)}


def test_a_fleet_has_one_valid_name(take: Take, fleet: Path) -> None:
    take(many(1), "--write", str(fleet), "--name", "no name").could_not_run("'no name' is not a valid name of a fleet")
    assert not fleet.exists()
    take(many(1), "--write", str(fleet), "--name", "sales")
    assert read_fleet(fleet).name == "sales"
    take(many(2), "--write", str(fleet), "--name", "eu").could_not_run("is sales. Leave out --name")


def test_a_fleet_with_errors_is_not_extended(take: Take, wire: AwsWire, fleet: Path) -> None:
    (fleet / "targets").mkdir(parents=True)
    (fleet / "targets/mine.yaml").write_text("associations: []\n")
    before = contents(fleet)
    done = take(many(2), "--write", str(fleet))
    assert (done.status, "mine.yaml:1: associations: must be" in done.err) == (Exit.FINDINGS, True)
    assert (contents(fleet), wire.calls) == (before, [])
