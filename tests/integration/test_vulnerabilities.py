"""`make vulnerabilities` with the real pip-audit: green only if the database was asked about every package."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from local.locks import SHIPPED, packages
from local.tools import ROOT
from tests.answering import Request, Response, answering


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


def audit(url: str, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.vulnerabilities", *map(str, arguments)],
        env=os.environ | {"PIP_AUDIT_OSV_URL": url},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_green_when_every_package_was_asked_about() -> None:
    asked: list[dict[str, Any]] = []
    with database({}, asked) as url:
        done = audit(url, SHIPPED)
    shipped = {(package.name, package.version) for package in packages(SHIPPED)}
    assert {(query["package"]["name"], query["version"]) for query in asked} == shipped
    assert (done.returncode, f"{len(shipped)} packages audited" in done.stdout) == (0, True), done.stderr


def test_a_vulnerability_is_named_unless_it_is_accepted_for_its_package_until_its_date(tmp_path: Path) -> None:
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
        done = audit(url, SHIPPED, "--accepted", accepted)
    assert done.returncode == 1
    assert re.findall(r"for (\w+)", done.stdout) == ["jmespath", "six"]
    found = re.findall(r"^(\w+) \S+: PYSEC-0000-\d \(CVE-0000-\d\), fixed in 9.9", done.stderr, re.MULTILINE)
    assert found == ["boto3", "botocore", "urllib3"]
    assert "accepted until 2020-01-01" in done.stderr


def test_it_fails_when_the_database_fails() -> None:
    with database({}, [], status=503) as url:
        done = audit(url, SHIPPED)
    assert (done.returncode, "NOT AUDITED: the vulnerability database cannot be asked" in done.stderr) == (2, True)
