"""The table of the docs, made from `results/*.json`."""

import json
from collections.abc import Sequence

from benchmarks.measurement import Measurement
from benchmarks.record import RESULTS

HEAD = "| # | measured | median (min to max) | goal | load |\n|---|---|---|---|---|"


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
