"""What a stream's checkpoint folder holds, and who holds it. Nothing is written."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from threading import Event

from sensor_streams.checkpoint.binding import read_binding
from sensor_streams.checkpoint.lease import in_use, this_process
from sensor_streams.checkpoint.offsets import batches_in, offsets_of
from sensor_streams.errors import TableError
from sensor_streams.preflight.facts import CheckpointFacts, SourceOffset, Unknown

# An attempt later than any other: all of the asking run are its own.
_ANY_ATTEMPT = 2**62


def holders(folders: Sequence[Path], own_run: str | None, timeout: timedelta) -> Mapping[Path, str]:
    """Those checkpoints that a living run other than the asking one holds, and who that is.

    Where somebody seems to hold one, it is watched for at most `timeout`; else nothing is waited for.
    """
    return dict(in_use(folders, this_process(own_run or "", _ANY_ATTEMPT), timeout, Event().wait))


def checkpoint_facts(folder: Path, holder: str | None = None) -> CheckpointFacts | Unknown:
    """What lies in the checkpoint folder of a stream. Unknown where the file system gives no answer."""
    checkpoint = folder / "checkpoint"
    try:
        problems: list[str] = []
        offsets, commits = batches_in(checkpoint / "offsets"), batches_in(checkpoint / "commits")
        query = _query(checkpoint / "metadata", problems)
        for log, batches in (("offsets", offsets), ("commits", commits)):
            # Spark reads the last two.
            problems += [told for batch in batches[-2:] if (told := _spoilt(checkpoint / log / str(batch)))]
        return CheckpointFacts(
            folder=str(folder),
            query=query,
            offsets=offsets,
            commits=commits,
            sources=_read_to(checkpoint / "offsets", offsets, commits, problems),
            bound=read_binding(folder),
            problems=problems,
            holder=holder,
            written=_written(checkpoint),
        )
    except OSError as error:
        return Unknown(f"{folder}: {error.strerror or error}")


def _query(metadata: Path, problems: list[str]) -> str | None:
    try:
        told = json.loads(metadata.read_text("utf-8"))
        return str(told["id"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        problems.append(f"{metadata}: is no whole JSON object with the query's id")
        return None


def _spoilt(file: Path) -> str | None:
    """What is wrong with a file of offsets or commits: a line of the version, then JSON, a line each."""
    version, *rest = file.read_bytes().decode("utf-8", "replace").splitlines() or [""]
    try:
        if not version.startswith("v") or not rest:
            raise ValueError
        # A source that had nothing to offer yet stands as `-`.
        for line in rest:
            if line != "-":
                json.loads(line)
    except ValueError:
        return f"{file}: is empty or cut short"
    return None


def _read_to(
    folder: Path, offsets: Sequence[int], commits: Sequence[int], problems: Sequence[str]
) -> Sequence[SourceOffset]:
    """How far the last batch that ended has read; of a first one that has not ended, where it is to end."""
    ended = [batch for batch in offsets if batch in commits] or list(offsets)
    if not ended or problems:
        return ()
    try:
        return offsets_of(folder / str(ended[-1]))
    except TableError:
        return ()


def _written(checkpoint: Path) -> float | None:
    times = [log.stat().st_mtime for name in ("offsets", "commits") if (log := checkpoint / name).exists()]
    return max(times, default=None)
