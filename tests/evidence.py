"""What a failed test leaves behind, to find its cause afterwards: logs, ledgers, queues, and what Commvault received.

Everything is read from the emulator and the simulators, whatever the test was about. No token is in what is saved.
"""

import json
import re
import traceback
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.commserve import CommServe
from local.emulator import Emulator
from local.tools import ROOT

FAILURES = ROOT / "build" / "failures"


@dataclass(slots=True)
class Evidence:
    """Everything that runs for the tests of this process; the fixtures that start it add it here."""

    aws: Emulator | None = None
    _commserves: dict[str, CommServe] = field(default_factory=dict)
    _tokens: set[str] = field(default_factory=set)
    _last: tuple[BaseException | None, Path] | None = None

    def add(self, name: str, commserve: CommServe) -> None:
        """Add a simulator under the name of its stack."""
        self._commserves[name] = commserve
        self._tokens.add(commserve.token)

    def add_to(self, report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Save it where a test has failed, and let its report say where; of a fixture that failed once for all tests."""
        if report.failed and call.excinfo:
            error = call.excinfo.value
            if self._last is None or self._last[0] is not error:
                self._last = (error, self.save(f"{item.path.stem}-{item.name}"))
            report.sections.append(("Logs, ledgers, queues and requests are saved in", str(self._last[1])))

    def save(self, test: str) -> Path:
        """Save everything into a new folder named after a test, and return the folder.

        What cannot be read is replaced by the reason, since a broken emulator may be what made the test fail.
        """
        folder = FAILURES / f"{re.sub(r'[^\w.-]+', '-', test)}-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
        folder.mkdir(parents=True)
        for kind in (_requests, _emulator_log, _function_logs, _tables, _queues):
            try:
                for name, text in kind(self):
                    (folder / name).write_text(self._without_tokens(text))
            except Exception:  # noqa: BLE001 (the test's own failure must not be hidden by another one)
                (folder / f"{kind.__name__.strip('_')}.error").write_text(self._without_tokens(traceback.format_exc()))
        return folder

    def _without_tokens(self, text: str) -> str:
        presented = {request.header("Authtoken") for each in self._commserves.values() for request in each.requests}
        current = {token for each in self._commserves.values() for token in (each.tokens.access, each.tokens.refresh)}
        for token in sorted(self._tokens | presented | current, key=len, reverse=True):
            for form in (token, token.removeprefix("QSDK ")):
                text = text.replace(form, "***") if form else text
        return text


def _requests(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for name, commserve in evidence._commserves.items():
        known = {
            "requests": [request.as_dict() for request in commserve.requests],
            "statuses": commserve.statuses,
            "refusals": commserve.refusals,
            "jobs": [job.as_dict() for job in commserve.jobs.values()],
            "faults": [asdict(fault) for fault in commserve.faults.armed()],
        }
        yield f"commserve-{name}.json", _json(known)


def _emulator_log(evidence: Evidence) -> Iterator[tuple[str, str]]:
    if evidence.aws:
        yield "emulator.log", evidence.aws.log.read_text(errors="replace")


def _function_logs(evidence: Evidence) -> Iterator[tuple[str, str]]:
    if evidence.aws:
        logs = evidence.aws.client("logs")
        for group in logs.describe_log_groups()["logGroups"]:
            name = group["logGroupName"]
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name)
            events = sorted((event for page in pages for event in page["events"]), key=lambda event: event["timestamp"])
            lines = [f"{datetime.fromtimestamp(each['timestamp'] / 1000, UTC)} {each['message']}" for each in events]
            yield f"{_base(name)}.log", "\n".join(lines)


def _tables(evidence: Evidence) -> Iterator[tuple[str, str]]:
    if evidence.aws:
        dynamodb = evidence.aws.client("dynamodb")
        for name in dynamodb.list_tables()["TableNames"]:
            pages = dynamodb.get_paginator("scan").paginate(TableName=name)
            yield f"{_base(name)}.table.json", _json([item for page in pages for item in page["Items"]])


def _queues(evidence: Evidence) -> Iterator[tuple[str, str]]:
    if evidence.aws:
        with urllib.request.urlopen(f"{evidence.aws.endpoint_url}/_ministack/sqs/messages", timeout=10) as answer:
            yield "queues.json", _json(json.load(answer)["messages"])


def _base(name: str) -> str:
    return name.strip("/").replace("/", "-")


def _json(value: object) -> str:
    return json.dumps(value, indent=1, default=str)
