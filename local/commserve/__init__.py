"""A simulated CommServe: a real HTTPS server that behaves as Commvault's API does, ugly answers included.

    with CommServe() as server:
        server.fault("reset_after")             # the next CreateTask makes its job, then the connection is cut
        …                                       # let a client use server.url, server.ca_pem, server.token
        assert len(server.jobs) == 1

It is for tests and the demo; it keeps everything in memory and knows only what a client of RDS snap backups calls.
`control` describes the same controls over HTTP, `python -m local.commserve` runs it as a process.

Faults, by `CommServe.fault(name, times, path, about, **parameters)`. They happen before the token is looked at; those marked
* do first what was asked for, so that the job exists, and take the token into account:

    error_top, error_response, error_object, error_list, errlist, errorlist, errors_errlist
                        an error body in each place where one can stand (code, message, status, after)
    status              any answer (status, body, content_type, headers, after)
    bare_string_400     400 whose body is a JSON string (message)
    xml_error           the old XML error (code, message, status)
    maintenance         the HTML page of a web tier that restarts (status, after)
    created_201_error   201 and yet an error (code, message)
    unauthorized        401 whatever the token
    forbidden           403 with a text and no code (message)
    not_found           404 with an HTML page
    conflict            409 with a text and no code (message)
    already_running     errorCode 2 (status)
    throttled           429 with its headers (limit, period, headers)
    redirect            302 to elsewhere (location, status)
    jobs_and_error *    job ids beside an error (code, message, status)
    int_job_ids *       job ids that are numbers
    task_id_zero *      taskId 0 beside real job ids
    empty_job_ids       200 with an empty list, no job (task_id)
    missing_job_ids     200 with a task id alone, no job (task_id)
    bad_gateway_after * the job is made and a proxy answers 502 (status)
    slow                the proper answer, late; the job before (after=True) or after the wait (seconds, after)
    stall_before        nothing done, no answer, until released or the client leaves
    stall_after *       the job is made, no answer until released or the client leaves
    reset_before        TCP RST, nothing done
    reset_after *       the job is made, then TCP RST
    close               an orderly close without an answer (after)
    garbage             bytes that are not HTTP (text, after)
    truncated *         the proper answer without its last bytes (missing)
    huge                a JSON object of many bytes (size, after)
    trickle *           the proper answer, its body a byte at a time (interval)
    trickle_headers *   the proper answer, all of it a byte at a time (interval)
"""

from local.commserve.catalogue import DEFAULT_CLIENTS
from local.commserve.control_client import ControlClient
from local.commserve.jobs import Job, Plan
from local.commserve.recorded import Recorded
from local.commserve.server import CommServe

__all__ = ["DEFAULT_CLIENTS", "CommServe", "ControlClient", "Job", "Plan", "Recorded"]
