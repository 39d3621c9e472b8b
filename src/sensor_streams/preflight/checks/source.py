"""Check 2: is what a stream reads still the table whose history its checkpoint knows?"""

from collections.abc import Iterator

from sensor_streams.checkpoint.offsets import SourceOffset
from sensor_streams.preflight.checks.queries import anew, begun, positions, table_of, told, unread
from sensor_streams.preflight.checks.registry import finding
from sensor_streams.preflight.facts import Commit, Facts, TableFacts, Unknown
from sensor_streams.preflight.findings import Finding

_FEED = "delta.enableChangeDataFeed"
_ANEW = "remove the stream's checkpoint: it reads its source anew, and loses nothing"


def check(facts: Facts) -> Iterator[Finding]:
    """What is wrong between the checkpoints' offsets and the source tables."""
    yield from _other_tables(facts)
    for stream, checkpoint, source, table, offset in positions(facts):
        subject, reader = facts.meant.full(source), f"stream {stream.name}"
        if offset.unread > table.version + 1:
            yield finding(
                "source.restored",
                subject,
                f"its newest version is {table.version}, and {reader} has read to version {offset.unread - 1}",
                f"version {offset.unread - 1} or a later one",
                "an older copy of the table took its place, or its newest log files are gone: bring them back. If they "
                f"are lost, {_ANEW}",
                anew(checkpoint.folder),
            )
            continue
        why = _gone(table, offset)
        if why is not None:
            yield finding(
                "source.history-gone",
                subject,
                f"{reader} reads on from version {offset.unread}; {why}",
                f"the changes of every version from {offset.unread} to {table.version}",
                _ANEW,
                anew(checkpoint.folder),
            )
            continue
        cut = _vacuumed(table, unread(table, offset))
        if cut is not None:
            yield finding(
                "source.vacuumed",
                subject,
                f"{reader} has still to read version {cut[0].version}; {told(cut[1])} may have removed its files",
                "VACUUM keeps what the slowest stream has still to read, as `sensor-streams maintain` does",
                f"if the stream fails with a missing file, {_ANEW}",
                anew(checkpoint.folder),
            )


def _other_tables(facts: Facts) -> Iterator[Finding]:
    for stream, checkpoint in begun(facts):
        tables = {source: table_of(facts, source) for source in stream.sources}
        ids = {table.table_id for table in tables.values() if table is not None}
        read = {offset.table_id for offset in checkpoint.sources}
        strange = read - ids
        # A table that gives no answer may be the one that was read.
        if not strange or any(table is None for table in tables.values()):
            continue
        for source, table in tables.items():
            if table is not None and table.table_id not in read:
                yield finding(
                    "source.other-table",
                    facts.meant.full(source),
                    f"today the name leads to table {table.table_id}",
                    f"table {', '.join(sorted(strange))}, which stream {stream.name} has read",
                    f"correct the entry, or bring the old table back; if the new one is right, {_ANEW}",
                    anew(checkpoint.folder),
                )


def _gone(table: TableFacts, offset: SourceOffset) -> str | None:
    """Why changes that are still to be read cannot be; None when nothing says so."""
    if offset.unread > table.version or isinstance(table.earliest, Unknown):
        return None
    if table.earliest > offset.unread:
        return f"the table's log begins at version {table.earliest}"
    if table.properties.get(_FEED) != "true":
        # That is a finding of its own, of the table and not of each reader.
        return None
    off = next((c for c in table.history if c.version >= offset.unread and _feed_off(c)), None)
    if off is None:
        return None
    return f"its change feed was turned off ({told(off)}), and what was written without it is in no feed"


def _feed_off(commit: Commit) -> bool:
    text = commit.parameters.get("properties", "")
    return f'"{_FEED}":"false"' in text.replace(" ", "") or (
        commit.operation == "UNSET TBLPROPERTIES" and f'"{_FEED}"' in text
    )


def _vacuumed(table: TableFacts, waiting: list[Commit]) -> tuple[Commit, Commit] | None:
    """The first commit that is still to be read and was replaced long enough ago for a VACUUM since to take it."""
    for commit in table.history:
        if commit.operation == "VACUUM START":
            kept = commit.parameters.get("specifiedRetentionMillis") or commit.parameters.get("defaultRetentionMillis")
            until = commit.at - int(kept or 0) / 1000
            taken = next((c for c in waiting if c.version < commit.version and c.at < until), None)
            if taken is not None:
                return taken, commit
    return None
