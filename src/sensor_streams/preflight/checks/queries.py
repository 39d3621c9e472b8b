"""What several checks ask of the facts."""

import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from sensor_streams.checkpoint.offsets import SourceOffset
from sensor_streams.locations import canonical
from sensor_streams.preflight.facts import BoundTo, CheckpointFacts, Commit, Entry, ExpectedStream, Facts, TableFacts
from sensor_streams.table_spec import TableIdentity

# Operations that change a table's rows. Others, such as OPTIMIZE, VACUUM or ADD COLUMNS, are nothing to a reader, and
# an unknown one is no ground for an alarm.
WRITES = frozenset(
    {
        "WRITE",
        "STREAMING UPDATE",
        "MERGE",
        "UPDATE",
        "DELETE",
        "TRUNCATE",
        "COPY INTO",
        "CREATE TABLE AS SELECT",
        "REPLACE TABLE",
        "REPLACE TABLE AS SELECT",
        "CREATE OR REPLACE TABLE",
        "CREATE OR REPLACE TABLE AS SELECT",
        "CLONE",
        "RESTORE",
    }
)
# Types that declarations and Spark call by two names.
_PRINTED = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint", "real": "float"}


def layout(facts: Facts, name: str) -> str | None:
    """Where a table of this name would be made."""
    return None if facts.meant.tables is None else f"{facts.meant.tables.rstrip('/')}/{name}"


def table_of(facts: Facts, name: str) -> TableFacts | None:
    """The table that a name leads to; None when there is none, or nobody could tell."""
    entry = facts.entries.get(name)
    if not isinstance(entry, Entry) or entry.location is None:
        return None
    there = facts.tables.get(canonical(entry.location))
    return there if isinstance(there, TableFacts) else None


def begun(facts: Facts) -> Iterator[tuple[ExpectedStream, CheckpointFacts]]:
    """The streams whose checkpoint has begun and is their own: another one tells nothing of them."""
    for stream in facts.meant.streams:
        checkpoint = facts.checkpoints.get(stream.name)
        if not isinstance(checkpoint, CheckpointFacts) or checkpoint.query is None:
            continue
        if checkpoint.bound is None or others(facts, stream, checkpoint.bound) is None:
            yield stream, checkpoint


def others(facts: Facts, stream: ExpectedStream, bound: BoundTo) -> str | None:
    """Whose a checkpoint is that is bound to such tables, in words; None when it is the stream's own."""
    # A stream may come to write one more table; to read another one would be another stream.
    if stream.name not in bound.sinks or not {*bound.sinks} <= {spec.name for spec in stream.sinks}:
        return f"it was made by a stream that writes {', '.join(sorted(bound.sinks)) or 'nothing'}"
    if {*bound.sources} != {*stream.sources}:
        return f"it was made by a stream that reads {', '.join(sorted(bound.sources)) or 'no table'}"
    tables = {**bound.sinks, **bound.sources}
    strange = sorted(table.name for name, table in tables.items() if table.name != facts.meant.full(name))
    return f"it belongs to {', '.join(strange)}" if strange else None


def bound_to(facts: Facts, table: str) -> Mapping[str, TableIdentity]:
    """Stream → what its checkpoint is bound to as this table."""
    found = {}
    for stream, checkpoint in begun(facts):
        if checkpoint.bound is not None:
            identity = {**checkpoint.bound.sources, **checkpoint.bound.sinks}.get(table)
            if identity is not None:
                found[stream.name] = identity
    return found


def positions(facts: Facts) -> Iterator[tuple[ExpectedStream, CheckpointFacts, str, TableFacts, SourceOffset]]:
    """Each source of each stream that has read of it: the table as it is, and how far the stream has come."""
    for stream, checkpoint in begun(facts):
        offsets = {offset.table_id: offset for offset in checkpoint.sources}
        for source in stream.sources:
            table = table_of(facts, source)
            if table is not None and table.table_id in offsets:
                yield stream, checkpoint, source, table, offsets[table.table_id]


def unread(table: TableFacts, offset: SourceOffset) -> list[Commit]:
    """The commits that a stream has still to read and that change rows, oldest first."""
    return [c for c in reversed(table.history) if c.version >= offset.unread and c.operation in WRITES]


def told(commit: Commit) -> str:
    """A commit in a few words."""
    return f"version {commit.version}, {commit.operation}, {moment(commit.at)}"


def moment(seconds: float) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def anew(checkpoint: str) -> str:
    """The command that lets a stream begin anew."""
    return f"rm -r {shlex.quote(checkpoint)}"


def printed(kind: str) -> str:
    """The type of a declared column as Spark prints it."""
    return _PRINTED.get(kind, kind)
