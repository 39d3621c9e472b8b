"""Find shared paths, nested paths, and a changed landing folder."""

from collections.abc import Iterator

from sensor_streams.locations import canonical, inside, same_place
from sensor_streams.preflight.checks.queries import started
from sensor_streams.preflight.checks.registry import check, finding
from sensor_streams.preflight.facts import Entry, Facts, Unknown
from sensor_streams.preflight.findings import Finding

_LANDING, _CHECKPOINTS = "the landing folder", "the folder of the checkpoints"


@check("location.shared", "error", "two catalog entries point to one path")
def shared(facts: Facts) -> Iterator[Finding]:
    """Find catalog entries that point to one path."""
    names: dict[str, list[str]] = {}
    for name, location in _locations(facts).items():
        names.setdefault(canonical(location), []).append(name)
    own = {facts.expected.full(name) for name in facts.expected.specs}
    for path, entries in names.items():
        if len(entries) > 1 and own.intersection(entries):
            found = f"all point to {path}"
            expected = "a path for each: otherwise two writers would change one table"
            remedy = "correct the wrong entry, or drop it if it is only a second name (the data stays)"
            yield finding("location.shared", " and ".join(sorted(entries)), found, expected, remedy)


@check("location.nested", "error", "a path is inside another path where it must not be")
def nested(facts: Facts) -> Iterator[Finding]:
    """Find tables and checkpoints inside each other or inside the landing folder."""
    places = _locations(facts)
    own = {facts.expected.full(name) for name in facts.expected.specs} | {_LANDING, _CHECKPOINTS}
    for name in facts.expected.specs:
        path = facts.expected.path(name)
        if facts.entries.get(name) is None and path is not None:
            places[facts.expected.full(name)] = path
    parents = {**places, _LANDING: facts.expected.landing}
    for name, path in {**places, _CHECKPOINTS: facts.expected.checkpoints}.items():
        for parent, parent_path in parents.items():
            if name == parent or not {name, parent} & own:
                continue
            if inside(path, parent_path) or (parent == _LANDING and same_place(path, parent_path)):
                found = f"{path} is inside {parent_path}, the path of {parent}"
                expected = "separate paths: VACUUM deletes unknown files in a table, and all files in landing are read"
                remedy = "move one of them, and correct its entry or setting"
                yield finding("location.nested", name, found, expected, remedy)


@check("location.landing-moved", "error", "the landing folder is not the one that the checkpoint was made for")
def landing_moved(facts: Facts) -> Iterator[Finding]:
    """Compare the landing folder with the binding of the stream that reads it."""
    for stream, checkpoint in started(facts):
        bound = None if checkpoint.bound is None else checkpoint.bound.landing
        if bound is not None and not same_place(bound, facts.expected.landing):
            found = f"the setting landing is {facts.expected.landing}"
            expected = f"{bound}, as in the binding of {checkpoint.folder}"
            remedy = "correct the setting; if the files moved, remove the stream's checkpoint, which loses nothing"
            yield finding("location.landing-moved", stream.name, found, expected, remedy)


def _locations(facts: Facts) -> dict[str, str]:
    """Return full name → location of every known table in the catalog."""
    entries = [*facts.entries.values(), *(() if isinstance(facts.others, Unknown) else facts.others)]
    tables = (entry for entry in entries if isinstance(entry, Entry) and entry.kind != "view")
    return {entry.name: entry.location for entry in tables if entry.location is not None}
