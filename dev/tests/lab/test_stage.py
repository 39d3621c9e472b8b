"""The stage of a cell says when all tables are complete, and what is lost."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pytest
from deltalake import write_deltalake

from dabs_lab.lab.declarations import Loss
from dabs_lab.lab.faults import find_again, lose
from dev.tests.lab.test_table_truth import rows_of
from sensor_streams.fleet import load_fleet
from sensor_streams_dev.lab import stage as stage_module
from sensor_streams_dev.lab.lab_bundle import project_folder
from sensor_streams_dev.lab.shapes import DEPLOYABLE
from sensor_streams_dev.lab.stage import LabStage
from sensor_streams_dev.lab.table_truth import read_tables

ROOT = Path(__file__).parents[3]


@pytest.fixture
def stage(tmp_path: Path) -> LabStage:
    """Return a stage whose tables are right after one set of files."""
    home, data = tmp_path / "home", tmp_path / "data"
    fleet = load_fleet(str(project_folder(home, ROOT) / "sensors.yml"))
    (data / "tables" / "1").mkdir(parents=True)
    for name, rows in rows_of(fleet).items():
        table = pa.Table.from_pylist(rows)
        feather.write_feather(table, str(data / "tables" / "1" / f"{name}.feather"))
        # Delta has no type for a column without any value.
        empty = [name for name in table.column_names if table[name].type == pa.null()]
        values = table.drop_columns(empty)
        for name_of_empty in empty:
            values = values.append_column(name_of_empty, pa.nulls(len(table), pa.string()))
        write_deltalake(str(home / "tables" / name), values)
    shutil.copytree(home, data / "home")
    found = LabStage(data, home, DEPLOYABLE[0], 1)
    found.landed = 1
    return found


def test_complete_stays_true_until_a_table_changes(stage: LabStage) -> None:
    assert [stage.complete(), stage.complete()] == [True, True]
    scores = stage.tables / "anomaly_scores"
    write_deltalake(str(scores), read_tables(stage.tables, stage.fleet)["anomaly_scores"], mode="append")
    assert [stage.complete(), stage.complete()] == [False, False]
    assert stage.loss() == Loss(duplicated=2, by_table={"anomaly_scores": 2})


def test_a_table_is_complete_again_when_its_lost_file_is_restored_without_a_new_version(
    stage: LabStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_module, "_TRY_EVERY", 0.0)
    (file,) = (stage.tables / "sensor_features").glob("*.parquet")
    lose(file)
    assert not stage.complete()
    assert stage.loss() == Loss(lost=2, by_table={"sensor_features": 2})
    find_again(file)
    assert stage.complete()


def test_readings_that_a_copy_does_not_have_are_lost(stage: LabStage) -> None:
    stage.copy = stage.home / "copy_of_readings"
    assert stage.loss() == Loss(lost=2, by_table={"copy_of_readings": 2})
    write_deltalake(str(stage.copy), pa.table({"x": [1, 2]}))
    assert stage.loss() == Loss()
