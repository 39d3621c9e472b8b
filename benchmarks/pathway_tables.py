"""The tables of streams 1 to 3 by Pathway, written as CSV. Run by `other_engines`.

    python benchmarks/pathway_tables.py TASK.json

Pathway updates each group when lines arrive late, so its tables are exact too. Here it reads the folder as it is (mode
`static`) and ends. Prints one line of JSON: seconds without the start of Python, and totals for a comparison. It needs
the package pathway only, none of this project. Two things are simpler than in ours: a missing statistic is 0, not null,
and the deviation comes from sums of squares, which loses digits for values far from 0.
"""

import csv
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

STATISTICS = ("mean", "deviation", "min", "max", "last", "slope", "missing", "lookback_mean", "trend")


def deviation(count: int, total: float, squares: float) -> float:
    """Return the sample deviation from sums."""
    return float(max(0.0, (squares - total * total / count) / (count - 1)) ** 0.5) if count > 1 else 0.0


def slope(count: int, x: float, y: float, xx: float, xy: float) -> float:
    """Return the slope of least squares from sums."""
    size = count * xx - x * x
    return float((count * xy - x * y) / size) if size > 1e-9 else 0.0


class Tables:
    """The three tables as Pathway's tables. task: see `other_engines`."""

    def __init__(self, pw: Any, task: dict[str, Any]) -> None:
        self.pw = pw
        self.task = task
        self.readings = self._readings()
        self.short = self._short()
        self.device = self._device()

    def _number(self, function: Callable[..., float], *columns: Any) -> Any:
        return self.pw.apply_with_type(function, float, *columns)

    def _sum(self, column: Any) -> Any:
        # Without `strict`, Pathway 0.26 and 0.33 return wrong sums when the rows of a group change.
        return self.pw.reducers.sum(column, strict=True)

    def _readings(self) -> Any:
        pw, sensors = self.pw, self.task["sensors"]
        schema = pw.schema_from_types(device_id=str, sensor=str, event_time=str, value=float)
        read = pw.io.jsonlines.read(self.task["landing"], schema=schema, mode="static")
        good = None
        for name, one in sensors.items():
            within = (read.sensor == name) & (read.value >= one["low"]) & (read.value <= one["high"])
            good = within if good is None else good | within
        parsed = read.filter(good).select(
            pw.this.device_id,
            pw.this.sensor,
            pw.this.value,
            at=pw.this.event_time.dt.strptime("%Y-%m-%dT%H:%M:%SZ").dt.timestamp(unit="s"),
        )
        # A repeated line counts once.
        keys = (pw.this.device_id, pw.this.sensor, pw.this.at)
        return parsed.groupby(*keys).reduce(*keys, value=pw.reducers.any(pw.this.value))

    def _short(self) -> Any:
        pw, this, length = self.pw, self.pw.this, self.task["short"]
        expected = {name: length / one["period"] for name, one in self.task["sensors"].items()}
        rows = self.readings.with_columns(start=this.at // length * length)
        rows = rows.with_columns(x=(this.at - this.start) / 3600)
        keys = (this.device_id, this.sensor, this.start)
        sums = rows.groupby(*keys).reduce(
            *keys,
            count=pw.reducers.count(),
            total=pw.reducers.sum(this.value),
            squares=pw.reducers.sum(this.value * this.value),
            min=pw.reducers.min(this.value),
            max=pw.reducers.max(this.value),
            last=pw.reducers.argmax(this.at, this.value),
            x=pw.reducers.sum(this.x),
            xx=pw.reducers.sum(this.x * this.x),
            xy=pw.reducers.sum(this.x * this.value),
            first_time=pw.reducers.min(this.at),
            last_time=pw.reducers.max(this.at),
        )
        return sums.select(
            *keys,
            this.count,
            this.total,
            this.squares,
            this.min,
            this.max,
            this.last,
            this.first_time,
            this.last_time,
            mean=this.total / this.count,
            deviation=self._number(deviation, this.count, this.total, this.squares),
            slope=self._number(slope, this.count, this.x, this.total, this.xx, this.xy),
            missing=self._number(lambda name, n: max(0.0, 1 - n / expected[name]), this.sensor, this.count),
        )

    def _tall(self) -> Any:
        """Return one row per device, sensor and long window, without the look-back."""
        pw, this, length = self.pw, self.pw.this, self.task["long"]
        rows = self.short.with_columns(long=this.start // length * length)
        rows = rows.with_columns(x=(this.start - this.long) / 3600)
        keys = (this.device_id, this.sensor, this.long)
        sums = rows.groupby(*keys).reduce(
            *keys,
            count=pw.reducers.sum(this.count),
            total=self._sum(this.total),
            squares=self._sum(this.squares),
            min=pw.reducers.min(this.min),
            max=pw.reducers.max(this.max),
            last=pw.reducers.argmax(this.last_time, this.last),
            windows=pw.reducers.count(),
            own_slope=pw.reducers.max(this.slope),
            means=self._sum(this.mean),
            x=self._sum(this.x),
            xx=self._sum(this.x * this.x),
            xy=self._sum(this.x * this.mean),
            present=self._sum(1 - this.missing),
        )
        parts = length / self.task["short"]
        of_means = self._number(slope, this.windows, this.x, this.means, this.xx, this.xy)
        return sums.select(
            *keys,
            this.count,
            this.total,
            this.min,
            this.max,
            this.last,
            mean=this.total / this.count,
            deviation=self._number(deviation, this.count, this.total, this.squares),
            slope=pw.if_else(this.windows > 1, of_means, this.own_slope),
            missing=self._number(lambda present: max(0.0, 1 - present / parts), this.present),
        )

    def _trended(self) -> Any:
        """Return the rows of `_tall` with mean and trend of the windows before."""
        pw, this, length = self.pw, self.pw.this, self.task["long"]
        tall = self._tall()
        span = (self.task["lookback"] + 1) * length
        # Sliding windows that end with the long window.
        sliding = pw.temporal.sliding(hop=length, duration=span)
        windows = tall.windowby(tall.long, window=sliding, instance=pw.make_tuple(tall.device_id, tall.sensor))
        hours = (this.long - this._pw_window_start) / 3600
        before = windows.reduce(
            instance=this._pw_instance,
            long=this._pw_window_end - length,
            points=pw.reducers.count(),
            n=pw.reducers.sum(this.count),
            total=self._sum(this.total),
            y=self._sum(this.mean),
            x=self._sum(hours),
            xx=self._sum(hours * hours),
            xy=self._sum(hours * this.mean),
        )
        keyed = tall.with_columns(instance=pw.make_tuple(this.device_id, this.sensor))
        joined = keyed.join(before, pw.left.instance == pw.right.instance, pw.left.long == pw.right.long)
        left, right = pw.left, pw.right
        return joined.select(
            *(left[name] for name in ("device_id", "sensor", "long", "count", *STATISTICS[:-2])),
            lookback_mean=self._number(
                lambda total, own, n, count: (total - own) / (n - count) if n > count else 0.0,
                right.total,
                left.total,
                right.n,
                left.count,
            ),
            trend=self._number(slope, right.points, right.x, right.y, right.xx, right.xy),
        )

    def _device(self) -> Any:
        pw, this = self.pw, self.pw.this
        trended = self._trended()
        wide = {
            f"{name}_{one}": self._sum(pw.if_else(trended.sensor == name, trended[one], 0.0))
            for name in self.task["sensors"]
            for one in STATISTICS
        }
        keys = (this.device_id, this.long)
        return trended.groupby(*keys).reduce(*keys, count=pw.reducers.sum(trended["count"]), **wide)


def main() -> None:
    """Compute and write the tables."""
    pw = import_module("pathway")
    task = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    begin = time.monotonic()
    tables = Tables(pw, task)
    written = {"readings": tables.readings, "sensor_features": tables.short, "device_features": tables.device}
    for name, table in written.items():
        pw.io.csv.write(table, f"{task['output']}/{name}.csv")
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    seconds = time.monotonic() - begin
    totals, total = {}, 0.0
    for name in written:
        with Path(task["output"], f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        # A file has each change of a row: `diff` is 1 for a new row, -1 for the row that it replaces.
        totals[name] = sum(int(row["diff"]) for row in rows)
        if name != "readings":
            totals[f"{name}.count"] = sum(int(row["diff"]) * int(row["count"]) for row in rows)
        if name == "device_features":
            chosen = [f"{sensor}_{one}" for sensor in task["sensors"] for one in ("mean", "max")]
            total = sum(int(row["diff"]) * float(row[one]) for row in rows for one in chosen)
    print(json.dumps({"seconds": seconds, "totals": totals, "sum": total}))


if __name__ == "__main__":
    main()
