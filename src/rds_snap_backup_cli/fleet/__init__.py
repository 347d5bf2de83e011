"""A fleet in git: the targets and schedules that one directory of files declares."""
