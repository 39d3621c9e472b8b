"""Layout of the tables: partitions by date, as the streams create them, next to `CLUSTER BY` device and time.

Both homes get the same files, in turns, one batch per stream. Every second set lands first, in order of time. The other
sets follow as late readings: they belong between the stored ones, so their batches read and update many older rows.
"""

from dataclasses import replace
from pathlib import Path

from benchmarks.large_batches import Turn, in_turns
from benchmarks.measurement import Measurement, Ratio, Result
from benchmarks.simulated_home import FIRST_THREE, FileSets, opened_home, process, refuse_differences, summary
from sensor_streams.sql_names import create_schema, create_statement
from sensor_streams.streams import BY_NAME
from sensor_streams_dev.local_home import LocalHome

LINES = 1_000


def layouts(folder: Path, rounds: int, lines: int = LINES) -> Result:
    """Compare the seconds of batches of `lines` lines; rounds: batches in order of time, and as many late ones."""
    clustered, partitioned = (opened_home(folder / name, folder / "landing") for name in ("clustered", "partitioned"))
    create_clustered(clustered)
    files = FileSets.simulated(partitioned.fleet, folder, 2 * (rounds + 1), lines)
    files.waiting = [*files.waiting[::2], *files.waiting[1::2]]
    new, late = (in_turns(files, rounds, lambda: process(clustered), lambda: process(partitioned)) for _ in range(2))
    homes = {"clustered": clustered, "partitioned": partitioned}
    figures = {
        "files": {name: {table: _files(home, table) for table in FIRST_THREE} for name, home in homes.items()},
        "new": {"clustered": summary([t.ours for t in new]), "partitioned": summary([t.rival for t in new])},
        "late": {"clustered": summary([t.ours for t in late]), "partitioned": summary([t.rival for t in late])},
        "differing": refuse_differences([*clustered.verify(), *partitioned.verify()]),
    }
    return Result([_ratio("new", new), _ratio("late", late)], figures=figures)


def create_clustered(home: LocalHome) -> None:
    """Create the tables of streams 1 to 3 without partitions, clustered by the first columns of their keys."""
    create_schema(home.spark, home.catalog.catalog, home.catalog.schema)
    for name in FIRST_THREE:
        spec = next(spec for spec in BY_NAME[name].tables(home.fleet) if spec.name == name)
        time = "event_time" if "event_time" in spec.key else "window_start"
        location = f"{home.catalog.root}/{name}"
        statement = create_statement(home.catalog.full_name(name), replace(spec, partition=None), location)
        home.spark.sql(f"{statement} CLUSTER BY (device_id, {time})")
        if home.catalog.entries is not None:
            home.catalog.entries.add(home.catalog.identify(name), home.spark)


def _files(home: LocalHome, table: str) -> int:
    row = home.catalog.handle(table).detail().select("numFiles").first()
    assert row is not None
    return int(row[0])


def _ratio(kind: str, turns: list[Turn]) -> Ratio:
    return Ratio(
        name=f"seconds of a batch of {LINES:,} {kind} lines, clustered by device and time / partitioned by date",
        ours=[turn.ours.total for turn in turns],
        other=[turn.rival.total for turn in turns],
        unit="s",
    )


MEASUREMENTS = [
    Measurement("layout", "tables clustered / partitioned by date", 15, layouts, rounds=20, by_default=False),
]
