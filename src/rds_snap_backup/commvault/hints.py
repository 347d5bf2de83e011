"""What to do, in the words that several modules of this package give. What one module alone says stays there."""

RETRIED = "It is retried automatically. If it persists, check the Commvault web server and the CommServe."
CHECK_JOBS = "Check Commvault's job controller for a job of this target before you start one by hand."
NEW_TOKEN = "Put a valid access token into the secret; the next try uses it, and no redeployment is needed."  # noqa: S105  # nosec B105 # a hint
