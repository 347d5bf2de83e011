"""The system Commvault: its client and credentials, what its answers mean, its jobs and its inventory."""
