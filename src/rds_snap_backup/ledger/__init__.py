"""The system DynamoDB: the ledger, which makes a submission happen once and its end be published."""
