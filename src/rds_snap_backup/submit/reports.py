"""What a repeated manual invocation answers: the submission as it is, and how its jobs are doing. It starts nothing."""

from collections.abc import Iterable, Mapping
from typing import Any

from rds_snap_backup.bootstrap import Services
from rds_snap_backup.ledger.entries import Entry
from rds_snap_backup.ledger.keys import submission_key
from rds_snap_backup.ledger.outbox import IN_PROGRESS
from rds_snap_backup.submit.deliveries import Delivery
from rds_snap_backup.triggers import Request, Trigger

IN_PROGRESS_ERROR = IN_PROGRESS.to_json()


def only_reports(request: Request, delivery: Delivery) -> bool:
    """Tell whether a trigger whose submission exists is only reported: a manual one that brings a `requestId`."""
    return request.trigger.kind == "manual" and not delivery.is_queued and request.trigger.id != delivery.arrival.id


def report(services: Services, trigger: Trigger, target: str, entry: Entry) -> dict[str, Any]:
    """Return a submission with `"jobs": [{"id", "status"}]`; it is `deferred` while it is open."""
    if entry.notification is None:
        return {"status": "deferred", "target": target, "error": entry.error or IN_PROGRESS_ERROR, "jobs": []}
    key = submission_key(target, trigger)
    return {**entry.notification, "jobs": _jobs(services, key, entry.notification["jobIds"])}


def report_all(
    services: Services, trigger: Trigger, targets: Iterable[str], known: Mapping[str, Entry]
) -> list[dict[str, Any]]:
    """Return an entry per target; one that the ledger does not know yet is on the queue."""
    return [
        report(services, trigger, name, known[name]) if name in known else {"status": "queued", "target": name}
        for name in targets
    ]


def _jobs(services: Services, key: str, job_ids: list[str]) -> list[dict[str, str]]:
    if not services.config.follow_hours:
        return [{"id": job_id, "status": "unknown"} for job_id in job_ids]
    ends = services.completions.ends(job_ids, key)
    return [{"id": job_id, "status": ends.get(job_id, "running")} for job_id in job_ids]
