"""One batch of a stream: find what it touches, compute that afresh, write what differs. Also for whole ranges."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.errors import SensorStreamsError, TableError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.difference import difference
from sensor_streams.incremental.episodes import Since
from sensor_streams.incremental.time_slots import Region, Slots
from sensor_streams.incremental.transactions import AlreadyCommittedError, BatchTransaction, Writes, append, apply
from sensor_streams.inference import alert_events as events
from sensor_streams.inference.registry import LoadedModel
from sensor_streams.ingest.rejections import Rejection
from sensor_streams.streams import Episodes, Inputs, Stream
from sensor_streams.tables import Catalog


@dataclass
class Handles:
    """The tables that a stream works with, looked up once; after that nothing here asks the catalog."""

    session: SparkSession
    tables: dict[str, DeltaTable] = field(default_factory=dict)

    @classmethod
    def open(cls, catalog: Catalog, names: Iterable[str], session: SparkSession | None = None) -> "Handles":
        """Look the tables up by name, for the given session (a batch's own one, or the catalog's)."""
        return cls(session or catalog.spark, {name: catalog.handle(name, session) for name in names})

    def read(self, table: str) -> DataFrame:
        """The table as it is now."""
        rows: DataFrame = self.tables[table].toDF()
        return rows


@dataclass(frozen=True)
class Outcome:
    """What a batch did: rows written, lines rejected, the newest time that it touched, and lines read.

    rows_in: None where the rows that the source counts are the batch's own. model: the version that scored; refused: a
    version that could not, with the reason.
    """

    writes: Writes = field(default_factory=Writes)
    rejected: int = 0
    newest: datetime | None = None
    rows_in: int | None = None
    rejections: tuple[Rejection, ...] = ()
    model: str | None = None
    refused: str | None = None


def changed_rows(
    stream: Stream, fleet: Fleet, handles: Handles, region: Region, model: LoadedModel | None
) -> DataFrame:
    """What differs between the stream's table and its function, within a region: rows with `operation`.

    Raises TableError when the table lacks a column.
    """
    stored = region.sink(handles.read(stream.name))
    rows = {table: region.source(table, handles.read(table)) for table in stream.sources}
    if stream.compute is None:
        raise SensorStreamsError(f"stream {stream.name} has no function that computes its table")
    names = checked_names(stream, fleet, stored)
    # What is computed may reach beyond the part that is compared: a function needs rows around it.
    computed = region.sink(stream.compute(Inputs(rows, stored, fleet, model, region.trim)).select(*names))
    return difference(stored.select(*names), computed, stream.columns(fleet), stream.key, stream.magnitudes(fleet))


def checked_names(stream: Stream, fleet: Fleet, stored: DataFrame) -> list[str]:
    """The names of the stream's columns. Raises TableError when its table lacks one."""
    names = [name for name, _ in stream.columns(fleet)]
    missing = [name for name in names if name not in stored.columns]
    if missing:
        raise TableError(
            f"table {stream.name} has no column {', '.join(missing[:5])}{' …' if missing[5:] else ''}, which the fleet "
            f"asks for: sensors.yml is newer than the table. Run the stream {stream.name} once, which adds them"
        )
    return names


def recompute(
    stream: Stream,
    changes: DataFrame,
    fleet: Fleet,
    handles: Handles,
    model: LoadedModel | None,
    once: BatchTransaction | None,
) -> Outcome:
    """Bring the stream's table up to date with the changed source rows (columns of the sources, any number of times).

    The rows say only where to look: what is written is computed from the sources as they are now, so the same
    changes in another order, in other batches, or again, end in the same table.
    """
    while True:
        try:
            return _recompute(stream, changes, fleet, handles, model, once)
        except AlreadyCommittedError:
            if once is None:
                raise
            # An earlier attempt at this batch wrote, and the sources may have moved on since: look again.
            once = once.again()


def _recompute(
    stream: Stream,
    changes: DataFrame,
    fleet: Fleet,
    handles: Handles,
    model: LoadedModel | None,
    once: BatchTransaction | None,
) -> Outcome:
    # The first batch of a checkpoint: before it another one may have been lost, and what it would have told of rows
    # that are gone. All rows that are there come again; the stored ones that nothing stands behind are looked at too.
    first = once is not None and once.version == 0
    if isinstance(stream.touches, Episodes):
        return _tell(stream, changes, first, fleet, handles, once)
    region: Region | None
    if not isinstance(stream.touches, Slots | Since):
        raise SensorStreamsError(f"stream {stream.name} is not computed from tables")
    stored = handles.read(stream.name)
    if first and not stored.isEmpty():
        changes = _with_orphans(stream.touches, changes, stored, [handles.read(t) for t in stream.sources], fleet)
    if isinstance(stream.touches, Slots):
        region = stream.touches.touched(changes, fleet, stream.name)
    else:
        region = stream.touches.touched(changes, fleet, handles.read)
    if region is None:
        return Outcome()
    return Outcome(write_region(stream, fleet, handles, region, model, once), newest=region.newest)


def _with_orphans(
    touches: Slots | Since, changes: DataFrame, stored: DataFrame, sources: Sequence[DataFrame], fleet: Fleet
) -> DataFrame:
    """The changes, and those stored rows whose source rows are all gone, in the form of changes."""
    if isinstance(touches, Slots):
        orphans = touches.orphans(stored, sources, fleet)
    else:
        orphans = touches.orphans(stored, sources)
    return changes.select(*orphans.columns).unionByName(orphans)


def write_region(
    stream: Stream,
    fleet: Fleet,
    handles: Handles,
    region: Region,
    model: LoadedModel | None,
    once: BatchTransaction | None = None,
) -> Writes:
    """Compute a region afresh and write what differs. Raises AlreadyCommittedError when the transaction is known."""
    changes = changed_rows(stream, fleet, handles, region, model)
    return apply(handles.tables[stream.name], changes, stream.columns(fleet), stream.key, region.condition, once)


def tell_all(stream: Stream, fleet: Fleet, handles: Handles) -> Writes:
    """Append the events that any episode still asks for, gone ones included, outside of a batch."""
    return _tell(stream, handles.read(stream.sources[0]), True, fleet, handles, None).writes


def _tell(
    stream: Stream, changes: DataFrame, first: bool, fleet: Fleet, handles: Handles, once: BatchTransaction | None
) -> Outcome:
    """Append the events that the changed episodes ask for, compared with those already written.

    first: also those of episodes that were told and not withdrawn, whether they changed or are gone.
    """
    key = list(events.KEY)
    asked = changes.select(*key)
    if first:
        asked = asked.unionByName(events.not_withdrawn(handles.read(stream.name)))
    touched = asked.distinct().localCheckpoint()
    if touched.isEmpty():
        return Outcome()
    keys = F.broadcast(touched)
    episodes = touched.join(handles.read("alerts").join(keys, key, "left_semi"), key, "left")
    written = handles.read(stream.name).join(keys, key, "left_semi")
    columns = stream.columns(fleet)
    new = events.alert_events(episodes, written).withColumn("recorded_at", F.current_timestamp())
    new = new.select(*[F.col(n).cast(kind).alias(n) for n, kind in columns]).localCheckpoint()
    count = new.count()
    if count:
        append(handles.tables[stream.name], new, columns, once)
    return Outcome(Writes(inserted=count))
