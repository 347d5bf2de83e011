"""The audit's calls to AWS, within the time of its run."""

from collections.abc import Callable

from rds_snap_backup.audit.checks import AWS
from rds_snap_backup.commvault.inventory import OUT_OF_TIME
from rds_snap_backup.rds.calls import Calls

# The most that an AWS call takes, its tries included.
CALL_SECONDS = 25.0
# Kept back from the function's time for recording and publishing.
RESERVE_SECONDS = 40.0


def aws_calls(seconds_left: Callable[[], float]) -> Calls:
    """Return what makes the calls of a run."""
    return Calls(seconds_left, CALL_SECONDS, OUT_OF_TIME, AWS)
