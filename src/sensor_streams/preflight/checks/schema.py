"""Compare the columns of the tables with their declarations."""

import re
from collections.abc import Iterator, Sequence

from sensor_streams.preflight.checks.queries import known_tables, printed
from sensor_streams.preflight.checks.registry import check, finding
from sensor_streams.preflight.facts import Facts, TableFacts
from sensor_streams.preflight.findings import Finding
from sensor_streams.sql_names import sql_name
from sensor_streams.table_spec import TableSpec


@check("schema.missing", "error", "a column is missing")
@check("schema.type", "error", "a column has a different type")
@check("schema.case", "error", "a column name has different upper and lower case")
@check("schema.nullable", "warning", "a column does not allow nulls")
@check("schema.partition", "warning", "the table has different partition columns")
def columns(facts: Facts) -> Iterator[Finding]:
    """Compare the columns of each table with its declaration.

    A declared column may be missing: the stream adds the columns of new sensors. A column that is no longer declared
    may stay.
    """
    for name, table in known_tables(facts):
        if facts.expected.specs[name].columns:
            yield from _differences(facts.expected.full(name), facts.expected.specs[name], table)


def _differences(subject: str, spec: TableSpec, table: TableFacts) -> Iterator[Finding]:
    declared = {name: printed(kind) for name, kind in spec.columns}
    stored = {column.name: column for column in table.columns}
    by_lower_case = {name.lower(): name for name in stored}
    required = {*spec.key, *([spec.partition] if spec.partition else [])}
    missing = [name for name in declared if name not in stored]
    case = [name for name in missing if name.lower() in by_lower_case]
    lost = [n for n in missing if n not in case and n in required | _dropped(table)]
    types = [name for name in declared if name in stored and stored[name].type != declared[name]]
    not_null = [n for n in declared if n in stored and not stored[n].nullable and n not in required]

    def difference(names: Sequence[str]) -> str:
        """Return two lines for each column: `-` as declared, `+` as stored."""
        lines = []
        for name in names:
            lines.append(f"- {name} {declared[name]}")
            column = stored.get(by_lower_case.get(name.lower(), ""))
            if column is not None:
                lines.append(f"+ {column.name} {column.type}{'' if column.nullable else ' NOT NULL'}")
        return "\n".join(lines)

    if lost:
        found = difference(lost)
        expected = "every column of the key, and every column that the table had before"
        remedy = "restore the column under its name; the stream would add it again, empty in all existing rows"
        yield finding("schema.missing", subject, found, expected, remedy)
    if case:
        name, stored_name = case[0], by_lower_case[case[0].lower()]
        found = difference(case)
        expected = "the declared names: Spark ignores case, so it cannot add the declared column"
        remedy = "rename the column twice, with a temporary name; this needs column mapping"
        command = (
            f"ALTER TABLE {sql_name(subject)} RENAME COLUMN `{stored_name}` TO `{name}_`; "
            f"ALTER TABLE {sql_name(subject)} RENAME COLUMN `{name}_` TO `{name}`"
        )
        yield finding("schema.case", subject, found, expected, remedy, command)
    if types:
        found = difference(types)
        remedy = "keep the type in sensors.yml, or rename the field there; undo a change by hand with RESTORE"
        command = f"DESCRIBE HISTORY {sql_name(subject)}"
        yield finding("schema.type", subject, found, "the declared types", remedy, command)
    if not_null:
        found = difference(not_null)
        expected = "columns that allow nulls: a row without that value would stop the stream"
        remedy = "allow nulls in the column"
        command = f"ALTER TABLE {sql_name(subject)} ALTER COLUMN `{not_null[0]}` DROP NOT NULL"
        yield finding("schema.nullable", subject, found, expected, remedy, command)
    partitions = [] if spec.partition is None else [spec.partition]
    if [*table.partitions] != partitions:
        found = f"partitioned by {', '.join(table.partitions) or 'nothing'}"
        expected = f"partitioned by {', '.join(partitions) or 'nothing'}, because maintenance skips new partitions"
        remedy = "let the stream create the table again: move it away, drop its entry, remove the stream's checkpoint"
        yield finding("schema.partition", subject, found, expected, remedy)


def _dropped(table: TableFacts) -> set[str]:
    """Return the columns that were dropped or renamed, by the table's history."""
    parameters = [c.parameters for c in table.history if c.operation in ("DROP COLUMNS", "RENAME COLUMN")]
    return {word for p in parameters for word in re.findall(r"\w+", f"{p.get('columns')} {p.get('oldColumnPath')}")}
