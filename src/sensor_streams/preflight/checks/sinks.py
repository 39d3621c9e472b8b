"""Check 4: will the tables take what the streams write, and has nobody else written there?"""

from collections.abc import Iterator

from sensor_streams.incremental.commit_signature import ERASE, of_rebuild
from sensor_streams.preflight.checks.queries import WRITES, anew, begun, table_of, told
from sensor_streams.preflight.checks.registry import finding
from sensor_streams.preflight.facts import CheckpointFacts, Commit, ExpectedStream, Facts, TableFacts
from sensor_streams.preflight.findings import Finding
from sensor_streams.retention import LEAST, missing_retention
from sensor_streams.sql_names import sql_name


def check(facts: Facts) -> Iterator[Finding]:
    """What is wrong with the tables that the streams write."""
    checkpoints = {stream.name: checkpoint for stream, checkpoint in begun(facts)}
    for stream in facts.meant.streams:
        for spec in stream.sinks:
            table = table_of(facts, spec.name)
            if table is None:
                continue
            checkpoint = checkpoints.get(stream.name)
            if checkpoint is not None:
                yield from _ahead(facts.meant.full(spec.name), stream, checkpoint, table)
                yield from _others(facts.meant.full(spec.name), stream, checkpoint, table)
            yield from _refused(facts, facts.meant.full(spec.name), table)
    yield from _feeds(facts)
    yield from _retentions(facts)


def _own(stream: ExpectedStream, checkpoint: CheckpointFacts) -> str:
    """How the transactions of this checkpoint begin, see `runtime.worker`."""
    return f"{checkpoint.query}:{stream.name}:"


def _ahead(subject: str, stream: ExpectedStream, checkpoint: CheckpointFacts, table: TableFacts) -> Iterator[Finding]:
    own = _own(stream, checkpoint)
    last = max((batch for app, batch in table.transactions.items() if app.startswith(own)), default=-1)
    planned = max(checkpoint.offsets, default=-1)
    if last > planned:
        yield finding(
            "sink.transaction-ahead",
            subject,
            f"it holds batch {last} of stream {stream.name}, whose checkpoint ends at "
            f"{f'batch {planned}' if planned >= 0 else 'none'}",
            "a checkpoint that knows every batch that it wrote",
            "an older copy of the checkpoint was brought back. Delta leaves out batches of a number that it knows: "
            "remove the checkpoint, so that the stream begins anew under another id, and loses nothing",
            anew(checkpoint.folder),
        )


def _others(subject: str, stream: ExpectedStream, checkpoint: CheckpointFacts, table: TableFacts) -> Iterator[Finding]:
    """What others did to the table's rows since this stream's last commit."""
    strange: list[Commit] = []
    for commit in _since(table, stream, checkpoint):
        if commit.operation == "RESTORE":
            yield finding(
                "sink.restored",
                subject,
                f"{told(commit)}, to {_target(commit)}",
                f"the rows that stream {stream.name} has written: it will not write again what it has done",
                f"RESTORE TABLE {subject} to the version before; or, if it was meant, stop the stream and remove its "
                "checkpoint: it reads its source anew and brings the table up to date",
                f"RESTORE TABLE {sql_name(subject)} TO VERSION AS OF {commit.version - 1}",
            )
            return
        if commit.operation in WRITES and commit.app not in (of_rebuild(stream.name).writer, ERASE.writer):
            strange.append(commit)
    if strange:
        more = f", and {len(strange) - 1} more" if strange[1:] else ""
        yield finding(
            "sink.second-writer",
            subject,
            f"{told(strange[0])}{more}: written by {_who(strange[0])}",
            f"stream {stream.name} as the only writer of this table",
            "find and stop the other writer, then see with `sensor-streams verify` what it changed",
            f"DESCRIBE HISTORY {sql_name(subject)}",
        )


def _since(table: TableFacts, stream: ExpectedStream, checkpoint: CheckpointFacts) -> list[Commit]:
    """The commits since the checkpoint's last one, newest first; since an earlier checkpoint's if it has none yet.

    Where none of a table's whole history is this stream's, it has not begun to write; where none of the newest is, all
    those are others'.
    """
    own = [c.version for c in table.history if c.app is not None and c.app.startswith(_own(stream, checkpoint))]
    earlier = [c.version for c in table.history if c.app is not None and c.app.split(":")[1:2] == [stream.name]]
    last = max(own or earlier, default=table.version if table.history[-1].version == 0 else -1)
    return [commit for commit in table.history if commit.version > last]


def _who(commit: Commit) -> str:
    if commit.app is None:
        return f"somebody who is no stream of this project ({commit.engine or 'unknown engine'})"
    return f"{commit.app.split(':')[1]} with another checkpoint" if ":" in commit.app else commit.app


def _target(commit: Commit) -> str:
    version, time = commit.parameters.get("version"), commit.parameters.get("timestamp")
    return f"version {version}" if version is not None else f"its state of {time}"


def _refused(facts: Facts, subject: str, table: TableFacts) -> Iterator[Finding]:
    """What of the table would refuse a batch."""
    if isinstance(facts.writable, frozenset):
        unknown = sorted(f for f in table.table_features if f.lower() not in facts.writable)
        if unknown:
            yield finding(
                "sink.protocol",
                subject,
                f"it needs the table features {', '.join(unknown)}",
                "features that this runtime's Delta can write",
                "run with a newer runtime, or take the feature off where that is allowed",
                f"ALTER TABLE {sql_name(subject)} DROP FEATURE {unknown[0]}",
            )
    for name, condition in table.constraints.items():
        yield finding(
            "sink.constraint",
            subject,
            f"constraint {name}: {condition}",
            "none: a row that breaks it stops the stream, and all rows of its batch wait",
            "drop the constraint; what is to be refused is said in sensors.yml, where the reason is kept",
            f"ALTER TABLE {sql_name(subject)} DROP CONSTRAINT {name}",
        )
    if table.properties.get("delta.appendOnly") == "true":
        yield finding(
            "sink.append-only",
            subject,
            "delta.appendOnly is true",
            "a table that takes updates: a late reading changes rows that are there",
            "take the property off",
            f"ALTER TABLE {sql_name(subject)} SET TBLPROPERTIES ('delta.appendOnly' = 'false')",
        )


def _feeds(facts: Facts) -> Iterator[Finding]:
    for name in facts.meant.specs:
        table = table_of(facts, name)
        if table is not None and table.properties.get("delta.enableChangeDataFeed") != "true":
            subject = facts.meant.full(name)
            yield finding(
                "sink.change-feed-off",
                subject,
                "delta.enableChangeDataFeed is not true",
                "on: the streams behind this table read it, and what is written while it is off is in no feed",
                "turn it on before the next batch; if batches were written meanwhile, remove the checkpoints of the "
                "streams that read this table: they begin anew and lose nothing",
                f"ALTER TABLE {sql_name(subject)} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",
            )


def _retentions(facts: Facts) -> Iterator[Finding]:
    """Files that VACUUM may remove before a stream has read them; predictive optimization runs it by itself."""
    for name in facts.meant.specs:
        table = table_of(facts, name)
        # Where the change feed is off, the table is not one that our streams have made: that is told already.
        if table is None or table.properties.get("delta.enableChangeDataFeed") != "true":
            continue
        wanted = missing_retention(table.properties)
        if not wanted:
            continue
        subject = facts.meant.full(name)
        now = ", ".join(f"{key} is {table.properties.get(key, 'not set')}" for key in wanted)
        told = ", ".join(f"'{key}' = '{value}'" for key, value in wanted.items())
        yield finding(
            "sink.retention",
            subject,
            now,
            f"{LEAST.days} days: VACUUM knows of no stream that is behind, and predictive optimization runs it by "
            "itself on managed tables",
            "set it; the stream that writes this table does so when it starts",
            f"ALTER TABLE {sql_name(subject)} SET TBLPROPERTIES ({told})",
        )
