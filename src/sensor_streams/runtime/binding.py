"""What a checkpoint belongs to: the names, locations and ids of its tables, kept beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sensor_streams.errors import BindingError, TableError
from sensor_streams.preflight.locations import same_place
from sensor_streams.runtime.json_files import read_json, write_json
from sensor_streams.table_spec import TableIdentity

FILE = "binding.json"
Identify = Callable[[str], TableIdentity | None]


@dataclass(frozen=True)
class BoundTo:
    """What a stream last wrote beside its checkpoint: its tables then, and where its files arrived."""

    sinks: Mapping[str, TableIdentity]
    sources: Mapping[str, TableIdentity]
    landing: str | None


def read_binding(folder: Path) -> BoundTo | None:
    """What is written beside the checkpoint in `folder`; None when there is nothing that can be read."""
    written = read_json(folder / FILE)
    if written is None:
        return None
    landing = written.get("landing")
    try:
        return BoundTo(
            _identities(written.get("sinks")),
            _identities(written.get("sources")),
            None if landing is None else str(landing),
        )
    except TypeError:
        return None


def _identities(written: object) -> dict[str, TableIdentity]:
    """Raises TypeError for what is none."""
    if not isinstance(written, dict) or not all(isinstance(told, dict) for told in written.values()):
        raise TypeError("no tables")
    return {name: TableIdentity(**told) for name, told in written.items()}


@dataclass(frozen=True)
class Binding:
    """One stream's checkpoint folder and the names of its tables; landing: where its files arrive, if it reads files.

    A checkpoint holds positions in one table's history. When a name leads elsewhere today (an entry that points at
    the wrong location, a table that was made anew), going on would skip or repeat data without an error.
    """

    folder: Path
    stream: str
    sinks: Sequence[str]
    sources: Sequence[str]
    landing: str | None = None

    @property
    def started(self) -> bool:
        """True when there is a checkpoint: without one there is no position that could be wrong."""
        return (self.folder / "checkpoint" / "metadata").exists()

    def check(self, identify: Identify) -> None:
        """Compare what is written beside a checkpoint with where the names lead today; nothing is made or changed.

        identify: table → what its name leads to, None without an entry. Raises BindingError naming each table, what
        it was and what it is.
        """
        if not self.started:
            return
        before = read_binding(self.folder)
        if before is None:
            raise BindingError(
                f"stream {self.stream} does not start: beside its checkpoint {self.folder} there is no {FILE} that "
                f"can be read, so nobody knows which tables it belongs to. Bring {FILE} back from a copy; or remove "
                "the checkpoint: the stream then reads its source anew and loses nothing"
            )
        misfits = self._misfits(before, identify)
        if misfits:
            raise BindingError(
                f"stream {self.stream} does not start: its checkpoint {self.folder} belongs to other data.\n  "
                + "\n  ".join(misfits)
                + "\nNothing was read or written. Correct the catalog entry; or, if the new place is right, remove "
                "the checkpoint: the stream then reads its source anew and loses nothing"
            )

    def write(self, identities: Mapping[str, TableIdentity]) -> None:
        """Write down what the checkpoint is bound to, before its first batch; a table that is new is added later."""
        write_json(
            self.folder / FILE,
            {
                "sinks": {name: asdict(identities[name]) for name in sorted(self.sinks)},
                "sources": {name: asdict(identities[name]) for name in sorted(self.sources)},
                "landing": self.landing,
            },
        )

    def _misfits(self, before: BoundTo, identify: Identify) -> list[str]:
        found = []
        for role, known, names in (
            ("sink", before.sinks, sorted(before.sinks)),
            # A stream may come to write one more table; to read another one would be another stream.
            ("source", before.sources, sorted({*before.sources, *self.sources})),
        ):
            for name in names:
                was = known.get(name)
                at = None if was is None else was.location
                try:
                    now = identify(name)
                except TableError as error:
                    found.append(f"{role} {name}: was at {at}; {error}")
                    continue
                if now is None:
                    found.append(f"{role} {name}: was at {at} and is not in the catalog")
                    continue
                found += [
                    f"{role} {name}: {what.replace('_', ' ')} was {old} and is {new}"
                    for what, old, new, same in _compared(was, now)
                    if not same
                ]
        if not _same(before.landing, self.landing):
            found.append(f"landing folder was {before.landing} and is {self.landing}")
        return found


def _compared(was: TableIdentity | None, now: TableIdentity) -> list[tuple[str, str | None, str, bool]]:
    """What of a table, what it was and is, and whether that is the same."""
    old = (None, None, None) if was is None else (was.name, was.location, was.table_id)
    return [
        ("name", old[0], now.name, old[0] == now.name),
        # A place may be spelt in more than one way.
        ("location", old[1], now.location, _same(old[1], now.location)),
        ("table_id", old[2], now.table_id, old[2] == now.table_id),
    ]


def _same(was: str | None, now: str | None) -> bool:
    return was == now or (was is not None and now is not None and same_place(was, now))
