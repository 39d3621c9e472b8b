"""Recompute the tables of streams after a change of their functions or of sensors.yml."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sensor_streams.checkpoint.lease import Lease, this_process
from sensor_streams.checkpoint.settings_record import Change, Records
from sensor_streams.errors import ConfigurationError, ModelError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.commit_signature import of_rebuild, of_whole_rebuild
from sensor_streams.incremental.stream import Batch, Handles, ModelKind, Stream, TimeRange
from sensor_streams.incremental.transactions import Writes
from sensor_streams.inference.registry import LoadedModel
from sensor_streams.settings import Settings
from sensor_streams.streams import BY_NAME, STREAMS
from sensor_streams.tables import Catalog

# Streams that read tables, the events of alerts included.
COMPUTED = tuple(stream.name for stream in STREAMS if stream.sources)
# Property of a table: when all of its rows were compared.
_REBUILT_AT = "sensor_streams.rebuilt_at"


@contextmanager
def only_writer(settings: Settings, streams: Sequence[str], command: str) -> Iterator[None]:
    """Hold the leases of the streams as a run of its own; raises CheckpointInUseError when another run holds one."""
    folders = [Path(settings.checkpoints) / name for name in streams]
    lease = Lease(folders, this_process(f"{command}-{uuid.uuid4().hex[:8]}", 1), settings.lease_timeout)
    lease.acquire()
    try:
        yield
    finally:
        lease.release()


def computed_stream(name: str) -> Stream:
    """Return the stream. Raises ConfigurationError when it does not exist, or is not computed from tables."""
    stream = BY_NAME.get(name)
    if stream is None or not stream.scope.is_computed:
        why = "no stream has this name" if stream is None else "it only adds to its table"
        computed = ", ".join(s.name for s in STREAMS if s.scope.is_computed)
        raise ConfigurationError(f"{name} cannot be rebuilt: {why}; streams that can: {computed}")
    return stream


def rebuild(
    catalog: Catalog,
    fleet: Fleet,
    name: str,
    low: datetime | None = None,
    high: datetime | None = None,
    model: LoadedModel | None = None,
) -> Writes:
    """Recompute the table of stream `name` between two times (UTC; None = no limit); write only the differences.

    Without limits, the table is known to be right afterwards, whatever other programs wrote into it before.
    The caller holds the stream's lease, because a table has one writer at a time. Streams that read the table get
    the changes in their next batches. Raises ConfigurationError for a stream that is not computed from tables or an
    empty range, TableError for a missing table: only its stream creates it.
    """
    return _rebuild(catalog, fleet, computed_stream(name), model, TimeRange(low, high))


def _rebuild(catalog: Catalog, fleet: Fleet, stream: Stream, model: LoadedModel | None, span: TimeRange) -> Writes:
    catalog.open(stream.table(fleet))
    for source in stream.sources:
        catalog.identify(source)
    batch = Batch(stream, fleet, Handles.of_stream(catalog, stream, fleet), model=model)
    with of_rebuild(stream.name).on(catalog.spark):
        writes = stream.scope.rebuild(batch, span)
    if span == TimeRange():
        # From this commit on, the preflight no longer reports what other programs wrote before. It is written also when
        # no row differs, for example after a person has deleted foreign rows.
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with of_whole_rebuild(stream.name).on(catalog.spark):
            catalog.spark.sql(
                f"ALTER TABLE {catalog.full_name(stream.name)} SET TBLPROPERTIES ('{_REBUILT_AT}' = '{now}')"
            )
    return writes


@dataclass
class Rebuilt:
    """Result of `rebuild_changed`: changes found, writes of each table, streams that wait for a training."""

    changes: Sequence[Change] = ()
    writes: dict[str, Writes] = field(default_factory=dict)
    untrained: list[Change] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report, one line per change and table."""
        if not self.changes:
            return ["every table is computed with the settings of sensors.yml: nothing to do"]
        lines = [line for change in self.changes for line in change.lines()]
        for name, writes in self.writes.items():
            lines.append(f"{name}: {writes.inserted} rows added, {writes.updated} changed, {writes.deleted} removed")
        for change in self.untrained:
            lines.append(f"{change.stream} waits: its model was trained with other windows")
        if self.untrained:
            lines.append("Next: sensor-streams train, then sensor-streams rebuild --changed once more")
        return lines


def rebuild_changed(
    records: Records,
    champion: Callable[[ModelKind], LoadedModel | None],
    train: Callable[[], object] | None = None,
    keep_models: bool = False,
    on_table: Callable[[str], None] = lambda _: None,
) -> Rebuilt:
    """Recompute every table whose settings in sensors.yml changed, and the tables computed from it, in order.

    The caller holds the leases of all streams but `readings`. All affected tables are recorded as unfinished first.
    After a kill their streams do not start, and the command can be repeated. A model that was trained with other
    windows needs a new training, by `train` or before the next call, unless keep_models is True.
    Raises ModelError for a missing model.
    """
    catalog = records.catalog
    existing = [s for s in STREAMS if s.sources and all(catalog.exists(name) for name in (s.name, *s.sources))]
    changes = {stream.name: change for stream in existing if (change := records.change(stream))}
    report = Rebuilt(list(changes.values()))
    # A table of an older package version has no record of its model, so `record_rebuild_begin` needs this.
    windows = any(text.startswith("windows.") for change in changes.values() for text in change.of_table)
    affected: list[Stream] = []
    for stream in existing:
        if stream.name in changes or any(other.name in stream.sources for other in affected):
            affected.append(stream)
            records.record_rebuild_begin(stream.name, windows)
    for stream in affected:
        on_table(stream.name)
        model = None
        if stream.model is not None:
            model = champion(stream.model)
            of_model = records.change(stream).of_model
            if of_model and model is not None and not keep_models:
                if train is None:
                    report.untrained.append(Change(stream.name, (), of_model))
                    continue
                train()
                if records.change(stream).of_model:
                    raise ModelError(
                        f"no {stream.model} model was trained, and the current one was trained with other windows: "
                        "train one, or keep it with --keep-models. Then run the command again"
                    )
                model = champion(stream.model)
            if model is None and not catalog.read(stream.name).isEmpty():
                raise ModelError(f"{stream.name} cannot be rebuilt: no {stream.model} model has the alias champion")
            if of_model:
                records.record_trained(stream.name)
        if report.untrained and stream.model is None:
            # Alerts need all scores: from some of them, wrong events would be written and later withdrawn.
            continue
        if stream.model is not None and model is None:
            report.writes[stream.name] = Writes()
        else:
            report.writes[stream.name] = _rebuild(catalog, records.fleet, stream, model, TimeRange())
        records.record_current(stream.name)
    return report
