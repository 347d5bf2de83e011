"""What other packages would log stays out of the log, at every level and whatever the environment says."""

import subprocess
import sys

import pytest

WARN = """
import logging, warnings
logging.basicConfig(level=logging.DEBUG)
from rds_snap_backup import observability
from urllib3 import exceptions
for kind in vars(exceptions).values():
    if isinstance(kind, type) and issubclass(kind, exceptions.HTTPWarning):
        warnings.warn("of " + kind.__name__, kind)
for name in ("urllib3.connection", "boto3", "botocore", "botocore.parsers", "botocore.endpoint"):
    logging.getLogger(name).debug("Response body: fake-token")
logging.getLogger("urllib3.connection").warning("of a header")
print("done")
"""


@pytest.mark.parametrize("filters", ["", "always"])
def test_nothing_that_the_sdk_and_urllib3_say_is_logged(filters: str) -> None:
    environment = {"PYTHONPATH": "src", "PYTHONWARNINGS": filters, "POWERTOOLS_SERVICE_NAME": "test"}
    run = subprocess.run(
        [sys.executable, "-c", WARN], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert (run.stdout, run.stderr) == ("done\n", "")
