"""Verify the tables: recompute each one from its sources, compare, and list the differences."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from sensor_streams.errors import ConfigurationError, TableError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.difference import DELETE, INSERT, OPERATION, UPDATE
from sensor_streams.incremental.stream import Batch, Comparison, Handles, LoadVersion, Stream, TimeRange
from sensor_streams.streams import BY_NAME, STREAMS
from sensor_streams.tables import Catalog

# Tables compared at the same time. Planning a query uses one core, so one at a time leaves the others idle.
_AT_ONCE = 2
_WORDS = {INSERT: "missing", UPDATE: "different", DELETE: "not expected"}


@dataclass(frozen=True)
class Check:
    """Check of one table: number of rows compared and of rows that differ, and the first of these as text.

    files: number of files of readings, whose counts are compared; None for other tables.
    """

    table: str
    rows: int
    differing: int
    examples: tuple[str, ...] = ()
    files: int | None = None


def verify(
    catalog: Catalog,
    fleet: Fleet,
    load: LoadVersion,
    low: datetime | None = None,
    high: datetime | None = None,
    only: Sequence[str] = (),
    examples: int = 5,
    landing: str | None = None,
) -> list[Check]:
    """Compare every table with its function over the stored tables that it is computed from.

    low, high: range of times (UTC), None = no limit; widened to whole windows. load: (kind, version) → model; scores
    are checked with the model version of their row. Numbers are equal within 1e-9, see `incremental.difference`.
    landing: folder of the files; a file that changed after it was read counts as a difference of `readings`.
    A table that does not exist is skipped, see `skipped_streams`. Raises ConfigurationError for an unknown name or an
    empty range, TableError when no table is left to compare.
    """
    check_names(only)
    span = TimeRange(low, high)
    missing = skipped_streams(catalog, only)
    chosen = [stream for stream in STREAMS if (not only or stream.name in only) and stream.name not in missing]

    def check(stream: Stream) -> Check:
        batch = Batch(stream, fleet, Handles.of_stream(catalog, stream, fleet), landing=landing or "")
        return _check(stream, stream.scope.compare(batch, span, load), examples)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        checks = list(pool.map(check, chosen))
    if not checks:
        raise TableError(
            f"nothing to verify: {catalog} has no table for {', '.join(missing)}. "
            "Give the home, settings and names that the streams ran with, or run them first"
        )
    return checks


def check_names(names: Sequence[str]) -> None:
    """Raise ConfigurationError for a name that is not the name of a stream."""
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise ConfigurationError(f"no stream is called {', '.join(unknown)}; there are: {', '.join(BY_NAME)}")


def skipped_streams(catalog: Catalog, only: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return the streams whose table cannot be compared, each with the tables that do not exist."""
    found = {}
    for stream in STREAMS:
        if not only or stream.name in only:
            missing = [name for name in (stream.name, *stream.sources) if not catalog.exists(name)]
            if missing:
                found[stream.name] = missing
    return found


def _check(stream: Stream, comparison: Comparison, examples: int) -> Check:
    differing = comparison.differing.localCheckpoint()
    count = differing.count()
    columns = [name for name in (*stream.key, "source_file") if name in differing.columns]
    rows = differing.select(*columns, OPERATION).limit(examples).collect() if count else []
    shown = (*(_as_text(row.asDict()) for row in rows), *comparison.notes)[: max(examples, 0)]
    return Check(stream.name, comparison.rows, count + len(comparison.notes), shown, comparison.files)


def _as_text(row: dict[str, object]) -> str:
    key = ", ".join(f"{name} {value}" for name, value in row.items() if name != OPERATION)
    return f"{key}: {_WORDS.get(str(row[OPERATION]), row[OPERATION])}"
