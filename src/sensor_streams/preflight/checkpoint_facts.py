"""Read a stream's checkpoint folder. Nothing is written."""

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

# Larger than any attempt number, so that no attempt of the caller's run counts as another run.
_ANY_ATTEMPT = 2**62


def holders(folders: Sequence[Path], own_run: str | None, timeout: timedelta) -> Mapping[Path, str]:
    """Return checkpoint folder → run that holds it, without the caller's own run.

    Waits for a heartbeat at most `timeout`, and only if a checkpoint seems to be held.
    """
    return dict(in_use(folders, this_process(own_run or "", _ANY_ATTEMPT), timeout, Event().wait))


def checkpoint_facts(folder: Path, holder: str | None = None) -> CheckpointFacts | Unknown:
    """Return the content of a stream's checkpoint folder; Unknown if it cannot be read."""
    checkpoint = folder / "checkpoint"
    try:
        problems: list[str] = []
        offsets, commits = batches_in(checkpoint / "offsets"), batches_in(checkpoint / "commits")
        query = _query_id(checkpoint / "metadata", problems)
        for log, batches in (("offsets", offsets), ("commits", commits)):
            # Spark reads the last two files.
            files = [checkpoint / log / str(batch) for batch in batches[-2:]]
            problems += [f"{file}: is empty or incomplete" for file in files if not _is_complete(file)]
        return CheckpointFacts(
            folder=str(folder),
            query=query,
            offsets=offsets,
            commits=commits,
            sources=() if problems else _source_offsets(checkpoint / "offsets", offsets, commits),
            bound=read_binding(folder),
            problems=problems,
            holder=holder,
        )
    except OSError as error:
        return Unknown(f"{folder}: {error.strerror or error}")


def _query_id(metadata: Path, problems: list[str]) -> str | None:
    try:
        return str(json.loads(metadata.read_text("utf-8"))["id"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        problems.append(f"{metadata}: is not a JSON object with the query's id")
        return None


def _is_complete(file: Path) -> bool:
    """Return True for a valid file of offsets or commits: a line with the version, then lines of JSON."""
    version, *rest = file.read_bytes().decode("utf-8", "replace").splitlines() or [""]
    try:
        for line in rest:
            # Spark writes `-` for a source without offsets.
            if line != "-":
                json.loads(line)
    except ValueError:
        return False
    return version.startswith("v") and bool(rest)


def _source_offsets(folder: Path, offsets: Sequence[int], commits: Sequence[int]) -> Sequence[SourceOffset]:
    """Return the offsets of the last committed batch; those of the first batch if none is committed."""
    committed = [batch for batch in offsets if batch in commits] or list(offsets)
    try:
        return offsets_of(folder / str(committed[-1])) if committed else ()
    except TableError:
        return ()
