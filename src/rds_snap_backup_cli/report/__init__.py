"""The audit of a deployed stack as a person reads it: a table, JSON, CSV, or one HTML page for auditors."""
