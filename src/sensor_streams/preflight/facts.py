"""What preflight has found out before it judges: plain values, asked for once each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sensor_streams.checkpoint.binding import BoundTo as BoundTo
from sensor_streams.checkpoint.offsets import SourceOffset as SourceOffset
from sensor_streams.table_spec import TableSpec


@dataclass(frozen=True)
class Unknown:
    """A question that got no answer, and why: the answer is neither yes nor no."""

    because: str


@dataclass(frozen=True)
class Entry:
    """What a catalog says under a name. location: as it spells it; None where the catalog does not tell."""

    name: str
    kind: Literal["external", "managed", "view"]
    location: str | None
    table_id: str | None = None
    credential: str | None = None


@dataclass(frozen=True)
class Column:
    """A column as it is in a table; type as Spark prints it (`bigint`, `timestamp`)."""

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True)
class Commit:
    """One entry of a table's history. app, app_version: who of ours wrote it, and which batch (`keyed.signature`);
    both None for anybody else's. metrics: figures that Delta tells of it, which no other commit has."""

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
    """A Delta table as it lies at a location.

    earliest: the first version from which on none is missing, as far as it was looked for; transactions: app id → last
    version written under it, of those commits; history: the newest commits, newest first, back to `earliest`;
    table_features: reader and writer features by name.
    """

    location: str
    table_id: str
    version: int
    earliest: int | Unknown
    columns: Sequence[Column]
    partitions: Sequence[str]
    properties: Mapping[str, str]
    reader_version: int
    writer_version: int
    table_features: frozenset[str]
    constraints: Mapping[str, str]
    transactions: Mapping[str, int]
    history: Sequence[Commit]


@dataclass(frozen=True)
class Nothing:
    """A place where there is no Delta table. files: how many names lie there, 0 for an empty or missing folder."""

    location: str
    files: int


@dataclass(frozen=True)
class Damaged:
    """A place where a Delta table lies whose log cannot be read, and what Delta says of it."""

    location: str
    because: str


@dataclass(frozen=True)
class CheckpointFacts:
    """A stream's checkpoint folder. query: the id in its metadata, None where there is none; offsets, commits: the
    numbers of the batches that are there; sources: how far the last committed batch has read, by its sources; problems:
    in words, which files are half written; holder: the run that beats in it now; written: when it last changed."""

    folder: str
    query: str | None
    offsets: Sequence[int]
    commits: Sequence[int]
    sources: Sequence[SourceOffset]
    bound: BoundTo | None
    problems: Sequence[str] = ()
    holder: str | None = None
    written: float | None = None


@dataclass(frozen=True)
class ExpectedStream:
    """A stream as it is declared: its tables with their columns, its sources, its checkpoint's folder."""

    name: str
    sinks: Sequence[TableSpec]
    sources: Sequence[str]
    checkpoint: str
    model: Literal["anomaly", "remaining_life"] | None = None


@dataclass(frozen=True)
class Expected:
    """What a job's task, or several, are meant to be bound to.

    tables: the folder of the tables' data, None where the catalog manages it; principal: as whom the job runs, None
    where that is not known; own_run: the run that asks, which may hold the checkpoints already; models: kind →
    registered name; specs: every table that a stream of these reads or writes, by its short name; catalog_file: where
    this machine keeps the catalog's entries.
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
        """catalog.schema.table"""
        return f"{self.catalog}.{self.schema}.{table}"


@dataclass(frozen=True)
class ExternalLocation:
    """A place that the workspace may reach: its address, its credential, whether it may be written."""

    name: str
    url: str
    credential: str
    read_only: bool = False


@dataclass(frozen=True)
class WorkspaceFacts:
    """What only a workspace has. rights: (kind, full name) → the principal's effective privileges, inherited ones and
    those of its groups included, `OWNER` where it owns the object; kinds as the permissions API names them: catalog,
    schema, table, volume, external_location, and function for a registered model.

    external_locations: those that the asker may see; volumes: full name → storage location; models: full name → version
    of the alias champion, empty without that alias; in both None: there is none. write_tests: external location →
    (operation, result, message) of the credential's own test. principal: as whom the job runs; missing: objects that
    the job names and the workspace does not have; credentials: name → usable for reading only, of those that the asker
    may see."""

    external_locations: Sequence[ExternalLocation] | Unknown
    rights: Mapping[tuple[str, str], frozenset[str] | Unknown]
    volumes: Mapping[str, str | Unknown | None]
    models: Mapping[str, str | Unknown | None]
    write_tests: Mapping[str, Sequence[tuple[str, str, str]] | Unknown] = field(default_factory=dict)
    principal: str | Unknown = Unknown("it was not asked for")
    missing: Sequence[tuple[str, str]] = ()
    credentials: Mapping[str, bool] | Unknown = field(default_factory=dict)


@dataclass(frozen=True)
class ModelFacts:
    """The champion of a kind. version None: no such alias. inputs: name → type of its signature, as MLflow names it
    (`double`); optional: those of them that a row may lack; python: the version that it was logged with; gone: what of
    the version that the alias names cannot be found; problems: why its flavour does not load here. refused: why it
    could not score rows of the features, in a stream's batch or when it was tried; in_place: the version that scores
    instead, None where there is none."""

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
    """This process and machine: versions by package, what the project is built for, bytes that are free, clock skew in
    s (this clock less the workspace's); None where it was not asked for."""

    versions: Mapping[str, str]
    locked: Mapping[str, str]
    free_disk: int | Unknown | None
    free_memory: int | Unknown | None
    skew: float | Unknown | None
    python: str = ""


@dataclass(frozen=True)
class Facts:
    """All that the checks look at. By short table name: `entries`; by canonical place (`places.canonical`): `tables`,
    of every location that an entry, a binding or the storage's layout names; by stream: `checkpoints`. others:
    the catalog's further tables; writable: the table features that the session's Delta can write, None where there is
    no session."""

    meant: Expected
    entries: Mapping[str, Entry | Unknown | None]
    tables: Mapping[str, TableFacts | Nothing | Damaged | Unknown]
    checkpoints: Mapping[str, CheckpointFacts | Unknown]
    others: Sequence[Entry] | Unknown = ()
    workspace: WorkspaceFacts | None = None
    models: Mapping[str, ModelFacts | Unknown] = field(default_factory=dict)
    platform: PlatformFacts | None = None
    now: float = 0.0
    writable: frozenset[str] | Unknown | None = None
