"""The system RDS: which databases there are, and the manual snapshots that it shows of them. Nothing is changed there."""
