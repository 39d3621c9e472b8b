"""Progress on the screen, and the spread of measured values."""

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console


def say(text: str) -> None:
    """Print a line of progress to standard error."""
    Console(stderr=True, highlight=False).print(f"{datetime.now(UTC):%H:%M:%S} {text}")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return number, minimum, median and maximum of some values."""
    return {
        "n": len(values),
        "min": round(min(values), 3),
        "median": round(statistics.median(values), 3),
        "max": round(max(values), 3),
    }
