"""Declaration of a stream, its batches, and the protocol `ChangeScope`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from sensor_streams.errors import ConfigurationError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.difference import Magnitudes
from sensor_streams.incremental.transactions import AlreadyCommittedError, BatchTransaction, Writes
from sensor_streams.settings import Settings
from sensor_streams.table_spec import Columns, TableSpec
from sensor_streams.tables import Catalog

if TYPE_CHECKING:
    from sensor_streams.inference.registry import LoadedModel
    from sensor_streams.ingest.rejections import Rejection

Task = Literal["feature_extraction", "inference"]
ModelKind = Literal["anomaly", "remaining_life"]
# (kind, version) → model.
LoadVersion = Callable[[str, str], "LoadedModel"]


@dataclass
class Handles:
    """Delta tables of one session, each looked up once by name: later batches do not query the catalog."""

    session: SparkSession
    tables: dict[str, DeltaTable] = field(default_factory=dict)

    @classmethod
    def open(cls, catalog: Catalog, names: Iterable[str], session: SparkSession | None = None) -> "Handles":
        """Look up the tables. session: of a batch; the catalog's own session unless given."""
        return cls(session or catalog.spark, {name: catalog.handle(name, session) for name in names})

    @classmethod
    def of_stream(
        cls, catalog: Catalog, stream: "Stream", fleet: Fleet, session: SparkSession | None = None
    ) -> "Handles":
        """Look up every table that the stream writes or reads."""
        written = [table.name for table in stream.tables(fleet)]
        return cls.open(catalog, [*written, *stream.sources], session)

    def read(self, table: str) -> DataFrame:
        """Return the current rows of a table."""
        rows: DataFrame = self.tables[table].toDF()
        return rows


@dataclass(frozen=True)
class Inputs:
    """Input of a stream's function.

    rows: source rows by table. stored: rows of the stream's table that the result may replace. trim: drops
    intermediate rows outside of the region; only the function of alerts needs it.
    """

    rows: Mapping[str, DataFrame]
    stored: DataFrame
    fleet: Fleet
    model: "LoadedModel | None" = None
    trim: Callable[[DataFrame], DataFrame] = lambda rows: rows


@dataclass(frozen=True)
class Batch:
    """Context of one batch, or of a command that writes outside of any batch.

    tables: of the stream (see `Handles.of_stream`). transaction: None for a command. model: None for a stream without
    a model. landing: folder of landed files, for the stream that reads files.
    """

    stream: "Stream"
    fleet: Fleet
    tables: Handles
    transaction: BatchTransaction | None = None
    model: "LoadedModel | None" = None
    landing: str = ""

    @property
    def is_first(self) -> bool:
        """True for the first batch of a checkpoint, which gets every source row."""
        return self.transaction is not None and self.transaction.version == 0


@dataclass(frozen=True)
class Outcome:
    """Result of a batch.

    newest: newest event time (UTC) that the batch touched. rows_in: lines read; None for the row count of Spark.
    model: version that scored. refused: version that could not score, with the reason.
    """

    writes: Writes = field(default_factory=Writes)
    rejected: int = 0
    newest: datetime | None = None
    rows_in: int | None = None
    rejections: "tuple[Rejection, ...]" = ()
    model: str | None = None
    refused: str | None = None


def retry_committed(process: Callable[[Batch], Outcome], batch: Batch) -> Outcome:
    """Process a batch; again, with the next transaction, when an earlier attempt at the batch already wrote.

    The sources may have changed since that attempt, so the batch is computed again from the current tables.
    """
    while True:
        try:
            return process(batch)
        except AlreadyCommittedError:
            if batch.transaction is None:
                raise
            batch = replace(batch, transaction=batch.transaction.again())


@dataclass(frozen=True)
class TimeRange:
    """Times from `low` up to, not including, `high` (UTC); None means no limit.

    Raises ConfigurationError for an empty range.
    """

    low: datetime | None = None
    high: datetime | None = None

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ConfigurationError(
                f"the range from {self.low} to {self.high} is empty: its end must be after its begin"
            )


@dataclass(frozen=True)
class Comparison:
    """Result of comparing a table with its function.

    rows: number compared. differing: one row per difference, with key columns or `source_file`, and `operation`.
    files: number of files compared, for the tables of ingestion. notes: differences that are already text.
    """

    rows: int
    differing: DataFrame
    files: int | None = None
    notes: tuple[str, ...] = ()


class ChangeScope(Protocol):
    """Part of a stream's table that a change of its sources affects, and the operations on it.

    Implemented for slots of time (`incremental.time_slots`), for alert episodes and their events (`inference`), and
    for landed files (`ingest`).
    """

    @property
    def is_computed(self) -> bool:
        """True when a range of the table can be recomputed from other tables."""

    def open_source(self, stream: "Stream", catalog: Catalog, settings: Settings, folder: str) -> DataFrame:
        """Return the streaming rows that start a batch. folder: of the stream's checkpoint."""

    def warnings(self, catalog: Catalog, settings: Settings) -> Sequence[str]:
        """Return warnings for the log, once at each start of the query."""

    def process_batch(self, rows: DataFrame, batch: Batch) -> Outcome:
        """Update the stream's tables. The order of the rows, or a replay of the batch, does not change the result."""

    def rebuild(self, batch: Batch, span: TimeRange) -> Writes:
        """Recompute a range of the table from its sources; write only the differences."""

    def rebuild_device(self, batch: Batch, device: str, model: "Callable[[], LoadedModel]") -> None:
        """Recompute all rows of one device. model: loads the model; not called when the device has no rows."""

    def compare(self, batch: Batch, span: TimeRange, load: LoadVersion) -> Comparison:
        """Compare the table with its function over the stored sources. load: (kind, version) → model."""

    def orphans(self, batch: Batch) -> DataFrame:
        """Return stored rows whose source rows are all gone, with the columns of source changes."""


@dataclass(frozen=True)
class Stream:
    """Declaration of a stream, which writes the table of the same name; no other stream writes it.

    sources: tables that it reads. compute: its function; None for streams that only append. scope: rows that a change
    of the sources affects. model: kind of the model that it needs. magnitudes: see `incremental.difference`.
    reads_twice: its function reads its inputs more than once, so a small region of them is kept on the driver.
    side_tables: tables that it writes in the same batch as its own. compare: replaces the comparison of `verify`
    (batch, region's sink, load) where `compute` is not enough.
    """

    name: str
    task: Task
    sources: tuple[str, ...]
    columns: Callable[[Fleet], Columns]
    key: tuple[str, ...]
    scope: ChangeScope
    compute: Callable[[Inputs], DataFrame] | None = None
    partition: str | None = None
    model: ModelKind | None = None
    magnitudes: Callable[[Fleet], Magnitudes] = lambda _: {}
    reads_twice: bool = False
    side_tables: tuple[Callable[[Fleet], TableSpec], ...] = ()
    compare: Callable[[Batch, Callable[[DataFrame], DataFrame], LoadVersion], DataFrame] | None = None

    def table(self, fleet: Fleet) -> TableSpec:
        """Return the specification of the stream's table."""
        return TableSpec(self.name, self.columns(fleet), self.key, self.partition)

    def tables(self, fleet: Fleet) -> list[TableSpec]:
        """Return the specifications of all tables that the stream writes, its own first."""
        return [self.table(fleet), *(spec(fleet) for spec in self.side_tables)]
