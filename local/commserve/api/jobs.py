"""The endpoints that list, show and kill jobs."""

from typing import Any

from local.commserve.answers import Answer, bare_string
from local.commserve.api.discovery import subclient_entity
from local.commserve.jobs import LEVEL_NAMES, Job
from local.commserve.recorded import Recorded
from local.commserve.state import State

ROOT = "JobManager_JobListResponse"
CATEGORIES: dict[str | int, str] = {0: "all", 1: "active", 2: "finished"}
# How long a job that has ended stays in the active category.
ACTIVE_SECONDS = 180
PAGING = (("limit", 20), ("offset", 0))
NO_SUCH_JOB = "The job does not exist."


def summary(job: Job) -> dict[str, Any]:
    """Return a job as every job endpoint shows it."""
    clock, status, end = job.clock, job.status, job.end_time
    start, latest = job.start_time, clock.now() if end is None else end
    return {
        "jobId": int(job.id),
        "status": status,
        "localizedStatus": status,
        "percentComplete": 100 if end is not None else min(99, int(job.progress * 100)),
        "pendingReason": job.reason,
        "jobStartTime": clock.row(start) if start else 0,
        "jobEndTime": 0 if end is None else clock.row(end),
        "lastUpdateTime": clock.row(latest),
        "jobElapsedTime": int(latest - (start or job.created)),
        "jobType": job.kind,
        "localizedOperationName": job.kind,
        "backupLevelName": LEVEL_NAMES[job.level],
        "opType": job.op_type,
        "appTypeName": "Cloud Apps",
        "destClientName": job.client,
        "isVisible": True,
        "subclient": subclient_entity(job.subclient),
    } | ({"userName": {"userName": job.user}} if job.user else {})


def get_job(state: State, _request: Recorded, identifier: str) -> Answer:
    """`GET /Job/{id}`."""
    job = state.jobs.find(identifier)
    return _page([job] if job else [], 0, 1)


def list_jobs(state: State, request: Recorded) -> Answer:
    """`GET /Job?clientId=&jobCategory=&completedJobLookupTime=&jobFilter=`, paged as `State.paged_by` says."""
    query = {key.lower(): value for key, value in request.query.items()}
    category = query.get("jobcategory", "all").lower()
    if category not in CATEGORIES.values():
        return bare_string("Invalid jobCategory")
    try:
        client = int(query["clientid"]) if query.get("clientid") else None
        lookup = float(query["completedjoblookuptime"]) if query.get("completedjoblookuptime") else None
        limit, offset = (int(_paging(state, request, name) or default) for name, default in PAGING)
    except ValueError:
        return bare_string("Invalid number")
    kinds = {kind.strip().upper() for kind in query.get("jobfilter", "").split(",") if kind.strip()}
    jobs = [
        job
        for job in state.jobs.listed()
        if client in (None, job.subclient.client_id)
        and _in_category(job, category)
        and _within(job, lookup)
        # Without a filter, snap backups are left out.
        and _kind(job) in (kinds or {"BACKUP", "SYNTHFULL"})
    ]
    return _page(jobs, offset, limit)


def search_jobs(state: State, request: Recorded) -> Answer:
    """`POST /Jobs`."""
    body = request.json
    if not isinstance(body, dict):
        return bare_string()
    wanted, paging = body.get("jobFilter") or {}, body.get("pagingConfig") or {}
    category = CATEGORIES.get(body.get("category", 0), "all")
    clients = {client.get("clientId") for client in wanted.get("clientList") or []} - {None, 0}
    kinds = set(wanted.get("jobTypeList") or [])
    entity = {key: value for key, value in (wanted.get("entity") or {}).items() if value}
    jobs = [
        job
        for job in state.jobs.listed()
        if (not clients or job.subclient.client_id in clients)
        and _in_category(job, category)
        and _within(job, wanted.get("completedJobLookupTime"))
        and (not kinds or job.op_type in kinds or job.kind in kinds or _kind(job) in kinds)
        and _is_of(job, entity)
    ]
    if paging.get("sortField") == "jobId" and paging.get("sortDirection") == 0:
        jobs.reverse()
    return _page(jobs, int(paging.get("offset") or 0), int(paging.get("limit") or 20))


def kill_job(state: State, _request: Recorded, identifier: str) -> Answer:
    """`POST /Job/{id}/action/kill`."""
    job = state.jobs.find(identifier)
    match job and job.kill():
        case True:
            code, message = 0, "Job killed"
        case False:
            code, message = 2, "The job is not running."
        case _:
            code, message = 1, NO_SUCH_JOB
    entry = {"errorCode": code, "errLogMessage": message}
    return Answer(value={"errors": [{"jobId": int(identifier), "errList": [entry]}]}, root="JobManager_PerformResp")


def _paging(state: State, request: Recorded, name: str) -> str:
    header = request.header(name) if state.paged_by != "query" else ""
    return header or (request.query.get(name, "") if state.paged_by != "headers" else "")


def _page(jobs: list[Job], offset: int, limit: int) -> Answer:
    shown = [{"jobSummary": summary(job)} for job in jobs[offset : offset + limit]]
    value: dict[str, Any] = {"totalRecordsWithoutPaging": len(jobs)}
    return Answer(value=value | {"jobs": shown} if shown else value, root=ROOT)


def _kind(job: Job) -> str:
    return job.kind.replace(" ", "").upper()


def _in_category(job: Job, category: str) -> bool:
    end = job.end_time
    match category:
        case "active":
            return end is None or job.clock.now() - end < ACTIVE_SECONDS
        case "finished":
            return end is not None
        case _:
            return True


def _within(job: Job, lookup: float | None) -> bool:
    end = job.end_time
    return end is None or not lookup or end >= job.clock.now() - lookup


def _is_of(job: Job, entity: dict[str, Any]) -> bool:
    known = subclient_entity(job.subclient)
    return all(known.get(key, value) == value for key, value in entity.items())
