"""What other packages would log stays out of the log, at every level and whatever the environment says."""

import logging
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
logging.getLogger("urllib3.connection").warning("of a header")
print("done")
"""


@pytest.mark.parametrize("name", ["boto3", "botocore", "botocore.parsers", "botocore.endpoint"])
def test_the_sdk_logs_no_answers(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger(name).debug("Response body: %s", "fake-token")
    assert not caplog.records


@pytest.mark.parametrize("filters", ["", "default", "always"])
def test_urllib3s_warnings_are_not_printed(filters: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", WARN],
        env={"PYTHONPATH": "src", "PYTHONWARNINGS": filters, "POWERTOOLS_SERVICE_NAME": "test"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (run.stdout, run.stderr) == ("done\n", "")
