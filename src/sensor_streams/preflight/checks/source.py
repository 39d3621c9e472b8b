"""Compare the offsets in the checkpoints with the history of the source tables."""

from collections.abc import Iterator

from sensor_streams.checkpoint.offsets import SourceOffset
from sensor_streams.preflight.checks.queries import (
    FEED,
    commit_text,
    remove_command,
    source_offsets,
    started,
    table_of,
    unread_commits,
)
from sensor_streams.preflight.checks.registry import check, finding
from sensor_streams.preflight.facts import Commit, Facts, TableFacts, Unknown
from sensor_streams.preflight.findings import Finding

_START_OVER = "remove the stream's checkpoint: it reads its source from scratch and loses nothing"


@check("source.restored", "error", "the checkpoint is ahead of the source's newest version")
@check("source.history-gone", "error", "changes that the stream has not read yet are no longer available")
@check("source.vacuumed", "warning", "VACUUM may have removed files that the stream has not read yet")
def history(facts: Facts) -> Iterator[Finding]:
    """Compare each offset with the history of its source. The first problem of a source hides the others."""
    for stream, checkpoint, source, table, offset in source_offsets(facts):
        subject, command = facts.expected.full(source), remove_command(checkpoint.folder)
        if offset.unread > table.version + 1:
            read = offset.unread - 1
            found = f"its newest version is {table.version}, but stream {stream.name} has read version {read}"
            expected = f"version {read} or a later one"
            remedy = f"restore the newest log files, which are missing; if they are lost, {_START_OVER}"
            yield finding("source.restored", subject, found, expected, remedy, command)
        elif reason := _unavailable(table, offset):
            found = f"stream {stream.name} continues at version {offset.unread}; {reason}"
            expected = f"the changes of every version from {offset.unread} to {table.version}"
            yield finding("source.history-gone", subject, found, expected, _START_OVER, command)
        elif vacuumed := _vacuumed(table, unread_commits(table, offset)):
            unread, vacuum = vacuumed
            found = (
                f"stream {stream.name} has not read version {unread.version}; {commit_text(vacuum)} may have removed "
                "its files"
            )
            expected = "VACUUM keeps what the slowest stream has not read, as `sensor-streams maintain` does"
            remedy = f"if the stream fails with a missing file, {_START_OVER}"
            yield finding("source.vacuumed", subject, found, expected, remedy, command)


@check("source.other-table", "error", "the source is not the table that the checkpoint has read")
def other_table(facts: Facts) -> Iterator[Finding]:
    """Find sources with another table id than the one in the checkpoint."""
    for stream, checkpoint in started(facts):
        tables = {source: table_of(facts, source) for source in stream.sources}
        ids = {table.table_id for table in tables.values() if table is not None}
        read = {offset.table_id for offset in checkpoint.sources}
        # An unknown table may be the one that was read.
        if read <= ids or any(table is None for table in tables.values()):
            continue
        for source, table in tables.items():
            if table is not None and table.table_id not in read:
                found = f"the name points to table {table.table_id}"
                expected = f"table {', '.join(sorted(read - ids))}, which stream {stream.name} has read"
                remedy = f"correct the entry, or restore the old table; if the new one is right, {_START_OVER}"
                command = remove_command(checkpoint.folder)
                yield finding("source.other-table", facts.expected.full(source), found, expected, remedy, command)


def _unavailable(table: TableFacts, offset: SourceOffset) -> str | None:
    """Return why unread changes cannot be read, or None."""
    if offset.unread > table.version or isinstance(table.earliest, Unknown):
        return None
    if table.earliest > offset.unread:
        return f"the table's log begins at version {table.earliest}"
    # A feed that is off now is one finding of the table (sink.change-feed-off), not one for each reader.
    if table.properties.get(FEED) != "true":
        return None
    off = next((c for c in table.history if c.version >= offset.unread and _turns_feed_off(c)), None)
    return None if off is None else f"its change data feed was off for some time ({commit_text(off)})"


def _turns_feed_off(commit: Commit) -> bool:
    text = commit.parameters.get("properties", "")
    unset = commit.operation == "UNSET TBLPROPERTIES" and f'"{FEED}"' in text
    return unset or f'"{FEED}":"false"' in text.replace(" ", "")


def _vacuumed(table: TableFacts, unread: list[Commit]) -> tuple[Commit, Commit] | None:
    """Return an unread commit that was old enough for a later VACUUM to remove its files, and that VACUUM."""
    for commit in table.history:
        if commit.operation == "VACUUM START":
            kept = commit.parameters.get("specifiedRetentionMillis") or commit.parameters.get("defaultRetentionMillis")
            until = commit.at - int(kept or 0) / 1000
            removed = next((c for c in unread if c.version < commit.version and c.at < until), None)
            if removed is not None:
                return removed, commit
    return None
