"""The item of the audit's state."""

from dataclasses import replace
from typing import Any

import pytest

from rds_snap_backup.ledger.audits import AuditChangedError, Audits, AuditState, ReportLink
from rds_snap_backup.ledger.table import Table
from tests.property.model.dynamodb import DynamoDB
from tests.property.model.kernel import Kernel

START = 1769824804.0
KEYS = {"coverage": frozenset({"a", "b"}), "token": frozenset({"c"})}
STATE = AuditState(
    *("one", KEYS, {"1/us-east-1": (7, START)}, {"key": 3}, START),
    pending={"status": "audit", "ok": False},
    pending_new=3,
    digest_end=START,
    report=ReportLink("key", "hash"),
    read_at=START,
    read_report="key",
)


@pytest.fixture
def client() -> Any:
    return DynamoDB(Kernel())


@pytest.fixture
def audits(client: Any) -> Audits:
    return Audits(Table("ledger", client), 30, lambda: START)


def test_a_state_is_saved_whole(audits: Audits, client: Any) -> None:
    assert audits.load() == AuditState()
    saved = audits.save(STATE)
    assert saved == replace(STATE, version=1) == audits.load()
    published = audits.save(replace(saved, pending=None, pending_new=0))
    assert published == audits.load()
    assert client.items["audit"]["expiresAt"] == {"N": str(int(START) + 30 * 86400)}


def test_of_two_writers_of_a_version_one_saves(audits: Audits) -> None:
    saved = audits.save(STATE)
    for stale in (STATE, replace(saved, version=2)):
        with pytest.raises(AuditChangedError):
            audits.save(replace(stale, run="two"))
    assert audits.load() == saved


def test_a_write_whose_answer_was_lost_is_its_own(audits: Audits, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write = client.update_item

    def twice(**request: Any) -> None:
        write(**request)
        write(**request)

    monkeypatch.setattr(client, "update_item", twice)
    assert audits.save(STATE) == audits.load()
