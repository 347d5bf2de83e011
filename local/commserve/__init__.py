"""A simulated CommServe: a real HTTPS server that behaves as Commvault's API does, with its irregular answers and failures.

    with CommServe() as server:
        server.fault("reset_after")             # the next CreateTask makes its job, then the connection is cut
        …                                       # let a client use server.url, server.ca_pem, server.token
        assert len(server.jobs) == 1
    server.put_database("aws-prod", "orders-db", status="stopped")  # which a job of its group skips
    pair = server.issue_pair()              # an access token that expires after 30 minutes, and what renews it

It is for tests and the demo; it keeps everything in memory and knows only what a client of RDS snap backups calls.
`faults` lists what can go wrong, `control.endpoint` the same controls over HTTP; `python -m local.commserve` runs it
as a process.
"""

from local.commserve import content
from local.commserve.catalogue import DEFAULT_CLIENTS
from local.commserve.control.client import ControlClient
from local.commserve.jobs import Job, Plan
from local.commserve.recorded import Recorded
from local.commserve.server import CommServe

__all__ = ["DEFAULT_CLIENTS", "CommServe", "ControlClient", "Job", "Plan", "Recorded", "content"]
