"""Files that changed after they were read: find them by size and time, and read them again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import DataFrame

from sensor_streams.errors import InputError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.stream import Handles, Outcome
from sensor_streams.ingest.batch import read_again
from sensor_streams.ingest.ingest_tables import files_table
from sensor_streams.ingest.landing_files import DONE, LandedFile, Landing, is_utf_8, recorded_of
from sensor_streams.tables import Catalog

_SHOWN = 3


@dataclass(frozen=True)
class Changed:
    """A file that is not as it was when it was read, with what was recorded of it in words."""

    file: LandedFile
    words: str


def changed_files(recorded: DataFrame, landing: str) -> list[Changed]:
    """Return the files in the landing folder that have another size or time than `ingested_files` holds.

    Sources never hand over again a path that they know, so what such a file holds now was not read. Files that were
    set aside or empty are not among them: each batch looks at those by itself. Costs one walk through the folder and
    one scan of the table, and opens no file. Nothing is found where this machine has no path to the landing folder.
    """
    place = Landing.at(landing)
    here: dict[str, LandedFile] = {}
    for name, status in place.files():
        if is_utf_8(name):
            here[name] = place.landed(name, status)
    if not here:
        return []
    found = []
    for row in recorded.where((recorded["state"] == DONE) & (recorded["bytes"] > 0)).toLocalIterator():
        file = here.get(row["source_file"])
        if file is None:
            continue
        known = recorded_of(row)
        if known.size != file.size:
            found.append(Changed(file, f"{known.size:,} bytes were read, it has {file.size:,} now"))
        elif known.touched(file.arrived_at):
            found.append(Changed(file, f"its time was {_time(known.arrived_at)}, it is {_time(file.arrived_at)} now"))
    return sorted(found, key=lambda one: one.file.name)


def changed_names(recorded: DataFrame, roots: Sequence[Path]) -> set[str]:
    """Return the names of the changed files over several folders; of copies the first folder's one counts."""
    found: set[str] = set()
    for number, root in enumerate(roots):
        names = {one.file.name for one in changed_files(recorded, str(root))}
        found |= {name for name in names if not any((other / name).is_file() for other in roots[:number])}
    return found


def in_words(changed: Sequence[Changed]) -> str:
    """Return which files changed, and what to do, in one line."""
    told = "; ".join(f"{one.file.name}: {one.words}" for one in changed[:_SHOWN])
    more = f"; and {len(changed) - _SHOWN:,} more" if len(changed) > _SHOWN else ""
    return (
        f"{len(changed):,} landed files changed after they were read, and new lines in them were not read "
        f"({told}{more}). `sensor-streams reread` reads them again; see docs/own-fleet.md"
    )


def reread(catalog: Catalog, fleet: Fleet, landing: str, names: Sequence[str]) -> tuple[list[str], Outcome]:
    """Read files again: those of the names, or all that changed. Return their names and what was written.

    The caller holds the lease of the stream `readings`: a table has one writer at a time. Lines that are stored change
    nothing; lines that a file held before stay. Raises InputError for a name that is not recorded or not there.
    """
    handles = Handles.open(catalog, ["readings", "readings_rejected", files_table(fleet).name])
    recorded = handles.read(files_table(fleet).name)
    place = Landing.at(landing)
    if names:
        known = {row[0] for row in recorded.where(recorded["source_file"].isin(list(names))).collect()}
        files = []
        for name in dict.fromkeys(names):
            file = place.file(name)
            if file is None:
                raise InputError(f"{name}: is not in the landing folder {place.address}")
            if name not in known:
                raise InputError(f"{name}: was not read yet; the stream `readings` reads it in its next run")
            files.append(file)
    else:
        files = [one.file for one in changed_files(recorded, landing)]
    return [file.name for file in files], read_again(files, landing, fleet, handles)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", " UTC")
