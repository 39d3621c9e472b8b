"""Offsets of a stream's checkpoint: its last batches, and the versions of its source tables that it has read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sensor_streams.errors import TableError


@dataclass(frozen=True)
class SourceOffset:
    """Offset of a batch in one table: Delta's table id, version, index, and True within the first snapshot."""

    table_id: str
    version: int
    index: int
    starting: bool

    @property
    def unread(self) -> int:
        """First version that is not read.

        A bounded run ends at the last file of a version, a continuous one before the first file of the next version:
        both have read that version.
        """
        return self.version + (self.index >= 0 and not self.starting)


@dataclass(frozen=True)
class Position:
    """Position of a checkpoint. planned, committed: last batch that began, last batch that ended (number or None).

    versions: Delta table id → first version of that table that is not read.
    """

    planned: int | None
    committed: int | None
    versions: Mapping[str, int]

    @property
    def unfinished(self) -> bool:
        """True when a batch was begun and did not end: the next start repeats it with the same input."""
        return self.planned is not None and self.planned != self.committed


def position_of(folder: Path) -> Position:
    """Return the position of the checkpoint in `folder`/checkpoint; without a checkpoint it is empty.

    Format: Spark's `OffsetSeqLog` (a version, a line of metadata, then a line for each source) and Delta's
    `DeltaSourceOffset`. Raises TableError, with the file, for another format.
    """
    checkpoint = folder / "checkpoint"
    planned, committed = _last(checkpoint / "offsets"), _last(checkpoint / "commits")
    # An unfinished batch reads from the end of the last finished one. Without a finished one its own offsets are used.
    batch = committed if committed is not None else planned
    read = [] if batch is None else offsets_of(checkpoint / "offsets" / str(batch))
    return Position(planned, committed, {offset.table_id: offset.unread for offset in read})


def _last(folder: Path) -> int | None:
    return max(batches_in(folder), default=None)


def batches_in(folder: Path) -> list[int]:
    """Return the sorted batch numbers in a checkpoint's log (`offsets` or `commits`)."""
    return sorted(int(file.name) for file in folder.glob("[0-9]*") if file.name.isdigit())


def offsets_of(file: Path) -> list[SourceOffset]:
    """Read a batch's offset in each of its tables; a stream of files has none. Raises TableError, with the file."""
    found = []
    try:
        for line in file.read_text("utf-8").splitlines()[2:]:
            offset = json.loads(line)
            if isinstance(offset, dict) and "reservoirId" in offset:
                position = int(offset["reservoirVersion"]), int(offset["index"]), bool(offset["isStartingVersion"])
                found.append(SourceOffset(str(offset["reservoirId"]), *position))
    except (OSError, ValueError, KeyError) as error:
        raise TableError(
            f"{file}: cannot be read as the offsets of a stream ({error}): restore it from a copy, or remove the "
            "stream's checkpoint, which loses nothing"
        ) from None
    return found
