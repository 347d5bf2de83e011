"""`make vulnerabilities` with the real pip-audit: green only if the database was asked about every package."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from local.locks import SHIPPED, packages
from local.vulnerabilities import main
from tests.answering import Request, Response, answering

type Audit = Callable[..., tuple[int, str, str]]


def vulnerable(package: str, number: int) -> dict[str, Any]:
    """Return an entry of the database."""
    affected = {
        "package": {"name": package, "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}],
    }
    return {"id": f"PYSEC-0000-{number}", "aliases": [f"CVE-0000-{number}"], "affected": [affected]}


def database(answers: Mapping[str, Any], asked: list[dict[str, Any]], status: int = 200) -> AbstractContextManager[str]:
    """Serve OSV's query API on a loopback port: an answer for each package that has one, and `{}` for all others."""

    def answer(request: Request) -> Response:
        asked.append(json.loads(request.body))
        return Response(status, json.dumps(answers.get(asked[-1]["package"]["name"], {})).encode())

    return answering(answer)


@pytest.fixture
def audit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Audit:
    """Ask a database; return the exit status and what was printed."""

    def ask(url: str, *arguments: Path | str) -> tuple[int, str, str]:
        monkeypatch.setenv("PIP_AUDIT_OSV_URL", url)
        return main(list(map(str, arguments))), *capsys.readouterr()

    return ask


def test_it_is_green_when_every_package_was_asked_about(audit: Audit) -> None:
    asked: list[dict[str, Any]] = []
    with database({}, asked) as url:
        status, out, err = audit(url, SHIPPED)
    shipped = {(package.name, package.version) for package in packages(SHIPPED)}
    assert {(query["package"]["name"], query["version"]) for query in asked} == shipped
    assert (status, f"{len(shipped)} packages audited" in out) == (0, True), err


def test_a_vulnerability_is_named_unless_it_is_accepted_for_its_package_until_its_date(
    audit: Audit, tmp_path: Path
) -> None:
    entries = [
        ("PYSEC-0000-1", "six", "2999-12-31"),
        ("CVE-0000-2", "jmespath", "2999-12-31"),
        ("PYSEC-0000-3", "urllib3", "2020-01-01"),
        ("PYSEC-0000-4", "six", "2999-12-31"),  # which is not boto3
        ("PYSEC-0000-6", "botocore", "2999-12-31"),  # which has another
    ]
    accepted = tmp_path / "advisories.toml"
    accepted.write_text(
        "".join(
            f'[[accepted]]\nid = "{id_}"\npackage = "{package}"\nreason = "for {package}"\nuntil = {until}\n'
            for id_, package, until in entries
        )
    )
    names = ("six", "jmespath", "urllib3", "boto3", "botocore")
    answers = {name: {"vulns": [vulnerable(name, number)]} for number, name in enumerate(names, 1)}
    with database(answers, []) as url:
        status, out, err = audit(url, SHIPPED, "--accepted", accepted)
    assert status == 1
    assert re.findall(r"for (\w+)", out) == ["jmespath", "six"]
    found = re.findall(r"^(\w+) \S+: PYSEC-0000-\d \(CVE-0000-\d\), fixed in 9.9", err, re.MULTILINE)
    assert found == ["boto3", "botocore", "urllib3"]
    assert "accepted until 2020-01-01" in err


def test_it_fails_when_the_database_fails(audit: Audit) -> None:
    with database({}, [], status=503) as url:
        status, _, err = audit(url, SHIPPED)
    assert (status, "NOT AUDITED: the vulnerability database cannot be asked" in err) == (2, True)
