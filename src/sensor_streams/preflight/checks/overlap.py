"""Check 1, the places next to each other: two names on one, one inside another, files that arrive elsewhere."""

from collections.abc import Iterator

from sensor_streams.locations import canonical, inside, same_place
from sensor_streams.preflight.checks.queries import begun, layout
from sensor_streams.preflight.checks.registry import finding
from sensor_streams.preflight.facts import Entry, Facts, Unknown
from sensor_streams.preflight.findings import Finding

_LANDING, _CHECKPOINTS = "the landing folder", "the folder of the checkpoints"


def check(facts: Facts) -> Iterator[Finding]:
    """What is wrong between the places that the job and others use."""
    yield from _shared(facts)
    yield from _nested(facts)
    yield from _landing(facts)


def _shared(facts: Facts) -> Iterator[Finding]:
    names: dict[str, list[Entry]] = {}
    for entry in _tables(facts):
        names.setdefault(canonical(entry.location or ""), []).append(entry)
    mine = {facts.meant.full(name) for name in facts.meant.specs}
    for place, entries in names.items():
        told_names = sorted(entry.name for entry in entries)
        if len(entries) > 1 and mine.intersection(told_names):
            yield finding(
                "location.shared",
                " and ".join(told_names),
                f"all lead to {place}",
                "a place for each: two streams, or a stream and somebody else, would write one table",
                "correct the entry that is wrong, or drop it where it is only a second name (the data stays)",
            )


def _nested(facts: Facts) -> Iterator[Finding]:
    places = {entry.name: str(entry.location) for entry in _tables(facts)}
    mine = {facts.meant.full(name) for name in facts.meant.specs}
    for name in facts.meant.specs:
        place = layout(facts, name)
        if facts.entries.get(name) is None and place is not None:
            places[facts.meant.full(name)] = place
    mine |= {_LANDING, _CHECKPOINTS}
    parents = {**places, _LANDING: facts.meant.landing}
    for name, place in {**places, _CHECKPOINTS: facts.meant.checkpoints}.items():
        for around, parent in parents.items():
            if name == around or not {name, around} & mine:
                continue
            if inside(place, parent) or (around == _LANDING and same_place(place, parent)):
                yield finding(
                    "location.nested",
                    name,
                    f"{place} lies in {parent}, the place of {around}",
                    "places that do not lie in each other: VACUUM removes what it does not know below a table, and "
                    "what lies below the landing folder is read as readings",
                    "move one of them, and correct its entry or setting",
                )


def _landing(facts: Facts) -> Iterator[Finding]:
    for stream, checkpoint in begun(facts):
        was = None if checkpoint.bound is None else checkpoint.bound.landing
        if was is not None and not same_place(was, facts.meant.landing):
            yield finding(
                "location.landing-moved",
                stream.name,
                f"the setting landing says {facts.meant.landing}",
                f"{was}: the checkpoint {checkpoint.folder} was made for that folder",
                "correct the setting; or, if the files moved, stop the stream and remove its checkpoint: it reads the "
                "folder anew, and lines that it knows change nothing",
            )


def _tables(facts: Facts) -> list[Entry]:
    found = [*facts.entries.values(), *([] if isinstance(facts.others, Unknown) else facts.others)]
    return [e for e in found if isinstance(e, Entry) and e.kind != "view" and e.location is not None]
