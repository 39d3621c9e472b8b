"""Results of kills are kept for each shape and seed."""

import json
from dataclasses import replace
from pathlib import Path

from sensor_streams_dev.lab.kills import Killed, add_kills

_RIGHT = Killed("single_task", 1, 50, 17, 100, 0, 0, 9, 0)


def test_a_run_replaces_the_result_of_the_same_shape_and_seed_only(tmp_path: Path) -> None:
    file = tmp_path / "docs" / "kills.json"
    for one in (_RIGHT, replace(_RIGHT, seed=2), replace(_RIGHT, lines=7)):
        add_kills(one, file)
    assert [(one["seed"], one["lines"]) for one in json.loads(file.read_text("utf-8"))] == [(2, 100), (1, 7)]


def test_a_run_is_right_only_without_lost_wrong_and_repeated_rows() -> None:
    assert _RIGHT.right
    wrong = [replace(_RIGHT, uncounted=1), replace(_RIGHT, differing=1), replace(_RIGHT, repeated=1)]
    assert not any(one.right for one in wrong)
