"""The simulator as a Lambda function behind a function URL, for `rds-snap-backup verify` (docs/verify-on-aws.md)."""
