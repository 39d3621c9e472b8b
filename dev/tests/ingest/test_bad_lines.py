"""Each kind of bad line is rejected for its reason, read by Spark's text source."""

import gzip
import json
import math
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.ingest.parse import parse

pytestmark = pytest.mark.usefixtures("compiled")

ARRIVAL = datetime(2026, 1, 3, tzinfo=UTC)
GOOD = '{"device_id": "pump-1", "sensor": "power", "event_time": "2026-01-01T00:00:00Z", "value": 5}'


def line(**changes: object) -> str:
    """Return a good line with some members changed; None removes a member."""
    members = json.loads(GOOD) | changes
    return json.dumps({k: v for k, v in members.items() if v is not None})


BAD: dict[str, tuple[bytes | str, str]] = {
    "broken JSON": (GOOD[:-1] + ",}", "malformed_json"),
    "half a line": (GOOD[:40], "malformed_json"),
    "single quotes": (GOOD.replace('"', "'"), "malformed_json"),
    "NaN": (GOOD.replace("5}", "NaN}"), "malformed_json"),
    "infinity": (GOOD.replace("5}", "Infinity}"), "malformed_json"),
    "minus infinity": (GOOD.replace("5}", "-Infinity}"), "malformed_json"),
    "a number beyond a double": (GOOD.replace("5}", "1e999}"), "not_finite"),
    "an escaped NUL": (line(device_id="pump-\x00"), "nul_character"),
    "half a surrogate pair": (GOOD.replace("pump-1", "pump-\\ud800"), "malformed_json"),
    "a line end in the name": (line(device_id="pump-1\n"), "unknown_device"),
    "a line end behind the time": (line(event_time="2026-01-01T00:00:00Z\n"), "time_malformed"),
    "the year 0": (line(event_time="0000-01-01T00:00:00Z"), "time_malformed"),
    "the year 999": (line(event_time="0999-01-01T00:00:00Z"), "time_malformed"),
    "the year 1899": (line(event_time="1899-12-31T23:59:59Z"), "time_malformed"),
    "the year 10000": (line(event_time="9999-12-31T23:59:59-05:00"), "time_malformed"),
    "a space before the time": (line(event_time="2026-01-01 00:00:00Z"), "time_malformed"),
    "the same member twice": (GOOD[:-1] + ', "value": 6}', "malformed_json"),
    "number as text": (line(value="5"), "wrong_type"),
    "wrong type of device": (line(device_id=7), "wrong_type"),
    "value true": (line(value=True), "wrong_type"),
    "sequence with a fraction": (line(sequence=1.5), "wrong_type"),
    "nested object": (line(value={"is": 5}), "wrong_type"),
    "a list": (line(value=[5]), "wrong_type"),
    "extra field of a wrong type": (line(site=5), "wrong_type"),
    "unknown device": (line(device_id="compressor-1"), "unknown_device"),
    "empty device": (line(device_id=""), "unknown_device"),
    "unknown sensor": (line(sensor="colour"), "unknown_sensor"),
    "wrong unit": (line(unit="W"), "unit_mismatch"),
    "refused quality": (line(quality="bad"), "quality_refused"),
    "out of range": (line(value=200.1), "out_of_range"),
    "in the future": (line(event_time="2026-01-03T00:11:00Z"), "in_future"),
    "too old": (line(event_time="2025-11-30T00:00:00Z"), "too_old"),
    "no time zone": (line(event_time="2026-01-01T00:00:00"), "time_zone_missing"),
    "no time": (line(event_time="yesterday"), "time_malformed"),
    "no such day": (line(event_time="2026-02-30T00:00:00Z"), "time_malformed"),
    "null key": (GOOD.replace('"pump-1"', "null"), "null_field"),
    "null value": (GOOD.replace("5}", "null}"), "null_field"),
    "no value": (line(value=None), "missing_field"),
    "1 MB line": (line(note="x" * 1_000_000), "line_too_long"),
    "invalid UTF-8": (GOOD.encode().replace(b"pump", b"p\xffmp"), "invalid_utf8"),
    "NUL": (GOOD.replace("pump", "p\x00mp"), "nul_character"),
    "byte-order mark": ("\ufeff" + GOOD, "byte_order_mark"),
    "two objects": (GOOD + GOOD, "more_than_one_value"),
    "two objects with a comma": (GOOD + "," + GOOD, "more_than_one_value"),
    "text behind": (GOOD + " x", "more_than_one_value"),
    "a bracket behind": (GOOD + "]", "more_than_one_value"),
    "a list of readings": ("[" + GOOD + "]", "not_an_object"),
    "a number alone": ("5", "not_an_object"),
    "an empty line": ("", "empty_line"),
    "blanks": (" \t ", "empty_line"),
}
FINE = {
    "a plain reading": GOOD,
    "with everything": line(unit="kW", quality="uncertain", sequence=3, site="north", more={"a": [1]}),
    "another zone": line(event_time="2026-01-01T02:00:00.123456789+02:00"),
    "an exponent": GOOD.replace("5}", "5E0}"),
    "a null that may be": GOOD[:-1] + ', "unit": null, "site": null}',
}


def parsed(spark: SparkSession, fleet: Fleet, file: Path) -> DataFrame:
    """Return the file's lines, parsed as in a batch."""
    lines = spark.read.text(str(file)).select(
        F.col("value").alias("raw"), F.lit(file.name).alias("source_file"), F.lit(ARRIVAL).alias("arrived_at")
    )
    return parse(lines, fleet)


def as_bytes(text: bytes | str) -> bytes:
    """Return a line as bytes."""
    return text.encode() if isinstance(text, str) else text


@pytest.fixture(scope="module")
def reasons(spark: SparkSession, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """Return the reason by name of the case; all lines are in one file."""
    cases = {name: as_bytes(text) for name, (text, _) in BAD.items()} | {n: t.encode() for n, t in FINE.items()}
    file = tmp_path_factory.mktemp("bad") / "lines.json"
    file.write_bytes(b"".join(text + b"\n" for text in cases.values()))
    found = parsed(spark, fleet, file).select("reason", F.monotonically_increasing_id().alias("at")).collect()
    return dict(zip(cases, [row["reason"] for row in sorted(found, key=lambda r: r["at"])], strict=True))


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_rejected_for_its_reason(reasons: dict[str, str | None], case: str) -> None:
    assert reasons[case] == BAD[case][1]


@pytest.mark.parametrize("case", FINE)
def test_a_good_line_is_accepted(reasons: dict[str, str | None], case: str) -> None:
    assert reasons[case] is None


def test_a_byte_order_mark_is_ignored_at_the_start_of_a_file_and_rejected_elsewhere(
    spark: SparkSession, fleet: Fleet, tmp_path: Path
) -> None:
    # Windows editors begin a file with it to mark the encoding.
    mark = b"\xef\xbb\xbf"
    data = b"\n".join([mark + GOOD.encode(), mark + line(sequence=1).encode(), line(sequence=2).encode()]) + b"\n"
    (tmp_path / "plain.json").write_bytes(data)
    (tmp_path / "packed.json.gz").write_bytes(gzip.compress(data))
    for name in ("plain.json", "packed.json.gz"):
        found = parsed(spark, fleet, tmp_path / name).select("reason", "raw").collect()
        assert [row["reason"] for row in found] == [None, "byte_order_mark", None]
        assert found[0]["raw"] == GOOD


def oracle(text: bytes, fleet: Fleet) -> float | None:
    """Return the value of a line, None when it must be rejected: the same rules in plain Python."""

    def no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({k for k, _ in pairs}) != len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    def refuse(_: str) -> object:
        raise ValueError("no number")

    try:
        if (
            len(text) > fleet.accept.longest_line
            or b"\x00" in text
            or b"\\u0000" in text
            or text.startswith(b"\xef\xbb\xbf")
        ):
            return None
        found = json.loads(text.decode("utf-8"), object_pairs_hook=no_duplicates, parse_constant=refuse)
        if not isinstance(found, dict):
            return None
        device, sensor, time, value = (found[k] for k in ("device_id", "sensor", "event_time", "value"))
        typed = [found.get(k) for k in ("unit", "quality", "site")]
        if any(v is not None and not isinstance(v, str) for v in [device, sensor, time, *typed]):
            return None
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # fails on half a surrogate pair
        if device is None or sensor is None or time is None or isinstance(value, bool):
            return None
        sequence = found.get("sequence")
        if sequence is not None and (not isinstance(sequence, int) or isinstance(sequence, bool)):
            return None
        low, high = fleet.sensors[sensor].range or (-math.inf, math.inf)
        if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", time):
            return None
        parsed_time = datetime.fromisoformat(time.upper())
        oldest = fleet.accept.oldest or timedelta(days=10**5)
        fits = (
            device.startswith("pump-")
            and isinstance(value, int | float)
            and low <= value <= high
            and found.get("unit") in (None, fleet.sensors[sensor].unit)
            and found.get("quality") in (None, *fleet.accept.quality)
            and parsed_time.tzinfo is not None
            and ARRIVAL - oldest <= parsed_time <= ARRIVAL + fleet.accept.ahead
        )
        return float(value) if fits else None
    except (ValueError, KeyError, TypeError, UnicodeDecodeError, RecursionError):
        return None


def mutated(random_source: random.Random, text: bytes) -> bytes:
    """Return a line with some bytes changed, removed or repeated, without line ends."""
    data = bytearray(text)
    for _ in range(random_source.randint(0, 3)):
        at = random_source.randrange(len(data)) if data else 0
        what = random_source.randrange(4)
        if what == 0 and data:
            data[at] = random_source.choice([0x22, 0x2C, 0x3A, 0x7B, 0x7D, 0x30, 0x2D, 0x65, 0x20, 0xFF, 0x5B, 0x5D])
        elif what == 1:
            del data[at : at + random_source.randint(1, 12)]
        elif what == 2:
            data[at:at] = data[at : at + random_source.randint(1, 20)]
        else:
            data[at:at] = random_source.choice(
                [b"null", b"1e5", b"-", b"{}", b"[1]", b'"x"', b",", b"\\u0000", b"\xc3"]
            )
    return bytes(data).replace(b"\n", b"").replace(b"\r", b"")


MEMBERS = st.fixed_dictionaries(
    {
        "device_id": st.sampled_from(["pump-1", "pump-", "x", "", None, 3]),
        "sensor": st.sampled_from(["power", "temperature", "colour", None]),
        "event_time": st.sampled_from(
            ["2026-01-01T00:00:00Z", "2026-01-02T23:59:59+00:00", "2026-01-01T00:00:00", "2025-01-01T00:00:00Z", "no"]
        ),
        "value": st.one_of(st.floats(), st.integers(-300, 300), st.none(), st.text(max_size=3), st.booleans()),
    },
    optional={
        "unit": st.sampled_from(["kW", "degC", None, 1]),
        "quality": st.sampled_from(["good", "bad", None]),
        "sequence": st.sampled_from([1, -5, 1.5, "1", None]),
        "site": st.one_of(st.none(), st.text(max_size=5), st.integers()),
    },
)


LINES = st.one_of(
    MEMBERS.map(lambda members: json.dumps(members).encode()),
    st.builds(
        lambda members, seed: mutated(random.Random(seed), json.dumps(members).encode()), MEMBERS, st.integers(0, 2**32)
    ),
    st.builds(lambda seed: mutated(random.Random(seed), GOOD.encode()), st.integers(0, 2**32)),
    st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"")),
)


def test_ten_thousand_generated_lines_are_decided_by_the_rules(
    spark: SparkSession, fleet: Fleet, tmp_path: Path
) -> None:
    lines: list[bytes] = []

    # Generated first and run as one DataFrame, which is faster than ten thousand Spark jobs.
    @settings(max_examples=250, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(LINES, min_size=40, max_size=60))
    def generate(drawn: list[bytes]) -> None:
        lines.extend(drawn)

    generate()
    assert len(lines) >= 10_000
    file = tmp_path / "lines.json"
    file.write_bytes(b"".join(text + b"\n" for text in lines))
    rows = parsed(spark, fleet, file).select("reason", "value", F.col("raw").cast("binary").alias("bytes")).collect()
    assert len(rows) == len(lines), "no line is lost or added"
    accepted = 0
    for row in rows:
        text = bytes(row["bytes"])
        expected = oracle(text, fleet)
        assert (row["reason"] is None) == (expected is not None), (text, row["reason"], expected)
        if expected is not None:
            assert row["value"] == expected
            accepted += 1
    assert 500 < accepted < len(lines) - 500, "the lines must include both kinds"
