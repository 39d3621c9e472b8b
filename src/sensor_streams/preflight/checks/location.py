"""Check 1: is the data where the catalog says, and where the streams left it?"""

from collections.abc import Iterator, Mapping

from sensor_streams.preflight.checks.asked import begun, bound_to, told
from sensor_streams.preflight.checks.catalogue import finding
from sensor_streams.preflight.facts import Commit, Damaged, Entry, Facts, Nothing, TableFacts
from sensor_streams.preflight.findings import Finding
from sensor_streams.preflight.places import canonical, inside, same_place
from sensor_streams.tables import TableIdentity, sql_text

_LANDING, _CHECKPOINTS = "the landing folder", "the folder of the checkpoints"


def check(facts: Facts) -> Iterator[Finding]:
    """What is wrong with the places of the tables, by the local facts alone."""
    for name in facts.meant.specs:
        entry = facts.entries.get(name)
        if entry is None:
            yield from _without_entry(facts, name)
        elif isinstance(entry, Entry):
            yield from _with_entry(facts, name, entry)
    yield from _shared(facts)
    yield from _nested(facts)
    yield from _landing(facts)


def _without_entry(facts: Facts, name: str) -> Iterator[Finding]:
    subject = facts.meant.full(name)
    for stream, was in bound_to(facts, name).items():
        yield finding(
            "location.no-entry",
            subject,
            f"the catalog has no entry of this name; stream {stream} has its data at {was.location}",
            f"an entry that leads to {was.location}",
            "register the table again where its data is",
            f"CREATE TABLE {subject} USING delta LOCATION {sql_text(was.location)}",
        )
        return
    place = _layout(facts, name)
    there = None if place is None else facts.tables.get(canonical(place))
    if isinstance(there, TableFacts) and there.version > 0:
        yield finding(
            "location.no-entry",
            subject,
            f"the catalog has no entry of this name, and a table lies at {place} ({told(there.history[0])})",
            "an entry for that table, or nothing at its place: no stream writes to a table that it has not made",
            "register the table if it is the right one, or move its folder away",
            f"CREATE TABLE {subject} USING delta LOCATION {sql_text(str(place))}",
        )
    elif isinstance(there, Nothing) and there.files:
        yield finding(
            "location.occupied",
            subject,
            f"{place} is where this table would be made, and holds other files ({there.files} names)",
            "an empty place",
            "move those files away, or give another folder in the setting tables or tables_root",
        )
    elif isinstance(there, Damaged):
        yield _damaged(subject, there)


def _with_entry(facts: Facts, name: str, entry: Entry) -> Iterator[Finding]:
    subject = facts.meant.full(name)
    if entry.kind == "view":
        yield finding(
            "location.not-a-table",
            subject,
            "a view has this name",
            "the table of the stream",
            "give the view another name",
            f"DROP VIEW {subject}",
        )
    if entry.kind == "view" or entry.location is None:
        return
    there = facts.tables.get(canonical(entry.location))
    bound = bound_to(facts, name)
    if isinstance(there, Nothing):
        yield _nothing_there(facts, name, entry.location, bound)
    elif isinstance(there, Damaged):
        yield _damaged(subject, there)
    elif isinstance(there, TableFacts):
        yield from _another(facts, name, entry.location, there, bound)


def _nothing_there(facts: Facts, name: str, location: str, bound: Mapping[str, TableIdentity]) -> Finding:
    subject = facts.meant.full(name)
    elsewhere = [was.location for was in bound.values()] + [p for p in (_layout(facts, name),) if p is not None]
    data = next((p for p in elsewhere if isinstance(facts.tables.get(canonical(p)), TableFacts)), None)
    found = f"the catalog says {location}, and there is no table there"
    if data is None:
        return finding(
            "location.nothing-there",
            subject,
            f"{found}; nor is its data at any other place that is known",
            "a table at the place that the catalog names",
            "find where the data is and correct the entry; drop the entry only if the data is gone for good",
            f"DROP TABLE {subject}",
        )
    return finding(
        "location.nothing-there",
        subject,
        f"{found}; the data is at {data}",
        f"the catalog says {data}",
        "correct the entry before anything writes: a plain stream would make a second, empty table at the wrong place",
        _set_location(facts, name, data),
    )


def _another(
    facts: Facts, name: str, location: str, there: TableFacts, bound: Mapping[str, TableIdentity]
) -> Iterator[Finding]:
    """What is wrong with a table that is there, next to those at other places that it should be, or be no copy of."""
    subject = facts.meant.full(name)
    for stream, was in bound.items():
        if same_place(was.location, location):
            if was.table_id != there.table_id:
                yield finding(
                    "location.recreated",
                    subject,
                    f"at {location} lies table {there.table_id}, made {_made(there)}",
                    f"table {was.table_id}, to which stream {stream} wrote or from which it read",
                    "bring the table back (UNDROP, or a copy of its folder); if the new one is right, stop the streams "
                    "that read or write it and remove their checkpoints: they begin anew and lose nothing",
                )
                return
            continue
        other = facts.tables.get(canonical(was.location))
        if isinstance(other, TableFacts) and other.table_id == there.table_id:
            yield _copies(facts, name, location, there, other, was.location)
        else:
            table, nothing = isinstance(other, TableFacts), isinstance(other, Nothing)
            what = "a table" if table else "no table" if nothing else "something that cannot be read"
            same = "the same table" if was.table_id == there.table_id else f"another table ({there.table_id})"
            yield finding(
                "location.moved",
                subject,
                f"the catalog says {location}, where {same} lies; at {was.location} lies {what}",
                f"{was.location}, table {was.table_id}: what stream {stream} is bound to",
                "correct the entry; or, if the new place is right, stop the streams that read or write this table and "
                "remove their checkpoints: they begin anew and lose nothing",
                _set_location(facts, name, was.location) if table else None,
            )
        return
    place = _layout(facts, name)
    if place is not None and not same_place(place, location):
        other = facts.tables.get(canonical(place))
        if isinstance(other, TableFacts) and other.table_id == there.table_id and _only_in(other, there):
            yield _copies(facts, name, location, there, other, place)


def _copies(facts: Facts, name: str, location: str, there: TableFacts, other: TableFacts, place: str) -> Finding:
    """Two tables of one origin: an old copy at the entry's place, or both with commits of their own."""
    subject = facts.meant.full(name)
    here_only, there_only = _only_in(there, other), _only_in(other, there)
    if not here_only:
        newer = f" ({len(there_only)} commits more, the last: {told(there_only[0])})" if there_only else ""
        return finding(
            "location.stale-copy",
            subject,
            f"the catalog says {location}, where a copy lies (version {there.version})",
            f"{place}, where the table itself lies at version {other.version}{newer}",
            "correct the entry before anything writes to the copy",
            _set_location(facts, name, place),
        )
    since = f"; at {place} {len(there_only)} commits since, the last: {told(there_only[0])}" if there_only else ""
    return finding(
        "location.fork",
        subject,
        f"the catalog says {location}, where {len(here_only)} commits follow the copy, the last: "
        f"{told(here_only[0])}{since}",
        f"one table, at {place}",
        "stop what writes to either, keep one, copy from the other what is missing (rows of readings: land their files "
        "again), and move the other's folder away",
        _set_location(facts, name, place),
    )


def _only_in(one: TableFacts, other: TableFacts) -> list[Commit]:
    """The commits of one table that the other does not have, newest first, as far back as both are known.

    The times of commits are those of files, which a copy does not keep; figures and parameters it does.
    """
    known = {c.version: (c.operation, c.parameters, c.metrics, c.app, c.app_version) for c in other.history}
    first = min(known)
    return [
        c
        for c in one.history
        if c.version >= first and known.get(c.version) != (c.operation, c.parameters, c.metrics, c.app, c.app_version)
    ]


def _damaged(subject: str, place: Damaged) -> Finding:
    return finding(
        "location.damaged",
        subject,
        f"{place.location}: {place.because}",
        "a log without a gap",
        "bring the missing files of _delta_log back from a copy; no stream can read or write this table as it is",
    )


def _shared(facts: Facts) -> Iterator[Finding]:
    names: dict[str, list[Entry]] = {}
    for entry in _all_entries(facts):
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
    places = {entry.name: str(entry.location) for entry in _all_entries(facts)}
    mine = {facts.meant.full(name) for name in facts.meant.specs}
    for name in facts.meant.specs:
        layout = _layout(facts, name)
        if facts.entries.get(name) is None and layout is not None:
            places[facts.meant.full(name)] = layout
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


def _all_entries(facts: Facts) -> list[Entry]:
    found = [*facts.entries.values(), *facts.others]
    return [e for e in found if isinstance(e, Entry) and e.kind != "view" and e.location is not None]


def _layout(facts: Facts, name: str) -> str | None:
    """Where a table of this name would be made."""
    return None if facts.meant.tables is None else f"{facts.meant.tables.rstrip('/')}/{name}"


def _made(table: TableFacts) -> str:
    first = table.history[-1]
    return told(first) if first.version == 0 else f"before version {first.version}"


def _set_location(facts: Facts, name: str, location: str) -> str:
    """What corrects an entry: a statement, or on this machine the line of the file of entries."""
    subject = facts.meant.full(name)
    if facts.meant.catalog_file is not None:
        return f'in {facts.meant.catalog_file}, entry "{subject}": "location": "{location}"'
    return f"ALTER TABLE {subject} SET LOCATION {sql_text(location)}"
