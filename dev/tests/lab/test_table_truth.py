"""The lab finds each kind of loss in tables; a lab that cannot find a loss proves nothing."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError

from dabs_lab.lab.declarations import Loss
from dabs_lab.lab.faults import find_again, lose
from sensor_streams.fleet import Fleet, load_fleet
from sensor_streams_dev.lab.table_truth import compare, read_readable, read_tables, specs, versions
from tests.rows import FIXTURES

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_VALUES: Mapping[str, object] = {
    "string": "x",
    "double": 1.5,
    "bigint": 3,
    "int": 1,
    "boolean": True,
    "timestamp": NOON,
    "date": date(2026, 1, 1),
}
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return load_fleet(str(FIXTURES / "fleet.yml"))


def rows_of(fleet: Fleet) -> Rows:
    """Return two rows of each table, with different keys."""
    found: Rows = {}
    for name, spec in specs(fleet).items():
        found[name] = [
            {column: _VALUES.get(kind) for column, kind in spec.columns} | {spec.key[0]: f"{spec.key[0]}-{number}"}
            for number in (1, 2)
        ]
    for row in found["ingested_files"]:
        row |= {"lines": 10, "accepted": 7, "rejected": 2, "duplicates": 1}
    for row in found["readings"]:
        row["source_file"] = "source_file-1"
    for event, alert in zip(found["alert_events"], found["alerts"], strict=True):
        event |= {name: alert[name] for name in ("state", "peak", "peak_at", "resolved_at", "windows")}
        event |= {"kind": "OPENED", "number": 1}
    return found


def tables(rows: Rows) -> dict[str, pa.Table]:
    return {name: pa.Table.from_pylist(one) for name, one in rows.items()}


def compared(fleet: Fleet, change: Callable[[Rows], object], more_lines: int = 0) -> Loss:
    changed = rows_of(fleet)
    change(changed)
    return compare(tables(changed), tables(rows_of(fleet)), fleet, more_lines)


def test_equal_tables_have_no_loss(fleet: Fleet) -> None:
    assert compared(fleet, lambda rows: None) == Loss()


@pytest.mark.parametrize("table", ["readings", "readings_rejected", "sensor_features", "anomaly_scores"])
def test_a_missing_row_is_lost(fleet: Fleet, table: str) -> None:
    def change(rows: Rows) -> None:
        rows[table].pop()
        # A table with one row cannot be empty here.
        assert rows[table]

    assert compared(fleet, change) == Loss(lost=1, by_table={table: 1})


def test_a_repeated_row_is_a_duplicate(fleet: Fleet) -> None:
    assert compared(fleet, lambda rows: rows["device_features"].append(dict(rows["device_features"][0]))) == Loss(
        duplicated=1, by_table={"device_features": 1}
    )


def test_another_value_is_wrong_and_the_last_bits_of_a_number_are_not(fleet: Fleet) -> None:
    assert compared(fleet, lambda rows: rows["sensor_features"][0].update(mean=1.5 + 1e-12)) == Loss()
    assert compared(fleet, lambda rows: rows["sensor_features"][0].update(mean=1.5001)) == Loss(
        wrong=1, by_table={"sensor_features": 1}
    )


def test_a_row_that_should_not_exist_is_wrong(fleet: Fleet) -> None:
    found = compared(fleet, lambda rows: rows["alerts"].append(rows["alerts"][0] | {"device_id": "foreign"}))
    # The foreign alert also has no event.
    assert found == Loss(lost=1, wrong=1, alerts_wrong=2, by_table={"alerts": 1, "alert_events": 1})


def test_times_of_writing_are_not_compared(fleet: Fleet) -> None:
    assert compared(fleet, lambda rows: rows["ingested_files"][0].update(batch_id=99, recorded_at=None)) == Loss()


def test_an_event_that_was_written_twice_is_a_duplicate(fleet: Fleet) -> None:
    assert compared(fleet, lambda rows: rows["alert_events"].append(dict(rows["alert_events"][0]))) == Loss(
        duplicated=1, alerts_wrong=1, by_table={"alert_events": 1}
    )


def test_a_gap_in_the_numbers_of_events_is_a_lost_event(fleet: Fleet) -> None:
    assert compared(fleet, lambda rows: rows["alert_events"][0].update(number=2)) == Loss(
        lost=1, alerts_wrong=1, by_table={"alert_events": 1}
    )


def test_more_events_of_an_episode_are_right_if_the_last_has_its_state(fleet: Fleet) -> None:
    def change(rows: Rows) -> None:
        first = rows["alert_events"][0]
        rows["alert_events"].append(first | {"number": 2, "kind": "UPDATED"})
        first["peak"] = 1.0

    assert compared(fleet, change) == Loss()


def test_an_alert_whose_last_event_is_older_is_wrong(fleet: Fleet) -> None:
    assert compared(fleet, lambda rows: rows["alert_events"][0].update(peak=1.0)) == Loss(
        wrong=1, alerts_wrong=1, by_table={"alert_events": 1}
    )


def test_the_windows_of_an_open_alert_grow_without_an_event(fleet: Fleet) -> None:
    assert compared(fleet, lambda rows: rows["alert_events"][0].update(windows=0)) == Loss()


def test_lines_that_no_table_counts_are_unaccounted(fleet: Fleet) -> None:
    found = compared(fleet, lambda rows: rows["ingested_files"][0].update(accepted=6))
    assert found.unaccounted == 1


def test_lines_of_another_file_must_be_counted_too(fleet: Fleet) -> None:
    def change(rows: Rows) -> None:
        more = rows["ingested_files"][0] | {"source_file": "strange", "lines": 5, "accepted": 0, "rejected": 5}
        rows["ingested_files"].append(more | {"duplicates": 0})

    assert compared(fleet, change, more_lines=5) == Loss()
    assert compared(fleet, change, more_lines=6).unaccounted == 1


def test_a_row_of_an_unknown_file_is_wrong_if_no_other_file_has_arrived(fleet: Fleet) -> None:
    for file in ("unknown", None):
        foreign = {"source_file": file, "sequence": 99}
        found = compared(fleet, lambda rows, foreign=foreign: rows["readings"].append(rows["readings"][0] | foreign))  # type: ignore[misc]
        assert found == Loss(wrong=1, by_table={"readings": 1})


def test_tables_without_rows_are_equal_and_lose_everything_against_full_ones(fleet: Fleet) -> None:
    full = tables(rows_of(fleet))
    empty = {name: table.schema.empty_table() for name, table in full.items()}
    assert compare(empty, empty, fleet) == Loss()
    found = compare(empty, full, fleet)
    assert found.lost == sum(len(table) for name, table in full.items() if name != "alert_events")
    assert found.unaccounted == 20


def test_all_rows_of_a_table_that_cannot_be_read_are_lost(fleet: Fleet, tmp_path: Path) -> None:
    full = tables(rows_of(fleet))
    for name, table in full.items():
        # Delta has no type for a column of which the type is unknown.
        write_deltalake(
            str(tmp_path / name), table.select([n for n in table.column_names if table[n].type != pa.null()])
        )
    (file,) = (tmp_path / "sensor_features").glob("*.parquet")
    lose(file)
    with pytest.raises((DeltaError, OSError)):
        read_tables(tmp_path, fleet)
    found = read_readable(tmp_path, fleet, full)
    assert {name for name, table in found.items() if not len(table)} == {"sensor_features"}
    find_again(file)
    assert all(map(len, read_tables(tmp_path, fleet).values()))


def test_a_commit_is_a_new_version_and_a_file_that_the_lab_moved_away_is_none(fleet: Fleet, tmp_path: Path) -> None:
    log = tmp_path / "readings" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000009.json").touch()
    before = versions(tmp_path, fleet)
    for other in ("00000000000000000009.checkpoint.parquet", ".00000000000000000010.json.crc", "_last_checkpoint"):
        (log / other).touch()
    assert versions(tmp_path, fleet) == before
    (log / "00000000000000000010.json").touch()
    after = versions(tmp_path, fleet)
    assert after != before
    lose(log / "00000000000000000010.json")
    assert versions(tmp_path, fleet) == before
