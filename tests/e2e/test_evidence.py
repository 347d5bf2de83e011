"""A test that fails leaves enough behind to find its cause, and no token."""

import json
from pathlib import Path

import pytest

from tests.e2e.product import Product, only
from tests.e2e.test_token import SECRET_PART
from tests.evidence import Evidence

pytestmark = pytest.mark.e2e


def test_what_a_failed_test_needs_is_saved(product: Product, evidence: Evidence, tmp_path: Path) -> None:
    made, rejected = product.target("saved"), product.target("saved", is_known=False)
    for target in (made, rejected):
        product.stack.invoke({"target": target})

    folder = evidence.save("tests/e2e/test_any.py::test_it[1/2]@e2e", tmp_path)

    saved = {path.name: path.read_text() for path in folder.iterdir()}
    assert not [name for name in saved if name.endswith(".error")], saved
    assert folder.parent == tmp_path
    assert "Lambda worker spawned" in saved["emulator.log"]
    ledger = json.loads(saved[f"{product.stack.outputs['LedgerTableName']}.table.json"])
    assert {made, rejected} <= {item["target"]["S"] for item in ledger if "target" in item}
    assert f'"{made}"' in only([text for name, text in saved.items() if name.endswith("product-SubmitLogs.log")])
    dead = json.loads(saved["queues.json"])
    assert rejected in json.dumps(dead)
    commvault = json.loads(saved["commserve-product.json"])
    assert sum(made in one["body"] for one in commvault["requests"]) == 1
    assert [job["instance"] for job in commvault["jobs"] if job["instance"] == made] == [made]
    assert not [name for name, text in saved.items() if SECRET_PART in text]


def test_a_fixture_that_failed_is_saved_once(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = iter([Path("first"), Path("second")])
    monkeypatch.setattr(Evidence, "save", lambda *_: next(folders))
    broken, other = RuntimeError("no stack"), AssertionError()
    fresh = Evidence()
    saved = [fresh.save_once("test", error) for error in (broken, broken, other)]
    assert saved == [Path("first"), Path("first"), Path("second")]
