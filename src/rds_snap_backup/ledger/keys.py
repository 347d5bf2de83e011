"""The keys of the ledger's items: the one place that spells them."""

from rds_snap_backup.triggers import Trigger

SUBMISSION = "submission#"
COOL_DOWN = "cooldown#"
JOB = "job#"
AUDIT = "audit"
THROTTLE = "throttle"
# The sparse index of the submissions that are open or not published; its range key is `wakeAt`. Removing `open` leaves it.
OPEN = "open"
OPEN_INDEX = "open-submissions"
TOKEN = "token"  # noqa: S105  # nosec B105 # a key, not a token


def submission_key(target: str, trigger: Trigger) -> str:
    """Return the key of a submission; the kind is part of it, so that no kind can take another's identity."""
    return f"{SUBMISSION}{target}#{trigger.kind}#{trigger.id}"


def target_of(key: str) -> str:
    """Return the target of a submission's key."""
    return key.removeprefix(SUBMISSION).partition("#")[0]


def cool_down_key(target: str) -> str:
    """Return the key of a target's cool-down."""
    return f"{COOL_DOWN}{target}"


def job_key(job_id: str) -> str:
    """Return the key of a job: who claimed it, and how it ended."""
    return f"{JOB}{job_id}"


def own_end(job_id: str, key: str) -> str:
    """Return under which job ID a submission's own end is kept, where another job has the ID by now."""
    return f"{job_id}#{key}"
