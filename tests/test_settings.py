"""Settings: command line over environment over file, and errors that name their field."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

import dabs_lab.errors
from dabs_lab.runner.local_config import load_local
from sensor_streams.errors import ConfigurationError
from sensor_streams.settings import Settings, load_settings, parse_parameters
from sensor_streams_dev.local_home import LocalHome

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
        ({"schema": "a b"}, "setting schema (command line): 'a b' is not a name that Unity Catalog takes"),
        ({"catalog": "spark_catalog", "schema": "a-b"}, "spark_catalog takes letters, digits and _ only"),
        ({"live": ""}, "setting live (command line): '': write PAUSED or UNPAUSED"),
        ({"live": "paused"}, "setting live (command line): 'paused': write PAUSED or UNPAUSED"),
        ({"catalog": "a?b"}, "MLflow takes no space, slash, colon or question mark"),
        ({"catalog": None}, "setting catalog (give --catalog or SENSOR_STREAMS_CATALOG): Field required"),
        ({"trigger": "often"}, "setting trigger (command line): 'often' is not a duration"),
        ({"max_files": "0"}, "setting max_files (command line): Input should be greater"),
        ({"landing": "s3://bucket/x"}, "setting landing (command line): 's3://bucket/x' is an address"),
        ({"max_file": "3"}, "setting max_file (command line): no such setting; there are: "),
        ({"stop_deadline": "long"}, "setting stop_deadline (command line): 'long' is not a duration"),
        ({"stop_deadline": "9999999999999 days"}, "is longer than 100 years"),
        ({"checkpoints": ""}, "setting checkpoints (command line): is empty"),
        ({"tables": "data/tables"}, "setting tables (command line): 'data/tables' is a relative path"),
        ({"catalog_file": "/x.json"}, "setting catalog_file (command line): needs the setting tables"),
        ({"catalog_file": "/x.json", "tables": ""}, "setting catalog_file (command line): needs the setting tables"),
        ({"catalog_file": "/x.json", "tables": "/t"}, "its entries are spark_catalog's: set catalog to that"),
    ],
)
def test_a_wrong_setting_is_reported_with_name_and_source(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings({**NEEDED, **changes})
    assert message in str(raised.value)


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
    with pytest.raises(dabs_lab.errors.ConfigurationError, match="has no volume attic"):
        local.path("/Volumes/main/plant/attic")


def test_an_empty_parameter_of_an_optional_setting_is_none(tmp_path: Path) -> None:
    file = tmp_path / "settings.yml"
    file.write_text("tables: /data/tables\n", "utf-8")
    assert load_settings(NEEDED, None, file).tables == "/data/tables"
    assert load_settings({**NEEDED, "tables": "", "catalog_file": "", "artifacts": ""}, None, file).tables is None


@pytest.mark.parametrize("root", ["/data/x", "s3://bucket/x", "abfss://c@a.dfs.core.windows.net/x", "file:/data/x"])
def test_the_root_of_the_tables_is_a_folder_or_any_address(root: str) -> None:
    assert load_settings({**NEEDED, "tables": root}).tables == root


def test_models_in_unity_catalog_have_names_of_three_parts() -> None:
    assert load_settings(NEEDED).model_prefix == "main.plant."
    assert load_settings({**NEEDED, "model_prefix": "a.b."}).model_prefix == "a.b."
    assert load_settings({**NEEDED, "registry_uri": "sqlite:////x.db"}).model_prefix == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"run: \xff\xfe", "is not UTF-8 text: save it as UTF-8"),
        (b"run: [", "line 1: not valid YAML: "),
        (b"run: 2026-13-45", "not valid YAML: month must be in 1..12"),
        (b"- x", "contains a list: write one `name: value` a line"),
        (b"1: x", "1"),
    ],
)
def test_a_file_without_settings_is_an_error_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "x.yml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as raised:
        load_settings(NEEDED, None, file)
    text = str(raised.value)
    assert message in text
    assert str(file) in text
    assert len(text.splitlines()) == 1


def test_relative_paths_begin_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = tmp_path / "in-box"
    box.mkdir()
    monkeypatch.chdir(box)
    given = {"landing": "in", "checkpoints": "../c", "sensors": "fleet.yml"}
    workspace = LocalHome.open(ROOT / "local.yml", given, home=Path("home"))
    found = workspace.settings
    assert (found.landing, found.checkpoints, found.sensors) == (
        str(box / "in"),
        str(tmp_path / "c"),
        str(box / "fleet.yml"),
    )
    assert found.tables == str(box / "home" / "tables")


def test_the_docs_name_every_setting_and_no_other() -> None:
    table = (ROOT / "docs/settings.md").read_text("utf-8").partition("| setting | default | effect |")[2]
    documented = re.findall(r"^\| `([a-z_]+)` \|", table.partition("\n\n")[0], re.MULTILINE)
    assert documented == [field.alias or name for name, field in Settings.model_fields.items()]
