"""Compute a range of a stream's table afresh: the same code as the stream, for a function that changed."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sensor_streams.errors import ConfigurationError, ModelError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.commit_signature import of_rebuild
from sensor_streams.incremental.engine import Handles, tell_all, write_region
from sensor_streams.incremental.transactions import Writes
from sensor_streams.inference.registry import LoadedModel
from sensor_streams.runtime.lease import Lease, this_process
from sensor_streams.runtime.settings_record import Change, Records
from sensor_streams.settings import Settings
from sensor_streams.streams import BY_NAME, STREAMS, Episodes, ModelKind, Stream
from sensor_streams.tables import Catalog
from sensor_streams.verify import is_computed, region_of

# The streams whose tables follow from others, the events of alerts included.
COMPUTED = tuple(stream.name for stream in STREAMS if stream.sources)


@contextmanager
def only_writer(settings: Settings, streams: Sequence[str], command: str) -> Iterator[None]:
    """Hold the streams' leases, as a run of its own: nobody takes over from it, and it takes over from nobody."""
    folders = [Path(settings.checkpoints) / name for name in streams]
    lease = Lease(folders, this_process(f"{command}-{uuid.uuid4().hex[:8]}", 1), settings.lease_timeout)
    lease.acquire()
    try:
        yield
    finally:
        lease.release()


def computed_stream(name: str) -> Stream:
    """The stream of that name. Raises ConfigurationError when there is none, or it is not computed from tables."""
    stream = BY_NAME.get(name)
    if stream is None or not is_computed(stream):
        why = "no stream is called so" if stream is None else "it only adds to its table"
        computed = ", ".join(s.name for s in BY_NAME.values() if is_computed(s))
        raise ConfigurationError(f"{name} cannot be rebuilt: {why}; what can be: {computed}")
    return stream


def rebuild(
    catalog: Catalog,
    fleet: Fleet,
    name: str,
    low: datetime | None = None,
    high: datetime | None = None,
    model: LoadedModel | None = None,
) -> Writes:
    """Recompute the table of stream `name` between two times (UTC; None = no limit), write only what differs.

    The caller holds the stream's lease: a table has one writer at a time. Through the table's change feed the streams
    behind it follow in their next batches. Raises ConfigurationError for a stream that is not computed from tables,
    TableError when a table is missing: the stream makes its own, and nobody else does.
    """
    stream = computed_stream(name)
    region = region_of(stream, fleet, low, high)
    catalog.open(stream.table(fleet))
    for source in stream.sources:
        catalog.identify(source)
    handles = Handles.open(catalog, [name, *stream.sources])
    with of_rebuild(name).on(catalog.spark):
        return write_region(stream, fleet, handles, region, model)


@dataclass
class Rebuilt:
    """What `rebuild_changed` did: the changes that it found, the writes of each table, the streams that wait."""

    changes: Sequence[Change] = ()
    writes: dict[str, Writes] = field(default_factory=dict)
    untrained: list[Change] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report, a line per change and table."""
        if not self.changes:
            return ["every table is computed with the settings of sensors.yml: nothing to do"]
        told = [line for change in self.changes for line in change.lines()]
        for name, writes in self.writes.items():
            told.append(f"{name}: {writes.inserted} rows added, {writes.updated} changed, {writes.deleted} removed")
        for change in self.untrained:
            told.append(f"{change.stream} waits: its model learnt from other windows")
        if self.untrained:
            told.append("Next: sensor-streams train, then sensor-streams rebuild --changed once more")
        return told


def rebuild_changed(
    records: Records,
    champion: Callable[[ModelKind], LoadedModel | None],
    train: Callable[[], object] | None = None,
    keep_models: bool = False,
    on_table: Callable[[str], None] = lambda _: None,
) -> Rebuilt:
    """Recompute every table whose settings in sensors.yml changed, and the tables behind it, in order.

    The caller holds the leases of all streams but `readings`. What was begun is recorded before the first write, so a
    command that was killed is repeated, and no stream starts in between. Scores of models that learnt from other
    windows need a training: by `train`, or before the next call; keep_models goes on with the models as they are.
    Raises ModelError when a model is needed and is not there.
    """
    catalog = records.catalog
    there = [s for s in STREAMS if s.sources and all(catalog.exists(name) for name in (s.name, *s.sources))]
    changes = {stream.name: change for stream in there if (change := records.change(stream))}
    report = Rebuilt(list(changes.values()))
    # What a version before this one ran has no record of its models: other windows are other rows to learn from.
    windows = any(told.startswith("windows.") for change in changes.values() for told in change.of_table)
    affected: list[Stream] = []
    for stream in there:
        if stream.name in changes or any(other.name in stream.sources for other in affected):
            affected.append(stream)
            records.begin(stream.name, windows)
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
                        f"no {stream.model} model was trained, and the one in use learnt from other windows: train "
                        "one, or give --keep-models to go on with it. Then run the command again"
                    )
                model = champion(stream.model)
            if model is None and not catalog.read(stream.name).isEmpty():
                raise ModelError(f"{stream.name} cannot be rebuilt: no {stream.model} model has the alias champion")
            if of_model:
                records.trained(stream.name)
        if report.untrained and stream.model is None:
            # Alerts come after all scores: to tell of half of them would be to withdraw it later.
            continue
        report.writes[stream.name] = _rebuilt(records, stream, model)
        records.settle(stream.name)
    return report


def _rebuilt(records: Records, stream: Stream, model: LoadedModel | None) -> Writes:
    catalog, fleet = records.catalog, records.fleet
    if stream.model is not None and model is None:
        return Writes()
    if not isinstance(stream.touches, Episodes):
        return rebuild(catalog, fleet, stream.name, model=model)
    handles = Handles.open(catalog, [stream.name, *stream.sources])
    with of_rebuild(stream.name).on(catalog.spark):
        return tell_all(stream, fleet, handles)
