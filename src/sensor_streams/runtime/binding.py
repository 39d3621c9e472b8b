"""What a checkpoint belongs to: the names, locations and ids of its tables, kept beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sensor_streams.errors import BindingError, TableError
from sensor_streams.runtime.files import read_json, write_json
from sensor_streams.tables import TableIdentity

FILE = "binding.json"
Identify = Callable[[str], TableIdentity | None]


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
        before = read_json(self.folder / FILE)
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

    def _misfits(self, before: Mapping[str, object], identify: Identify) -> list[str]:
        found = []
        for role, key, names in (("sink", "sinks", self.sinks), ("source", "sources", self.sources)):
            known = before.get(key)
            known = known if isinstance(known, dict) else {}
            # A stream may come to write one more table; to read another one would be another stream.
            for name in sorted(known) if key == "sinks" else sorted({*known, *names}):
                was = known.get(name)
                was = was if isinstance(was, dict) else {}
                try:
                    identity = identify(name)
                except TableError as error:
                    found.append(f"{role} {name}: was at {was.get('location')}; {error}")
                    continue
                if identity is None:
                    found.append(f"{role} {name}: was at {was.get('location')} and is not in the catalog")
                    continue
                now = asdict(identity)
                found += [
                    f"{role} {name}: {what.replace('_', ' ')} was {was.get(what)} and is {now[what]}"
                    for what in ("name", "location", "table_id")
                    if was.get(what) != now[what]
                ]
        if before.get("landing") != self.landing:
            found.append(f"landing folder was {before.get('landing')} and is {self.landing}")
        return found
