"""Plain lines: the fast way to read a line gives the same reading as the way that knows every reason."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dev.tests.ingest.test_bad_lines import BAD, FINE, as_bytes
from sensor_streams.fleet import Fleet, parse_fleet
from sensor_streams.ingest.parse import parse
from sensor_streams.ingest.plain_lines import read_plain
from sensor_streams_dev.simulate import Simulation, simulate
from tests.plant import ARRIVAL
from tests.rows import FIXTURES

pytestmark = pytest.mark.usefixtures("compiled")

NUMBERS = st.one_of(
    st.integers(-(10**19), 10**19).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-(10**16), 10**16, places=9).map(str),
    st.sampled_from(["-0", "-0.0", "0.1", "5E3", "1e400", "007", "+1", ".5", "5.", "true", "null", '"5"', "1e-7"]),
)
STRINGS = st.one_of(
    st.sampled_from(["pump-1", "power", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00.1234567+02:00", "kW", "good", ""]),
    st.text(max_size=8),
)
TEXTS = st.tuples(STRINGS, st.booleans()).map(lambda pair: json.dumps(pair[0], ensure_ascii=pair[1]))
NAMES = ["device_id", "sensor", "event_time", "value", "sequence", "unit", "quality", "site", "level", "runs", "valid"]
OPTIONAL = [
    ("sequence", NUMBERS),
    ("unit", TEXTS),
    ("quality", TEXTS),
    ("site", TEXTS),
    ("level", NUMBERS),
    ("runs", NUMBERS),
    ("valid", st.sampled_from(["true", "false", "1"])),
]
GOOD = {"device_id": '"pump-1"', "sensor": '"power"', "event_time": '"2026-01-01T00:00:00Z"', "value": "5.25"}


@st.composite
def lines(draw: st.DrawFn) -> str:
    """Return a line near a plain one: other values, repeated, unknown and missing members, other separators."""
    members = [(name, value) for name, value in GOOD.items() if draw(st.integers(0, 9)) < 9]
    optional = draw(st.lists(st.sampled_from(OPTIONAL), unique_by=lambda pair: pair[0], max_size=4))
    members += [(name, draw(kind)) for name, kind in optional]
    members += draw(
        st.lists(
            st.tuples(st.sampled_from([*NAMES, "note"]), NUMBERS | TEXTS), max_size=draw(st.sampled_from([0, 0, 1]))
        )
    )
    if draw(st.booleans()):
        members = draw(st.permutations(members))
    comma, colon = draw(st.sampled_from([(", ", ": "), (",", ":"), (", ", ":"), (",\t", " :")]))
    end = draw(st.sampled_from(["", "", "", "", "", " ", "}", "x"]))
    return "{" + comma.join(f'"{name}"{colon}{value}' for name, value in members) + "}" + end


@pytest.fixture(scope="module")
def typed_fleet(fleet: Fleet) -> Fleet:
    """The fleet of the tests, with a field of each type."""
    text = (FIXTURES / "fleet.yml").read_text("utf-8")
    return parse_fleet(text.replace("{site: string}", "{site: string, level: double, runs: long, valid: boolean}"))


def as_lines(spark: SparkSession, texts: list[bytes]) -> DataFrame:
    """Return lines as the text source gives them."""
    rows = spark.createDataFrame([(bytearray(text), at) for at, text in enumerate(texts)], "raw binary, at int")
    return rows.select(
        F.col("raw").cast("string").alias("raw"),
        F.concat(F.lit("file-"), F.col("at")).alias("source_file"),
        F.lit(ARRIVAL).alias("arrived_at"),
    )


def compared(rows: DataFrame) -> dict[str, tuple[object, ...]]:
    """Return the readings by file; numbers as text, so that −0.0 differs from 0.0."""
    names = [name for name in rows.columns if name not in ("raw", "is_plain")]
    shown = rows.select(*[F.col(name).cast("string") for name in sorted(names)]).collect()
    return {row["source_file"]: tuple(row) for row in shown}


@given(st.lists(lines(), min_size=120, max_size=120))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_both_ways_to_read_a_plain_line_agree(spark: SparkSession, typed_fleet: Fleet, texts: list[str]) -> None:
    texts = [
        *texts,
        json.dumps({"device_id": "pump-1", "sensor": "power", "event_time": "x", "value": 0.1 + len(texts)}),
    ]
    given_lines = as_lines(spark, [text.encode("utf-8", "surrogatepass") for text in texts]).localCheckpoint()
    fast = compared(read_plain(given_lines, typed_fleet).where("is_plain"))
    slow = compared(parse(given_lines, typed_fleet))
    assert len(fast) > 0
    assert fast == {name: slow[name] for name in fast}


def test_a_plain_line_is_recognised_and_any_other_form_is_not(spark: SparkSession, fleet: Fleet) -> None:
    bad = {name: as_bytes(text) for name, (text, _) in BAD.items()}
    fine = {name: text.encode() for name, text in FINE.items()}
    plain = {
        "plain": b'{"device_id":"pump-1","sensor":"power","event_time":"2026-01-01T00:00:00Z","value":5}',
        "spaces": b'{"device_id": "pump-1", "sensor": "power", "event_time": "x", "value": -5.5, "unit": "kW"}',
    }
    other = {
        "repeated": b'{"device_id":"pump-1","sensor":"power","event_time":"x","value":5,"value":6}',
        "escape": b'{"device_id":"pump\\u002d1","sensor":"power","event_time":"x","value":5}',
        "negative zero": b'{"device_id":"pump-1","sensor":"power","event_time":"x","value":-0.0}',
        "many digits": b'{"device_id":"pump-1","sensor":"power","event_time":"x","value":0.12345678901234567}',
        "whole with a point": b'{"device_id":"pump-1","sensor":"power","event_time":"x","value":5,"sequence":1.0}',
        "many members": b"{" + b'"unit":"kW",' * 5000 + b'"value":5}',
    }
    cases = {**bad, **fine, **plain, **other}
    rows = read_plain(as_lines(spark, list(cases.values())), fleet)
    found = {int(row[0].removeprefix("file-")) for row in rows.where("is_plain").select("source_file").collect()}
    recognised = {name for at, name in enumerate(cases) if at in found}
    assert recognised & {*plain, *other} == set(plain)
    assert compared(rows.where("is_plain")) == {
        name: row
        for name, row in compared(parse(as_lines(spark, list(cases.values())), fleet)).items()
        if int(name.removeprefix("file-")) in found
    }


def test_nearly_all_lines_of_the_simulated_fleet_are_plain(spark: SparkSession, fleet: Fleet, tmp_path: Path) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    simulate(Simulation(fleet, devices=2, origin=begin), tmp_path, begin, begin + timedelta(hours=6))
    texts = [line for file in sorted(tmp_path.rglob("*.json")) for line in file.read_bytes().splitlines()]
    rows = read_plain(as_lines(spark, texts), fleet)
    assert rows.where("is_plain").count() > 0.95 * len(texts) > 0
