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
from sensor_streams.ingest.landing_files import DONE, LandedFile, Landing, is_utf_8, recorded_file
from sensor_streams.tables import Catalog

_SHOWN = 3


@dataclass(frozen=True)
class Changed:
    """A file whose size or time changed after it was read; `difference` is text."""

    file: LandedFile
    difference: str


def changed_files(recorded: DataFrame, landing: str) -> list[Changed]:
    """Return the files in the landing folder whose size or time differs from their row in `ingested_files`.

    Sources list each path once, so the new content of such a file was not read. Files that were set aside or empty
    are not returned, because each batch checks them again. The cost is one walk through the folder and one scan of the
    table; no file is opened. The result is empty when this machine has no path to the landing folder.
    """
    folder = Landing.at(landing)
    present = {name: folder.landed(name, status) for name, status in folder.files() if is_utf_8(name)}
    if not present:
        return []
    found = []
    for row in recorded.where((recorded["state"] == DONE) & (recorded["bytes"] > 0)).toLocalIterator():
        file = present.get(row["source_file"])
        if file is None:
            continue
        known = recorded_file(row)
        if known.size != file.size:
            found.append(Changed(file, f"{known.size:,} bytes were read, it has {file.size:,} now"))
        elif known.has_new_time(file):
            found.append(Changed(file, f"its time was {_time(known.arrived_at)}, it is {_time(file.arrived_at)} now"))
    return sorted(found, key=lambda one: one.file.name)


def changed_names(recorded: DataFrame, roots: Sequence[Path]) -> set[str]:
    """Return the names of the changed files in several folders; a file in an earlier folder hides its later copies."""
    found: set[str] = set()
    for number, root in enumerate(roots):
        names = {one.file.name for one in changed_files(recorded, str(root))}
        found |= {name for name in names if not any((other / name).is_file() for other in roots[:number])}
    return found


def describe_changes(changed: Sequence[Changed]) -> str:
    """Return one line that names the changed files and what to do."""
    files = "; ".join(f"{one.file.name}: {one.difference}" for one in changed[:_SHOWN])
    more = f"; and {len(changed) - _SHOWN:,} more" if len(changed) > _SHOWN else ""
    return (
        f"{len(changed):,} landed files changed after they were read, and new lines in them were not read "
        f"({files}{more}). `sensor-streams reread` reads them again; see docs/own-fleet.md"
    )


def reread(catalog: Catalog, fleet: Fleet, landing: str, names: Sequence[str]) -> tuple[list[str], Outcome]:
    """Read the named files again, or all changed files when no name is given; return names and outcome.

    The caller must hold the lease of the stream `readings`, because a table has one writer at a time. Lines that are
    stored do not change, and lines of an earlier content stay. Raises InputError for a name that is not recorded or
    not in the landing folder.
    """
    handles = Handles.open(catalog, ["readings", "readings_rejected", files_table(fleet).name])
    recorded = handles.read(files_table(fleet).name)
    folder = Landing.at(landing)
    if names:
        known = {row[0] for row in recorded.where(recorded["source_file"].isin(list(names))).collect()}
        files = []
        for name in dict.fromkeys(names):
            file = folder.file(name)
            if file is None:
                raise InputError(f"{name}: is not in the landing folder {folder.address}")
            if name not in known:
                raise InputError(f"{name}: was not read yet; the stream `readings` reads it in its next run")
            files.append(file)
    else:
        files = [one.file for one in changed_files(recorded, landing)]
    return [file.name for file in files], read_again(files, landing, fleet, handles)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", " UTC")
