"""The tables of streams 1 to 3 by DuckDB: one query each over all files, written as Parquet. Run by `other_engines`.

    python benchmarks/duckdb_tables.py TASK.json

Prints one line of JSON: seconds without the start of Python, and totals for a comparison. It needs the package duckdb
only, none of this project: the interpreter may be another one.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any


def queries(task: dict[str, Any]) -> dict[str, str]:
    """Return the query of each table. task: see `other_engines`."""
    short, long, back = task["short"], task["long"], task["lookback"] * task["long"]
    limits = " OR ".join(
        f"(sensor = '{name}' AND value BETWEEN {one['low']} AND {one['high']})" for name, one in task["sensors"].items()
    )
    expected = " ".join(f"WHEN '{name}' THEN {short / one['period']}" for name, one in task["sensors"].items())
    kinds = "{device_id: 'VARCHAR', sensor: 'VARCHAR', event_time: 'TIMESTAMP', value: 'DOUBLE'}"
    statistics = ("mean", "deviation", "min", "max", "last", "slope", "missing", "lookback_mean", "trend")
    wide = ",\n".join(
        f"any_value({one}) FILTER (WHERE sensor = '{name}') AS {name}_{one}"
        for name in task["sensors"]
        for one in statistics
    )
    return {
        "readings": f"""
            SELECT DISTINCT device_id, sensor, event_time, value, event_time::DATE AS event_date
            FROM read_json('{task["landing"]}/*.json', format = 'newline_delimited', columns = {kinds})
            WHERE {limits}""",
        "sensor_features": f"""
            SELECT device_id, sensor, time_bucket(INTERVAL '{short} seconds', event_time) AS window_start,
                window_start::DATE AS window_date, count(*) AS count, avg(value) AS mean,
                stddev_samp(value) AS deviation, min(value) AS min, max(value) AS max,
                arg_max(value, event_time) AS last,
                CASE WHEN count(*) > 1 THEN regr_slope(value, epoch(event_time) % {short} / 3600) END AS slope,
                greatest(0, 1 - count(*) / CASE sensor {expected} END) AS share_missing,
                min(event_time) AS first_time, max(event_time) AS last_time
            FROM readings GROUP BY device_id, sensor, window_start""",
        "device_features": f"""
            WITH tall AS (
                SELECT device_id, sensor, time_bucket(INTERVAL '{long} seconds', s.window_start) AS long_start,
                    sum(count) AS n, sum(mean * count) / n AS mean,
                    sqrt(greatest(0, (sum((count - 1) * coalesce(deviation, 0) ** 2 + count * mean ** 2)
                        - sum(mean * count) ** 2 / n) / nullif(n - 1, 0))) AS deviation,
                    min(min) AS min, max(max) AS max, arg_max(last, last_time) AS last,
                    CASE WHEN count(*) > 1 THEN regr_slope(mean, epoch(s.window_start) % {long} / 3600)
                        ELSE max(slope) END AS slope,
                    greatest(0, 1 - sum(1 - share_missing) / {long / short}) AS missing
                FROM sensor_features AS s GROUP BY device_id, sensor, long_start),
            trended AS (
                SELECT *, sum(mean * n) OVER before / sum(n) OVER before AS lookback_mean,
                    CASE WHEN count(*) OVER until > 1
                        THEN regr_slope(mean, epoch(long_start) / 3600) OVER until END AS trend
                FROM tall
                WINDOW until AS (PARTITION BY device_id, sensor ORDER BY long_start
                        RANGE BETWEEN INTERVAL '{back} seconds' PRECEDING AND CURRENT ROW),
                    before AS (PARTITION BY device_id, sensor ORDER BY long_start
                        RANGE BETWEEN INTERVAL '{back} seconds' PRECEDING AND INTERVAL '1 second' PRECEDING))
            SELECT device_id, '{task["device_type"]}' AS device_type, long_start AS window_start,
                long_start::DATE AS window_date, sum(n)::BIGINT AS count, {wide}
            FROM trended GROUP BY device_id, long_start""",
    }


def main() -> None:
    """Compute and write the tables."""
    duckdb = import_module("duckdb")
    task = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    begin = time.monotonic()
    database = duckdb.connect()
    for name, query in queries(task).items():
        database.execute(f"CREATE TABLE {name} AS {query}")
        date = "event_date" if name == "readings" else "window_date"
        database.execute(f"COPY {name} TO '{task['output']}/{name}' (FORMAT parquet, PARTITION_BY ({date}))")
    seconds = time.monotonic() - begin
    totals = {"readings": database.execute("SELECT count(*) FROM readings").fetchone()[0]}
    for name in ("sensor_features", "device_features"):
        totals[name], totals[f"{name}.count"] = map(
            int, database.execute(f"SELECT count(*), sum(count) FROM {name}").fetchone()
        )
    sums = ", ".join(f"sum({name}_mean + {name}_max)" for name in task["sensors"])
    row = database.execute(f"SELECT {sums} FROM device_features").fetchone()
    print(json.dumps({"seconds": seconds, "totals": totals, "sum": sum(row)}))


if __name__ == "__main__":
    main()
