"""Check 3: are the checkpoints whole, each its own stream's, and young enough?"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta

from sensor_streams.durations import parse_duration
from sensor_streams.locations import inside, same_place
from sensor_streams.preflight.checks.queries import anew, begun, moment, others, positions, told, unread
from sensor_streams.preflight.checks.registry import finding
from sensor_streams.preflight.facts import CheckpointFacts, Facts, TableFacts
from sensor_streams.preflight.findings import Finding

# Folders of a machine or a cluster that go with it. DBFS's own is emptied by whoever likes.
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/local_disk0", "/databricks/driver", "dbfs:/tmp", "file:/tmp")
# What Delta keeps unless a table says otherwise.
_KEPT = {"delta.deletedFileRetentionDuration": 7 * 86400.0, "delta.logRetentionDuration": 30 * 86400.0}
_ANEW = "stop the stream and remove its checkpoint: it reads its source anew, and loses nothing"


def check(facts: Facts) -> Iterator[Finding]:
    """What is wrong with the checkpoints of the streams."""
    yield from _temporary(facts)
    for stream in facts.meant.streams:
        checkpoint = facts.checkpoints.get(stream.name)
        if isinstance(checkpoint, CheckpointFacts):
            yield from _in_itself(stream.name, checkpoint)
    yield from _of_others(facts)
    yield from _old(facts)


def _in_itself(stream: str, checkpoint: CheckpointFacts) -> Iterator[Finding]:
    if checkpoint.holder is not None:
        yield finding(
            "checkpoint.in-use",
            stream,
            f"{checkpoint.folder} is held by {checkpoint.holder}",
            "no run at work: two on one checkpoint would write the same batches twice",
            "stop that run, or wait for its end",
        )
    if checkpoint.problems:
        yield finding(
            "checkpoint.half-written",
            stream,
            "; ".join(checkpoint.problems),
            "files that are whole",
            f"bring them back from a copy, or {_ANEW}",
            anew(checkpoint.folder),
        )
    elif checkpoint.query is None and (checkpoint.offsets or checkpoint.commits):
        yield finding(
            "checkpoint.missing",
            stream,
            f"{checkpoint.folder} holds {len(checkpoint.offsets)} batches and no file metadata",
            "the query's id, by which the tables know what this checkpoint wrote; or no checkpoint at all",
            f"bring the folder back from a copy, or {_ANEW}",
            anew(checkpoint.folder),
        )
    if checkpoint.query is not None and checkpoint.bound is None:
        yield finding(
            "checkpoint.unbound",
            stream,
            f"beside the checkpoint in {checkpoint.folder} is no binding.json that can be read",
            "name, place and id of the tables that it belongs to",
            f"bring binding.json back from a copy, or {_ANEW}",
            anew(checkpoint.folder),
        )
    gap = _gap(checkpoint.offsets, checkpoint.commits)
    if gap is not None:
        yield finding(
            "checkpoint.gap",
            stream,
            f"{checkpoint.folder}: {gap}",
            "batches without a gap, all but the last one ended",
            f"bring the files back from a copy, or {_ANEW}",
            anew(checkpoint.folder),
        )


def _gap(offsets: Sequence[int], commits: Sequence[int]) -> str | None:
    """What of the batches is missing; None when nothing is. A kill leaves the last one without its end."""
    for what, batches in (("offsets", offsets), ("commits", commits)):
        lost = sorted({*range(batches[0], batches[-1] + 1)} - {*batches}) if batches else []
        if lost:
            return f"{what} of batch {', '.join(map(str, lost[:5]))}{' …' if lost[5:] else ''} are missing"
    planned, ended = (max(batches, default=-1) for batches in (offsets, commits))
    if ended > planned:
        return f"batch {ended} has ended, and of the planned ones the last is {planned if offsets else 'none'}"
    if ended < planned - 1 and (commits or len(offsets) > 1):
        return f"batch {planned} is planned, and of the ended ones the last is {ended if commits else 'none'}"
    return None


def _of_others(facts: Facts) -> Iterator[Finding]:
    """Checkpoints that were copied from another stream or another target."""
    by_query: dict[str, list[str]] = {}
    for stream, checkpoint in begun(facts):
        by_query.setdefault(str(checkpoint.query), []).append(stream.name)
    for stream in facts.meant.streams:
        there = facts.checkpoints.get(stream.name)
        if not isinstance(there, CheckpointFacts):
            continue
        why = None if there.query is None or there.bound is None else others(facts, stream, there.bound)
        same = by_query.get(str(there.query), [])
        if stream.name in same and same[1:]:
            twins = ", ".join(name for name in same if name != stream.name)
            why = f"it has the query id of the checkpoint of {twins}: one is a copy of the other"
        if why is not None:
            yield finding(
                "checkpoint.other-stream",
                stream.name,
                f"{there.folder}: {why}",
                f"a checkpoint that {stream.name} has made in {facts.meant.catalog}.{facts.meant.schema}",
                f"bring this stream's own one back; or {_ANEW}",
                anew(there.folder),
            )


def _temporary(facts: Facts) -> Iterator[Finding]:
    place, tables = facts.meant.checkpoints, facts.meant.tables
    # A trial that lies there as a whole goes as a whole.
    if _is_temporary(place) and not (tables is not None and _is_temporary(tables)):
        yield finding(
            "checkpoint.temporary",
            facts.meant.checkpoints,
            f"{place} goes with the machine or cluster, and the tables do not",
            "a folder that lasts as long as the tables, on Databricks one of a volume",
            "give another folder in the setting checkpoints; the streams begin anew there and lose nothing",
        )


def _is_temporary(place: str) -> bool:
    return any(same_place(place, t) or inside(place, t) for t in (*_TEMPORARY, tempfile.gettempdir()))


def _old(facts: Facts) -> Iterator[Finding]:
    for stream, _, source, table, offset in positions(facts):
        waiting = unread(table, offset)
        kept, which = min((_kept(table, name), name) for name in _KEPT)
        if waiting and facts.now - waiting[0].at > kept:
            yield finding(
                "checkpoint.older-than-history",
                stream.name,
                f"it has still to read {source}, {told(waiting[0])}; now it is {moment(facts.now)}",
                f"to have read it within {kept / 86400:.3g} days, for which {source} keeps it ({which})",
                "run the stream before anything vacuums that table (predictive optimization does so by itself); "
                "`sensor-streams maintain` waits for it",
            )


def _kept(table: TableFacts, name: str) -> float:
    """How long a table keeps something, in seconds; Delta's own default where that is not told in plain units."""
    text = re.sub(r"^interval\s+", "", table.properties.get(name, "").strip(), flags=re.IGNORECASE)
    try:
        kept = parse_duration(text)
    except ValueError:
        return _KEPT[name]
    return kept.total_seconds() if isinstance(kept, timedelta) else _KEPT[name]
