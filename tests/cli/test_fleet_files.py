"""A fleet's files: strict YAML and JSON, every error at once with its line, warnings, and the documents that are stored."""

import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rds_snap_backup_cli.errors import Exit
from rds_snap_backup_cli.fleet.files import DEFAULT_FIELDS, Entry, Schedule, read_fleet, stored_text
from rds_snap_backup_cli.fleet.warnings import requests_by_hour, warnings_of
from tests.cli.calls import Cli

HEAD = "name: prod\n"
ONE = "{clientName: aws, instanceName: orders, subclientName: default}"
ASSOCIATIONS = f"associations: [{ONE}]\n"
ASSOCIATION = {"clientName": "aws", "instanceName": "orders", "subclientName": "default"}
NIGHTLY = "schedule: {expression: cron(0 3 * * ? *)}\n"
NOW = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday

type Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Return a function that writes a fleet's files."""

    def write(head: str | None = HEAD, **targets: str | bytes) -> Path:
        """`targets` are contents by file name, `.yaml` unless it has another ending after `__`."""
        directory = tmp_path / "fleet"
        (directory / "targets").mkdir(parents=True)
        if head is not None:
            (directory / "fleet.yaml").write_text(head)
        for name, text in targets.items():
            file = directory / "targets" / (name.replace("__", ".") if "__" in name else f"{name}.yaml")
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return directory

    return write


def of(instance: str) -> str:
    """Return the associations of an instance of its own, which no other target backs up."""
    return ASSOCIATIONS.replace("orders", instance)


def remarks(directory: Path) -> list[str]:
    """Return errors and warnings without the directory's name."""
    fleet = read_fleet(directory)
    found = (*fleet.errors, *warnings_of(fleet, NOW))
    return [str(remark).replace(f"{directory}/", "") for remark in found]


# ---- What is read


def test_defaults_fill_whole_fields_that_a_document_lacks(written: Written) -> None:
    nightly = "schedule: {expression: cron(0 3 * * ? *), timezone: Europe/Berlin}"
    directory = written(
        f"{HEAD}defaults:\n  databases: [a, b]\n  maxAgeHours: 30\n  {nightly}\n",
        defaults=ASSOCIATIONS,
        own=f"{ASSOCIATIONS}databases: [c]\nschedule: {{expression: rate(1 day)}}\n",
        unscheduled__json=json.dumps({"associations": [ASSOCIATION], "schedule": None}),
    )
    fleet = read_fleet(directory)
    assert (fleet.name, fleet.errors) == ("prod", ())
    assert {name: (entry.document["databases"], entry.schedule) for name, entry in fleet.entries.items()} == {
        "defaults": (["a", "b"], Schedule("cron(0 3 * * ? *)", "Europe/Berlin")),
        "own": (["c"], Schedule("rate(1 day)", "UTC")),
        "unscheduled": (["a", "b"], None),
    }
    wanted = {"associations": [ASSOCIATION], "databases": ["c"], "maxAgeHours": 30}
    assert fleet.entries["own"] == Entry("own", wanted, Schedule("rate(1 day)"), f"{directory}/targets/own.yaml")


TEXTS = [
    "012345670123", "no", "Yes", "on", "True", "NULL", "~", "1e3", "1.5", "0x1F", "0o17", "1_000", "2024-01-01", "12:30:45",
    ".inf", "=", "-0", "+5", "00",
]  # fmt: skip
OTHERS = {"'true'": "true", '"5"': "5", "|-\n    7": "7", ">-\n    null": "null", '"ü\\u00fc😀"': "üü😀", "a # b": "a"}


@pytest.mark.parametrize(("text", "value"), [*zip(TEXTS, TEXTS, strict=True), *OTHERS.items()])
def test_only_constants_and_plain_integers_are_no_text(written: Written, text: str, value: str) -> None:
    directory = written(a=f"associations:\n- clientName: {text}\n  instanceName: orders\n  subclientName: default\n")
    assert read_fleet(directory).entries["a"].document["associations"][0]["clientName"] == value


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\r\n\t"])
def test_json_is_read_as_json(written: Written, blank: str) -> None:
    """YAML admits tabs in few places, and would read a surrogate pair as two characters."""
    text = json.dumps({"associations": [{**ASSOCIATION, "clientName": "a/\U0001f600"}], "enabled": False}, indent=1)
    directory = written(a__json=text.replace("a/", "a\\/").replace("\n", blank))
    assert read_fleet(directory).entries["a"].document == json.loads(text)


# ---- Errors

MANY = "gatherMinutes: each event of a group of many starts a job of all"
AT, NO_MORE = (
    "expression of schedule",
    "it does not come twice in two years, and maxAgeHours is 26, the stack's default",
)
# What a target has beside its associations on the first line, and how the only remark about it begins.
REMARKS = {
    "databases:\n  - *x\n": "3: database 1: the alias *x is not allowed: write the value again",
    "fleet: !!str prod\n": "2: fleet: the tag tag:yaml.org,2002:str is not allowed: text in quotes is text",
    "enabled: true\n\nenabled: true\n": "4: enabled: is repeated: line 2 has it, too",
    "<<: {enabled: true}\n": "2: <<: merge keys are not allowed: write the fields again",
    "? [enabled]\n: true\n": "2: the document: a field's name must be a text",
    "%YAML 1.2\n---\n": "1: the document: directives (%YAML, %TAG) are not allowed",
    "---\nenabled: true\n": "2: the document: a file holds one document: remove the line ---",
    "databases: [a\n": "3: the document: is not YAML: did not find expected ',' or ']'",
    "# ü\nfleet: a\x07\n": "3: the document: has the character U+0007, which YAML does not admit",
    f"maxAgeHours: {'9' * 5000}\n": "2: maxAgeHours: must be a whole number, 1 to 8784",
    # What the product, Scheduler or SSM refuses.
    "schedule: nightly\n": "2: schedule: must be an object with expression and timezone, or null",
    'databases: [a, "b{{x}}"]\n': "2: databases: must not have {{: CloudFormation would put a secret there",
    # What is probably not meant.
    "enabled: false\n": "2: enabled: nothing starts this target",
    "backupLevel: INCREMENTAL\n": "2: backupLevel: only FULL is meant for snapshots of RDS",
    "gatherMinutes: 0\ndatabases: [a, b]\n": f"2: {MANY}",
    "gatherMinutes: 4\ndatabases: ['web-*']\n": f"2: {MANY}",
    "gatherMinutes: 5\ndatabases: [a, b]\n": "",
    "gatherMinutes: 0\ndatabases: [a]\n": "",
    "schedule: {expression: cron(0 3 1 1 ? 2199)}\n": f"2: {AT}: {NO_MORE}",
    "schedule: {expression: cron(0 3 1 1 ? 2199)}\nenabled: false\n": "3: enabled: nothing starts",
    "schedule: {expression: cron(0 3 ? * MON *)}\n": f"2: {AT}: it comes every 168 hours at most",
    "schedule: {expression: cron(0 3 ? * MON *)}\nmaxAgeHours: 168\n": "",
    "schedule: {expression: cron(0 3 ? * MON-FRI *)}\n": "",
    NIGHTLY + "maxAgeHours: 8784\n": "3: maxAgeHours: the audit finds a missing backup after 366 days only",
    NIGHTLY + "maxAgeHours: 744\n": "",
    "schedule: {expression: cron(0/1 * * * ? *)}\n": "",
    "schedule: {expression: rate(2 days)}\n": f"2: {AT}: it comes every 48 hours at most",
}


@pytest.mark.parametrize("text", REMARKS)
def test_a_remark_names_line_and_field(written: Written, text: str) -> None:
    directory = written(a=text + ASSOCIATIONS if text.startswith("%") else ASSOCIATIONS + text)
    found, wanted = remarks(directory), f"targets/a.yaml:{REMARKS[text]}"
    assert [remark[: len(wanted)] for remark in found] == [wanted] * bool(REMARKS[text])
    is_valid = not read_fleet(directory).errors
    assert (list(read_fleet(directory).entries) == ["a"]) is is_valid


WRONG_JSON = {
    '{"enabled": true,\n"enabled": true}': "2: enabled: is repeated: line 1 has it, too",
    "{} # none": "1: the document: is not JSON: Extra data",
    f'{{"maxAgeHours": {"9" * 5000}}}': "1: the document: is not JSON: a number is too long",
    '{"databases": ["\\ud800"]}': "1: databases: must be a list of names",
}


@pytest.mark.parametrize("text", WRONG_JSON)
def test_json_that_is_refused(written: Written, text: str) -> None:
    assert any(remark.startswith(f"targets/a.json:{WRONG_JSON[text]}") for remark in remarks(written(a__json=text)))


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{\n\xff}", "2: the document: is not UTF-8: save the file in this encoding"),
        (b"\xef\xbb\xbf{}", "1: the document: begins with a byte order mark: save the file without it"),
        (b"[" * 20_000, "1: the document: is nested more than 50 levels deep"),
        (b"[" * 51 + b"]" * 51, "1: the document: is nested more than 50 levels deep"),
        (b"[" * 50 + b"]" * 50, "1: the document: must be a JSON object"),
        (b" " * 262_145, "1: the document: is larger than 262,144 bytes"),
        (b"{}", "1: associations: must be a list of 1 to 90 objects with clientName, instanceName, subclientName"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_content_that_is_no_document(written: Written, content: bytes, reason: str, suffix: str) -> None:
    assert remarks(written(**{f"a__{suffix}": content})) == [f"targets/a.{suffix}:{reason}"]


def test_all_errors_are_found_at_once(written: Written) -> None:
    head = "nane: prod\ndefaults:\n  associations: []\n  schedule: {timezone: Europe/Berlim}\n"
    wrong = "  - clientName: ''\n    instancename: x\n    subclientName: default\n"
    schedule = "schedule:\n  expression: cron(0 25 * * ? *)\n  time: 3\n"
    target = f"associations:\n  - {ONE}\n{wrong}  - {ONE}\ndatabases: &all [a]\n{schedule}"
    directory = written(head, a=target, b=ASSOCIATIONS, c=f"{ASSOCIATIONS}maxAgeHours: 0\n")
    assert remarks(directory) == [
        'fleet.yaml:1: name: must be a text of 1 to 64 letters, digits, "_", "." or "-"',
        "fleet.yaml:1: nane: must be left out (did you mean name?)",
        f"fleet.yaml:3: associations of defaults: must be left out (known fields are {', '.join(DEFAULT_FIELDS)})",
        "fleet.yaml:4: expression of schedule of defaults: must be cron(…), rate(…) or at(…), in at most 256 characters",
        "fleet.yaml:4: timezone of schedule of defaults: 'Europe/Berlim' is not a time zone. Did you mean Europe/Berlin?",
        "targets/a.yaml:3: clientName of association 2: must be a text of 1 to 500 printable characters",
        "targets/a.yaml:3: instanceName of association 2: must be a text of 1 to 500 printable characters",
        "targets/a.yaml:4: instancename of association 2: must be left out (did you mean instanceName?)",
        "targets/a.yaml:6: association 3: must be different from association 1 in clientName, instanceName, subclientName",
        "targets/a.yaml:7: databases: the anchor &all is not allowed",
        "targets/a.yaml:9: expression of schedule: 'cron(0 25 * * ? *)': '25' is not valid for hours: 0 to 23",
        "targets/a.yaml:10: time of schedule: must be left out (did you mean timezone?)",
        "targets/c.yaml:2: maxAgeHours: must be a whole number, 1 to 8784",
    ]


@pytest.mark.parametrize("size", [8192, 8193])
def test_a_document_is_measured_in_the_bytes_that_are_stored(written: Written, size: int) -> None:
    content: dict[str, Any] = {"associations": [ASSOCIATION], "databases": ["ü" * 190] * 20}
    content["databases"].append("u" * (size - len(stored_text(content).encode()) - len(',""')))
    found = remarks(written(a__json=json.dumps(content)))
    reason = "has 8,193 bytes as it is stored, and a parameter holds 8,192: split the target"
    assert found == [f"targets/a.json:1: the document: {reason}"] * (size > 8192)


# ---- Files


def test_files_that_are_no_targets_are_errors(written: Written) -> None:
    directory = written(a=ASSOCIATIONS, a__json="{}", b__yml="", B__YAML="", readme__txt="", **{"x y": "", "*": ""})
    folder = directory / "targets"
    for name in (".gitkeep", "default.yaml", "../README.md"):
        (folder / name).touch()
    # Emacs has a.yaml open.
    for name, to in ((".#a.yaml", "jane@desk.1"), ("gone.json", "nowhere"), ("link.yaml", "b.yml")):
        (folder / name).symlink_to(to)
    (folder / "folder.yaml").mkdir()
    os.mkfifo(folder / "pipe.yaml")
    no_target = "is not a target: a target's file is NAME.yaml or NAME.json"
    no_name = 'is not a valid target name: 1 to 64 letters, digits, "_", "." or "-"'
    assert [error.removeprefix("targets/").replace("1: the file: ", "") for error in sorted(remarks(directory))] == [
        f"*.yaml:'*' {no_name}",
        f"B.YAML:{no_target}",
        "a.json:1: associations: must be a list of 1 to 90 objects with clientName, instanceName, subclientName",
        "a.yaml:a.json is the same target: remove one of the two",
        f"b.yml:{no_target}",
        "default.yaml:default is the target of the stack's own parameters: give this one another name",
        "folder.yaml:is not a regular file",
        "gone.json:is a link",
        "link.yaml:is a link",
        "pipe.yaml:is not a regular file",
        f"readme.txt:{no_target}",
        f"x y.yaml:'x y' {no_name}",
    ]


def test_a_directory_without_the_fleets_file(written: Written) -> None:
    directory = written(None)
    (directory / "targets").rmdir()
    (directory / "fleet.yml").write_text(HEAD)
    hint = "did you mean fleet.yml? The name must be fleet.yaml"
    assert remarks(directory) == [f"fleet.yaml:1: the document: does not exist ({hint})"]


@pytest.mark.parametrize(
    ("link", "error"),
    [
        ("fleet.yaml", "fleet.yaml:1: the document: cannot be read: it is a link"),
        ("targets", "targets:1: the directory: is a link"),
        ("", "fleet:1: the directory: is a link"),
    ],
)
def test_links_are_not_followed(written: Written, tmp_path: Path, link: str, error: str) -> None:
    directory = written(a=ASSOCIATIONS)
    (directory / link).rename(tmp_path / "elsewhere")
    (directory / link).symlink_to(tmp_path / "elsewhere")
    (found,) = read_fleet(directory).errors
    assert str(found).endswith(f"/{error}")


# ---- Warnings


def test_scheduled_targets_with_the_same_associations(written: Written) -> None:
    two = f"associations:\n- {ONE}\n- {ONE.replace('orders', 'billing')}\n"
    directory = written(a=two + NIGHTLY, b=f"enabled: true\n{two}{NIGHTLY}", events=two)
    reason = "the scheduled target a has it, and 1 more, too, and each is backed up twice: remove it from one"
    assert remarks(directory) == [f"targets/b.yaml:3: association 1: {reason}"]


@pytest.mark.parametrize(("own", "is_warned"), [("", True), (", databases: []", False)])
def test_databases_of_a_target_with_several_associations(written: Written, own: str, is_warned: bool) -> None:
    other = ONE.replace("orders", "billing").replace("}", f"{own}}}")
    found = remarks(written(a=f"associations: [{ONE}, {other}]\ndatabases: [a]\n"))
    shared = "an event of one of them backs up 2 associations: give each association its own databases"
    assert found == [f"targets/a.yaml:2: databases: {shared}"] * is_warned


@pytest.mark.parametrize(
    "default", ["maxAgeHours: 8784", "schedule: {expression: cron(0 2 * * ? *), timezone: Europe/Berlin}"]
)
def test_a_default_that_is_warned_of_is_one_warning_at_its_line(written: Written, default: str) -> None:
    schedule = "" if "schedule" in default else f"  {NIGHTLY}"
    (found,) = remarks(written(f"name: prod\ndefaults:\n  {default}\n{schedule}", a=of("one"), b=of("two")))
    assert found.startswith("fleet.yaml:3: ")


@pytest.mark.parametrize(
    ("schedules", "expected"),
    [
        ("cron(0 3 * * ? *)", {3: 1}),
        ("cron(30 3,4 * * ? *)@Europe/Berlin; cron(30 3 * * ? *)@Europe/Berlin", {2: 2, 3: 1}),
        ("cron(0 3 ? * MON *); cron(0 3 5 * ? *)", {3: 2}),
        ("at(2026-01-07T05:00:00)", {5: 1}),
        ("rate(1 day); rate(2 days)", dict.fromkeys(range(24), 1)),
        ("cron(0 14 ? * SUN *); cron(0 3 ? * MON *)@Pacific/Auckland", {14: 2}),
    ],
)
def test_requests_are_counted_by_the_hour(written: Written, schedules: str, expected: Mapping[int, int]) -> None:
    targets = {
        f"t{number}": f"{ASSOCIATIONS}schedule: {{expression: '{text}', timezone: {zone or 'UTC'}}}\n"
        for number, (text, _, zone) in enumerate(schedule.partition("@") for schedule in schedules.split("; "))
    }
    fleet = read_fleet(written(**targets))
    assert requests_by_hour(fleet, NOW) == expected


@pytest.mark.parametrize("number", [100, 101])
def test_more_requests_an_hour_than_commvaults_saas_admits(written: Written, number: int) -> None:
    found = remarks(written(**{f"t{index}": of(f"t{index}") + NIGHTLY for index in range(number)}))
    crowded = "fleet.yaml:1: the schedules: 101 requests come at 03:00 UTC"
    assert [warning.partition(", and")[0] for warning in found] == [crowded] * (number > 100)


def test_alike_warnings_are_one(written: Written) -> None:
    (found,) = remarks(written(**{f"t{number}": f"{of(f't{number}')}enabled: false\n" for number in range(6)}))
    assert found.startswith("targets/t0.yaml:2: enabled: nothing starts this target")
    assert found.endswith("(alike: targets/t1.yaml:2, targets/t2.yaml:2, targets/t3.yaml:2 and 2 more)")


# ---- The command


def test_validate_prints_one_line_for_each_remark(written: Written, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written(a=f"{ASSOCIATIONS}enable: true\n", b=f"{of('b')}enabled: false\n"))
    done = cli("validate")
    assert (done.status, done.err) == (Exit.FINDINGS, "")
    assert done.out.splitlines() == [
        "targets/a.yaml:2: enable: must be left out (did you mean enabled?)",
        "targets/b.yaml:2: enabled: nothing starts this target: remove the file if it is not needed any more (warning)",
        ".: 1 error, 1 warning, 1 valid target.",
    ]


def test_warnings_are_no_failure(written: Written, cli: Cli) -> None:
    directory = written()
    done = cli("validate", str(directory), "--format", "json")
    assert (done.status, done.err) == (Exit.OK, f"{directory}: no errors, 1 warning, no valid targets.\n")
    place = {"kind": "warning", "file": f"{directory}/targets", "line": 1, "field": "the directory"}
    assert done.json == [{**place, "reason": "has no target: add NAME.yaml for each"}]


@pytest.mark.parametrize(("name", "said"), [("none", "there is no {}. Check"), ("file", "{} is no folder. Name")])
def test_a_path_that_is_no_directory_is_refused(cli: Cli, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "file").write_text("")
    path = str(tmp_path / name)
    for arguments in (("validate", path), ("build", path, "--out", str(tmp_path / "out.json"))):
        cli(*arguments).could_not_run(said.format(path))
