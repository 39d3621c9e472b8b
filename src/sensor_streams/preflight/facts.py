"""Facts that preflight collects before it checks them. Each is queried once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sensor_streams.checkpoint.binding import BoundTo as BoundTo
from sensor_streams.checkpoint.offsets import SourceOffset as SourceOffset
from sensor_streams.table_spec import TableSpec


@dataclass(frozen=True)
class Unknown:
    """Result of a query without an answer, with the reason."""

    because: str


@dataclass(frozen=True)
class Entry:
    """A catalog entry. location: in the catalog's spelling; None if the catalog does not return it."""

    name: str
    kind: Literal["external", "managed", "view"]
    location: str | None


@dataclass(frozen=True)
class Column:
    """A column of a stored table. type: as Spark prints it (`bigint`, `timestamp`)."""

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True)
class Commit:
    """A commit of a table's history. at: seconds since 1970. app, app_version: writer and batch in the signature of our
    commits, None in other commits. metrics: Delta's operation metrics."""

    version: int
    at: float
    operation: str
    parameters: Mapping[str, str]
    engine: str = ""
    app: str | None = None
    app_version: int | None = None
    metrics: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TableFacts:
    """A Delta table as it is stored.

    history: the newest commits, newest first, back to `earliest`, without a gap; transactions: app → last batch, from
    these commits; constraints: name → condition; table_features: names of the reader and writer features.
    """

    location: str
    table_id: str
    version: int
    earliest: int | Unknown
    columns: Sequence[Column]
    partitions: Sequence[str]
    properties: Mapping[str, str]
    table_features: frozenset[str]
    constraints: Mapping[str, str]
    transactions: Mapping[str, int]
    history: Sequence[Commit]


@dataclass(frozen=True)
class Nothing:
    """A path without a Delta table. files: number of files and folders there, 0 if it is empty or missing."""

    location: str
    files: int


@dataclass(frozen=True)
class Damaged:
    """A path with a Delta log that cannot be read, and Delta's error."""

    location: str
    because: str


@dataclass(frozen=True)
class CheckpointFacts:
    """A stream's checkpoint folder. query: id in its metadata; offsets, commits: numbers of the batches; sources:
    offsets of the last committed batch; problems: incomplete files; holder: run that currently sends heartbeats."""

    folder: str
    query: str | None
    offsets: Sequence[int]
    commits: Sequence[int]
    sources: Sequence[SourceOffset]
    bound: BoundTo | None
    problems: Sequence[str] = ()
    holder: str | None = None


@dataclass(frozen=True)
class ExpectedStream:
    """A declared stream: the tables it writes with their columns, its sources, its checkpoint folder, its model."""

    name: str
    sinks: Sequence[TableSpec]
    sources: Sequence[str]
    checkpoint: str
    model: Literal["anomaly", "remaining_life"] | None = None


@dataclass(frozen=True)
class Expected:
    """The configuration of one or more tasks of a job.

    tables: folder of the tables, None for managed tables; principal: identity that the job runs as, None if unknown;
    own_run: run id of the caller, which may hold the checkpoints; models: kind → registered name; specs: short name →
    declaration, for every table that a stream reads or writes; catalog_file: file of catalog entries on this machine.
    """

    catalog: str
    schema: str
    tables: str | None
    landing: str
    checkpoints: str
    streams: Sequence[ExpectedStream]
    principal: str | None = None
    own_run: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    specs: Mapping[str, TableSpec] = field(default_factory=dict)
    catalog_file: str | None = None

    def full(self, table: str) -> str:
        """Return catalog.schema.table."""
        return f"{self.catalog}.{self.schema}.{table}"

    def path(self, table: str) -> str | None:
        """Return the path of a new table of this name; None for managed tables."""
        return None if self.tables is None else f"{self.tables.rstrip('/')}/{table}"


@dataclass(frozen=True)
class ModelFacts:
    """The champion of a kind.

    version: None without a champion
    inputs: name → MLflow type (`double`), from the signature; optional: inputs that a row may leave out
    python: Python version that it was logged with
    gone, problems, refused: reasons why it is not found, does not load here, could not score rows of the features
    in_place: version that scores instead
    """

    name: str
    version: str | None
    inputs: Mapping[str, str] = field(default_factory=dict)
    python: str | None = None
    problems: Sequence[str] = ()
    optional: frozenset[str] = frozenset()
    gone: str | None = None
    refused: str | None = None
    in_place: str | None = None


@dataclass(frozen=True)
class PlatformFacts:
    """This process and machine. versions: by package; locked: versions that the project supports; free_disk,
    free_memory: bytes; skew: seconds that this clock is ahead of the workspace's. None: not queried."""

    versions: Mapping[str, str]
    locked: Mapping[str, str]
    free_disk: int | Unknown | None
    free_memory: int | Unknown | None
    skew: float | Unknown | None
    python: str = ""


@dataclass(frozen=True)
class Facts:
    """Input of all checks.

    entries: by short table name; others: the catalog's other tables; tables: by canonical path, for every path in an
    entry, a binding or the configuration; checkpoints: by stream; now: seconds since 1970; writable: table features
    that the session's Delta can write, None without a session.
    """

    expected: Expected
    entries: Mapping[str, Entry | Unknown | None]
    tables: Mapping[str, TableFacts | Nothing | Damaged | Unknown]
    checkpoints: Mapping[str, CheckpointFacts | Unknown]
    others: Sequence[Entry] | Unknown = ()
    models: Mapping[str, ModelFacts | Unknown] = field(default_factory=dict)
    platform: PlatformFacts | None = None
    now: float = 0.0
    writable: frozenset[str] | Unknown | None = None

    @property
    def rights(self) -> Mapping[tuple[str, str], frozenset[str] | Unknown]:
        """Privileges by object; empty without a workspace."""
        return {}


_CONSTRAINT = "delta.constraints."


def split_properties(properties: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Separate CHECK constraints (name → condition) from the other table properties."""
    constraints = {n.removeprefix(_CONSTRAINT): value for n, value in properties.items() if n.startswith(_CONSTRAINT)}
    return {n: value for n, value in properties.items() if not n.startswith(_CONSTRAINT)}, constraints
