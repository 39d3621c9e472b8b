"""Find tables that reject a stream's writes, and tables that other writers have changed."""

from collections.abc import Iterator

from sensor_streams.incremental.commit_signature import ERASE, of_rebuild, of_whole_rebuild
from sensor_streams.preflight.checks.queries import (
    FEED,
    WRITES,
    commit_text,
    known_tables,
    remove_command,
    started,
    table_of,
)
from sensor_streams.preflight.checks.registry import check, finding
from sensor_streams.preflight.facts import CheckpointFacts, Commit, ExpectedStream, Facts, TableFacts
from sensor_streams.preflight.findings import Finding
from sensor_streams.retention import LEAST, missing_retention
from sensor_streams.sql_names import sql_name


def _tables(facts: Facts) -> Iterator[tuple[ExpectedStream, str, TableFacts]]:
    """Yield each stream with the full name and facts of each table that it writes."""
    for stream in facts.expected.streams:
        for spec in stream.sinks:
            table = table_of(facts, spec.name)
            if table is not None:
                yield stream, facts.expected.full(spec.name), table


def _set_properties(subject: str, properties: dict[str, str]) -> str:
    pairs = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
    return f"ALTER TABLE {sql_name(subject)} SET TBLPROPERTIES ({pairs})"


@check("sink.transaction-ahead", "error", "the table has batches that the checkpoint does not have")
@check("sink.restored", "error", "the stream's table was restored to an earlier version")
@check("sink.second-writer", "error", "another writer has changed the stream's table")
def commits(facts: Facts) -> Iterator[Finding]:
    """Compare the commits of each table with the checkpoint of the stream that writes it."""
    checkpoints = {stream.name: checkpoint for stream, checkpoint in started(facts)}
    for stream, subject, table in _tables(facts):
        checkpoint = checkpoints.get(stream.name)
        if checkpoint is not None:
            # The transactions of this checkpoint have app ids with this prefix, see `runtime.worker`.
            app_prefix = f"{checkpoint.query}:{stream.name}:"
            yield from _ahead(subject, stream.name, app_prefix, checkpoint, table)
            yield from _other_commits(subject, stream, app_prefix, table)


def _ahead(
    subject: str, stream: str, app_prefix: str, checkpoint: CheckpointFacts, table: TableFacts
) -> Iterator[Finding]:
    last = max((batch for app, batch in table.transactions.items() if app.startswith(app_prefix)), default=-1)
    planned = max(checkpoint.offsets, default=-1)
    if last > planned:
        end = f"ends at batch {planned}" if planned >= 0 else "has no batch"
        found = f"it has batch {last} of stream {stream}, whose checkpoint {end}"
        expected = "a checkpoint with every batch that the table has"
        remedy = (
            "an older copy of the checkpoint was restored, and Delta skips batch numbers that it already has: remove "
            "the checkpoint, so that the stream starts from scratch with a new id and loses nothing"
        )
        command = remove_command(checkpoint.folder)
        yield finding("sink.transaction-ahead", subject, found, expected, remedy, command)


def _other_commits(subject: str, writer: ExpectedStream, app_prefix: str, table: TableFacts) -> Iterator[Finding]:
    """Find commits of other writers since this stream's last commit."""
    stream = writer.name
    foreign: list[Commit] = []
    for commit in _since_last_own(table, stream, app_prefix):
        if commit.operation == "RESTORE":
            version, time = commit.parameters.get("version"), commit.parameters.get("timestamp")
            target = f"version {version}" if version is not None else f"its state of {time}"
            found = f"{commit_text(commit)}, to {target}"
            expected = f"the rows that stream {stream} has written: it does not write a committed batch again"
            remedy = (
                "restore the version before; if the restore was intended, stop the stream and remove its checkpoint: "
                "it reads its source from scratch and updates the table"
            )
            command = f"RESTORE TABLE {sql_name(subject)} TO VERSION AS OF {commit.version - 1}"
            yield finding("sink.restored", subject, found, expected, remedy, command)
            return
        if commit.operation in WRITES and commit.app not in (of_rebuild(stream).writer, ERASE.writer):
            foreign.append(commit)
    if foreign:
        more = f", and {len(foreign) - 1} more" if foreign[1:] else ""
        found = f"{commit_text(foreign[0])}{more}: written by {_writer(foreign[0])}"
        expected = f"stream {stream} as the only writer of this table"
        remedy = "find and stop the other writer; `sensor-streams verify` shows what it changed"
        if writer.sources:
            remedy += f", `sensor-streams rebuild {stream}` repairs it and settles this finding"
        command = f"DESCRIBE HISTORY {sql_name(subject)}"
        yield finding("sink.second-writer", subject, found, expected, remedy, command)


def _since_last_own(table: TableFacts, stream: str, app_prefix: str) -> list[Commit]:
    """Return the commits after the stream's last commit and after the last rebuild of its whole table, newest first.

    Its last commit with this checkpoint, else with an earlier one. If the history has no commit of the stream: no
    commits if the history is complete, because the stream has not written yet; else all commits.
    """
    last = [c.version for c in table.history if c.app is not None and c.app.startswith(app_prefix)]
    earlier = [c.version for c in table.history if c.app is not None and c.app.split(":")[1:2] == [stream]]
    # A rebuild of the whole table has settled what other programs wrote before it.
    rebuilt = [c.version for c in table.history if c.app == of_whole_rebuild(stream).writer]
    own = [*(last or earlier), *rebuilt]
    since = max(own, default=table.version if table.history[-1].version == 0 else -1)
    return [commit for commit in table.history if commit.version > since]


def _writer(commit: Commit) -> str:
    if commit.app is None:
        return f"another program ({commit.engine or 'unknown engine'})"
    return f"{commit.app.split(':')[1]} with another checkpoint" if ":" in commit.app else commit.app


@check("sink.protocol", "error", "the table needs a feature that this runtime cannot write")
def protocol(facts: Facts) -> Iterator[Finding]:
    """Compare each table's features with those that this session's Delta can write."""
    writable = facts.writable
    if not isinstance(writable, frozenset):
        return
    for _, subject, table in _tables(facts):
        unknown = sorted(f for f in table.table_features if f.lower() not in writable)
        if unknown:
            found = f"it needs the table features {', '.join(unknown)}"
            expected = "features that this runtime's Delta can write"
            remedy = "use a newer runtime, or drop the feature where that is possible"
            command = f"ALTER TABLE {sql_name(subject)} DROP FEATURE {unknown[0]}"
            yield finding("sink.protocol", subject, found, expected, remedy, command)


@check("sink.constraint", "warning", "a constraint may reject the stream's rows")
def constraint(facts: Facts) -> Iterator[Finding]:
    """Find CHECK constraints on the tables that the streams write."""
    for _, subject, table in _tables(facts):
        for name, condition in table.constraints.items():
            found = f"constraint {name}: {condition}"
            expected = "none: a row that violates it stops the stream, and its whole batch waits"
            remedy = "drop the constraint; declare limits in sensors.yml, where rejected rows are kept with the reason"
            command = f"ALTER TABLE {sql_name(subject)} DROP CONSTRAINT {name}"
            yield finding("sink.constraint", subject, found, expected, remedy, command)


@check("sink.append-only", "error", "the table does not allow updates")
def append_only(facts: Facts) -> Iterator[Finding]:
    """Find tables with the property delta.appendOnly."""
    for _, subject, table in _tables(facts):
        if table.properties.get("delta.appendOnly") == "true":
            found = "delta.appendOnly is true"
            expected = "a table that allows updates: a late reading changes existing rows"
            command = _set_properties(subject, {"delta.appendOnly": "false"})
            yield finding("sink.append-only", subject, found, expected, "remove the property", command)


@check("sink.change-feed-off", "error", "the table's change data feed is off, and the next stream reads it")
def change_feed_off(facts: Facts) -> Iterator[Finding]:
    """Find tables whose change data feed is off."""
    for name, table in known_tables(facts):
        if table.properties.get(FEED) != "true":
            found = f"{FEED} is not true"
            expected = "true: the next streams read the feed, and rows written while it is off are missing from it"
            remedy = (
                "turn it on before the next batch; if batches were written without it, remove the checkpoints of the "
                "streams that read this table: they start from scratch and lose nothing"
            )
            command = _set_properties(facts.expected.full(name), {FEED: "true"})
            yield finding("sink.change-feed-off", facts.expected.full(name), found, expected, remedy, command)


@check("sink.retention", "warning", "the table keeps old files for too short a time for a slow stream")
def retention(facts: Facts) -> Iterator[Finding]:
    """Find tables whose old files VACUUM may remove before a stream has read them."""
    for name, table in known_tables(facts):
        # A table without a change data feed was not created by our streams: see sink.change-feed-off.
        wanted = missing_retention(table.properties) if table.properties.get(FEED) == "true" else {}
        if wanted:
            found = ", ".join(f"{key} is {table.properties.get(key, 'not set')}" for key in wanted)
            expected = (
                f"{LEAST.days} days: VACUUM does not wait for a slow stream, and predictive optimization runs it "
                "automatically on managed tables"
            )
            remedy = "set it; the stream that writes this table does so when it starts"
            command = _set_properties(facts.expected.full(name), wanted)
            yield finding("sink.retention", facts.expected.full(name), found, expected, remedy, command)
