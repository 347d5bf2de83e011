"""Reading Commvault's jobs: a single one, or the list, page by page and across deliveries if it is long.

A long list is asked for narrower, by client; a run that has no time for the rest leaves it to the next one, by a
`Position`. `rows.py` reads a row.
"""

import time
from collections.abc import Collection
from typing import Any
from urllib.parse import urlencode

from rds_snap_backup.commvault.client import Commvault
from rds_snap_backup.commvault.clients import Client, find_client
from rds_snap_backup.commvault.hints import PERSISTS
from rds_snap_backup.commvault.job_lists import JobList, Page, Position
from rds_snap_backup.commvault.queries import JsonDocument, QueryFailed
from rds_snap_backup.commvault.rows import read_job
from rds_snap_backup.core.jobs import Job
from rds_snap_backup.core.outcomes import Unauthorized
from rds_snap_backup.problems import Problem
from rds_snap_backup.untrusted import whole_number

PAGE = 250
# A row has some thousand characters: no answer of the size that is read can have more rows than this.
MAX_ROWS = 10_000
# A list of more pages than this is asked for again by client, if the clients' IDs can be found.
MAX_PAGES = 5
# The rest of a longer list is read at the next delivery.
MAX_KEPT = 20_000
# The first page of the list of all clients may take this long, if there is the time.
MIN_WIDE_SECONDS = 5.0

# An answer that is not a list must not be taken to say that no job was started.
NO_JOB_LIST = QueryFailed(Problem("UNREADABLE_ANSWER", "Commvault's answer is not a list of jobs.", PERSISTS))
SHORTER = "let fewer jobs be kept or the token's user see only the targets' clients."
SLOW = (
    "Commvault's job list is slow, not the route to it: check the load of the CommServe and its web server, and "
    f"{SHORTER}"
)
TOO_MANY_ROWS = QueryFailed(
    Problem(
        "JOB_LIST_TOO_LONG",
        f"Commvault's list of jobs has more than {MAX_ROWS:,} rows in one page.",
        f"Commvault does not page its job list: {SHORTER}",
    )
)
# Failures of the server or the route; any other may be due to the length of the list.
UNREACHABLE = frozenset(
    {"PROXY_INVALID", "PROXY_FAILED", "CA_UNUSABLE", "TLS_UNTRUSTED", "TLS_FAILED", "UNREACHABLE"}
    | {"API_URL_INVALID", "MAINTENANCE"}
)
OF_THE_SERVER = UNREACHABLE | {"OUT_OF_TIME", "HTTP_429"}


def list_jobs(
    commvault: Commvault,
    clients: Collection[str],
    look_back: float,
    deadline: float,
    position: Position | None = None,
) -> JobList | Unauthorized | QueryFailed:
    """Read the backup jobs that are active or ended in the last `look_back` seconds, those of `clients` at least.

    The pages that were read before the deadline, or before one failed, are returned with the position to read on from.
    Without any page the reason is returned.
    """
    # Even one page of the list of all clients may take too long: time is kept to ask for less.
    now = time.monotonic()
    wide_deadline = min(deadline, now + max((deadline - now) / 2, MIN_WIDE_SECONDS))
    at: Position | None = position or Position()
    rows: dict[str, Job] = {}
    is_begun = False
    failure: QueryFailed | None = None
    while at:
        is_wide = not at.client_ids and not is_begun
        match list_page(commvault, look_back, at.offset, wide_deadline if is_wide else deadline, at.client_id):
            case Page() as page:
                rows |= {job.id: job for job in page.rows}
                is_begun = True
                narrow = is_wide and page.total > MAX_PAGES * PAGE and _narrowed(commvault, clients, deadline)
                at = narrow or at.after(page)
                if len(rows) > MAX_KEPT:
                    break
            case _ if is_begun:
                break
            case QueryFailed(problem):
                failure = failure or QueryFailed(_of_the_list(problem))
                is_too_long = is_wide and problem.code not in OF_THE_SERVER
                if not is_too_long or not (at := _narrowed(commvault, clients, deadline)):
                    return failure
            case refused:
                return failure or refused
    return JobList(tuple(rows.values()), at)


def list_page(
    commvault: Commvault, look_back: float, offset: int, deadline: float, client_id: str | None = None
) -> Page | Unauthorized | QueryFailed:
    """Read one page of the backup jobs that are active or ended in the last `look_back` seconds.

    `GET /Job` leaves snap backups out unless they are asked for. Commvault's pages document `limit` and `offset` as
    headers, and one of its clients sends them in the query: both are sent.
    """
    narrow = {} if client_id is None else {"clientId": client_id}
    wanted = {"completedJobLookupTime": max(1, int(look_back)), "jobCategory": "All", "jobFilter": "Backup,SNAPBACKUP"}
    paging = {"limit": str(PAGE), "offset": str(offset)}
    # Commvault's pages name headers for the paging, and its own server for agents sends it in the query.
    match commvault.get(f"/Job?{urlencode(narrow | wanted | paging)}", deadline, paging):
        case JsonDocument(document, clock_ahead):
            total, listed = _total(document), _rows(document, offset)
            if listed is None:
                return NO_JOB_LIST
            if len(listed) > MAX_ROWS:
                return TOO_MANY_ROWS
            end = offset + len(listed)
            if not listed:
                total = end
            elif total is None or total < end:
                # The total cannot be right: a page that is full may have another one behind it.
                total = end + 1 if len(listed) >= PAGE else end
            return Page(tuple(job for row in listed if (job := read_job(row, clock_ahead))), end, total)
        case failure:
            return failure


def get_job(commvault: Commvault, job_id: str, deadline: float) -> Job | Unauthorized | QueryFailed | None:
    """Read one job; None if Commvault shows none of this ID."""
    match commvault.get(f"/Job/{job_id}", deadline):
        case JsonDocument(document, clock_ahead):
            listed = _rows(document)
            if listed is None:
                return NO_JOB_LIST
            read = (read_job(row, clock_ahead) for row in listed[:MAX_ROWS])
            return next((job for job in read if job and job.id == job_id), None)
        case failure:
            return failure


def _total(document: dict[str, Any]) -> int | None:
    return whole_number(document.get("totalRecordsWithoutPaging"), 0)


def _rows(document: dict[str, Any], offset: int = 0) -> list[Any] | None:
    """Return an answer's rows; None where it shows none and does not say that there are none from this place on."""
    total, listed = _total(document), document.get("jobs")
    if not isinstance(listed, list):
        return [] if total is not None and total <= offset else None
    return None if not listed and (total or 0) > offset else listed


def _of_the_list(problem: Problem) -> Problem:
    """Blame a timeout on the list."""
    if problem.code != "TIMED_OUT":
        return problem
    return Problem("JOB_LIST_TOO_SLOW", f"Reading the list of jobs failed. {problem.message}", SLOW)


def _narrowed(commvault: Commvault, clients: Collection[str], deadline: float) -> Position | None:
    """Return the beginning of the clients' own lists, None if the ID of one cannot be found."""
    client_ids: list[str] = []
    for name in sorted(set(clients)):
        match find_client(commvault, name, deadline):
            case Client(client_id):
                client_ids.append(client_id)
            case _:
                return None
    return Position(0, tuple(client_ids)) if client_ids else None
