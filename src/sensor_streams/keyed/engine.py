"""One batch of a stream: find what it touches, compute that afresh, write what differs. Also for whole ranges."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.errors import SensorStreamsError
from sensor_streams.fleet import Fleet
from sensor_streams.inference import events
from sensor_streams.inference.registry import LoadedModel
from sensor_streams.keyed.difference import difference
from sensor_streams.keyed.region import Region, Slots
from sensor_streams.keyed.since import Since
from sensor_streams.keyed.write import Once, Writes, append, apply
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
    """What a batch did: rows written, lines rejected, and the newest time that it touched."""

    writes: Writes = field(default_factory=Writes)
    rejected: int = 0
    newest: datetime | None = None


def changed_rows(
    stream: Stream, fleet: Fleet, handles: Handles, region: Region, model: LoadedModel | None
) -> DataFrame:
    """What differs between the stream's table and its function, within a region: rows with `operation`."""
    stored = region.sink(handles.read(stream.name))
    rows = {table: region.source(table, handles.read(table)) for table in stream.sources}
    if stream.compute is None:
        raise SensorStreamsError(f"stream {stream.name} has no function that computes its table")
    columns = stream.columns(fleet)
    computed = stream.compute(Inputs(rows, stored, fleet, model, region.trim)).select(*[n for n, _ in columns])
    if isinstance(stream.touches, Slots):
        computed = region.sink(computed)
    return difference(stored.select(*[n for n, _ in columns]), computed, columns, stream.key)


def recompute(
    stream: Stream, changes: DataFrame, fleet: Fleet, handles: Handles, model: LoadedModel | None, once: Once | None
) -> Outcome:
    """Bring the stream's table up to date with the changed source rows (columns of the sources, any number of times).

    The rows say only where to look: what is written is computed from the sources as they are now, so the same
    changes in another order, in other batches, or again, end in the same table.
    """
    if isinstance(stream.touches, Episodes):
        return _tell(stream, changes, fleet, handles, once)
    region: Region | None
    if isinstance(stream.touches, Slots):
        region = stream.touches.touched(changes, fleet, stream.name)
    elif isinstance(stream.touches, Since):
        region = stream.touches.touched(changes, fleet, handles.read)
    else:
        raise SensorStreamsError(f"stream {stream.name} is not computed from tables")
    if region is None:
        return Outcome()
    return Outcome(write_region(stream, fleet, handles, region, model, once), newest=region.newest)


def write_region(
    stream: Stream, fleet: Fleet, handles: Handles, region: Region, model: LoadedModel | None, once: Once | None = None
) -> Writes:
    """Compute a region afresh and write what differs."""
    changes = changed_rows(stream, fleet, handles, region, model)
    return apply(handles.tables[stream.name], changes, stream.columns(fleet), stream.key, region.condition, once)


def _tell(stream: Stream, changes: DataFrame, fleet: Fleet, handles: Handles, once: Once | None) -> Outcome:
    """Append the events that the changed episodes ask for, compared with those already written."""
    key = ["device_id", "rule", "opened_at"]
    touched = changes.select(*key).distinct().localCheckpoint()
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
