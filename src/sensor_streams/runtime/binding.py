"""What a checkpoint belongs to: the names, locations and ids of its tables, kept beside it."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from sensor_streams.errors import BindingError
from sensor_streams.runtime.files import read_json, write_json
from sensor_streams.tables import TableIdentity

FILE = "binding.json"


def bind(
    folder: Path, stream: str, sources: Mapping[str, TableIdentity], sink: TableIdentity, landing: str | None
) -> None:
    """Write down what the stream's checkpoint is bound to, or check that it still is.

    A checkpoint holds positions in one table's history. When a name leads elsewhere today (an entry that points at
    the wrong location, a table that was made anew), going on would skip or repeat data without an error.
    Raises BindingError naming each table, what it was and what it is.
    """
    today: dict[str, object] = {
        "sink": asdict(sink),
        "sources": {name: asdict(identity) for name, identity in sorted(sources.items())},
        "landing": landing,
    }
    before = read_json(folder / FILE)
    started = (folder / "checkpoint" / "metadata").exists()
    if before is None or not started:
        # Without a checkpoint there is no position that could be wrong.
        write_json(folder / FILE, today)
        return
    misfits = _misfits(before, today)
    if misfits:
        raise BindingError(
            f"stream {stream} does not start: its checkpoint {folder} belongs to other data.\n  "
            + "\n  ".join(misfits)
            + "\nNothing was read or written. Correct the catalog entry; or, if the new place is right, remove the "
            "checkpoint: the stream then reads its source anew and loses nothing"
        )


def _misfits(before: Mapping[str, object], today: Mapping[str, object]) -> list[str]:
    found = []
    pairs = [("sink", before.get("sink"), today["sink"])]
    old, new = before.get("sources"), today["sources"]
    old = old if isinstance(old, dict) else {}
    new = new if isinstance(new, dict) else {}
    pairs += [(f"source {name}", old.get(name), new.get(name)) for name in sorted({*old, *new})]
    for role, was, now in pairs:
        was = was if isinstance(was, dict) else {}
        now = now if isinstance(now, dict) else {}
        for what in ("name", "location", "table_id"):
            if was.get(what) != now.get(what):
                found.append(f"{role}: {what.replace('_', ' ')} was {was.get(what)} and is {now.get(what)}")
    if before.get("landing") != today["landing"]:
        found.append(f"landing folder was {before.get('landing')} and is {today['landing']}")
    return found
