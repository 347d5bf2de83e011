"""Dead letters, as SQS hands them out."""

import json
from typing import Any

TRIGGER = {"kind": "schedule", "id": "arn:schedule/default/nightly|2026-01-31T02:00:00Z"}
ERROR = {"code": "NO_JOBS", "message": "Commvault created no [red]job.", "hint": "Check the subclient."}
REJECTED = {"target": "orders", "trigger": TRIGGER, "letter": 2, "error": ERROR}


def message(identity: str, body: Any = REJECTED) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"MessageId": identity, "ReceiptHandle": f"r-{identity}", "Body": text}
