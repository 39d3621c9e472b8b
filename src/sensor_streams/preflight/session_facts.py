"""What is true where there is a Spark session: in a task, and on this machine."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sensor_streams.catalog_file import CatalogFile
from sensor_streams.errors import SensorStreamsError, TableError
from sensor_streams.locations import canonical
from sensor_streams.missing_tables import condition_of
from sensor_streams.preflight.checkpoint_facts import checkpoint_facts, holders
from sensor_streams.preflight.facts import CheckpointFacts, Entry, Expected, Facts, Unknown
from sensor_streams.preflight.table_facts import table_at, writable_features
from sensor_streams.tables import Catalog

# Most of an answer's time is spent waiting, for a store or for Spark.
_AT_ONCE = 8
Checkpoint = CheckpointFacts | Unknown
Entries = Mapping[str, Entry | Unknown | None]
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def gather(catalog: Catalog, meant: Expected, lease_timeout: timedelta, *, now: float | None = None) -> Facts:
    """Ask once for all that the checks look at, and change nothing.

    lease_timeout: how long a holder of a checkpoint is watched for a sign of life, where there seems to be one. now:
    seconds since 1970. What gives no answer is Unknown.
    """
    entries, others = _entries(catalog, meant)
    checkpoints = _checkpoints(meant, lease_timeout)
    places = _places(meant, entries, checkpoints)
    unread = _unread(checkpoints)
    names = {} if catalog.entries is not None else _names(catalog, entries)
    found = _side_by_side(lambda at: table_at(catalog.spark, at[1], unread, names.get(at[0])), places.items())
    return Facts(
        meant=meant,
        entries=entries,
        tables=dict(zip(places, found, strict=True)),
        checkpoints=checkpoints,
        others=others,
        now=time.time() if now is None else now,
        writable=writable_features(catalog.spark),
    )


def _entries(catalog: Catalog, meant: Expected) -> tuple[Entries, Sequence[Entry]]:
    """The entries of the job's tables, and all others that are told without asking for each."""
    if isinstance(catalog.entries, CatalogFile):
        try:
            written = catalog.entries.read()
        except (TableError, OSError) as error:
            return dict.fromkeys(meant.specs, Unknown(str(error))), ()
        known = {name: _written(name, entry) for name, entry in written.items()}
        mine = {table: known.get(meant.full(table)) for table in meant.specs}
        return mine, [entry for name, entry in known.items() if name.removeprefix(meant.full("")) not in mine]
    return dict(zip(meant.specs, _side_by_side(lambda table: _entry(catalog, table), meant.specs), strict=True)), ()


def _written(name: str, entry: Mapping[str, Any]) -> Entry:
    if "location" not in entry:
        return Entry(name, "view", None)
    return Entry(name, "external", str(entry["location"]), str(entry.get("table_id")))


def _entry(catalog: Catalog, table: str) -> Entry | Unknown | None:
    """The entry as the session's catalog tells it; None where it has none."""
    name = f"{catalog.catalog}.{catalog.schema}.{table}"
    try:
        described = catalog.describe(table)
    except (PySparkException, Py4JError, SensorStreamsError) as error:
        missing = condition_of(error).startswith(("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND"))
        return None if missing else Unknown(str(error).partition("\n")[0])
    kind = described.get("Type", "")
    return Entry(
        name, "view" if kind == "VIEW" else "managed" if kind == "MANAGED" else "external", described.get("Location")
    )


def _checkpoints(meant: Expected, lease_timeout: timedelta) -> Mapping[str, Checkpoint]:
    folders = {stream.name: Path(stream.checkpoint) for stream in meant.streams}
    try:
        held = holders(list(folders.values()), meant.own_run, lease_timeout)
    except OSError as error:
        return dict.fromkeys(folders, Unknown(f"{meant.checkpoints}: {error.strerror or error}"))
    return {name: checkpoint_facts(folder, held.get(folder)) for name, folder in folders.items()}


def _places(meant: Expected, entries: Entries, checkpoints: Mapping[str, Checkpoint]) -> Mapping[str, str]:
    """Every place where a table of the job is, was or would be: its one spelling → one that somebody uses."""
    named = [entry.location for entry in entries.values() if isinstance(entry, Entry) and entry.kind != "view"]
    for checkpoint in checkpoints.values():
        if isinstance(checkpoint, CheckpointFacts) and checkpoint.bound is not None:
            tables = (*checkpoint.bound.sinks.values(), *checkpoint.bound.sources.values())
            named += [table.location for table in tables]
    if meant.tables is not None:
        named += [f"{meant.tables.rstrip('/')}/{name}" for name in meant.specs]
    places: dict[str, str] = {}
    for location in named:
        if location is not None:
            places.setdefault(canonical(location), location)
    return places


def _names(catalog: Catalog, entries: Entries) -> Mapping[str, str]:
    """Place → the name that leads there, in a catalog that the session has."""
    tables = {name: entry for name, entry in entries.items() if isinstance(entry, Entry) and entry.kind != "view"}
    return {canonical(e.location): catalog.full_name(name) for name, e in tables.items() if e.location is not None}


def _unread(checkpoints: Mapping[str, Checkpoint]) -> Mapping[str, int]:
    """Table id → the first version of that table that some stream has still to read."""
    unread: dict[str, int] = {}
    for told in checkpoints.values():
        for offset in told.sources if isinstance(told, CheckpointFacts) else ():
            unread[offset.table_id] = min(offset.unread, unread.get(offset.table_id, offset.unread))
    return unread


def _side_by_side(ask: Callable[[Asked], Answer], about: Iterable[Asked]) -> Sequence[Answer]:
    with ThreadPoolExecutor(_AT_ONCE, "preflight") as threads:
        return list(threads.map(ask, about))
