"""How far a stream's checkpoint has come: its last batches, and the versions of its source tables that it has read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sensor_streams.errors import TableError


@dataclass(frozen=True)
class SourceOffset:
    """How far a checkpoint's batch has read one table: Delta's id of it, version, index, first snapshot or not."""

    table_id: str
    version: int
    index: int
    starting: bool

    @property
    def unread(self) -> int:
        """The first version of which nothing is read. A bounded run ends at the last file of a version, an endless
        one before the first file of the next: both have read that version."""
        return self.version + (self.index >= 0 and not self.starting)


@dataclass(frozen=True)
class Position:
    """planned, committed: the numbers of the last batch that was begun and of the last one that ended, None for none.

    versions: Delta table id → the first version of that table of which nothing is read.
    """

    planned: int | None
    committed: int | None
    versions: Mapping[str, int]

    @property
    def unfinished(self) -> bool:
        """True when a batch was begun and did not end, so that the next start repeats it with the same input."""
        return self.planned is not None and self.planned != self.committed


def position_of(folder: Path) -> Position:
    """The position of the stream whose checkpoint lies in `folder`/checkpoint; all None where there is no checkpoint.

    The form of the files is Spark's (`OffsetSeqLog`: a version, a line of metadata, then a line for each source) and
    Delta's (`DeltaSourceOffset`). Raises TableError, with the file, for one that is not of that form.
    """
    checkpoint = folder / "checkpoint"
    planned, committed = _last(checkpoint / "offsets"), _last(checkpoint / "commits")
    # What an unfinished batch is to read begins where the last finished one ended; before the first, at its own begin.
    of = committed if committed is not None else planned
    read = [] if of is None else offsets_of(checkpoint / "offsets" / str(of))
    return Position(planned, committed, {offset.table_id: offset.unread for offset in read})


def _last(folder: Path) -> int | None:
    return max(batches_in(folder), default=None)


def batches_in(folder: Path) -> list[int]:
    """The numbers of the batches that a log of a checkpoint (`offsets`, `commits`) holds, sorted."""
    return sorted(int(file.name) for file in folder.glob("[0-9]*") if file.name.isdigit())


def offsets_of(file: Path) -> list[SourceOffset]:
    """How far a batch reads each of its tables; a stream of files reads none. Raises TableError, with the file."""
    found = []
    try:
        for line in file.read_text("utf-8").splitlines()[2:]:
            offset = json.loads(line)
            if isinstance(offset, dict) and "reservoirId" in offset:
                where = int(offset["reservoirVersion"]), int(offset["index"]), bool(offset["isStartingVersion"])
                found.append(SourceOffset(str(offset["reservoirId"]), *where))
    except (OSError, ValueError, KeyError) as error:
        raise TableError(
            f"{file}: cannot be read as the offsets of a stream ({error}): restore it from a copy, or remove the "
            "stream's checkpoint, which loses nothing"
        ) from None
    return found
