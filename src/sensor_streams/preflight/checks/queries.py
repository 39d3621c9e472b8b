"""Queries on the facts that several checks use."""

import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from sensor_streams.checkpoint.offsets import SourceOffset
from sensor_streams.locations import canonical
from sensor_streams.preflight.facts import BoundTo, CheckpointFacts, Commit, Entry, ExpectedStream, Facts, TableFacts
from sensor_streams.table_spec import TableIdentity

# Operations that change rows. The checks ignore all others, such as OPTIMIZE, ADD COLUMNS and unknown ones.
WRITES = frozenset(
    (
        *("WRITE", "STREAMING UPDATE", "MERGE", "UPDATE", "DELETE", "TRUNCATE", "COPY INTO", "CLONE", "RESTORE"),
        *("CREATE TABLE AS SELECT", "CREATE OR REPLACE TABLE", "CREATE OR REPLACE TABLE AS SELECT"),
        *("REPLACE TABLE", "REPLACE TABLE AS SELECT"),
    )
)
FEED = "delta.enableChangeDataFeed"
# Name of a type in a declaration → name that Spark prints.
_PRINTED = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint", "real": "float"}


def table_of(facts: Facts, name: str) -> TableFacts | None:
    """Return the table that a catalog entry points to; None if it is missing or unknown."""
    entry = facts.entries.get(name)
    if not isinstance(entry, Entry) or entry.location is None:
        return None
    table = facts.tables.get(canonical(entry.location))
    return table if isinstance(table, TableFacts) else None


def known_tables(facts: Facts) -> Iterator[tuple[str, TableFacts]]:
    """Yield the short name and facts of each table that a stream reads or writes, if they are known."""
    for name in facts.expected.specs:
        table = table_of(facts, name)
        if table is not None:
            yield name, table


def started(facts: Facts) -> Iterator[tuple[ExpectedStream, CheckpointFacts]]:
    """Yield streams with their checkpoint, if it has a query id and does not belong to another stream."""
    for stream in facts.expected.streams:
        checkpoint = facts.checkpoints.get(stream.name)
        if not isinstance(checkpoint, CheckpointFacts) or checkpoint.query is None:
            continue
        if checkpoint.bound is None or other_owner(facts, stream, checkpoint.bound) is None:
            yield stream, checkpoint


def other_owner(facts: Facts, stream: ExpectedStream, bound: BoundTo) -> str | None:
    """Return the owner of a checkpoint that belongs to another stream or target, or None."""
    # A new version of a stream may write one more table, but it reads the same tables.
    if stream.name not in bound.sinks or not {*bound.sinks} <= {spec.name for spec in stream.sinks}:
        return f"its stream writes {', '.join(sorted(bound.sinks)) or 'nothing'}"
    if {*bound.sources} != {*stream.sources}:
        return f"its stream reads {', '.join(sorted(bound.sources)) or 'no table'}"
    tables = {**bound.sinks, **bound.sources}
    foreign = sorted(table.name for name, table in tables.items() if table.name != facts.expected.full(name))
    return f"it belongs to {', '.join(foreign)}" if foreign else None


def bound_to(facts: Facts, table: str) -> Mapping[str, TableIdentity]:
    """Return stream → identity of this table in the stream's binding."""
    found = {}
    for stream, checkpoint in started(facts):
        if checkpoint.bound is not None:
            identity = {**checkpoint.bound.sources, **checkpoint.bound.sinks}.get(table)
            if identity is not None:
                found[stream.name] = identity
    return found


def source_offsets(facts: Facts) -> Iterator[tuple[ExpectedStream, CheckpointFacts, str, TableFacts, SourceOffset]]:
    """Yield each source that a stream has read: its short name, its table and the stream's offset."""
    for stream, checkpoint in started(facts):
        offsets = {offset.table_id: offset for offset in checkpoint.sources}
        for source in stream.sources:
            table = table_of(facts, source)
            if table is not None and table.table_id in offsets:
                yield stream, checkpoint, source, table, offsets[table.table_id]


def unread_commits(table: TableFacts, offset: SourceOffset) -> list[Commit]:
    """Return the commits that change rows and that a stream has not read yet, oldest first."""
    return [c for c in reversed(table.history) if c.version >= offset.unread and c.operation in WRITES]


def commit_text(commit: Commit) -> str:
    """Return version, operation and time of a commit."""
    return f"version {commit.version}, {commit.operation}, {utc(commit.at)}"


def utc(seconds: float) -> str:
    """Return a time (seconds since 1970) as text in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def remove_command(checkpoint: str) -> str:
    """Return the command that removes a checkpoint, so that its stream starts from scratch."""
    return f"rm -r {shlex.quote(checkpoint)}"


def printed(kind: str) -> str:
    """Return a declared type as Spark prints it."""
    return _PRINTED.get(kind, kind)
