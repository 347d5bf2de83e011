"""Hints shared by several modules of this package. They say what to do, never what the product decides."""

PERSISTS = "If it persists, check the Commvault web server and the CommServe."
CHECK_JOBS = "Check Commvault's job controller for jobs of this target before you start one by hand."
NEW_TOKEN = "Put a valid access token into the secret; the next try uses it, and no redeployment is needed."  # noqa: S105  # nosec B105 # a hint
