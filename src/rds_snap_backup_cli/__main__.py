"""`python -m rds_snap_backup_cli`."""

from rds_snap_backup_cli import main

if __name__ == "__main__":
    main()
