"""Model outputs: each format with the wanted columns is accepted, other outputs are refused with the reason."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sensor_streams.errors import UnusableModelError
from sensor_streams.inference.model_output import result_columns

ANOMALY = [("score", "double"), ("contributing_sensors", "array<string>")]
LIFE = [("life_hours", "double"), ("low_hours", "double"), ("high_hours", "double")]
GOOD = pd.DataFrame({"score": [1.0, 2.0], "contributing_sensors": [["a"], ["b", "c"]]})


@pytest.mark.parametrize(
    "output",
    [
        GOOD,
        GOOD.set_index(pd.Index([7, 3])),
        GOOD[["contributing_sensors", "score"]].assign(more=1),
        {"score": np.array([1, 2]), "contributing_sensors": [("a",), np.array(["b", "c"])]},
        {"score": pd.Series([1.0, 2.0], index=[5, 6]), "contributing_sensors": pd.Series([["a"], ["b", "c"]])},
        GOOD.to_dict("records"),
        pd.Series(GOOD.to_dict("records")),
        np.array(GOOD.to_dict("records"), dtype=object),
        [(1.0, ["a"]), (2.0, ["b", "c"])],
        GOOD.to_numpy(),
        GOOD.astype({"score": "Float64"}),
    ],
)
def test_each_format_of_a_good_output_gives_the_same_columns(output: Any) -> None:
    found = result_columns(output, 2, ANOMALY)
    assert found["score"].tolist() == [1.0, 2.0]
    assert found["contributing_sensors"].tolist() == [["a"], ["b", "c"]]


def test_an_array_of_numbers_is_read_in_the_order_of_the_columns() -> None:
    found = result_columns(np.array([[3, 2, 4], [np.nan, np.nan, np.nan]], dtype="float32"), 2, LIFE)
    assert found.to_dict("records")[0] == {"life_hours": 3.0, "low_hours": 2.0, "high_hours": 4.0}
    assert found["life_hours"].isna().tolist() == [False, True]


def test_a_null_result_means_that_the_model_has_no_result_for_the_row() -> None:
    for null in (None, np.nan, pd.NA):
        found = result_columns([{"score": null, "contributing_sensors": None}] * 2, 2, ANOMALY)
        assert found["score"].isna().all()
    # Other values of a row without a result are ignored.
    found = result_columns({"score": [None, 1.0], "contributing_sensors": [["a"], ["a"]]}, 2, ANOMALY)
    assert found["contributing_sensors"].tolist() == [None, ["a"]]


def anomaly(score: Any = 1.0, sensors: Any = ("a",)) -> list[dict[str, Any]]:
    return [{"score": score, "contributing_sensors": sensors}] * 2


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (GOOD[["score"]], r"no column contributing_sensors \(it has score\)"),
        (pd.DataFrame(), "no column score, contributing_sensors"),
        (GOOD.rename(columns={"score": "Score"}), "no column score"),
        (GOOD.iloc[:1], "1 rows for 2 rows of input"),
        (pd.concat([GOOD, GOOD]), "4 rows for 2 rows"),
        (pd.concat([GOOD, GOOD[["score"]]], axis=1), "the column score more than once"),
        ({"score": [1.0], "contributing_sensors": []}, "is not a table"),
        ({"score": 1.0, "contributing_sensors": ["a"]}, "is not a table"),
        (np.array([1.0, 2.0]), "one value per row and no column names"),
        (np.array([[1.0], [2.0]]), "1 values per row and no column names"),
        (pd.Series([1.0, 2.0], name="score"), "no column contributing_sensors"),
        ([1.0, 2.0], "one value per row"),
        (3.0, "is a float"),
        (None, "is a NoneType"),
        ("score", "is a str"),
        (anomaly("high"), "a str in score, not a number"),
        (anomaly(True), "a bool in score"),
        (anomaly(float("inf")), "not finite in score"),
        (pd.DataFrame({"score": [np.inf, 1.0], "contributing_sensors": [["a"]] * 2}), "not finite in score"),
        (anomaly(sensors="vibration"), "a str in contributing_sensors, not a list"),
        (anomaly(sensors=[1]), "a int in a list of contributing_sensors"),
        (anomaly(sensors=[None]), "a NoneType in a list of contributing_sensors"),
        (anomaly(sensors=None), "a null in contributing_sensors in a row that has a score"),
    ],
)
def test_a_bad_output_is_refused_with_the_reason(output: Any, says: str) -> None:
    with pytest.raises(UnusableModelError, match=says):
        result_columns(output, 2, ANOMALY)


def test_a_remaining_life_without_an_interval_is_refused() -> None:
    with pytest.raises(UnusableModelError, match="a null in low_hours in a row that has a life_hours"):
        result_columns({"life_hours": [1.0], "low_hours": [None], "high_hours": [2.0]}, 1, LIFE)
