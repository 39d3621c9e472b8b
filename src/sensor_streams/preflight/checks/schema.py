"""Check 5: have the tables the columns that the streams are declared with?"""

import re
from collections.abc import Iterator, Mapping

from sensor_streams.preflight.checks.queries import printed, table_of
from sensor_streams.preflight.checks.registry import finding
from sensor_streams.preflight.facts import Column, Facts, TableFacts
from sensor_streams.preflight.findings import Finding
from sensor_streams.sql_names import sql_name
from sensor_streams.table_spec import TableSpec


def check(facts: Facts) -> Iterator[Finding]:
    """Where the tables that the streams read and write differ from their declarations.

    A column that is declared and not there is nothing as such: the table's own stream adds what sensors.yml has come
    to ask for. Nor is one that is there and not declared any more.
    """
    for name, spec in facts.meant.specs.items():
        table = table_of(facts, name)
        if table is not None and spec.columns:
            yield from _differences(facts.meant.full(name), spec, table)


def _differences(subject: str, spec: TableSpec, table: TableFacts) -> Iterator[Finding]:
    declared = {name: printed(kind) for name, kind in spec.columns}
    there = {column.name: column for column in table.columns}
    capitals = {name.lower(): name for name in there}
    missing = [name for name in declared if name not in there]
    case = [name for name in missing if name.lower() in capitals]
    gone = [n for n in missing if n not in case and (n in _needed(spec) or n in _taken_away(table))]
    kinds = [name for name in declared if name in there and there[name].type != declared[name]]
    filled = [n for n in declared if n in there and not there[n].nullable and n not in _needed(spec)]

    def drawn(names: list[str]) -> str:
        return _drawn(names, declared, there, capitals)

    if gone:
        yield finding(
            "schema.missing",
            subject,
            drawn(gone),
            "every column of the key, and every other one that was there",
            "bring the column back under its name; it would be added anew, empty in all rows that are there",
        )
    if case:
        now, name = capitals[case[0].lower()], case[0]
        yield finding(
            "schema.case",
            subject,
            drawn(case),
            "names as they are declared: to Spark the two are one, so the declared one cannot be added",
            "rename the column, by way of another name; it takes column mapping",
            f"ALTER TABLE {sql_name(subject)} RENAME COLUMN `{now}` TO `{name}_`; "
            f"ALTER TABLE {sql_name(subject)} RENAME COLUMN `{name}_` TO `{name}`",
        )
    if kinds:
        yield finding(
            "schema.type",
            subject,
            drawn(kinds),
            "the declared types",
            "keep the type in sensors.yml or give the field another name there; where somebody changed the table, "
            "bring it back to the version before",
            f"DESCRIBE HISTORY {sql_name(subject)}",
        )
    if filled:
        yield finding(
            "schema.nullable",
            subject,
            drawn(filled),
            "columns that may be empty: a row without that value would stop the stream",
            "let the column be empty",
            f"ALTER TABLE {sql_name(subject)} ALTER COLUMN `{filled[0]}` DROP NOT NULL",
        )
    wanted = [] if spec.partition is None else [spec.partition]
    if [*table.partitions] != wanted:
        yield finding(
            "schema.partition",
            subject,
            f"partitioned by {', '.join(table.partitions) or 'nothing'}",
            f"partitioned by {', '.join(wanted) or 'nothing'}: maintenance leaves the newest partitions to the streams",
            "let the table be made anew by its stream: move it away, drop its entry, remove the stream's checkpoint",
        )


def _needed(spec: TableSpec) -> set[str]:
    """The columns without which no row is one: they are in the table from its beginning."""
    return {*spec.key, *([spec.partition] if spec.partition else [])}


def _taken_away(table: TableFacts) -> set[str]:
    """The columns of which the history says that they were dropped or renamed."""
    taken = [c.parameters for c in table.history if c.operation in ("DROP COLUMNS", "RENAME COLUMN")]
    return {name for told in taken for name in re.findall(r"\w+", f"{told.get('columns')} {told.get('oldColumnPath')}")}


def _drawn(
    names: list[str], declared: Mapping[str, str], there: Mapping[str, Column], capitals: Mapping[str, str]
) -> str:
    """The difference, two lines a column: `-` as it is declared, `+` as it is."""
    lines = []
    for name in names:
        lines.append(f"- {name} {declared[name]}")
        column = there.get(capitals.get(name.lower(), ""))
        if column is not None:
            lines.append(f"+ {column.name} {column.type}{'' if column.nullable else ' NOT NULL'}")
    return "\n".join(lines)
