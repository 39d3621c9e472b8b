"""Settings of a run, from command line, environment and file; the first one with a value counts."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from sensor_streams.durations import Duration, parse_duration
from sensor_streams.errors import ConfigurationError
from sensor_streams.marked_yaml import load_names

NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,254}$")
# Characters that Unity Catalog refuses in the name of a catalog or schema (its docs, "Names").
_NOT_IN_A_NAME = re.compile(r"[./ \x00-\x1f\x7f]")
_LONGEST_NAME = 255
# Characters with a meaning of their own in the URI of a model.
_NOT_IN_A_MODEL = re.compile(r"[/:?\s\x00-\x1f\x7f]")
PREFIX = "SENSOR_STREAMS_"
SESSION_CATALOG = "spark_catalog"
_LEAST_KEPT = timedelta(days=7)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


def catalog_name(value: str) -> str:
    """Return the name of a catalog or schema unchanged. Raises ValueError for a name that Unity Catalog refuses.

    It takes hyphens and letters of any script.
    """
    if not value or len(value) > _LONGEST_NAME or _NOT_IN_A_NAME.search(value):
        raise ValueError(
            f"{value!r} is not a name that Unity Catalog takes: 1 to {_LONGEST_NAME} characters, "
            "no period, space, slash or control character"
        )
    return value


class Settings(BaseSettings):
    """Settings of the place where a task runs; nothing about the sensors."""

    model_config = SettingsConfigDict(case_sensitive=True, frozen=True, extra="forbid", populate_by_name=True)

    catalog: str = Field(description="catalog of the tables")
    schema_name: str = Field(alias="schema", description="schema of the tables")
    landing: str = Field(description="folder in which files of readings arrive")
    checkpoints: str = Field(description="folder of the checkpoints: a subfolder per stream")
    sensors: str = Field("sensors.yml", description="the file that describes the fleet")
    tables_root: str | None = Field(
        None, description="address with a folder of tables for each schema; empty: managed tables"
    )
    tables: str | None = Field(
        None,
        validate_default=True,
        description="folder of the tables; without it and tables_root the catalog manages the tables",
    )
    catalog_file: str | None = Field(None, description="file of catalog entries, on a machine without a catalog")
    trigger: str = Field("available-now", description="available-now, or an interval such as 30 s")
    source: str = Field("auto", pattern="^(auto|files|auto-loader|file-events)$", description="how new files are found")
    load_history: bool = Field(False, description="accept readings of any age in this run, for a load of history")
    max_files: int = Field(500, ge=1, description="largest number of files in a batch")
    run: str = Field("", description="run id, shared by all attempts of a run")
    attempt: int = Field(1, ge=0, description="number of the attempt")
    live: Literal["PAUSED", "UNPAUSED"] | None = Field(
        None,
        description="PAUSED or UNPAUSED: whether this job shape has its schedule on (variable live)",
    )
    preflight: Literal["refuse", "warn", "off"] = Field(
        "refuse", description="what a task does when the preflight finds that data would be lost"
    )
    stop_deadline: Duration = Field(
        timedelta(seconds=10), description="longest time that streams take to stop; after a failure at most 1 s"
    )
    stall_after: Duration = Field(timedelta(minutes=30), description="a batch without progress for this long fails")
    table_deadline: Duration = Field(timedelta(minutes=5), description="how long a reader waits for a table")
    lease_timeout: Duration = Field(
        timedelta(seconds=20), description="time without a heartbeat after which a checkpoint is free"
    )
    model_interval: Duration = Field(timedelta(minutes=1), description="how often the champion is looked up")
    progress_interval: Duration = Field(timedelta(seconds=30), description="how often batch figures are written")
    archive: str | None = Field(None, description="folder to which ingested files are moved")
    archive_after: Duration = Field(timedelta(days=7), description="how long ingested files stay in landing")
    keep: Duration = Field(timedelta(days=7), description="how long maintenance keeps replaced files")
    tracking_uri: str = Field("databricks", description="MLflow tracking store")
    registry_uri: str = Field("databricks-uc", description="MLflow model registry")
    model_prefix: str = Field(
        "",
        validate_default=True,
        description="prefix of the registered models' names; in Unity Catalog `catalog.schema.`",
    )
    experiment: str = Field("sensor_streams", description="MLflow experiment")
    artifacts: str | None = Field(None, description="folder of the models' files, if the store has none")

    @field_validator("catalog", "schema_name")
    @classmethod
    def _name(cls, value: str, info: ValidationInfo) -> str:
        catalog = value if info.field_name == "catalog" else info.data.get("catalog")
        if catalog == SESSION_CATALOG and not NAME.fullmatch(value):
            raise ValueError(f"{value!r}: {SESSION_CATALOG} takes letters, digits and _ only, a letter first")
        return catalog_name(value)

    @field_validator("tables_root", "tables", "catalog_file", "artifacts", "archive", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        """Return None for an empty text: a job passes every parameter, also those without a value."""
        return None if value == "" else value

    @field_validator("tables")
    @classmethod
    def _below_root(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Return a folder for each schema, so that developers do not share tables."""
        root, schema = info.data.get("tables_root"), info.data.get("schema_name")
        return f"{root.rstrip('/')}/{schema}" if value is None and root and schema else value

    @field_validator("tables_root", "tables")
    @classmethod
    def _root(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/") and not _ADDRESS.match(value):
            raise ValueError(f"{value!r} is a relative path: give an absolute folder, or an address (s3://…)")
        return value

    @field_validator("catalog_file")
    @classmethod
    def _entries(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Require `tables`: dropping an entry of a managed table would drop its data."""
        if value is not None and info.data.get("tables", "") is None:
            raise ValueError("needs the setting tables, the folder of the tables: give it, or leave catalog_file out")
        if value is not None and info.data.get("catalog", SESSION_CATALOG) != SESSION_CATALOG:
            raise ValueError(f"its entries are {SESSION_CATALOG}'s: set catalog to that, or leave catalog_file out")
        return value

    @field_validator("model_prefix")
    @classmethod
    def _plain_names(cls, value: str, info: ValidationInfo) -> str:
        unity = str(info.data.get("registry_uri", "")).startswith("databricks-uc")
        if not value and unity and {"catalog", "schema_name"} <= info.data.keys():
            # A model in Unity Catalog has a name of three parts.
            value = f"{info.data['catalog']}.{info.data['schema_name']}."
        if _NOT_IN_A_MODEL.search(value):
            raise ValueError(f"{value!r}: MLflow takes no space, slash, colon or question mark in a model's name")
        return value

    @field_validator("live", mode="before")
    @classmethod
    def _paused_or_not(cls, value: object) -> object:
        if value not in (None, "PAUSED", "UNPAUSED"):
            raise ValueError(
                f"{value!r}: write PAUSED or UNPAUSED for this shape in the variable live; the platform treats an "
                "empty text as UNPAUSED"
            )
        return value

    @field_validator("keep")
    @classmethod
    def _at_least(cls, value: timedelta) -> timedelta:
        if value < _LEAST_KEPT:
            raise ValueError("less than 7 days: files that slow readers and streams still need would be removed")
        return value

    @field_validator("checkpoints", "landing", "archive")
    @classmethod
    def _folder(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value:
            raise ValueError("is empty: give a folder path")
        if "://" in value or value.startswith(("dbfs:", "file:")):
            raise ValueError(f"{value!r} is an address: give a folder path, on Databricks one of a volume (/Volumes/…)")
        return value

    @field_validator("trigger")
    @classmethod
    def _known_trigger(cls, value: str) -> str:
        if value != "available-now":
            interval = parse_duration(value)
            if not isinstance(interval, timedelta) or interval <= timedelta(0):
                raise ValueError(f"{value!r}: write available-now or an interval such as 30 s")
        return value

    @property
    def interval(self) -> timedelta | None:
        """Interval of processing time, or None for available-now."""
        interval = None if self.trigger == "available-now" else parse_duration(self.trigger)
        return interval if isinstance(interval, timedelta) else None

    @property
    def bounded(self) -> bool:
        """True when the run ends by itself after its input is drained."""
        return self.interval is None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use the sources that `load_settings` passes; the first one with a value counts."""
        return tuple(init_settings()["sources"])


class _Source(InitSettingsSource):
    """Values of one origin, which error messages name; None counts as not given."""

    def __init__(self, origin: str, values: Mapping[str, object]) -> None:
        super().__init__(Settings, {name: value for name, value in values.items() if value is not None})
        self.origin = origin


def parse_parameters(words: Sequence[str]) -> dict[str, str]:
    """Parse `--name value` and `--name=value` to settings by name. Raises ConfigurationError for anything else."""
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise ConfigurationError(f"parameter {word!r}: write --name value")
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not rest:
                raise ConfigurationError(f"parameter --{name} has no value")
            value = rest.pop(0)
        found[name.replace("-", "_")] = value
    return found


def split_names(text: str) -> list[str]:
    """Return the names in a text with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def take_stream_names(arguments: dict[str, str]) -> list[str]:
    """Remove the parameter `streams` from a task's arguments and return its names. Raises ConfigurationError."""
    names = split_names(arguments.pop("streams", ""))
    if not names:
        raise ConfigurationError("parameter streams is missing: name the streams that this task runs, with commas")
    return names


def task_settings(arguments: Mapping[str, str], environment: Mapping[str, str]) -> Settings:
    """Return the settings of a task; its argument `settings` may name a file. Raises ConfigurationError."""
    given = {name: value for name, value in arguments.items() if name != "settings"}
    file = arguments.get("settings")
    return load_settings(given, environment, None if file is None else Path(file))


def load_settings(
    arguments: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
    defaults: Mapping[str, object] | None = None,
) -> Settings:
    """Return settings from command line over environment (`SENSOR_STREAMS_…`) over file (YAML) over defaults.

    Raises ConfigurationError: every wrong or missing field by name, with the source that gave it.
    """
    names = {field.alias or name for name, field in Settings.model_fields.items()}
    sources = [
        _Source("command line", arguments or {}),
        # Not EnvSettingsSource, which reads only the environment of this process.
        *(
            _Source(f"environment variable {key}", {name: value})
            for key, value in (environment or {}).items()
            if key.startswith(PREFIX) and (name := key.removeprefix(PREFIX).lower()) in names
        ),
        _Source(str(file), {} if file is None else load_names(file, "give the settings file's path")),
        _Source("default", defaults or {}),
    ]
    given: dict[str, Any] = {"sources": sources}
    try:
        return Settings(**given)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = str(problem["loc"][0]) if problem["loc"] else "settings"
            missing = f"give --{name.replace('_', '-')} or {PREFIX}{name.upper()}"
            where = next((source.origin for source in sources if name in source()), missing)
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                message = f"no such setting; there are: {', '.join(sorted(names))}"
            lines.append(f"setting {name} ({where}): {message}")
        raise ConfigurationError("\n".join(lines)) from None
