"""Record of a measurement: what, on which machine, with which versions and load, and the spread of the values."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from rich.console import Console

if TYPE_CHECKING:
    from benchmarks.measurement import Measurement, Result

RESULTS = Path(__file__).parent / "results"


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


def machine() -> dict[str, Any]:
    """Return cores, memory and versions."""
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": sys.version.split()[0],
        "pyspark": version("pyspark"),
        "delta": version("delta-spark"),
    }


def write(measurement: "Measurement", load: float, result: "Result", minutes: float) -> Path:
    """Write a result to `results/ID.json` and return the path. load: of the machine, before it began."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{measurement.id}.json"
    content = {
        "id": measurement.id,
        "title": measurement.title,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "minutes": round(minutes, 1),
        "load": round(load, 2),
        **machine(),
        "ratios": [ratio.as_json() for ratio in result.ratios],
        "values": {name: spread(values) for name, values in result.values.items()},
        "figures": dict(result.figures),
    }
    file.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
    return file
