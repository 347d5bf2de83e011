"""The simulator as a Lambda function behind a function URL, for `make verify` (docs/verify-on-aws.md)."""
