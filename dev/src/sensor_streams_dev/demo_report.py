"""Report at the end of a demo: rows and line counts, alerts with the simulated faults, remaining life."""

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from dabs_lab.runner.console import say
from sensor_streams.streams import STREAMS
from sensor_streams.verify import Check
from sensor_streams_dev.local_home import LocalHome

_WIDTH = 56
_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Truth:
    """Ground truth of the simulator: faults (device_id, sensor, begin, end), lives (device_id, begin, failed_at)."""

    faults: pd.DataFrame
    lives: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> "Truth":
        """Read the files that the simulator wrote."""
        return cls(
            _rows(folder / "faults.jsonl", ["begin", "end"]), _rows(folder / "lives.jsonl", ["begin", "failed_at"])
        )


def _rows(file: Path, times: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame([json.loads(line) for line in file.read_text("utf-8").splitlines()])
    for column in times:
        frame[column] = pd.to_datetime(frame.get(column, []), utc=True)
    return frame


def show(
    console: Console, workspace: LocalHome, checks: Sequence[Check], truth: Truth | None, until: datetime | None
) -> None:
    """Print rows per stream, line counts, alerts by device and life estimates."""
    _streams(console, checks)
    _line_counts(console, workspace)
    if not workspace.catalog.exists("alerts"):
        return
    alerts = workspace.catalog.read("alerts").toPandas()
    scores = workspace.catalog.read("anomaly_scores")
    if scores.isEmpty():
        return
    span = scores.agg(F.min("window_start"), F.max("window_start")).first()
    if span is not None:
        _alerts(console, alerts, truth, _utc(span[0]), _utc(span[1]) + timedelta(hours=1))
    _life(console, workspace, truth)


def _streams(console: Console, checks: Sequence[Check]) -> None:
    table = Table(title="The eight streams", title_justify="left")
    for name, justify in (("stream", "left"), ("task", "left"), ("rows", "right"), ("verify", "right")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    by_name = {check.table: check for check in checks}
    for stream in STREAMS:
        check = by_name.get(stream.name)
        rows = "–" if check is None else f"{check.rows:,}"
        result = "–" if check is None else "[green]0 differ[/green]"
        if check is not None and check.differing:
            result = f"[red]{check.differing:,} differ[/red]"
        table.add_row(stream.name, stream.task, rows, result)
    console.print(table)
    for check in checks:
        for example in check.examples:
            console.print(f"  {check.table}: {example}", markup=False, highlight=False)


def _line_counts(console: Console, workspace: LocalHome) -> None:
    files = workspace.catalog.read("ingested_files")
    row = files.agg(
        *[F.sum(name).alias(name) for name in ("lines", "accepted", "rejected", "duplicates")],
        F.count_if(F.col("state") == "SET_ASIDE").alias("aside"),
    ).first()
    if row is None or row["lines"] is None:
        return
    total = row["accepted"] + row["rejected"] + row["duplicates"]
    sign = "=" if total == row["lines"] else "≠"
    console.print(
        f"lines in {row['lines']:,} {sign} accepted {row['accepted']:,} + rejected {row['rejected']:,} + "
        f"duplicates {row['duplicates']:,}" + (f"; files set aside: {row['aside']}" if row["aside"] else ""),
        highlight=False,
        soft_wrap=True,
    )
    reasons = workspace.catalog.read("readings_rejected").groupBy("reason").count().orderBy(F.desc("count")).limit(8)
    counts = ", ".join(f"{r['reason']} {r['count']:,}" for r in reasons.collect())
    if counts:
        say(console, f"rejected for: {counts}")


def _alerts(console: Console, alerts: pd.DataFrame, truth: Truth | None, low: datetime, high: datetime) -> None:
    """Print two lines per device: its alerts (█ unusual, ▄ others) and the truth (▒ fault, ✕ failure)."""
    console.print(f"\n[bold]Alerts[/bold] from {low:%Y-%m-%d} to {high:%Y-%m-%d}", highlight=False, soft_wrap=True)
    devices = sorted(set(alerts["device_id"]) | (set() if truth is None else set(truth.lives["device_id"])))
    for device in devices[:16]:
        line = [" "] * _WIDTH
        for _, row in alerts[alerts["device_id"] == device].iterrows():
            end = high if pd.isna(row["resolved_at"]) else _utc(row["resolved_at"])
            _mark(line, low, high, _utc(row["opened_at"]), end, "█" if row["rule"] == "unusual" else "▄")
        say(console, f"  {device:<12} alerts │{''.join(line)}│")
        if truth is not None:
            line = [" "] * _WIDTH
            for _, row in truth.faults[truth.faults["device_id"] == device].iterrows():
                _mark(line, low, high, row["begin"], row["end"], "▒")
            for _, row in truth.lives[truth.lives["device_id"] == device].iterrows():
                _mark(line, low, high, row["failed_at"], row["failed_at"] + timedelta(seconds=1), "✕")
            console.print(f"  {'':<12} truth  │{''.join(line)}│", highlight=False, soft_wrap=True)
    console.print("  alerts: █ unusual, ▄ other rules" + ("; truth: ▒ fault, ✕ failure" if truth else ""))
    if truth is not None and len(truth.faults):
        inside = truth.faults[(truth.faults["begin"] >= low) & (truth.faults["end"] <= high)]
        found = sum(_overlaps(alerts, fault) for fault in inside.to_dict("records"))
        console.print(
            f"  faults in this span: {len(inside)}, with an alert on the device: {found}",
            highlight=False,
            soft_wrap=True,
        )


def _overlaps(alerts: pd.DataFrame, fault: Mapping[Hashable, Any]) -> bool:
    own = alerts[(alerts["device_id"] == fault["device_id"]) & (alerts["rule"] == "unusual")]
    return any(
        _utc(row["opened_at"]) < fault["end"] + timedelta(hours=2)
        and (pd.isna(row["resolved_at"]) or _utc(row["resolved_at"]) > fault["begin"])
        for _, row in own.iterrows()
    )


def _mark(line: list[str], low: datetime, high: datetime, begin: datetime, end: datetime, sign: str) -> None:
    span = (high - low).total_seconds()
    first = int((begin - low).total_seconds() / span * _WIDTH)
    last = int((end - low).total_seconds() / span * _WIDTH)
    for at in range(max(0, first), min(_WIDTH, max(last, first + 1))):
        line[at] = sign


def _life(console: Console, workspace: LocalHome, truth: Truth | None) -> None:
    """Print the estimates of the three devices with the shortest remaining life."""
    life = workspace.catalog.read("remaining_life").toPandas()
    if life.empty:
        return
    console.print("\n[bold]Remaining life[/bold], shortest three", highlight=False, soft_wrap=True)
    last = life.sort_values("window_start").groupby("device_id").tail(1).sort_values("life_hours")
    for _, row in last.head(3).iterrows():
        own = life[life["device_id"] == row["device_id"]].sort_values("window_start")
        chunks = max(1, len(own) // _WIDTH)
        values = own["life_hours"].groupby(pd.RangeIndex(len(own)) // chunks).mean().tolist()[-_WIDTH:]
        most = max([*values, 1.0])
        bars = "".join(_BARS[min(8, int(8 * value / most + 0.5))] for value in values)
        true_life = ""
        if truth is not None:
            at = _utc(row["window_start"])
            lives = truth.lives[(truth.lives["device_id"] == row["device_id"]) & (truth.lives["failed_at"] > at)]
            if len(lives):
                true_life = f"; true {(lives['failed_at'].min() - at).total_seconds() / 3600:.0f} h"
        console.print(
            f"  {row['device_id']:<12} {bars:<{_WIDTH}} {row['life_hours']:.0f} h "
            f"({row['low_hours']:.0f} to {row['high_hours']:.0f}){true_life}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _utc(time: datetime) -> datetime:
    """Return a time of Spark in UTC. Without a zone it is UTC in a data frame, local time in a row."""
    if isinstance(time, pd.Timestamp):
        return time.tz_localize(UTC).to_pydatetime() if time.tzinfo is None else time.to_pydatetime()
    return time.astimezone(UTC)
