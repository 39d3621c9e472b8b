"""Input of the lab: history, sets of files, and the fleet that writes them."""

from datetime import UTC, datetime, timedelta

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
HISTORY = timedelta(days=5)
# One set arrives before the fault, the others are for the scripts of incidents.
SETS, SET = 5, timedelta(hours=6)
FILES_PER_SET = 6
DEVICES = 4
# Short lives, so that alerts open and close in every set.
MEAN_LIFE = timedelta(days=1.5)


def parameters(sets: int) -> dict[str, str]:
    """Return what the data of a seed were made with; data made with something else are made again."""
    return {
        "origin": str(ORIGIN),
        "history": str(HISTORY),
        "sets": f"{sets} of {SET}",
        "files": str(FILES_PER_SET),
        "devices": str(DEVICES),
        "life": str(MEAN_LIFE),
    }
