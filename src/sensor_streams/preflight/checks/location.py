"""Check 1: is the data where the catalog says, and where the streams left it?"""

from collections.abc import Iterator, Mapping

from sensor_streams.locations import canonical, same_place
from sensor_streams.preflight.checks.queries import bound_to, layout, told
from sensor_streams.preflight.checks.registry import finding
from sensor_streams.preflight.facts import Commit, Damaged, Entry, Facts, Nothing, TableFacts, Unknown
from sensor_streams.preflight.findings import Finding
from sensor_streams.sql_names import sql_name, sql_text
from sensor_streams.table_spec import TableIdentity


def check(facts: Facts) -> Iterator[Finding]:
    """What is wrong with the places of the tables, by the local facts alone."""
    for name in facts.meant.specs:
        entry = facts.entries.get(name)
        if entry is None:
            yield from _without_entry(facts, name)
        elif isinstance(entry, Entry):
            yield from _with_entry(facts, name, entry)


def _without_entry(facts: Facts, name: str) -> Iterator[Finding]:
    subject = facts.meant.full(name)
    for stream, was in bound_to(facts, name).items():
        yield finding(
            "location.no-entry",
            subject,
            f"the catalog has no entry of this name; stream {stream} has its data at {was.location}",
            f"an entry that leads to {was.location}",
            "register the table again where its data is",
            f"CREATE TABLE {sql_name(subject)} USING delta LOCATION {sql_text(was.location)}",
        )
        return
    place = layout(facts, name)
    there = None if place is None else facts.tables.get(canonical(place))
    if isinstance(there, TableFacts) and there.version > 0:
        yield finding(
            "location.no-entry",
            subject,
            f"the catalog has no entry of this name, and a table lies at {place} ({told(there.history[0])})",
            "an entry for that table, or nothing at its place: no stream writes to a table that it has not made",
            "register the table if it is the right one, or move its folder away",
            f"CREATE TABLE {sql_name(subject)} USING delta LOCATION {sql_text(str(place))}",
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
            f"DROP VIEW {sql_name(subject)}",
        )
    if entry.kind == "view" or entry.location is None:
        return
    there = facts.tables.get(canonical(entry.location))
    bound = bound_to(facts, name)
    if isinstance(there, Nothing):
        yield _nothing_there(facts, name, entry.location, bound, there.files)
    elif isinstance(there, Damaged):
        yield _damaged(subject, there)
    else:
        yield from _another(facts, name, entry.location, there, bound)


def _nothing_there(facts: Facts, name: str, location: str, bound: Mapping[str, TableIdentity], files: int) -> Finding:
    subject = facts.meant.full(name)
    elsewhere = [was.location for was in bound.values()] + [p for p in (layout(facts, name),) if p is not None]
    data = next((p for p in elsewhere if isinstance(facts.tables.get(canonical(p)), TableFacts)), None)
    found = f"the catalog says {location}, and there is no table there"
    if files:
        found += f" but other files ({files} names)"
    if data is None:
        return finding(
            "location.nothing-there",
            subject,
            f"{found}; nor is its data at any other place that is known",
            "a table at the place that the catalog names",
            # Advice to drop an entry is never given while something is stored there.
            "find where the data is and correct the entry"
            + ("" if files else "; drop the entry only if the data is gone for good"),
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
    facts: Facts, name: str, location: str, there: TableFacts | Unknown | None, bound: Mapping[str, TableIdentity]
) -> Iterator[Finding]:
    """What is wrong with a place, next to those where the table was and where it would be made."""
    subject = facts.meant.full(name)
    for stream, was in bound.items():
        if not same_place(was.location, location):
            yield _elsewhere(facts, name, location, there, stream, was)
            return
        if isinstance(there, TableFacts) and was.table_id != there.table_id:
            yield finding(
                "location.recreated",
                subject,
                f"at {location} lies table {there.table_id}, made {_made(there)}",
                f"table {was.table_id}, to which stream {stream} wrote or from which it read",
                "bring the table back (UNDROP, or a copy of its folder); if the new one is right, stop the streams "
                "that read or write it and remove their checkpoints: they begin anew from what their sources hold",
            )
            return
    place = layout(facts, name)
    if isinstance(there, TableFacts) and place is not None and not same_place(place, location):
        other = facts.tables.get(canonical(place))
        if isinstance(other, TableFacts) and other.table_id == there.table_id and _only_in(other, there):
            yield _copies(facts, name, location, there, other, place)


def _elsewhere(
    facts: Facts, name: str, location: str, there: TableFacts | Unknown | None, stream: str, was: TableIdentity
) -> Finding:
    """The entry leads to another place than a stream is bound to."""
    other = facts.tables.get(canonical(was.location))
    if isinstance(there, TableFacts) and isinstance(other, TableFacts) and other.table_id == there.table_id:
        return _copies(facts, name, location, there, other, was.location)
    if isinstance(there, TableFacts):
        what = "the same table lies" if there.table_id == was.table_id else f"another table lies ({there.table_id})"
    else:
        what = "nobody could look"
    old = "what nobody could look at"
    if isinstance(other, TableFacts | Nothing):
        old = "a table" if isinstance(other, TableFacts) else "no table"
    return finding(
        "location.moved",
        facts.meant.full(name),
        f"the catalog says {location}, where {what}; at {was.location} lies {old}",
        f"{was.location}, table {was.table_id}: what stream {stream} is bound to",
        "correct the entry; or, if the new place is right, stop the streams that read or write this table and "
        "remove their checkpoints: they begin anew from what their sources hold",
        _set_location(facts, name, was.location) if isinstance(other, TableFacts) else None,
    )


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


def _made(table: TableFacts) -> str:
    first = table.history[-1]
    return told(first) if first.version == 0 else f"before version {first.version}"


def _set_location(facts: Facts, name: str, location: str) -> str:
    """What corrects an entry: a statement, or on this machine the line of the file of entries."""
    subject = facts.meant.full(name)
    if facts.meant.catalog_file is not None:
        return f'in {facts.meant.catalog_file}, entry "{subject}": "location": "{location}"'
    return f"ALTER TABLE {sql_name(subject)} SET LOCATION {sql_text(location)}"
