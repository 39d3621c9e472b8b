"""The fast way to read lines: flat JSON objects in a simple form, which nearly all lines have.

A regular expression recognises such a line, and `from_json` reads it. All other lines take the way of `parse`, which
knows every reason to reject a line and is slower. Both ways give the same columns for a plain line.
"""

import re
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.fleet import FieldType, Fleet
from sensor_streams.ingest import event_times as times
from sensor_streams.ingest.parse import MEMBERS, OUTPUT, REQUIRED, first_problem, value_checks

# No escape and no control character: the text is the value.
_STRING = r'"[^"\\\x00-\x1f]*+"'
# Up to 15 digits on each side of the point, so that every reader rounds to the same double; not a negative zero.
_NUMBER = r"(?!-0(?:\.0{1,15})?[ ,}])-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?"
_WHOLE = r"-?(?:0|[1-9][0-9]{0,17})"
_PATTERNS = {"string": _STRING, "double": _NUMBER, "long": _WHOLE, "boolean": "(?:true|false)"}


@dataclass(frozen=True)
class _Expressions:
    """Expressions that read the lines of a fleet, in the order in which they are applied.

    json: the line. members: its members. known: figures of a reading, by column. problem: of its values.
    """

    json: Column
    members: list[Column]
    known: dict[str, Column]
    problem: Column


# By fleet: each batch uses the same expressions, and creating them takes hundreds of calls to the JVM.
_made: dict[str, _Expressions] = {}


def read_plain(lines: DataFrame, fleet: Fleet) -> DataFrame:
    """Read the plain lines of a batch; no line is dropped.

    In: raw string, source_file string, arrived_at timestamp. Out: the columns of `parse`, and `is_plain`. When it is
    false, the columns after arrived_at have no meaning.
    """
    fingerprint = fleet.fingerprint
    if fingerprint not in _made:
        _made[fingerprint] = _expressions(fleet)
    made = _made[fingerprint]
    read = lines.withColumn("_json", made.json).select("raw", "source_file", "arrived_at", *made.members)
    # `is_plain` is not in the projection above: with ten fields, Spark would optimise it for 13 s.
    checked = read.withColumns(made.known).withColumn("_problem", made.problem)
    found = checked.withColumns({"reason": F.col("_problem.reason"), "detail": F.col("_problem.detail")})
    return found.select(*OUTPUT, *fleet.fields, "reason", "detail", "is_plain")


def _expressions(fleet: Fleet) -> _Expressions:
    kinds = MEMBERS | fleet.fields
    schema = ", ".join(f"`{name}` {kind}" for name, kind in kinds.items())
    raw = F.col("raw")
    readable = (F.octet_length(raw) <= fleet.accept.longest_line) & F.is_valid_utf8(raw) & raw.rlike(_gate(kinds))
    json = F.when(readable, F.from_json(raw, schema))
    columns = {name: "_time_text" if name == "event_time" else name for name in kinds}
    members = [F.col(f"_json.{name}").alias(column) for name, column in columns.items()]
    # Plain lines have no null, so a repeated member makes more names than values.
    values = " + ".join(f"int(`{column}` IS NOT NULL)" for column in columns.values())
    required = " AND ".join(f"`{columns[name]}` IS NOT NULL" for name in REQUIRED)
    known = {
        "is_plain": F.expr(f"{required} AND regexp_count(raw, '\":') = {values}"),
        "event_time": times.event_time(F.col("_time_text")),
        "_device_type": fleet.device_type_of(F.col("device_id")),
        "line_hash": F.xxhash64("raw"),
    }
    return _Expressions(json, members, known, F.when(F.col("is_plain"), first_problem(value_checks(fleet))))


def _gate(kinds: dict[str, FieldType]) -> str:
    """Return the regular expression of a plain line: each member has a known name and a value of its type."""
    members = "|".join(f'"{re.escape(name)}": ?{_PATTERNS[kind]}' for name, kind in kinds.items())
    # The number of repetitions is limited, because Java's matcher uses its stack for each.
    return rf"^\{{(?:{members})(?:, ?(?:{members})){{{len(REQUIRED) - 1},{len(kinds) - 1}}}\}}\z"
