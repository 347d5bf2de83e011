"""The Submit function: a trigger in, job IDs out."""
