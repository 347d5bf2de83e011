"""The Audit function: answers whether backups would be submitted and databases are protected. It submits nothing."""
