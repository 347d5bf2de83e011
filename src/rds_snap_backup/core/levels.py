"""Backup levels: which level of a job satisfies which wish. Pure."""

# Commvault turns a backup into a fuller one where it must. SYNTHETIC_FULL is another kind of backup.
FULLNESS = {"INCREMENTAL": 0, "DIFFERENTIAL": 1, "FULL": 2}
KNOWN = frozenset({*FULLNESS, "SYNTHETIC_FULL"})
# Any other level that Commvault shows: it covers none.
OTHER = "OTHER"


def covers(level_of_job: str, wanted_level: str) -> bool:
    """Return whether a job of one level is as good as a backup of the wanted level; an unknown level "" is."""
    if level_of_job in {"", wanted_level}:
        return True
    return FULLNESS.get(level_of_job, -1) > FULLNESS.get(wanted_level, len(FULLNESS))
