"""Faults of the lab's incidents do what their texts say, and their repairs restore exactly what was there."""

import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from dabs_lab.lab.faults import block, find_again, hanging, lose, unblock
from sensor_streams.streams import BY_NAME
from sensor_streams_dev.lab.incidents import INCIDENTS
from sensor_streams_dev.lab.incidents.declare import FEATURES, INFERENCE
from sensor_streams_dev.lab.incidents.tables import cut_log, restore_log


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_each_incident_has_an_id_of_its_own() -> None:
    ids = [one.id for one in INCIDENTS]
    assert len(set(ids)) == len(ids)


def test_the_streams_of_both_tasks_are_all_streams() -> None:
    assert {*FEATURES, *INFERENCE} == set(BY_NAME)
    assert not set(FEATURES) & set(INFERENCE)


def test_a_table_with_a_cut_log_can_be_read_but_its_old_commits_are_gone_until_they_are_restored(
    tmp_path: Path,
) -> None:
    table, log = tmp_path / "t", tmp_path / "t" / "_delta_log"
    for number in range(4):
        write_deltalake(str(table), pa.table({"x": [number]}), mode="append")
    before = content(log)
    cut_log(log, tmp_path / "cut")
    assert [file.name for file in sorted(log.glob("*.json"))] == ["00000000000000000003.json"]
    assert sorted(DeltaTable(str(table)).to_pyarrow_table()["x"].to_pylist()) == [0, 1, 2, 3]
    with pytest.raises(DeltaError, match="log segment"):
        DeltaTable(str(table), version=1)
    restore_log(log, tmp_path / "cut")
    assert content(log).items() >= before.items()
    assert DeltaTable(str(table), version=1).to_pyarrow_table().num_rows == 2


def test_a_table_can_be_read_while_a_file_of_it_is_set_aside_in_its_log_and_is_the_same_after_the_repair(
    tmp_path: Path,
) -> None:
    for number in range(2):
        write_deltalake(str(tmp_path), pa.table({"x": [number]}), mode="append")
    before = content(tmp_path)
    newest = tmp_path / "_delta_log" / "00000000000000000001.json"
    lose(newest)
    assert DeltaTable(str(tmp_path)).version() == 0
    # What was written in its place is removed.
    write_deltalake(str(tmp_path), pa.table({"x": [9]}), mode="append")
    find_again(newest)
    assert content(tmp_path).items() >= before.items()
    assert sorted(DeltaTable(str(tmp_path)).to_pyarrow_table()["x"].to_pylist()) == [0, 1]


def test_a_blocked_folder_rejects_each_write_and_is_the_same_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "offsets"
    folder.mkdir()
    (folder / "0").write_text("v1", "utf-8")
    before = content(tmp_path)
    block(folder)
    with pytest.raises(NotADirectoryError):
        (folder / "1").write_text("v1", "utf-8")
    unblock(folder)
    assert content(tmp_path) == before


def test_a_reader_of_a_file_that_hangs_waits_until_the_file_is_let_go(tmp_path: Path) -> None:
    file = tmp_path / "part.parquet"
    file.write_bytes(b"rows")
    with hanging(file):
        reader = subprocess.Popen(["cat", str(file)], stdout=subprocess.PIPE)
        # An open of the pipe without a writer does not return.
        with pytest.raises(subprocess.TimeoutExpired):
            reader.wait(0.5)
    try:
        assert reader.wait(10) == 0
        assert file.read_bytes() == b"rows"
    finally:
        reader.kill()
        assert reader.stdout is not None
        reader.stdout.close()
