"""Collect the facts of streams with a Spark session: in a task, or on this machine. Nothing is changed."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sensor_streams.catalog_file import CatalogFile
from sensor_streams.error_causes import first_line
from sensor_streams.errors import SensorStreamsError, TableError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Stream
from sensor_streams.inference.champions import Record, try_version
from sensor_streams.locations import canonical
from sensor_streams.missing_tables import condition_of
from sensor_streams.preflight.checkpoint_facts import checkpoint_facts, holders
from sensor_streams.preflight.expected import expected_of
from sensor_streams.preflight.facts import CheckpointFacts, Entry, Expected, Facts, ModelFacts, Unknown
from sensor_streams.preflight.model_facts import gather_models
from sensor_streams.preflight.platform_facts import gather_platform
from sensor_streams.preflight.table_facts import table_at, writable_features
from sensor_streams.settings import Settings
from sensor_streams.stores import registry_of
from sensor_streams.tables import Catalog

# Most of the time is spent waiting for Spark or for a store.
_THREADS = 8
Checkpoints = Mapping[str, CheckpointFacts | Unknown]
Entries = Mapping[str, Entry | Unknown | None]
Item = TypeVar("Item")
Answer = TypeVar("Answer")


def session_facts(
    catalog: Catalog,
    settings: Settings,
    streams: Sequence[Stream],
    fleet: Fleet,
    registry_seconds: float,
    try_models: bool = False,
) -> Facts:
    """Return the facts of streams that run in this session.

    registry_seconds: timeout of the model registry. try_models: score a few rows with a champion that has not scored
    yet.
    """
    expected = expected_of(settings, streams, fleet)
    facts = gather(catalog, expected, settings.lease_timeout)
    registry = registry_of(settings)
    models = gather_models(registry, sorted(expected.models), registry_seconds) if expected.models else {}
    for stream in streams:
        if stream.model is not None and isinstance(model := models.get(stream.model), ModelFacts):
            models[stream.model] = _with_refusal(catalog, settings, stream, fleet, model, try_models)
    return replace(facts, models=models, platform=gather_platform(settings.checkpoints))


def _with_refusal(
    catalog: Catalog, settings: Settings, stream: Stream, fleet: Fleet, model: ModelFacts, try_it: bool
) -> ModelFacts | Unknown:
    """Add the reason why the champion cannot score, from the stream's record or from a trial."""
    record = Record.read(Path(settings.checkpoints) / stream.name)
    if model.version is None or model.gone is not None or model.version == next(iter(record.good), None):
        return model
    in_place = next((version for version in record.good if version != model.version), None)
    reason = record.reason if model.version == record.refused else None
    if try_it and not model.problems:
        # A refused version may work now, for example after a package was installed.
        try:
            reason = try_version(catalog, registry_of(settings), stream, model.version, fleet)
        except (SensorStreamsError, PySparkException, Py4JError) as error:
            return Unknown(f"version {model.version} could not be tried: {first_line(str(error))}")
    return replace(model, refused=reason, in_place=in_place)


def gather(catalog: Catalog, expected: Expected, lease_timeout: timedelta, *, now: float | None = None) -> Facts:
    """Return entries, tables and checkpoints; a failed query gives Unknown.

    lease_timeout: longest wait for a heartbeat, if a checkpoint seems to be held. now: seconds since 1970.
    """
    entries, others = _entries(catalog, expected)
    checkpoints = _checkpoints(expected, lease_timeout)
    paths = _paths(expected, entries, checkpoints)
    unread = _unread(checkpoints)
    names = {} if catalog.entries is not None else _names(catalog, entries)
    found = _in_parallel(lambda path: table_at(catalog.spark, paths[path], unread, names.get(path)), paths)
    return Facts(
        expected=expected,
        entries=entries,
        tables=dict(zip(paths, found, strict=True)),
        checkpoints=checkpoints,
        others=others,
        now=time.time() if now is None else now,
        writable=writable_features(catalog.spark),
    )


def _entries(catalog: Catalog, expected: Expected) -> tuple[Entries, Sequence[Entry]]:
    """Return the entries of the job's tables, and the other entries of a catalog file."""
    if not isinstance(catalog.entries, CatalogFile):
        answers = _in_parallel(lambda table: _entry(catalog, table), expected.specs)
        return dict(zip(expected.specs, answers, strict=True)), ()
    try:
        known = {name: _entry_of_file(name, entry) for name, entry in catalog.entries.read().items()}
    except (TableError, OSError) as error:
        return dict.fromkeys(expected.specs, Unknown(str(error))), ()
    own = {table: known.get(expected.full(table)) for table in expected.specs}
    return own, [entry for name, entry in known.items() if name.removeprefix(expected.full("")) not in own]


def _entry_of_file(name: str, entry: Mapping[str, Any]) -> Entry:
    if "location" not in entry:
        return Entry(name, "view", None)
    return Entry(name, "external", str(entry["location"]))


def _entry(catalog: Catalog, table: str) -> Entry | Unknown | None:
    """Return the entry in the session's catalog; None if it does not exist."""
    name = f"{catalog.catalog}.{catalog.schema}.{table}"
    try:
        described = catalog.describe(table)
    except (PySparkException, Py4JError, SensorStreamsError) as error:
        missing = condition_of(error).startswith(("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND"))
        return None if missing else Unknown(str(error).partition("\n")[0])
    kind = described.get("Type")
    location = described.get("Location")
    return Entry(name, "view" if kind == "VIEW" else "managed" if kind == "MANAGED" else "external", location)


def _checkpoints(expected: Expected, lease_timeout: timedelta) -> Checkpoints:
    folders = {stream.name: Path(stream.checkpoint) for stream in expected.streams}
    try:
        held = holders(list(folders.values()), expected.own_run, lease_timeout)
    except OSError as error:
        return dict.fromkeys(folders, Unknown(f"{expected.checkpoints}: {error.strerror or error}"))
    return {name: checkpoint_facts(folder, held.get(folder)) for name, folder in folders.items()}


def _paths(expected: Expected, entries: Entries, checkpoints: Checkpoints) -> Mapping[str, str]:
    """Return the paths of entries, of bindings and of new tables: canonical path → its first spelling."""
    locations = [location for _, location in _located(entries)]
    for checkpoint in checkpoints.values():
        if isinstance(checkpoint, CheckpointFacts) and checkpoint.bound is not None:
            tables = (*checkpoint.bound.sinks.values(), *checkpoint.bound.sources.values())
            locations += [table.location for table in tables]
    locations += [path for name in expected.specs if (path := expected.path(name)) is not None]
    paths: dict[str, str] = {}
    for location in locations:
        paths.setdefault(canonical(location), location)
    return paths


def _names(catalog: Catalog, entries: Entries) -> Mapping[str, str]:
    """Return canonical path → name of the entry that points to it, in the session's catalog."""
    return {canonical(location): catalog.full_name(name) for name, location in _located(entries)}


def _located(entries: Entries) -> Iterable[tuple[str, str]]:
    for name, entry in entries.items():
        if isinstance(entry, Entry) and entry.kind != "view" and entry.location is not None:
            yield name, entry.location


def _unread(checkpoints: Checkpoints) -> Mapping[str, int]:
    """Return table id → first version that a stream has not read yet."""
    unread: dict[str, int] = {}
    for checkpoint in checkpoints.values():
        for offset in checkpoint.sources if isinstance(checkpoint, CheckpointFacts) else ():
            unread[offset.table_id] = min(offset.unread, unread.get(offset.table_id, offset.unread))
    return unread


def _in_parallel(query: Callable[[Item], Answer], items: Iterable[Item]) -> Sequence[Answer]:
    with ThreadPoolExecutor(_THREADS, "preflight") as threads:
        return list(threads.map(query, items))
