"""Tables of a home against the right ones, read by delta-rs: another program than the one that wrote them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from dabs_lab.lab.declarations import Loss
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.difference import TOLERANCE
from sensor_streams.streams import STREAMS
from sensor_streams.table_spec import TableSpec

# Columns that say when a row was written, not what it holds.
_NOT_COMPARED = frozenset({"batch_id", "recorded_at"})
_EVENTS, _ALERTS, _FILES = "alert_events", "alerts", "ingested_files"
# Fields of an alert that its last event repeats. Its number of windows grows without an event.
_EPISODE = ("device_id", "rule", "opened_at")
_STATE = ("state", "peak", "peak_at", "resolved_at")

Row = Mapping[str, Any]
Tables = Mapping[str, pa.Table]


def specs(fleet: Fleet) -> dict[str, TableSpec]:
    """Return the tables of all streams, by name."""
    return {table.name: table for stream in STREAMS for table in stream.tables(fleet)}


def read_tables(folder: Path, fleet: Fleet) -> dict[str, pa.Table]:
    """Return the rows of each table below a folder. Raises DeltaError or OSError for a table that cannot be read."""
    return {name: read_table(folder / name) for name in specs(fleet)}


def read_readable(folder: Path, fleet: Fleet, right: Tables) -> dict[str, pa.Table]:
    """Return the rows of each table below a folder; a table that cannot be read has none."""
    found = {}
    for name in specs(fleet):
        try:
            found[name] = read_table(folder / name)
        except (DeltaError, OSError):
            found[name] = right[name].schema.empty_table()
    return found


def row_count(folder: Path) -> int:
    """Return the number of rows of a table; 0 for a table that is missing or cannot be read yet."""
    try:
        return int(read_table(folder).num_rows)
    except (DeltaError, OSError):
        return 0


def read_table(folder: Path) -> pa.Table:
    """Return the rows of a table. Raises DeltaError or OSError for a table that cannot be read."""
    return DeltaTable(str(folder)).to_pyarrow_table()


def read_truth(folder: Path, fleet: Fleet) -> dict[str, pa.Table]:
    """Return the tables that `lab_data` stored."""
    return {name: feather.read_table(str(folder / f"{name}.feather")) for name in specs(fleet)}


def versions(folder: Path, fleet: Fleet) -> tuple[str, ...]:
    """Return the name of the newest commit of each table; it changes whenever the table changes."""
    return tuple(
        max((file.name for file in (folder / name / "_delta_log").glob("*.json")), default="") for name in specs(fleet)
    )


@dataclass
class _Count:
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0

    @property
    def total(self) -> int:
        return self.lost + self.duplicated + self.wrong


def compare(found: Tables, right: Tables, fleet: Fleet, more_lines: int = 0) -> Loss:
    """Compare tables with the right ones.

    more_lines: lines of files that are not in the right tables: they must be counted as accepted, rejected or
    duplicate, and are not compared otherwise. Without such lines, a row of an unknown file is wrong. Numbers are equal
    within 1e-9 of the greater one, as in `verify`.
    """
    counts: dict[str, _Count] = {}
    known = set(right[_FILES]["source_file"].to_pylist())
    for name, spec in specs(fleet).items():
        rows, expected = found[name].to_pylist(), right[name].to_pylist()
        if more_lines and "source_file" in found[name].column_names:
            rows = [row for row in rows if row["source_file"] in known]
        counts[name] = _events(rows, found, spec) if name == _EVENTS else _rows(rows, expected, spec)
    landed = sum(int(row["lines"] or 0) for row in right[_FILES].to_pylist()) + more_lines
    counted = counted_lines(found[_FILES])
    alerts = counts[_ALERTS].total + counts[_EVENTS].total
    return Loss(
        lost=sum(count.lost for count in counts.values()),
        duplicated=sum(count.duplicated for count in counts.values()),
        wrong=sum(count.wrong for count in counts.values()),
        alerts_wrong=alerts,
        unaccounted=abs(landed - counted),
        by_table={name: count.total for name, count in counts.items() if count.total},
    )


def counted_lines(files: pa.Table) -> int:
    """Return the lines that `ingested_files` counts as accepted, rejected or duplicate."""
    return sum(int(row[kind] or 0) for row in files.to_pylist() for kind in ("accepted", "rejected", "duplicates"))


def _rows(rows: Sequence[Row], expected: Sequence[Row], spec: TableSpec) -> _Count:
    stored: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        stored.setdefault(_key(row, spec.key), []).append(row)
    right = {_key(row, spec.key): row for row in expected}
    columns = [name for name, _ in spec.columns if name not in _NOT_COMPARED]
    wrong = sum(not _equal(one[0], right[key], columns) if key in right else 1 for key, one in stored.items())
    return _Count(len(right.keys() - stored.keys()), sum(len(one) - 1 for one in stored.values()), wrong)


def _events(events: Sequence[Row], found: Tables, spec: TableSpec) -> _Count:
    """Count what is wrong with the events of alerts: how many there are of an episode depends on the batches.

    Each episode has events 1 to n, once each, and the last one has the episode's state.
    """
    keys = Counter(_key(row, spec.key) for row in events)
    last: dict[tuple[object, ...], Row] = {}
    for row in sorted(events, key=lambda row: int(row["number"])):
        last[_key(row, _EPISODE)] = row
    numbers = Counter(_key(row, _EPISODE) for row in {_key(row, spec.key): row for row in events}.values())
    gaps = sum(int(last[episode]["number"]) - count for episode, count in numbers.items())
    alerts = {_key(row, _EPISODE): row for row in found[_ALERTS].to_pylist()}
    wrong = sum(
        last[episode]["kind"] != "WITHDRAWN"
        if episode not in alerts
        else not _equal(last[episode], alerts[episode], _STATE)
        for episode in last
    )
    missing = len(alerts.keys() - last.keys())
    return _Count(lost=missing + gaps, duplicated=sum(count - 1 for count in keys.values()), wrong=wrong)


def _key(row: Row, names: Iterable[str]) -> tuple[object, ...]:
    return tuple(row[name] for name in names)


def _equal(left: Row, right: Row, columns: Iterable[str]) -> bool:
    return all(_same(left[name], right[name]) for name in columns)


def _same(left: object, right: object) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        # The smallest numbers are differences of larger ones: no sensor is exact to 9 digits.
        return isclose(left, right, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return left == right
