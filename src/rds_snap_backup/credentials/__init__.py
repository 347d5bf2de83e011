"""The token for Commvault: where it is kept, what it is, and how a pair is renewed."""
