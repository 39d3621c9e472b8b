"""Compare catalog entries with the stored data and with the checkpoints."""

from collections.abc import Iterator, Mapping

from sensor_streams.locations import canonical, same_place
from sensor_streams.preflight.checks.queries import bound_to, commit_text
from sensor_streams.preflight.checks.registry import check, finding
from sensor_streams.preflight.facts import Commit, Damaged, Entry, Facts, Nothing, TableFacts, Unknown
from sensor_streams.preflight.findings import Finding
from sensor_streams.sql_names import sql_name, sql_text
from sensor_streams.table_spec import TableIdentity

_START_OVER = "stop the streams that read or write this table and remove their checkpoints, so they start from scratch"


@check("location.nothing-there", "error", "the catalog entry points to a path without a table")
@check("location.moved", "error", "the catalog entry points to a different path than the stream's checkpoint")
@check("location.recreated", "error", "the table was replaced by another table at the same path")
@check("location.stale-copy", "error", "the catalog entry points to an old copy of the table")
@check("location.fork", "error", "a table and its copy both have new commits")
@check("location.no-entry", "error", "the table's data exists, but its catalog entry is missing")
@check("location.occupied", "error", "the path of a new table contains other files")
@check("location.damaged", "error", "the table's log is incomplete and cannot be read")
@check("location.not-a-table", "error", "a view has the name of a stream's table")
def table_locations(facts: Facts) -> Iterator[Finding]:
    """Compare each table's catalog entry with the data and with the checkpoints."""
    for name in facts.expected.specs:
        entry = facts.entries.get(name)
        if entry is None:
            yield from _without_entry(facts, name)
        elif isinstance(entry, Entry):
            yield from _with_entry(facts, name, entry)


def _without_entry(facts: Facts, name: str) -> Iterator[Finding]:
    subject, path = facts.expected.full(name), facts.expected.path(name)

    def no_entry(found: str, expected: str, remedy: str, path: str) -> Finding:
        command = f"CREATE TABLE {sql_name(subject)} USING delta LOCATION {sql_text(path)}"
        return finding("location.no-entry", subject, found, expected, remedy, command)

    for stream, table in bound_to(facts, name).items():
        yield no_entry(
            f"the catalog has no entry of this name; the data of stream {stream} is stored at {table.location}",
            f"an entry that points to {table.location}",
            "register the table again",
            table.location,
        )
        return
    stored = None if path is None else facts.tables.get(canonical(path))
    if path is not None and isinstance(stored, TableFacts) and stored.version > 0:
        yield no_entry(
            f"the catalog has no entry of this name, but {path} contains a table ({commit_text(stored.history[0])})",
            "an entry for that table, or an empty path: a stream never writes to a table that it did not create",
            "register the table if it is the right one, or move its folder away",
            path,
        )
    elif isinstance(stored, Nothing) and stored.files:
        found = f"{path} is the path of this new table, but contains other files ({stored.files} names)"
        remedy = "move the files away, or set another folder in the setting tables or tables_root"
        yield finding("location.occupied", subject, found, "an empty path", remedy)
    elif isinstance(stored, Damaged):
        yield _damaged(subject, stored)


def _with_entry(facts: Facts, name: str, entry: Entry) -> Iterator[Finding]:
    subject = facts.expected.full(name)
    if entry.kind == "view":
        expected = "the table of the stream"
        remedy = "give the view another name"
        command = f"DROP VIEW {sql_name(subject)}"
        yield finding("location.not-a-table", subject, "a view has this name", expected, remedy, command)
    if entry.kind == "view" or entry.location is None:
        return
    stored = facts.tables.get(canonical(entry.location))
    bound = bound_to(facts, name)
    if isinstance(stored, Nothing):
        yield _nothing_there(facts, name, entry.location, bound, stored.files)
    elif isinstance(stored, Damaged):
        yield _damaged(subject, stored)
    else:
        yield from _other_paths(facts, name, entry.location, stored, bound)


def _nothing_there(facts: Facts, name: str, location: str, bound: Mapping[str, TableIdentity], files: int) -> Finding:
    paths = [*(table.location for table in bound.values()), facts.expected.path(name)]
    data = next((p for p in paths if p is not None and isinstance(facts.tables.get(canonical(p)), TableFacts)), None)
    found = f"the entry points to {location}, which has no table{f' but other files ({files} names)' if files else ''}"
    expected = "a table at the path of the entry" if data is None else f"an entry that points to {data}"
    remedy = "correct the entry before anything writes: a plain stream would create a second, empty table there"
    if data is None:
        # Never advise to drop an entry while files are stored at its path.
        drop = "" if files else "; drop the entry only if the data is lost for good"
        remedy = f"find the data and correct the entry{drop}"
    found += "; no other known path has its data" if data is None else f"; the data is at {data}"
    command = None if data is None else _set_location(facts, name, data)
    return finding("location.nothing-there", facts.expected.full(name), found, expected, remedy, command)


def _other_paths(
    facts: Facts, name: str, location: str, stored: TableFacts | Unknown | None, bound: Mapping[str, TableIdentity]
) -> Iterator[Finding]:
    """Compare the table at the entry's path with the bindings and with the configured path."""
    for stream, table in bound.items():
        if not same_place(table.location, location):
            yield _moved(facts, name, location, stored, stream, table)
            return
        if isinstance(stored, TableFacts) and table.table_id != stored.table_id:
            found = f"{location} contains table {stored.table_id}, created {_created(stored)}"
            expected = f"table {table.table_id}, which stream {stream} has read or written"
            remedy = f"restore the table (UNDROP, or a copy of its folder); if the new one is right, {_START_OVER}"
            yield finding("location.recreated", facts.expected.full(name), found, expected, remedy)
            return
    path = facts.expected.path(name)
    if isinstance(stored, TableFacts) and path is not None and not same_place(path, location):
        other = facts.tables.get(canonical(path))
        if isinstance(other, TableFacts) and other.table_id == stored.table_id and _commits_only_in(other, stored):
            yield _copies(facts, name, location, stored, other, path)


def _moved(
    facts: Facts, name: str, location: str, stored: TableFacts | Unknown | None, stream: str, table: TableIdentity
) -> Finding:
    other = facts.tables.get(canonical(table.location))
    if isinstance(stored, TableFacts) and isinstance(other, TableFacts) and other.table_id == stored.table_id:
        return _copies(facts, name, location, stored, other, table.location)
    new = "a table that could not be read"
    if isinstance(stored, TableFacts):
        new = "the same table" if stored.table_id == table.table_id else f"another table ({stored.table_id})"
    old = "a table" if isinstance(other, TableFacts) else "no table" if isinstance(other, Nothing) else "unknown data"
    found = f"the entry points to {location}, which contains {new}; {table.location} contains {old}"
    expected = f"{table.location}, table {table.table_id}, as in the binding of stream {stream}"
    remedy = f"correct the entry; if the new path is right, {_START_OVER}"
    command = _set_location(facts, name, table.location) if isinstance(other, TableFacts) else None
    return finding("location.moved", facts.expected.full(name), found, expected, remedy, command)


def _copies(facts: Facts, name: str, location: str, stored: TableFacts, other: TableFacts, path: str) -> Finding:
    """Return the finding for two tables with the same id: an old copy, or a fork with commits on both sides."""
    subject, command = facts.expected.full(name), _set_location(facts, name, path)
    new_here, new_there = _commits_only_in(stored, other), _commits_only_in(other, stored)
    more = f"{len(new_there)} more commits, the last: {commit_text(new_there[0])}" if new_there else ""
    if not new_here:
        found = f"the entry points to {location}, which contains a copy (version {stored.version})"
        expected = f"{path}, which contains the table itself at version {other.version}{f' ({more})' if more else ''}"
        remedy = "correct the entry before anything writes to the copy"
        return finding("location.stale-copy", subject, found, expected, remedy, command)
    found = (
        f"the entry points to {location}, where {len(new_here)} commits follow the copy, the last: "
        f"{commit_text(new_here[0])}{f'; {path} has {more}' if more else ''}"
    )
    expected = f"one table, at {path}"
    remedy = (
        "stop all writers, keep one table, copy the missing rows from the other one (for readings: land their files "
        "again), and move the other folder away"
    )
    return finding("location.fork", subject, found, expected, remedy, command)


def _commits_only_in(one: TableFacts, other: TableFacts) -> list[Commit]:
    """Return the commits that only one table has, newest first, as far back as both histories are known.

    Commit times are not compared: they are file times, which a copy does not keep.
    """

    def content(commit: Commit) -> tuple[object, ...]:
        return (commit.operation, commit.parameters, commit.metrics, commit.app, commit.app_version)

    known = {commit.version: content(commit) for commit in other.history}
    return [c for c in one.history if c.version >= min(known) and known.get(c.version) != content(c)]


def _damaged(subject: str, stored: Damaged) -> Finding:
    found = f"{stored.location}: {stored.because}"
    remedy = "restore the missing files of _delta_log from a copy; no stream can read or write this table now"
    return finding("location.damaged", subject, found, "a complete log", remedy)


def _created(table: TableFacts) -> str:
    first = table.history[-1]
    return commit_text(first) if first.version == 0 else f"before version {first.version}"


def _set_location(facts: Facts, name: str, location: str) -> str:
    """Return the correction of an entry: a SQL statement, or on this machine a line of the catalog file."""
    subject = facts.expected.full(name)
    if facts.expected.catalog_file is not None:
        return f'in {facts.expected.catalog_file}, entry "{subject}": "location": "{location}"'
    return f"ALTER TABLE {sql_name(subject)} SET LOCATION {sql_text(location)}"
