"""What can go wrong at Commvault's wire: answers, and what was acted on before each."""

from typing import Any

type Reply = tuple[int, Any, dict[str, str]]

HTML = b"<html><head><title>Scheduled Maintenance</title></head></html>"
NO_SUBCLIENT = {
    "errorMessage": "Failed to start backups as no eligible subclients were found. ",
    "errorCode": 587207178,
}
# As long as a web server may write it, and longer than any message or item may be.
LONG_TEXT = "The request failed. " * 15_000
NO_ACCESS: Reply = (401, {"errorMessage": "Access denied", "errorCode": 5}, {})

# What goes wrong with CreateTask: how much of the request is acted on, and what is answered (None: nothing is).
ANSWERS: dict[str, tuple[str, Reply | None]] = {
    "rejected with 500": ("none", (500, NO_SUBCLIENT, {})),
    "rejected with 201": ("none", (201, {"errorMessage": "Failed to get any subclient", "errorCode": 4}, {})),
    "rejected with 400": ("none", (400, "Request body is empty or format is invalid", {})),
    "rejected with 403": ("none", (403, {}, {})),
    "rejected with 302": ("none", (302, b"", {"Location": "https://elsewhere.test/"})),
    "no jobs": ("none", (200, {"taskId": 402, "jobIds": []}, {})),
    "failed": ("none", (200, {"errList": [{"errorCode": 99, "errLogMessage": "The index is busy."}]}, {})),
    "failed at length": ("none", (200, {"errorCode": 99, "errorMessage": LONG_TEXT}, {})),
    "rejected at length": ("none", (500, {"errorCode": 587207178, "errorMessage": LONG_TEXT}, {})),
    "failed with 500": ("none", (500, {"errorCode": 19, "errorMessage": "No resources."}, {})),
    "unauthorized": ("none", NO_ACCESS),
    "throttled": ("none", (429, "", {"X-RateLimit-Limit": "100", "X-RateLimit-Period": "700"})),
    "already running, 409": ("none", (409, {}, {})),
    "already running, code 2": ("none", (200, {"errorCode": 2, "errorMessage": "A job is running."}, {})),
    "already running, in part": ("some", (409, {}, {})),
    "maintenance": ("none", (200, HTML, {})),
    "in part": ("some", (200, {"jobIds": "started", **NO_SUBCLIENT}, {})),
    "in part, without an error": ("some", (200, {"taskId": 402, "jobIds": "started"}, {})),
    "not all named": ("all", (200, {"taskId": 402, "jobIds": "not the last"}, {})),
    "one too many": ("all", (200, {"taskId": 402, "jobIds": "one too many"}, {})),
    "in another order": ("all", (200, {"taskId": 402, "jobIds": "reversed"}, {})),
    "ids as numbers, task 0": ("all", (200, {"taskId": 0, "jobIds": "numbers"}, {})),
    "502, not accepted": ("none", (502, b"Bad Gateway", {})),
    "502, accepted": ("all", (502, b"Bad Gateway", {})),
    "408, accepted": ("all", (408, b"", {})),
    "unreadable, accepted": ("all", (200, b"<html>proxy</html>", {})),
    "unreadable, not accepted": ("none", (200, b"[", {})),
    "reset, not accepted": ("none", None),
    "reset, accepted": ("all", None),
    "reset, accepted in part": ("some", None),
    "reset, accepted late": ("late", None),
    "timeout, not accepted": ("none", None),
    "timeout, accepted": ("all", None),
    "timeout, accepted late": ("late", None),
    "die before": ("none", None),
    "die with it under way": ("late", None),
    "die after": ("all", None),
}
READS = ("die before", "die after", "reset", "timeout", "500", "401", "maintenance", "429", "slow")
# A renewal is acted on before all but the first of these.
RENEWALS = ("die before", "die after", "reset", "timeout", "500", "maintenance", "429", "slow")
CONNECTS = ("die before", "die after", "refused", "untrusted", "timeout", "slow")
