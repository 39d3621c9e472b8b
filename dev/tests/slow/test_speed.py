"""The streams keep their speed: small measurements of `make bench`, each in turns with its rival."""

import statistics
from pathlib import Path

import pytest

from benchmarks.large_batches import readings_alone, streams_1_to_3
from benchmarks.measurement import Result
from benchmarks.scoring import scores_alone

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("speed")]

ROUNDS, LINES = 2, 30_000
# The lowest ratios of a round on an idle machine, printed by `pytest -s -m slow dev/tests/slow/test_speed.py`.
MEASURED = {"P1": 0.42, "P2": 0.15, "P4": 0.46}
# A test fails when a ratio falls by a third.
LEAST = 2 / 3


@pytest.mark.usefixtures("compiled")
def test_streams_1_to_3_keep_their_speed_next_to_the_watermark_form(tmp_path: Path) -> None:
    assert_kept("P1", streams_1_to_3(tmp_path, ROUNDS, LINES))


@pytest.mark.usefixtures("compiled")
def test_readings_keep_their_speed_next_to_a_stream_without_checks(tmp_path: Path) -> None:
    assert_kept("P2", readings_alone(tmp_path, ROUNDS, LINES))


@pytest.mark.usefixtures("compiled")
def test_scores_keep_their_speed_next_to_spark_udf(tmp_path: Path) -> None:
    assert_kept("P4", scores_alone(tmp_path, ROUNDS))


def assert_kept(number: str, result: Result) -> None:
    """Fail when the ratio of a measurement is less than two thirds of the measured one."""
    (ratio,) = result.ratios
    found = statistics.median(ratio.quotients)
    print(f"{number}: {found:.2f} ({ratio.as_json()})")
    assert found >= LEAST * MEASURED[number], f"{ratio.name}: {found:.2f}, was {MEASURED[number]}: {ratio.as_json()}"
