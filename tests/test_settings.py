"""Settings: command line over environment over file, and errors that name their field."""

from datetime import timedelta
from pathlib import Path

import pytest

from sensor_streams.errors import ConfigurationError
from sensor_streams.local.config import load_local
from sensor_streams.runtime.entry import parse_parameters
from sensor_streams.settings import load_settings

NEEDED = {"catalog": "main", "schema": "plant", "landing": "/Volumes/a/b/landing", "checkpoints": "/Volumes/a/b/c"}
ROOT = Path(__file__).parents[1]


def test_command_line_over_environment_over_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.yml"
    file.write_text("trigger: 10 s\nmax_files: 7\nattempt: 3\n", "utf-8")
    environment = {"SENSOR_STREAMS_TRIGGER": "20 s", "SENSOR_STREAMS_MAX_FILES": "8", "OTHER": "x"}
    found = load_settings({**NEEDED, "trigger": "30 s"}, environment, file)
    assert (found.trigger, found.max_files, found.attempt) == ("30 s", 8, 3)
    assert found.interval == timedelta(seconds=30)
    assert not found.bounded


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "a b"}, "setting schema (command line): 'a b' is no plain name"),
        ({"catalog": None}, "setting catalog (give --catalog or SENSOR_STREAMS_CATALOG): Field required"),
        ({"trigger": "often"}, "setting trigger (command line): 'often' is no duration"),
        ({"max_files": "0"}, "setting max_files (command line): Input should be greater"),
        ({"landing": "s3://bucket/x"}, "setting landing (command line): 's3://bucket/x' is an address"),
        ({"max_file": "3"}, "setting max_file (command line): no such setting; there are: "),
        ({"stop_deadline": "long"}, "setting stop_deadline (command line): 'long' is no duration"),
    ],
)
def test_a_wrong_setting_is_told_by_name_and_source(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        load_settings({**NEEDED, **changes})
    assert message in str(told.value)


def test_a_wrong_value_of_the_environment_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match="environment variable SENSOR_STREAMS_ATTEMPT"):
        load_settings(NEEDED, {"SENSOR_STREAMS_ATTEMPT": "first"})


def test_job_parameters_are_pairs() -> None:
    assert parse_parameters(["--max-files", "3", "--run=7"]) == {"max_files": "3", "run": "7"}
    for words in (["x"], ["--run"]):
        with pytest.raises(ConfigurationError, match="parameter"):
            parse_parameters(words)


def test_volume_paths_are_folders_of_this_machine() -> None:
    local = load_local(ROOT / "local.yml")
    assert local.path("/Volumes/main/plant/landing/north") == str(ROOT / ".local/volumes/landing/north")
    assert local.path("/data/x") == "/data/x"
    with pytest.raises(ConfigurationError, match="knows no volume attic"):
        local.path("/Volumes/main/plant/attic")
