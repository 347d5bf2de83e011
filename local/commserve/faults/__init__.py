"""What can go wrong, by `CommServe.fault(name, times, path, **parameters)`.

They happen before the token is checked; those marked * first do what was asked for, so that the job exists, and check
the token for it:

    error_top, error_response, error_object, error_list, errlist, errorlist, errors_errlist
                        an error body in each place where one can stand (code, message, status, after)
    status              any answer (status, body, content_type, headers, after)
    bare_string_400     400 whose body is a JSON string (message)
    xml_error           the old XML error (code, message, status)
    maintenance         the HTML page of a restarting web tier (status, after)
    created_201_error   201 with an error (code, message)
    unauthorized        401 for any token
    forbidden           403 with a text and no code (message)
    not_found           404 with an HTML page
    conflict            409 with a text and no code (message)
    already_running     errorCode 2 (status)
    throttled           429 with its headers (limit, period, headers)
    redirect            302 to another address (location, status)
    jobs_and_error *    job IDs and an error (code, message, status)
    int_job_ids *       job IDs that are numbers
    task_id_zero *      taskId 0 and real job IDs
    job_ids *           other job IDs than all in order, without an error (named: positions, default the first; surplus: IDs)
    empty_job_ids       200 with an empty list, no job (task_id)
    missing_job_ids     200 with only a task ID, no job (task_id)
    bad_gateway_after * the job is made and a proxy answers 502 (status)
    echo                the answer repeats what was sent, the token too (where: text, page, header, redirect, status_line,
                        malformed_header, length, chunk)
    slow                the proper answer, late; the job before (after=True) or after the wait (seconds, after)
    stall_before        nothing done, no answer, until released or the client leaves
    stall_after *       the job is made, no answer until released or the client leaves
    reset_before        TCP RST, nothing done
    reset_after *       the job is made, then TCP RST
    close               a clean close without an answer (after)
    garbage             bytes that are not HTTP (text, after, is_kept)
    truncated *         the proper answer without its last bytes (missing)
    huge                a JSON object of many bytes (size, after)
    endless             an answer of which one part does not end (what: headers, line, continue, body, chunks, negative, trailers; after)
    bomb                a small compressed body that is `size` bytes when it is unpacked (size, after)
    trickle *           the proper answer, its body byte by byte (interval)
"""

# Importing these modules is what registers their faults.
from local.commserve.faults import answers, echo, wire  # noqa: F401
from local.commserve.faults.book import ALL, Fault, FaultBook

__all__ = ["ALL", "Fault", "FaultBook"]
