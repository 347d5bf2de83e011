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

    def write(head: str | bytes | None = HEAD, **targets: str | bytes) -> Path:
        """`targets` are contents by file name, `.yaml` unless it ends in `__json`."""
        (tmp_path / "targets").mkdir()
        files = {
            f"targets/{name.replace('__', '.') if '__' in name else name + '.yaml'}": text
            for name, text in targets.items()
        }
        for name, text in (files | ({"fleet.yaml": head} if head is not None else {})).items():
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


def errors(directory: Path) -> list[str]:
    """Return the errors without the directory's name."""
    return [str(error).removeprefix(f"{directory}/") for error in read_fleet(directory).errors]


def warnings(directory: Path) -> list[str]:
    fleet = read_fleet(directory)
    assert not fleet.errors
    return [str(warning).replace(f"{directory}/", "") for warning in warnings_of(fleet, NOW)]


def document(directory: Path) -> dict[str, Any]:
    """Return the only target's document."""
    fleet = read_fleet(directory)
    assert not fleet.errors
    (entry,) = fleet.entries.values()
    return dict(entry.document)


# ---- What is read


def test_defaults_fill_whole_fields_that_a_document_lacks(written: Written) -> None:
    head = (
        f"{HEAD}defaults:\n  databases: [a, b]\n  maxAgeHours: 30\n"
        "  schedule: {expression: cron(0 3 * * ? *), timezone: Europe/Berlin}\n"
    )
    directory = written(
        head,
        defaults=ASSOCIATIONS,
        own=f"{ASSOCIATIONS.replace('orders', 'own')}databases: [c]\nschedule: {{expression: rate(1 day)}}\n",
        unscheduled__json=json.dumps({"associations": [ASSOCIATION], "schedule": None}),
    )

    def entry(file: str, schedule: Schedule | None, databases: list[str], instance: str = "orders") -> Entry:
        association = {**ASSOCIATION, "instanceName": instance}
        wanted = {"associations": [association], "databases": databases, "maxAgeHours": 30}
        return Entry(file.partition(".")[0], wanted, schedule, f"{directory}/targets/{file}")

    fleet = read_fleet(directory)
    assert (fleet.name, fleet.errors) == ("prod", ())
    assert fleet.entries == {
        "defaults": entry("defaults.yaml", Schedule("cron(0 3 * * ? *)", "Europe/Berlin"), ["a", "b"]),
        "own": entry("own.yaml", Schedule("rate(1 day)", "UTC"), ["c"], "own"),
        "unscheduled": entry("unscheduled.json", None, ["a", "b"]),
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (text, text)
            for text in ("012345670123", "no", "Yes", "on", "True", "NULL", "~", "1e3", "1.5", "0x1F", "0o17", "1_000")
        ),
        *((text, text) for text in ("2024-01-01", "12:30:45", ".inf", "=", "-0", "+5", "00")),
        ("'true'", "true"),
        ('"5"', "5"),
        ("|-\n    7", "7"),
        (">-\n    null", "null"),
        ('"ü\\u00fc😀"', "üü😀"),
        ("a # comment", "a"),
    ],
)
def test_only_constants_and_plain_integers_are_no_text(written: Written, text: str, value: str) -> None:
    directory = written(a=f"associations:\n- clientName: {text}\n  instanceName: orders\n  subclientName: default\n")
    assert document(directory)["associations"][0]["clientName"] == value


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\r\n\t"])
def test_json_is_read_as_json(written: Written, blank: str) -> None:
    """YAML admits tabs in few places, and would read a surrogate pair as two characters."""
    text = json.dumps({"associations": [{**ASSOCIATION, "clientName": "a/\U0001f600"}], "enabled": False}, indent=1)
    directory = written(a__json=text.replace("a/", "a\\/").replace("\n", blank))
    assert document(directory) == json.loads(text)


# ---- Errors


WRONG_YAML = {
    "anchor": ("allowTag: &x true\n", 2, "allowTag: the anchor &x is not allowed"),
    "anchor of a name": ("&x allowTag: true\n", 2, "allowTag: the anchor &x is not allowed"),
    "alias": ("databases:\n  - *x\n", 3, "database 1: the alias *x is not allowed: write the value again"),
    "tag": ("fleet: !!str prod\n", 2, "fleet: the tag tag:yaml.org,2002:str is not allowed: text in quotes is text"),
    "own tag": ("databases: !all [a]\n", 2, "databases: the tag !all is not allowed: text in quotes is text"),
    "empty tag": ("fleet: ! prod\n", 2, "fleet: the tag ! is not allowed: text in quotes is text"),
    "repeated": ("enabled: true\n\nenabled: true\n", 4, "enabled: is repeated: line 2 has it, too"),
    "merge": ("<<: {enabled: true}\n", 2, "<<: merge keys are not allowed: write the fields again"),
    "object as a name": ("? [enabled]\n: true\n", 2, "the document: a field's name must be a text"),
    "directive": ("%YAML 1.2\n---\n", 1, "the document: directives (%YAML, %TAG) are not allowed"),
    "two documents": ("---\nenabled: true\n", 2, "the document: a file holds one document: remove the line ---"),
    "tab": ("enabled:\n\t- true\n", 3, "the document: is not YAML: found "),
    "open list": ("databases: [a\n", 3, "the document: is not YAML: did not find expected ',' or ']'"),
    "control": ("# ü\nfleet: a\x07\n", 3, "the document: has the character U+0007, which YAML does not admit"),
    "no name": ("'': 1\n", 2, '"": must be left out (known fields are '),
    "integer as an account": (
        "accounts: [111122223333]\n",
        2,
        "accounts: must be a list of 1 or more account IDs of 12",
    ),
    "long number": (f"maxAgeHours: {'9' * 5000}\n", 2, "maxAgeHours: must be a whole number, 1 to 8784"),
}


@pytest.mark.parametrize(("text", "line", "reason"), WRONG_YAML.values(), ids=WRONG_YAML)
def test_yaml_that_is_not_strict(written: Written, text: str, line: int, reason: str) -> None:
    directory = written(a=text + ASSOCIATIONS if text.startswith("%") else ASSOCIATIONS + text)
    (error,) = errors(directory)
    assert error.startswith(f"targets/a.yaml:{line}: {reason}")
    assert not read_fleet(directory).entries


WRONG_JSON = {
    "repeated": ('{"enabled": true,\n"enabled": true}', 2, "enabled: is repeated: line 1 has it, too"),
    "comment": ("{} # none", 1, "the document: is not JSON: Extra data"),
    "no quotes": (
        "{\nenabled: true}",
        2,
        "the document: is not JSON: Expecting property name enclosed in double quotes",
    ),
    "comma": ('{"databases": ["a",\n]}', 1, "the document: is not JSON: Illegal trailing comma before end of array"),
    "whole float": ('{"maxAgeHours": 26.0}', 1, "maxAgeHours: must be a whole number"),
    "no number": ('{"maxAgeHours": NaN}', 1, "maxAgeHours: must be a whole number"),
    "long number": (f'{{"maxAgeHours": {"9" * 5000}}}', 1, "the document: is not JSON: a number is too long"),
    "surrogate": ('{"databases": ["\\ud800"]}', 1, "databases: must be a list of names"),
}


@pytest.mark.parametrize(("text", "line", "reason"), WRONG_JSON.values(), ids=WRONG_JSON)
def test_json_that_is_not_strict(written: Written, text: str, line: int, reason: str) -> None:
    assert any(error.startswith(f"targets/a.json:{line}: {reason}") for error in errors(written(a__json=text)))


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
        (b"[]", "1: the document: must be a JSON object"),
        (b"null", "1: the document: must be a JSON object"),
        (b"{}", "1: associations: must be a list of 1 to 90 objects with clientName, instanceName, subclientName"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_content_that_is_no_document(written: Written, content: bytes, reason: str, suffix: str) -> None:
    assert errors(written(**{f"a__{suffix}": content})) == [f"targets/a.{suffix}:{reason}"]


def test_all_errors_are_found_at_once(written: Written) -> None:
    head = "nane: prod\ndefaults:\n  maxAgeHours: 0\n  associations: []\n  schedule: {timezone: Europe/Berlim}\n"
    target = f"""\
associations:
  - {ONE}
  - clientName: ""
    instancename: x
    subclientName: default
  - {ONE}
databases: &all [a]
enabled: yes
backupLevels: FULL
schedule:
  expression: cron(0 25 * * ? *)
  timezone: Europe/Berlim
  time: 3
"""
    directory = written(head, a=target, b=ASSOCIATIONS, c=f"{ASSOCIATIONS}maxAgeHours: 0\n")
    assert errors(directory) == [
        'fleet.yaml:1: name: must be a text of 1 to 64 letters, digits, "_", "." or "-"',
        "fleet.yaml:1: nane: must be left out (did you mean name?)",
        "fleet.yaml:3: maxAgeHours of defaults: must be a whole number, 1 to 8784",
        f"fleet.yaml:4: associations of defaults: must be left out (known fields are {', '.join(DEFAULT_FIELDS)})",
        "fleet.yaml:5: expression of schedule of defaults: must be cron(…), rate(…) or at(…), in at most 256 characters",
        "fleet.yaml:5: timezone of schedule of defaults: 'Europe/Berlim' is not a time zone. Did you mean Europe/Berlin?",
        "targets/a.yaml:3: clientName of association 2: must be a text of 1 to 500 printable characters",
        "targets/a.yaml:3: instanceName of association 2: must be a text of 1 to 500 printable characters",
        "targets/a.yaml:4: instancename of association 2: must be left out (did you mean instanceName?)",
        "targets/a.yaml:6: association 3: must be different from association 1 in clientName, instanceName, subclientName",
        "targets/a.yaml:7: databases: the anchor &all is not allowed",
        "targets/a.yaml:8: enabled: must be true or false",
        "targets/a.yaml:9: backupLevels: must be left out (did you mean backupLevel?)",
        "targets/a.yaml:11: expression of schedule: 'cron(0 25 * * ? *)': '25' is not valid for hours: 0 to 23",
        "targets/a.yaml:12: timezone of schedule: 'Europe/Berlim' is not a time zone. Did you mean Europe/Berlin?",
        "targets/a.yaml:13: time of schedule: must be left out (did you mean timezone?)",
        "targets/c.yaml:2: maxAgeHours: must be a whole number, 1 to 8784",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fleet: prod\n", "fleet: must be left out"),
        ("shedule: null\n", "shedule: must be left out (did you mean schedule?)"),
        ("schedule: nightly\n", "schedule: must be an object with expression and timezone, or null"),
        ("schedule: []\n", "schedule: must be an object with expression and timezone, or null"),
        ("schedule: {}\n", "expression of schedule: must be cron(…), rate(…) or at(…), in at most 256 characters"),
        ("schedule: {expression: 5}\n", "expression of schedule: must be cron(…), rate(…) or at(…)"),
        (f'schedule: {{expression: "cron(0 3 * * ? {",".join(["2030"] * 60)})"}}\n', "expression of schedule: must be"),
        ("schedule: {expression: rate(1 days)}\n", "expression of schedule: 'rate(1 days)' is not a schedule"),
        ("schedule: {expression: rate(1 day), timezone: null}\n", "timezone of schedule: must be a time zone such as"),
        ('databases: [a, "{{x}}"]\n', "databases: must not have {{: CloudFormation would put a secret there"),
    ],
)
def test_a_field_that_the_product_scheduler_or_ssm_refuses(written: Written, text: str, reason: str) -> None:
    (error,) = errors(written(a=f"{ASSOCIATIONS}{text}"))
    assert error.partition(": ")[2].startswith(reason)


def umlauts(size: int) -> dict[str, Any]:
    """Return a target whose document has this size in bytes as it is stored."""
    content = {"associations": [ASSOCIATION], "databases": [""] * 20}
    pairs, rest = divmod(size - len(stored_text(content).encode()), 2)
    names = ["ü" * (pairs // 20 + (number < pairs % 20)) for number in range(20)]
    return content | {"databases": [*names[:-1], names[-1] + "u" * rest]}


@pytest.mark.parametrize("size", [4096, 4097, 8192])
def test_a_document_is_measured_in_the_bytes_that_are_stored(written: Written, size: int) -> None:
    fleet = read_fleet(written(a__json=json.dumps(umlauts(size))))
    assert not fleet.errors
    assert len(stored_text(fleet.entries["a"].document).encode()) == size


def test_a_document_that_no_parameter_holds(written: Written) -> None:
    reason = "has 8,193 bytes as it is stored, and a parameter holds 8,192: split the target"
    assert errors(written(a__json=json.dumps(umlauts(8193)))) == [f"targets/a.json:1: the document: {reason}"]


# ---- Files


def test_files_that_are_no_targets_are_errors(written: Written) -> None:
    directory = written(a=ASSOCIATIONS, a__json="{}", b__yml="", B__YAML="", readme__txt="", **{"x y": "", "*": ""})
    (directory / "targets" / ".gitkeep").touch()
    (directory / "targets" / ".#a.yaml").symlink_to("jane@desk.1")  # Emacs has a.yaml open
    (directory / "targets" / "folder.yaml").mkdir()
    (directory / "targets" / "gone.json").symlink_to("nowhere")
    (directory / "targets" / "link.yaml").symlink_to("b.yml")
    os.mkfifo(directory / "targets" / "pipe.yaml")
    (directory / "targets" / "default.yaml").touch()
    (directory / "README.md").touch()
    no_name = 'is not a valid target name: 1 to 64 letters, digits, "_", "." or "-"'
    assert sorted(errors(directory)) == [
        f"targets/*.yaml:1: the file: '*' {no_name}",
        "targets/B.YAML:1: the file: is not a target: a target's file is NAME.yaml or NAME.json",
        "targets/a.json:1: associations: must be a list of 1 to 90 objects with clientName, instanceName, subclientName",
        "targets/a.yaml:1: the file: a.json is the same target: remove one of the two",
        "targets/b.yml:1: the file: is not a target: a target's file is NAME.yaml or NAME.json",
        "targets/default.yaml:1: the file: default is the target of the stack's own parameters: give this one another name",
        "targets/folder.yaml:1: the file: is not a regular file",
        "targets/gone.json:1: the file: is a link",
        "targets/link.yaml:1: the file: is a link",
        "targets/pipe.yaml:1: the file: is not a regular file",
        "targets/readme.txt:1: the file: is not a target: a target's file is NAME.yaml or NAME.json",
        f"targets/x y.yaml:1: the file: 'x y' {no_name}",
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("fleet.yml", " (did you mean fleet.yml? The name must be fleet.yaml)"), ("README.md", "")],
)
def test_a_directory_without_the_fleets_file(written: Written, name: str, hint: str) -> None:
    directory = written(None, a=ASSOCIATIONS)
    (directory / name).write_text(HEAD)
    assert errors(directory) == [f"fleet.yaml:1: the document: does not exist{hint}"]


LINKS: Mapping[str, Callable[[Path, Path], None]] = {
    "fleet.yaml:1: the document: cannot be read: it is a link": lambda fleet, to: (fleet / "fleet.yaml").symlink_to(
        to / "fleet.yaml"
    ),
    "targets:1: the directory: is a link": lambda fleet, to: (fleet / "targets").symlink_to(to / "targets"),
}


@pytest.mark.parametrize("error", LINKS)
def test_links_are_not_followed(written: Written, tmp_path: Path, error: str) -> None:
    other = written(a=ASSOCIATIONS)
    fleet = tmp_path / "fleet"
    fleet.mkdir()
    (fleet / "fleet.yaml").write_text(HEAD)
    if error.startswith("fleet.yaml"):
        (fleet / "fleet.yaml").unlink()
    LINKS[error](fleet, other)
    assert errors(fleet) == [error]
    (tmp_path / "link").symlink_to(other)
    assert [str(found) for found in read_fleet(tmp_path / "link").errors] == [
        f"{tmp_path}/link:1: the directory: is a link"
    ]


# ---- Warnings


def test_scheduled_targets_with_the_same_associations(written: Written) -> None:
    two = f"associations:\n- {ONE}\n- {ONE.replace('orders', 'billing')}\n"
    directory = written(a=two + NIGHTLY, b=f"enabled: true\n{two}{NIGHTLY}", events=two)
    (found,) = warnings(directory)
    place, _, reason = found.partition(": the scheduled ")
    assert place == "targets/b.yaml:3: association 1"
    assert reason == "target a has it, and 1 more, too, and each is backed up twice: remove it from one"


NO_MORE = "does not come twice in two years, and maxAgeHours is 26, the stack's default"
# What a target has beside its associations, the field that is warned of, and how the reason begins.
WARNED = [
    ("enabled: false\n", "enabled", "nothing starts this target"),
    ("backupLevel: INCREMENTAL\n", "backupLevel", "only FULL is meant for snapshots of RDS"),
    ("backupLevel: FULL\nenabled: true\n", "", ""),
    ("gatherMinutes: 0\ndatabases: [a, b]\n", "gatherMinutes", "each event of a group of many starts a job of all"),
    ("gatherMinutes: 4\ndatabases: ['web-*']\n", "gatherMinutes", "each event of a group of many starts a job of all"),
    ("gatherMinutes: 5\ndatabases: [a, b]\n", "", ""),
    ("gatherMinutes: 0\ndatabases: [a]\n", "", ""),
    ("gatherMinutes: 0\n", "", ""),
    ("schedule: {expression: cron(0 3 1 1 ? 2199)}\n", "expression of schedule", f"it {NO_MORE}"),
    ("schedule: {expression: 'at(2026-02-01T03:00:00)'}\n", "expression of schedule", f"it {NO_MORE}"),
    ("schedule: {expression: cron(0 3 ? * MON *)}\n", "expression of schedule", "it comes every 168 hours at most"),
    ("schedule: {expression: cron(0 3 ? * MON *)}\nmaxAgeHours: 168\n", "", ""),
    ("schedule: {expression: cron(0 3 ? * MON-FRI *)}\n", "", ""),
    ("schedule: {expression: cron(0 3 1 1 ? *)}\nmaxAgeHours: 8784\n", "", ""),
    (NIGHTLY + "maxAgeHours: 8784\n", "maxAgeHours", "the audit finds a missing backup after 366 days only"),
    (NIGHTLY + "maxAgeHours: 744\n", "", ""),
    ("schedule: {expression: rate(2 days)}\n", "expression of schedule", "it comes every 48 hours at most"),
    ("schedule: {expression: rate(1 day)}\n", "", ""),
    (
        NIGHTLY + "maxAgeHours: 12\n",
        "expression of schedule",
        "it comes every 24 hours at most, and maxAgeHours is 12:",
    ),
    ("schedule: {expression: cron(0 3 1 1 ? 2199)}\nenabled: false\n", "enabled", "nothing starts"),
    ("schedule: {expression: cron(0/1 * * * ? *)}\n", "", ""),
]


@pytest.mark.parametrize(("more", "field", "reason"), WARNED)
def test_what_is_probably_not_meant(written: Written, more: str, field: str, reason: str) -> None:
    found = [warning.partition(": ")[2] for warning in warnings(written(a=ASSOCIATIONS + more))]
    assert [warning.startswith(f"{field}: {reason}") for warning in found] == ([True] if field else [])


@pytest.mark.parametrize(
    ("default", "field"),
    [
        ("enabled: false", "enabled"),
        ("maxAgeHours: 8784", "maxAgeHours"),
        ("schedule: {expression: cron(0 3 1 1 ? 2199)}", "expression of schedule"),
    ],
)
def test_a_default_that_suspends_a_fleet_is_a_warning_at_its_line(written: Written, default: str, field: str) -> None:
    schedule = "" if "schedule" in default else f"  {NIGHTLY}"
    two = [ASSOCIATIONS.replace("orders", name) for name in ("one", "two")]
    directory = written(f"name: prod\ndefaults:\n  {default}\n{schedule}", a=two[0], b=two[1])
    (found,) = warnings(directory)
    assert found.startswith("fleet.yaml:3: ")
    assert field in found


@pytest.mark.parametrize(
    ("schedules", "expected"),
    [
        (["cron(0 3 * * ? *)"], {3: 1}),
        (["cron(30 3,4 * * ? *)@Europe/Berlin"] * 3, {2: 3, 3: 3}),
        (["cron(0/20 3 * * ? *)@Asia/Kolkata"], {21: 2, 22: 1}),
        (["cron(0 3 ? * MON *)", "cron(0 3 ? * 3-4 *)"], {3: 1}),
        (["cron(0 3 ? * MON *)", "cron(0 3 5 * ? *)"], {3: 2}),
        (["cron(0 3 ? * MON *)", "cron(0 3 1 * ? *)"], {3: 1}),
        (["cron(0 3 1 1 ? 2199)"], {}),
        (["at(2026-01-07T05:00:00)"], {5: 1}),
        (["at(2026-02-07T05:00:00)"], {}),
        (["rate(30 minutes)"], dict.fromkeys(range(24), 2)),
        (["rate(1 day)", "rate(2 days)"], dict.fromkeys(range(24), 1)),
        (["cron(0 14 ? * SUN *)", "cron(0 3 ? * MON *)@Pacific/Auckland"], {14: 2}),
    ],
)
def test_requests_are_counted_by_the_hour(written: Written, schedules: list[str], expected: dict[int, int]) -> None:
    targets = {
        f"t{number}": json.dumps(
            {"associations": [ASSOCIATION], "schedule": {"expression": found, "timezone": zone or "UTC"}}
        )
        for number, (found, _, zone) in enumerate(text.partition("@") for text in schedules)
    }
    fleet = read_fleet(written(**targets))
    assert not fleet.errors
    assert requests_by_hour(fleet, NOW) == expected


@pytest.mark.parametrize(("number", "is_warned"), [(100, False), (101, True)])
def test_more_requests_an_hour_than_commvaults_saas_admits(written: Written, number: int, is_warned: bool) -> None:
    names = (f"t{index}" for index in range(number))
    found = warnings(written(**{name: ASSOCIATIONS.replace("orders", name) + NIGHTLY for name in names}))
    assert [warning.partition(", and")[0] for warning in found] == (
        ["fleet.yaml:1: the schedules: 101 requests come at 03:00 UTC"] if is_warned else []
    )


# ---- The command


def test_validate_prints_one_line_for_each_remark(written: Written, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = written(
        a=f"{ASSOCIATIONS}databases: [a]\nenable: true\n",
        b=f"associations: [{ONE}, {ONE.replace('orders', 'b')}]\ndatabases: [b]\n",
    )
    monkeypatch.chdir(directory)
    done = cli("validate")
    assert (done.status, done.err) == (Exit.FINDINGS, "")
    assert done.out.splitlines() == [
        "targets/a.yaml:3: enable: must be left out (did you mean enabled?)",
        "targets/b.yaml:2: databases: an event of one of them backs up 2 associations: give each association its own databases (warning)",
        ".: 1 error, 1 warning, 1 valid target.",
    ]


def test_warnings_are_no_failure(written: Written, cli: Cli) -> None:
    directory = written()
    done = cli("validate", str(directory), "--format", "json")
    assert (done.status, done.err) == (Exit.OK, f"{directory}: no errors, 1 warning, no valid targets.\n")
    assert json.loads(done.out) == [
        {
            "kind": "warning",
            "file": f"{directory}/targets",
            "line": 1,
            "field": "the directory",
            "reason": "has no target: add NAME.yaml for each",
        }
    ]


@pytest.mark.parametrize(("own", "is_warned"), [("", True), (", databases: [b]", False), (", databases: []", False)])
def test_databases_of_a_target_with_several_associations(written: Written, own: str, is_warned: bool) -> None:
    other = ONE.replace("orders", "billing").replace("}", f"{own}}}")
    found = warnings(
        written(a=f"associations: [{ONE}, {other}]\ndatabases: [a]\n", b=f"{ASSOCIATIONS}databases: [a]\n")
    )
    reason = "an event of one of them backs up 2 associations: give each association its own databases"
    assert found == [f"targets/a.yaml:2: databases: {reason}"] * is_warned


def test_alike_warnings_are_one(written: Written) -> None:
    targets = {f"t{number}": f"{ASSOCIATIONS.replace('orders', f't{number}')}enabled: false\n" for number in range(6)}
    (found,) = warnings(written(**targets))
    assert found.startswith("targets/t0.yaml:2: enabled: nothing starts this target")
    assert found.endswith("(alike: targets/t1.yaml:2, targets/t2.yaml:2, targets/t3.yaml:2 and 2 more)")


def test_times_that_daylight_saving_skips(written: Written) -> None:
    skipped = "schedule: {expression: cron(0 2 * * ? *), timezone: Europe/Berlin}\n"
    directory = written(
        f"{HEAD}defaults:\n  {skipped}",
        a=ASSOCIATIONS,
        b=ASSOCIATIONS.replace("orders", "b"),
        c=ASSOCIATIONS.replace("orders", "c") + skipped,
    )
    (found,) = warnings(directory)
    assert found.startswith("fleet.yaml:3: expression of schedule of defaults: daylight saving skips 02:00 on ")
    assert found.endswith("(alike: targets/c.yaml:2)")


@pytest.mark.parametrize(("name", "said"), [("none", "there is no {}. Check"), ("file", "{} is no folder. Name")])
def test_a_path_that_is_no_directory_is_refused(cli: Cli, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "file").write_text("")
    path, out = str(tmp_path / name), tmp_path / "out.json"
    for arguments in (("validate", path), ("build", path, "--out", str(out))):
        done = cli(*arguments)
        assert (done.status, said.format(path) in done.line) == (Exit.COULD_NOT_RUN, True)
    assert not out.exists()
