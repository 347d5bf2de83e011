"""`make vulnerabilities`: every locked package, asked about at the OSV database by pip-audit.

Green means that each of them was asked about. Exit status 1: one of them has a known vulnerability that `tools/advisories.toml`
does not accept; 2: not all, or none, were asked about.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from local.locks import locks, normalized, packages
from local.tools import LOCKS, command

type Pin = tuple[str, str]  # name and version
type Answer = tuple[str, str]  # JSON and complaints

FOUND, NOT_AUDITED = 1, 2


@dataclass(frozen=True)
class Accepted:
    """An advisory that is accepted for one package until a date."""

    id: str
    package: str
    reason: str
    until: date

    def covers(self, package: str, vulnerability: Mapping[str, Any]) -> bool:
        """Tell whether this is the vulnerability of the package."""
        return self.package == package and self.id in {vulnerability["id"], *vulnerability["aliases"]}


def main(arguments: Sequence[str]) -> int:
    """Audit the locks that are named, or all; print what was found, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.vulnerabilities")
    parser.add_argument("locks", nargs="*", type=Path)
    parser.add_argument("--accepted", type=Path, default=LOCKS / "advisories.toml")
    options = parser.parse_args(arguments)
    audited_locks = options.locks or locks()
    pins = {(package.name, package.version) for lock in audited_locks for package in packages(lock)}
    if not pins:
        print("NOT AUDITED: the locks name no package.", file=sys.stderr)
        return NOT_AUDITED
    print(f"Asking about {len(pins)} packages of {len(audited_locks)} locks …", flush=True)
    return verdict(pins, [audit(part) for part in rounds(pins)], read_accepted(options.accepted))


def read_accepted(path: Path) -> list[Accepted]:
    """Return the advisories that a file accepts; raise `TypeError` for an entry that lacks a field."""
    return [Accepted(**entry) for entry in tomllib.loads(path.read_text()).get("accepted", ())]


def rounds(pins: Collection[Pin]) -> list[list[Pin]]:
    """Divide pins so that no part has a package at two versions, which pip-audit refuses; the locks have some."""
    versions: dict[str, list[Pin]] = {}
    for pin in sorted(pins):
        versions.setdefault(pin[0], []).append(pin)
    return [[pin for pin in part if pin] for part in itertools.zip_longest(*versions.values())]


def audit(pins: Collection[Pin]) -> Answer:
    """Run pip-audit; return what it answers, nothing when it failed, and what it complains of.

    It is given no markers: what is only installed on other systems is asked about too.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in pins)
        file.flush()
        asked = ["--vulnerability-service", "osv", "--no-deps", "--disable-pip", "--requirement", file.name]
        output = ["--format", "json", "--desc", "off", "--progress-spinner", "off"]
        done = subprocess.run(command("pip-audit", *asked, *output), capture_output=True, text=True, check=False)
    return done.stdout, done.stderr


def verdict(pins: Collection[Pin], answers: Sequence[Answer], accepted: Sequence[Accepted]) -> int:
    """Print what the answers say about each pin, and return the exit status."""
    entries: dict[Pin, list[dict[str, Any]]] = {}
    complaints: list[str] = []
    for answer, complaint in answers:
        if not answer.strip():
            reason = (complaint.strip().splitlines() or ["no answer"])[-1]
            print(f"NOT AUDITED: the vulnerability database cannot be asked: {reason}", file=sys.stderr)
            return NOT_AUDITED
        audited = [entry for entry in json.loads(answer)["dependencies"] if "vulns" in entry]
        entries |= {(normalized(entry["name"]), entry["version"]): entry["vulns"] for entry in audited}
        complaints += complaint.splitlines()
    today, bad = datetime.now(UTC).date(), 0
    for (name, version), vulnerabilities in sorted(entries.items()):
        for vulnerability in vulnerabilities:
            fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
            found = f"{name} {version}: {vulnerability['id']} ({', '.join(vulnerability['aliases'])}), fixed in {fixed}"
            covering = [entry for entry in accepted if entry.covers(name, vulnerability)]
            if any(entry.until >= today for entry in covering):
                print(f"Accepted until {covering[0].until}: {found}: {covering[0].reason}")
            else:
                print(found + "".join(f"; accepted until {entry.until}" for entry in covering), file=sys.stderr)
                bad += 1
    # pip-audit leaves out an entry of the database that it cannot read.
    if unread := [line for line in complaints if "OSV" in line]:
        print(f"NOT AUDITED: {'; '.join(unread)}", file=sys.stderr)
        return NOT_AUDITED
    if missing := sorted(set(pins) - set(entries)):
        names = ", ".join(f"{name} {version}" for name, version in missing)
        print(f"NOT AUDITED: {len(missing)} of {len(pins)} packages: {names}", file=sys.stderr)
        return NOT_AUDITED
    if bad:
        return FOUND
    print(f"{len(pins)} packages audited, no known vulnerability that is not accepted.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
