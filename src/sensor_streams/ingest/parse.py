"""Parse each line of text into a reading, or give the reason why it is rejected."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.fleet import FieldType, Fleet
from sensor_streams.ingest import event_times as times

# Half of a surrogate pair: Spark would replace it by a question mark, so two devices could become one.
_LONE = r"(?i)\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2}"
_NUMBER = r"^(BIGINT|DECIMAL.*|DOUBLE|FLOAT)$"
_SHOWN = 80

# Columns of `parse` before the fleet's fields.
OUTPUT = (
    "raw",
    "source_file",
    "arrived_at",
    "line_hash",
    "device_id",
    "sensor",
    "event_time",
    "sequence",
    "value",
    "unit",
    "quality",
)
FIELD_PATTERNS = {"string": r"^STRING$", "double": _NUMBER, "long": r"^BIGINT$", "boolean": r"^BOOLEAN$"}
REQUIRED = ("device_id", "sensor", "event_time", "value")
# Type of each member, as in the fleet's `fields`.
MEMBERS: dict[str, FieldType] = {
    "device_id": "string",
    "sensor": "string",
    "event_time": "string",
    "value": "double",
    "sequence": "long",
    "unit": "string",
    "quality": "string",
}


def parse(lines: DataFrame, fleet: Fleet) -> DataFrame:
    """Parse and check each line; no line is dropped.

    In: raw string (a line from the text source), source_file string, arrived_at timestamp.
    Out: these; line_hash bigint; device_id, sensor, event_time timestamp, sequence bigint, value double, unit,
    quality, the fleet's extra fields (null if they cannot be read); reason, detail (null for a good line).

    The reason is the first that applies: empty_line, line_too_long, invalid_utf8, byte_order_mark, nul_character,
    malformed_json, not_an_object, more_than_one_value, missing_field, null_field, wrong_type, not_finite,
    unknown_device, unknown_sensor, time_malformed, time_zone_missing, unit_mismatch, quality_refused, out_of_range,
    in_future, too_old. A time before 1900 or after 9999-12-30 counts as malformed.

    `from_json` would accept NaN, and the first of two objects. Instead the line is put into a JSON array, followed by
    its own hash. When the hash is not the second element, the line is not exactly one value.
    Names of intermediate columns begin with _; a field of a fleet cannot have such a name.
    """
    hashed = lines.withColumn("line_hash", F.xxhash64("raw"))
    text = F.concat(F.lit("["), F.col("raw"), F.lit(","), F.col("line_hash").cast("string"), F.lit("]"))
    # A line that is too long is not parsed: that would take several times its size in memory.
    short = F.octet_length("raw") <= fleet.accept.longest_line
    readable = short & F.is_valid_utf8("raw") & ~F.startswith(F.col("raw"), F.lit("\ufeff"))
    parsed = hashed.withColumn("_json", F.when(readable, F.try_parse_json(text)))
    one_value = F.expr("try_variant_get(_json, '$[1]', 'bigint')").eqNullSafe(F.col("line_hash"))
    opened = parsed.withColumn("_one_value", one_value).withColumn(
        "_kind", F.expr("schema_of_variant(try_variant_get(_json, '$[0]', 'variant'))")
    )
    names = [*MEMBERS, *fleet.fields]
    typed = opened.select(
        "*",
        *[
            F.expr(f"schema_of_variant(try_variant_get(_json, '$[0].{n}', 'variant'))").alias(f"_type_{n}")
            for n in names
        ],
    )
    read = typed.select(
        "raw",
        "source_file",
        "arrived_at",
        "line_hash",
        "_json",
        "_one_value",
        "_kind",
        *[f"_type_{name}" for name in names],
        _text("device_id").alias("device_id"),
        _text("sensor").alias("sensor"),
        _text("event_time").alias("_time_text"),
        _typed("sequence", "bigint", FIELD_PATTERNS["long"]).alias("sequence"),
        _value().alias("value"),
        _text("unit").alias("unit"),
        _text("quality").alias("quality"),
        *[_field(name, kind).alias(name) for name, kind in fleet.fields.items()],
    )
    timed = read.withColumn("event_time", times.event_time(F.col("_time_text")))
    known = timed.withColumn("_device_type", fleet.device_type_of(F.col("device_id")))
    checked = known.withColumn(
        "_problem", first_problem([*_line_checks(fleet), *_type_checks(fleet), *value_checks(fleet)])
    )
    return checked.select(
        *OUTPUT,
        *fleet.fields,
        F.col("_problem.reason").alias("reason"),
        F.col("_problem.detail").alias("detail"),
    )


def _typed(name: str, kind: str, pattern: str) -> Column:
    """Return a member as the given type, null when its JSON type is another one: `"1"` is not a number here."""
    value = F.expr(f"try_variant_get(_json, '$[0].{name}', '{kind}')")
    return F.when(F.col("_one_value") & F.col(f"_type_{name}").rlike(pattern), value)


def _text(name: str) -> Column:
    return _typed(name, "string", r"^STRING$")


def _field(name: str, kind: str) -> Column:
    spark_kind = {"long": "bigint"}.get(kind, kind)
    return _typed(name, spark_kind, FIELD_PATTERNS[kind])


def _value() -> Column:
    # Adding zero turns −0.0 into 0.0: both are equal, but have different hashes.
    return _typed("value", "double", _NUMBER) + F.lit(0.0)


# A condition for a bad line, its reason, and a detail in words.
Check = tuple[Column, str, Column]


def first_problem(checks: Sequence[Check]) -> Column:
    """Return reason and detail of the first check that applies; null for a good line."""
    problem: Column | None = None
    for condition, reason, detail in checks:
        found = F.struct(F.lit(reason).alias("reason"), detail.alias("detail"))
        applies = F.coalesce(condition, F.lit(False))
        problem = F.when(applies, found) if problem is None else problem.when(applies, found)
    return F.lit(None) if problem is None else problem


def _line_checks(fleet: Fleet) -> list[Check]:
    raw, size, longest = F.col("raw"), F.octet_length("raw"), fleet.accept.longest_line
    return [
        (raw.rlike(r"^\s*\z"), "empty_line", F.lit("only blanks")),
        (size > longest, "line_too_long", F.concat(size.cast("string"), F.lit(f" bytes; the limit is {longest}"))),
        (~F.is_valid_utf8("raw"), "invalid_utf8", F.lit("bytes that are not UTF-8")),
        (F.startswith(raw, F.lit("\ufeff")), "byte_order_mark", F.lit("the line begins with a byte-order mark")),
        (
            (F.instr(raw, "\x00") > 0) | F.contains(raw, F.lit("\\u0000")),
            "nul_character",
            F.lit("the line contains a NUL"),
        ),
        (F.contains(raw, F.lit("\\u")) & raw.rlike(_LONE), "malformed_json", F.lit("half of a surrogate pair")),
        # Alone, the line is parsed up to the end of its first value. If only this works, text follows that value.
        (
            F.col("_json").isNull() & F.try_parse_json(raw).isNotNull(),
            "more_than_one_value",
            F.lit("text after the first JSON value"),
        ),
        (F.col("_json").isNull(), "malformed_json", F.lit("not valid JSON")),
        (~F.col("_one_value"), "more_than_one_value", F.lit("text after the first JSON value")),
        (~F.coalesce(F.startswith("_kind", F.lit("OBJECT")), F.lit(False)), "not_an_object", F.col("_kind")),
    ]


def _type_checks(fleet: Fleet) -> list[Check]:
    checks = [(F.col(f"_type_{name}").isNull(), "missing_field", F.lit(name)) for name in REQUIRED]
    checks += [(F.col(f"_type_{name}") == "VOID", "null_field", F.lit(name)) for name in REQUIRED]
    for name, type_name in (MEMBERS | fleet.fields).items():
        pattern = FIELD_PATTERNS[type_name]
        kind = F.col(f"_type_{name}")
        wrong = kind.isNotNull() & (kind != "VOID") & ~kind.rlike(pattern)
        checks.append((wrong, "wrong_type", F.concat(F.lit(f"{name} is "), _short(kind))))
    return checks


def value_checks(fleet: Fleet) -> list[Check]:
    """Return the checks of the values of a line, which follow those of its form."""
    accept, value = fleet.accept, F.col("value")
    text, time, arrived, quality = F.col("_time_text"), F.col("event_time"), F.col("arrived_at"), F.col("quality")
    not_finite = value.isNull() | (F.abs(value) == float("inf")) | F.isnan(value)
    refused = quality.isNotNull() & ~quality.isin(list(accept.quality))
    checks = [
        (not_finite, "not_finite", F.lit("value is not finite")),
        (F.col("_device_type").isNull(), "unknown_device", _short(F.col("device_id"))),
        (~_has_sensor(fleet), "unknown_sensor", _short(F.col("sensor"))),
        (times.has_no_zone(text), "time_zone_missing", F.concat(_short(text), F.lit(": add Z, or +01:00"))),
        (time.isNull(), "time_malformed", times.why_malformed(text)),
        (_wrong_unit(fleet), "unit_mismatch", _short(F.col("unit"))),
        (refused, "quality_refused", _short(quality)),
        (_out_of_range(fleet), "out_of_range", F.concat(F.col("sensor"), F.lit(" "), value.cast("string"))),
        (time > arrived + F.lit(accept.ahead), "in_future", _short(text)),
    ]
    if accept.oldest is not None:
        checks.append((time < arrived - F.lit(accept.oldest), "too_old", _short(text)))
    return checks


def _short(value: Column) -> Column:
    return F.substring(value, 1, _SHOWN)


def _has_sensor(fleet: Fleet) -> Column:
    has = F.lit(False)
    for name, kind in fleet.device_types.items():
        has = has | ((F.col("_device_type") == name) & F.col("sensor").isin(list(kind.sensors)))
    return F.coalesce(has, F.lit(False))


def _wrong_unit(fleet: Fleet) -> Column:
    wrong = F.lit(False)
    for name, sensor in fleet.sensors.items():
        if sensor.unit is not None:
            wrong = wrong | ((F.col("sensor") == name) & (F.col("unit") != sensor.unit))
    return wrong


def _out_of_range(fleet: Fleet) -> Column:
    outside = F.lit(False)
    for name, sensor in fleet.sensors.items():
        if sensor.range is not None:
            low, high = sensor.range
            outside = outside | ((F.col("sensor") == name) & ~F.col("value").between(low, high))
    return outside
