"""Commands against a deployed stack. They use the AWS APIs only, and share nothing with `local/`."""
