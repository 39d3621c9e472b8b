"""Find checkpoints that are incomplete, in use, temporary, too old, or not the stream's own."""

import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta

from sensor_streams.locations import inside, same_place
from sensor_streams.preflight.checks.queries import (
    commit_text,
    other_owner,
    remove_command,
    source_offsets,
    started,
    unread_commits,
    utc,
)
from sensor_streams.preflight.checks.registry import check, finding
from sensor_streams.preflight.facts import CheckpointFacts, Facts
from sensor_streams.preflight.findings import Finding
from sensor_streams.retention import FILES, LOG, retention

# Folders that are deleted with the machine or cluster. In `dbfs:/tmp`, every user can delete files.
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/local_disk0", "/databricks/driver", "dbfs:/tmp", "file:/tmp")
_START_OVER = "stop the stream and remove its checkpoint: it reads its source from scratch and loses nothing"


@check("checkpoint.in-use", "error", "another run is using the checkpoint")
@check("checkpoint.half-written", "error", "a file of the checkpoint is empty or incomplete")
@check("checkpoint.missing", "error", "the checkpoint has batches but no metadata file")
@check("checkpoint.unbound", "error", "the checkpoint has no readable binding.json")
@check("checkpoint.gap", "error", "batch numbers in the checkpoint are not consecutive")
def checkpoint_files(facts: Facts) -> Iterator[Finding]:
    """Find checkpoints that another run uses, or whose files are missing or incomplete."""
    for stream in facts.expected.streams:
        checkpoint = facts.checkpoints.get(stream.name)
        if isinstance(checkpoint, CheckpointFacts):
            yield from _files(stream.name, checkpoint)


def _files(stream: str, checkpoint: CheckpointFacts) -> Iterator[Finding]:
    def restore(check: str, found: str, expected: str) -> Finding:
        remedy = f"restore the folder from a copy, or {_START_OVER}"
        return finding(check, stream, found, expected, remedy, remove_command(checkpoint.folder))

    if checkpoint.holder is not None:
        found = f"{checkpoint.folder} is held by {checkpoint.holder}"
        expected = "no other run: two runs on one checkpoint write the same batches twice"
        remedy = "stop that run, or wait until it ends"
        yield finding("checkpoint.in-use", stream, found, expected, remedy)
    if checkpoint.problems:
        yield restore("checkpoint.half-written", "; ".join(checkpoint.problems), "complete files")
    elif checkpoint.query is None and (checkpoint.offsets or checkpoint.commits):
        found = f"{checkpoint.folder} has {len(checkpoint.offsets)} batches but no file metadata"
        yield restore("checkpoint.missing", found, "the file metadata with the query's id, or no checkpoint at all")
    if checkpoint.query is not None and checkpoint.bound is None:
        found = f"{checkpoint.folder} has no readable binding.json"
        yield restore("checkpoint.unbound", found, "name, path and id of the tables that the checkpoint belongs to")
    gap = _gap(checkpoint.offsets, checkpoint.commits)
    if gap is not None:
        expected = "consecutive batches, all committed except the last one"
        yield restore("checkpoint.gap", f"{checkpoint.folder}: {gap}", expected)


def _gap(offsets: Sequence[int], commits: Sequence[int]) -> str | None:
    """Return which batches are missing, or None. After a kill the last batch has no commit; that is not a gap."""
    for log, batches in (("offsets", offsets), ("commits", commits)):
        lost = sorted({*range(batches[0], batches[-1] + 1)} - {*batches}) if batches else []
        if lost:
            return f"the {log} of batch {', '.join(map(str, lost[:5]))}{' …' if lost[5:] else ''} are missing"
    planned, committed = (max(batches, default=-1) for batches in (offsets, commits))
    if committed > planned or (committed < planned - 1 and (commits or len(offsets) > 1)):
        last = [str(number) if number >= 0 else "missing" for number in (planned, committed)]
        return f"the last planned batch is {last[0]}, the last committed batch is {last[1]}"
    return None


@check("checkpoint.other-stream", "error", "the checkpoint belongs to another stream or target")
def other_stream(facts: Facts) -> Iterator[Finding]:
    """Find checkpoints that were copied from another stream or target."""
    by_query: dict[str, list[str]] = {}
    for stream, checkpoint in started(facts):
        by_query.setdefault(str(checkpoint.query), []).append(stream.name)
    for stream in facts.expected.streams:
        own = facts.checkpoints.get(stream.name)
        if not isinstance(own, CheckpointFacts):
            continue
        owner = None if own.query is None or own.bound is None else other_owner(facts, stream, own.bound)
        same = by_query.get(str(own.query), [])
        if stream.name in same and same[1:]:
            others = ", ".join(name for name in same if name != stream.name)
            owner = f"it has the same query id as the checkpoint of {others}: one is a copy of the other"
        if owner is not None:
            found = f"{own.folder}: {owner}"
            expected = f"a checkpoint of {stream.name} in {facts.expected.catalog}.{facts.expected.schema}"
            remedy = f"restore the stream's own checkpoint, or {_START_OVER}"
            yield finding("checkpoint.other-stream", stream.name, found, expected, remedy, remove_command(own.folder))


@check("checkpoint.temporary", "warning", "the checkpoints are in temporary storage")
def temporary(facts: Facts) -> Iterator[Finding]:
    """Find checkpoints in temporary storage while the tables are in permanent storage."""
    path, tables = facts.expected.checkpoints, facts.expected.tables
    if _is_temporary(path) and not (tables is not None and _is_temporary(tables)):
        found = f"{path} is deleted with the machine or cluster, but the tables are not"
        expected = "a permanent folder, on Databricks in a volume"
        remedy = "set another folder in the setting checkpoints: the streams start from scratch there and lose nothing"
        yield finding("checkpoint.temporary", path, found, expected, remedy)


def _is_temporary(path: str) -> bool:
    return any(same_place(path, other) or inside(path, other) for other in (*_TEMPORARY, tempfile.gettempdir()))


@check("checkpoint.older-than-history", "warning", "the stream lags longer than its source keeps old files")
def older_than_history(facts: Facts) -> Iterator[Finding]:
    """Compare the age of the oldest unread commit with the retention of its source."""
    for stream, _, source, table, offset in source_offsets(facts):
        unread = unread_commits(table, offset)
        # The default of Delta if the property is in a format that `retention` does not parse.
        kept, name = min((retention(table.properties, n) or retention({}, n) or timedelta.max, n) for n in (FILES, LOG))
        if unread and facts.now - unread[0].at > kept.total_seconds():
            found = f"it has not read {source}, {commit_text(unread[0])}; the time is {utc(facts.now)}"
            expected = f"to read it within {kept / timedelta(days=1):.3g} days, the retention of {source} ({name})"
            remedy = "run the stream before VACUUM runs on that table; `sensor-streams maintain` waits for it"
            yield finding("checkpoint.older-than-history", stream.name, found, expected, remedy)
