"""The Backup function: triggers in, one job for each database out, each followed to its end."""
