"""Files become readings: counts, duplicates, conflicts, damaged files, replays."""

import bz2
import gzip
import os
from datetime import timedelta

import pytest

from sensor_streams.fleet import parse_fleet
from sensor_streams.incremental.transactions import AlreadyCommittedError, BatchTransaction, append
from sensor_streams.ingest.ingest_tables import rejected_table
from tests.plant import ARRIVAL, Plant, reading
from tests.rows import FIXTURES

A = reading("pump-1", "power", "00:00:00", 5)
B = reading("pump-1", "power", "00:00:20", 7)


@pytest.fixture
def empty(plant: Plant) -> Plant:
    """Return a plant with the tables of ingestion."""
    plant.create("readings")
    return plant


def test_lines_are_the_sum_of_accepted_rejected_and_duplicates(empty: Plant) -> None:
    empty.land("a.json", [A, A, B, "broken", "broken", ""])
    empty.land("b.json", [A, reading("pump-1", "power", "00:00:00", 6), reading("pump-2", "power", "00:00:00", 1)])
    empty.land("c.json", [])
    assert empty.ingest().rows_in == 9, "lines, not files"
    assert empty.sums() == (9, 3, 4, 2)
    assert empty.reasons() == {"malformed_json": 2, "empty_line": 1, "conflict": 1}
    assert empty.differing("readings") == []
    files = {r["source_file"]: r for r in empty.read("ingested_files").collect()}
    assert (files["a.json"]["lines"], files["c.json"]["lines"]) == (6, 0)
    assert files["c.json"]["reason"] == "empty file"
    conflict = empty.read("readings_rejected").where("reason = 'conflict'").first()
    assert conflict is not None
    assert "value 6.0 where 5.0 is stored from a.json" in conflict["detail"]


def test_a_conflict_mentions_microseconds_only_when_its_event_time_is_finer(empty: Plant) -> None:
    finer = [reading("pump-1", "power", f"00:00:00.123456{digit}", digit) for digit in (1, 7)]
    nested = {"event_time": "2026-01-01T00:00:00.1234567Z"}
    whole = [reading("pump-2", "power", "00:00:00", value, more=nested) for value in (5, 6)]
    empty.land("a.json", [*finer, *whole])
    empty.ingest()
    conflicts = empty.read("readings_rejected").where("reason = 'conflict'").collect()
    hint = "times are cut to microseconds: both are the same"
    assert {("pump-1" in row["raw"], hint in row["detail"]) for row in conflicts} == {(True, True), (False, False)}


def test_the_same_reading_a_day_later_in_another_file_changes_nothing(empty: Plant) -> None:
    empty.land("a.json", [A, B])
    empty.ingest("a.json")
    before = empty.version("readings")
    empty.land("b.json", [B, A, A], ARRIVAL + timedelta(days=1))
    empty.ingest("b.json")
    assert empty.version("readings") == before, "nothing to write, so no commit"
    assert empty.sums() == (5, 2, 0, 3)


def test_a_repeated_batch_counts_once(empty: Plant) -> None:
    empty.land("a.json", [A, A, B, "broken", reading("pump-1", "power", "00:00:00", 6)])
    for _ in range(2):
        empty.ingest("a.json")
    # Restored from a copy, with a new time: rejected lines keep the date of the first time.
    later = (ARRIVAL + timedelta(days=4)).timestamp()
    os.utime(empty.landing / "a.json", (later, later))
    empty.ingest("a.json")
    assert empty.sums() == (5, 2, 2, 1)
    assert (empty.count("readings"), empty.count("readings_rejected"), empty.count("ingested_files")) == (2, 2, 1)
    assert empty.differing("readings") == []


@pytest.mark.slow
def test_files_in_other_batches_give_the_same_readings(empty: Plant) -> None:
    empty.land("a.json", [A, B])
    empty.land("b.json", [reading("pump-1", "power", "00:00:00", 6), reading("pump-1", "power", "00:00:40", 1)])
    empty.ingest("a.json")
    empty.ingest("b.json")
    empty.ingest()
    assert empty.sums() == (4, 3, 1, 0)
    assert empty.differing("readings") == []


def test_decisions_stay_when_the_limits_change(empty: Plant) -> None:
    high = reading("pump-1", "power", "00:01:00", 199)
    empty.land("a.json", [A, high, reading("pump-1", "power", "00:02:00", 500)])
    empty.ingest("a.json")
    text = (FIXTURES / "fleet.yml").read_text("utf-8")
    empty.fleet = parse_fleet(text.replace("range: [0, 200]", "range: [-10, 100]"))
    empty.ingest("a.json")
    empty.fleet = parse_fleet(text.replace("range: [0, 200]", "range: [0, 900]"))
    empty.ingest("a.json")
    assert empty.sums() == (3, 2, 1, 0)
    assert empty.differing("readings") == []


def test_readings_with_and_without_a_sequence_number_are_different(empty: Plant) -> None:
    again = reading("pump-1", "power", "00:00:00", 5, sequence=1)
    empty.land("a.json", [A, again, again.replace("1}", "2}")])
    empty.ingest()
    assert empty.sums() == (3, 3, 0, 0)


@pytest.mark.slow
def test_a_damaged_file_is_set_aside_without_rows_until_it_is_replaced(empty: Plant) -> None:
    whole = gzip.compress(
        "".join(
            reading("pump-1", "power", f"00:{m:02d}:{s:02d}", m) + "\n" for m in range(60) for s in range(60)
        ).encode()
    )
    empty.land_bytes("whole.json.gz", whole)
    empty.land_bytes("cut.json.gz", whole[: len(whole) // 2])
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    empty.land_bytes("flipped.json.gz", bytes(flipped))
    empty.land_bytes("text.json.gz", A.encode())
    packed = bytearray(bz2.compress(A.encode() * 50_000))
    packed[len(packed) // 2] ^= 0xFF
    empty.land_bytes("flipped.json.bz2", bytes(packed))
    empty.land_bytes("text.json.bz2", A.encode())
    empty.land("plain.json", [reading("pump-2", "power", "00:00:00", 1)])
    empty.ingest()
    states = {r["source_file"]: (r["state"], r["lines"]) for r in empty.read("ingested_files").collect()}
    assert states == {
        "whole.json.gz": ("DONE", 3600),
        "cut.json.gz": ("SET_ASIDE", 0),
        "flipped.json.gz": ("SET_ASIDE", 0),
        "text.json.gz": ("SET_ASIDE", 0),
        "flipped.json.bz2": ("SET_ASIDE", 0),
        "text.json.bz2": ("SET_ASIDE", 0),
        "plain.json": ("DONE", 1),
    }
    assert empty.count("readings", "source_file IN ('cut.json.gz', 'flipped.json.gz', 'text.json.gz')") == 0
    aside = empty.read("ingested_files").where("state = 'SET_ASIDE'").collect()
    assert all(row["reason"].startswith("damaged: ") for row in aside)
    empty.land("none.json", [])
    assert empty.ingest().rows_in == 3601
    assert empty.sums() == (3601, 3601, 0, 0)
    # Replaced under the same names, one still cut. The source has listed these paths and does not list them again.
    before = empty.version("ingested_files")
    late = [reading("pump-3", "power", f"00:00:{second}", 5) for second in ("00", "20")]
    empty.land("next.json", late[:1])
    empty.land_bytes("cut.json.gz", gzip.compress("\n".join(late).encode()), ARRIVAL + timedelta(hours=1))
    empty.land_bytes("flipped.json.gz", whole[: len(whole) // 3], ARRIVAL + timedelta(hours=1))
    empty.land("none.json", late[1:], ARRIVAL + timedelta(hours=1))
    assert empty.ingest("next.json").rows_in == 4
    assert empty.ingest("next.json", "cut.json.gz").rows_in == 3, "a file that matches its record is not read again"
    assert empty.version("ingested_files") == before + 1
    assert empty.sums() == (3605, 3603, 0, 2)
    assert empty.count("ingested_files", "state = 'SET_ASIDE'") == 4
    assert empty.differing("readings") == []


def test_names_that_look_like_patterns_are_read_literally(empty: Plant) -> None:
    empty.land("a[1] {x} +%20.json", [A])
    empty.land("a1 x.json", [B])
    empty.landing = empty.folder / "elsewhere" / ".." / "landing"
    empty.ingest("a\\[1\\] \\{x\\} +%20.json")
    assert [r["source_file"] for r in empty.read("readings").collect()] == ["a[1] {x} +%20.json"]
    assert empty.differing("readings") == []


def test_a_write_with_a_committed_transaction_writes_nothing_and_raises(empty: Plant) -> None:
    # A killed attempt's last job may still run in the driver while its successor repeats the batch.
    columns = rejected_table(empty.fleet).columns
    row = [f"CAST('1' AS {kind}) AS {name}" for name, kind in columns[:-2]]
    rows = empty.spark.range(1).selectExpr(*row, "now() AS arrived_at", "current_date() AS arrived_date")
    target = empty.handles("readings").tables["readings_rejected"]
    append(target, rows, columns, BatchTransaction("query", 0))
    with pytest.raises(AlreadyCommittedError):
        append(target, rows, columns, BatchTransaction("query", 0))
    assert empty.count("readings_rejected") == 1
    append(target, rows, columns, BatchTransaction("query after a reset", 0))
    assert empty.count("readings_rejected") == 2


@pytest.mark.slow
def test_a_replayed_batch_writes_what_its_killed_attempt_did_not_and_nothing_twice(empty: Plant) -> None:
    packed = gzip.compress(f"{B}\nbroken\n".encode())
    empty.land("a.json", [A, "half"])
    empty.land_bytes("b.json.gz", packed[:-9])
    empty.ingest(transaction=BatchTransaction("query", 7))
    assert (empty.count("readings"), empty.count("readings_rejected")) == (1, 1)
    # The file is replaced before the replay, so the committed transaction of the batch had other rows.
    empty.land_bytes("b.json.gz", packed)
    for _ in range(2):
        empty.ingest(transaction=BatchTransaction("query", 7))
        assert empty.sums() == (4, 2, 2, 0)
        assert empty.differing("readings") == []


def test_fields_may_be_named_like_intermediate_columns(plant: Plant) -> None:
    names = ("kind", "json", "problem", "old", "first", "candidate", "type_value", "key_value", "raw_bytes", "row")
    text = (FIXTURES / "fleet.yml").read_text("utf-8")
    plant.fleet = parse_fleet(text.replace("{site: string}", f"{{{', '.join(f'{name}: string' for name in names)}}}"))
    plant.create("readings")
    plant.land("a.json", [reading("pump-1", "power", "00:00:00", 5, **{n: n for n in names}), "broken"])
    plant.ingest()
    row = plant.read("readings").first()
    assert row is not None
    assert [row[name] for name in names] == list(names)
    assert plant.sums() == (2, 1, 1, 0)


def test_the_bytes_of_a_line_that_is_not_utf_8_are_kept(empty: Plant) -> None:
    empty.land("a.json", [b'{"device_id": "p\xffmp"}'])
    empty.ingest()
    row = empty.read("readings_rejected").first()
    assert row is not None
    assert (row["reason"], bytes(row["raw_bytes"])) == ("invalid_utf8", b'{"device_id": "p\xffmp"}')
