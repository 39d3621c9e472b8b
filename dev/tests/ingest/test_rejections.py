"""A run reports why many lines were rejected; the setting `load_history` accepts old readings."""

import json

import pytest
from pyspark.sql import SparkSession

from sensor_streams.ingest.rejections import Rejection, merge_rejections, most_frequent
from tests.plant import Plant, reading

OLD = [reading("pump-1", "power", f"2001-01-01T00:00:{second:02d}Z", second) for second in range(8)]


def test_reasons_with_setting_and_example_are_reported_when_a_tenth_is_rejected(plant: Plant) -> None:
    plant.create("readings")
    good = [reading("pump-1", "power", f"00:{at // 60:02d}:{at % 60:02d}", 1) for at in range(100)]
    plant.land("good.json", [*good, "broken"])
    assert plant.ingest("good.json").rejections == (), "one of a hundred"
    plant.land("bad.json", [*OLD, "\x1b[31m broken", "broken"])
    first, second = plant.ingest("bad.json").rejections
    assert (first.reason, first.lines, first.setting) == ("too_old", 8, "accept.oldest")
    assert json.loads(first.example)["event_time"] == "2001-01-01T00:00:00Z"
    assert (second.reason, second.lines, second.setting) == ("malformed_json", 2, None)
    assert second.example == "\\u001b[31m broken"
    assert str(first).startswith(
        "8 lines rejected as too_old (sensors.yml: accept.oldest; to load old files once, see "
    )
    assert "--load-history" in str(first)


def test_one_rejected_line_is_reported_in_the_singular() -> None:
    assert str(Rejection("a", 1, None, "x")) == "1 line rejected as a, such as x"


@pytest.mark.parametrize(("length", "shown"), [(200, "x" * 200), (201, "x" * 200 + " …")])
def test_an_example_ends_with_an_ellipsis_only_when_it_was_cut(spark: SparkSession, length: int, shown: str) -> None:
    rows = spark.createDataFrame([("x" * length, "rejected", "a")], "raw string, decision string, reason string")
    assert most_frequent(rows, 1, 1)[0].example == shown


def test_reasons_of_several_batches_are_merged() -> None:
    parts = [Rejection("a", 1, None, "x"), Rejection("b", 5, "s", "y"), Rejection("a", 9, None, "z")]
    assert merge_rejections(parts) == [Rejection("a", 10, None, "x"), Rejection("b", 5, "s", "y")]


def test_history_stays_accepted_after_the_run_that_loads_it(plant: Plant) -> None:
    plant.land("history.json", OLD)
    assert plant.run("readings", load_history=True).states == {"readings": "DONE"}
    (figures,) = plant.figures
    assert (figures.rows_out, figures.rejected, figures.rejections) == (8, 0, ())
    plant.land("later.json", [OLD[0], reading("pump-1", "power", "2001-01-02T00:00:00Z", 1)])
    plant.run("readings")
    assert plant.sums() == (10, 8, 2, 0)
    line = json.loads(plant.figures[-1].line())
    assert [one["reason"] for one in line["rejections"]] == ["too_old"]
    assert "rejections" not in plant.figures[-1].row()
    assert plant.differing("readings") == []


@pytest.mark.parametrize("files", [3])
def test_verify_counts_readings_and_files(plant: Plant, files: int) -> None:
    plant.create("readings")
    for at in range(files):
        plant.land(
            f"{at}.json", [reading("pump-1", "power", f"00:00:{at:02d}", 1), reading("pump-2", "power", "00:01:00", at)]
        )
    plant.ingest()
    (check,) = plant.verify("readings")
    accepted = plant.sums()[1]
    assert (check.rows, check.files) == (accepted, files)
