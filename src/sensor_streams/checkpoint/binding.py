"""Binding of a checkpoint to its tables: their names, locations and ids, in a file next to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sensor_streams.errors import BindingError, TableError
from sensor_streams.json_files import read_json, write_json
from sensor_streams.locations import same_place
from sensor_streams.table_spec import TableIdentity

FILE = "binding.json"
Identify = Callable[[str], TableIdentity | None]


@dataclass(frozen=True)
class BoundTo:
    """Recorded binding of a checkpoint: the tables and the landing folder at the stream's last start."""

    sinks: Mapping[str, TableIdentity]
    sources: Mapping[str, TableIdentity]
    landing: str | None


def read_binding(folder: Path) -> BoundTo | None:
    """Read the binding of the checkpoint in `folder`; None for a missing or unreadable file."""
    content = read_json(folder / FILE)
    if content is None:
        return None
    landing = content.get("landing")
    try:
        return BoundTo(
            _identities(content.get("sinks")),
            _identities(content.get("sources")),
            None if landing is None else str(landing),
        )
    except TypeError:
        return None


def _identities(content: object) -> dict[str, TableIdentity]:
    """Parse tables by name. Raises TypeError for other content."""
    if not isinstance(content, dict) or not all(isinstance(table, dict) for table in content.values()):
        raise TypeError("not tables by name")
    return {name: TableIdentity(**table) for name, table in content.items()}


@dataclass(frozen=True)
class Binding:
    """Checkpoint folder of one stream and the names of its tables; landing: folder of its files, if it reads files.

    A checkpoint has offsets in one table's history. If a name now points to another table (a wrong entry, a table that
    was created again), the stream would skip or repeat data without an error.
    """

    folder: Path
    stream: str
    sinks: Sequence[str]
    sources: Sequence[str]
    landing: str | None = None

    @property
    def started(self) -> bool:
        """True when the checkpoint exists: without one no offset can be wrong."""
        return (self.folder / "checkpoint" / "metadata").exists()

    def check(self, identify: Identify) -> None:
        """Compare the recorded tables with those that the names point to now; change nothing.

        identify: name → table, None without an entry. Raises BindingError with each difference.
        """
        if not self.started:
            return
        before = read_binding(self.folder)
        if before is None:
            raise BindingError(
                f"stream {self.stream} does not start: {self.folder / FILE} is missing or cannot be read, so the "
                "tables of the checkpoint are not known. Restore the file from a copy; or remove the checkpoint: the "
                "stream then reads its source again and loses nothing"
            )
        differences = self._differences(before, identify)
        if differences:
            raise BindingError(
                f"stream {self.stream} does not start: its checkpoint {self.folder} belongs to other data.\n  "
                + "\n  ".join(differences)
                + "\nNothing was read or written. Correct the catalog entry; or, if the new location is right, remove "
                "the checkpoint: the stream then reads its source again and loses nothing"
            )

    def write(self, identities: Mapping[str, TableIdentity]) -> None:
        """Record the tables, before the first batch; a new table is added at a later start."""
        write_json(
            self.folder / FILE,
            {
                "sinks": {name: asdict(identities[name]) for name in sorted(self.sinks)},
                "sources": {name: asdict(identities[name]) for name in sorted(self.sources)},
                "landing": self.landing,
            },
        )

    def _differences(self, before: BoundTo, identify: Identify) -> list[str]:
        found = []
        for role, known, names in (
            ("sink", before.sinks, sorted(before.sinks)),
            # A new version of a stream may write one more table, but not read another one.
            ("source", before.sources, sorted({*before.sources, *self.sources})),
        ):
            for name in names:
                was = known.get(name)
                location = None if was is None else was.location
                try:
                    now = identify(name)
                except TableError as error:
                    found.append(f"{role} {name}: was at {location}; {error}")
                    continue
                if now is None:
                    found.append(f"{role} {name}: was at {location} and is not in the catalog")
                    continue
                found += [
                    f"{role} {name}: {attribute} was {old} and is {new}"
                    for attribute, old, new, same in _compared(was, now)
                    if not same
                ]
        if not _same(before.landing, self.landing):
            found.append(f"landing folder was {before.landing} and is {self.landing}")
        return found


def _compared(was: TableIdentity | None, now: TableIdentity) -> list[tuple[str, str | None, str, bool]]:
    """Return attribute, old value, new value, and True for equal values."""
    old = (None, None, None) if was is None else (was.name, was.location, was.table_id)
    return [
        ("name", old[0], now.name, old[0] == now.name),
        # A location may have more than one spelling.
        ("location", old[1], now.location, _same(old[1], now.location)),
        ("table id", old[2], now.table_id, old[2] == now.table_id),
    ]


def _same(was: str | None, now: str | None) -> bool:
    return was == now or (was is not None and now is not None and same_place(was, now))
