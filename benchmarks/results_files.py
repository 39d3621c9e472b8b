"""Files of the results: `results/ID.json` for each measurement, and the table of the docs that is made from them."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measurement import Measurement, Result
from benchmarks.record import spread

RESULTS = Path(__file__).parent / "results"
HEAD = "| # | measured | median (min to max) | goal | load |\n|---|---|---|---|---|"


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


def write(measurement: Measurement, load: float, result: Result, minutes: float) -> Path:
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


def table(known: Sequence[Measurement]) -> str:
    """Return the rows of all measurements that have a file, as a Markdown table."""
    lines = [HEAD]
    for one in known:
        file = RESULTS / f"{one.id}.json"
        if not file.exists():
            continue
        found = json.loads(file.read_text(encoding="utf-8"))
        for ratio in found["ratios"]:
            own, other = ratio["ours"], ratio["other"]
            name = f"{ratio['name']}: {own['median']:g} / {other['median']:g} {ratio['unit']}"
            lines.append(_row(one.id, name, ratio["ratio"], ratio["goal"], found["load"]))
        for name, values in found["values"].items():
            lines.append(_row(one.id, name, values, "", found["load"]))
    return "\n".join(lines)


def _row(number: str, name: str, values: dict[str, float], goal: str, load: float) -> str:
    shown = f"{values['median']:.2f} ({values['min']:.2f} to {values['max']:.2f})"
    return f"| {number} | {name} | {shown} | {goal} | {load:.1f} |"
