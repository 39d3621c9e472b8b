"""The settings of a run: one typed object; command line over environment over file."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sensor_streams.durations import parse_duration
from sensor_streams.errors import ConfigurationError
from sensor_streams.marked_yaml import load_names

NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,254}$")
# What Unity Catalog does not take in the name of a catalog or schema (its docs, "Names").
_NOT_IN_A_NAME = re.compile(r"[./ \x00-\x1f\x7f]")
_LONGEST_NAME = 255
# What stands for something else in the address of a model.
_NOT_IN_A_MODEL = re.compile(r"[/:?\s\x00-\x1f\x7f]")
PREFIX = "SENSOR_STREAMS_"
SESSION_CATALOG = "spark_catalog"
_LEAST_KEPT = timedelta(days=7)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]


def catalog_name(value: str) -> str:
    """Return the name of a catalog or schema as it is: Unity Catalog takes hyphens and letters of any script.

    Raises ValueError for what it does not take.
    """
    if not value or len(value) > _LONGEST_NAME or _NOT_IN_A_NAME.search(value):
        raise ValueError(
            f"{value!r} is not a name that Unity Catalog takes: 1 to {_LONGEST_NAME} characters, "
            "no period, space, slash or control character"
        )
    return value


class Settings(BaseSettings):
    """Everything that a task has to know of the place where it runs; nothing about the sensors."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    catalog: str = Field(description="catalog of the tables")
    schema_name: str = Field(alias="schema", description="schema of the tables")
    landing: str = Field(description="folder in which files of readings arrive")
    checkpoints: str = Field(description="folder of the checkpoints, one below it per stream")
    sensors: str = Field("sensors.yml", description="the file that describes the fleet")
    tables_root: str | None = Field(
        None, description="address below which each schema has a folder of its own for its tables; empty: managed ones"
    )
    tables: str | None = Field(
        None,
        validate_default=True,
        description="folder of the tables; without it, and without tables_root, they are managed by the catalog",
    )
    catalog_file: str | None = Field(None, description="file of catalog entries, on a machine without a catalog")
    trigger: str = Field("available-now", description="available-now, or an interval such as 30 s")
    source: str = Field("auto", pattern="^(auto|files|auto-loader|file-events)$", description="how new files are found")
    load_history: bool = Field(
        False, description="take readings of any age in this run: for files of history, whose time is that of the copy"
    )
    max_files: int = Field(500, ge=1, description="files that one batch takes at most")
    run: str = Field("", description="id of the run, by which a next attempt is known as one of the same run")
    attempt: int = Field(1, ge=0, description="which attempt of the run this is")
    live: Literal["PAUSED", "UNPAUSED"] | None = Field(
        None,
        description="whether this task's shape runs by itself, as the variable live says; anything else is refused",
    )
    preflight: Literal["refuse", "warn", "off"] = Field(
        "refuse", description="what a task does when it finds before its start that data would be lost"
    )
    stop_deadline: Duration = Field(timedelta(seconds=10), description="how long streams get to stop")
    stall_after: Duration = Field(timedelta(minutes=30), description="a batch without any progress for this long fails")
    table_deadline: Duration = Field(timedelta(minutes=5), description="how long a reader waits for a table")
    lease_timeout: Duration = Field(timedelta(seconds=20), description="a silent holder of a checkpoint is gone after")
    model_interval: Duration = Field(timedelta(minutes=1), description="how often the champion is looked up")
    progress_interval: Duration = Field(timedelta(seconds=30), description="how often figures go to the table")
    archive: str | None = Field(None, description="folder that landed files go to once they are ingested")
    archive_after: Duration = Field(timedelta(days=7), description="how long an ingested file stays where it landed")
    keep: Duration = Field(timedelta(days=7), description="how long maintenance keeps files that a table has replaced")
    tracking_uri: str = Field("databricks", description="MLflow tracking store")
    registry_uri: str = Field("databricks-uc", description="MLflow model registry")
    model_prefix: str = Field(
        "",
        validate_default=True,
        description="what stands before the names of the registered models; in Unity Catalog `catalog.schema.`",
    )
    experiment: str = Field("sensor_streams", description="MLflow experiment")
    artifacts: str | None = Field(None, description="folder of the models' files, where the store has none of its own")

    @field_validator("catalog", "schema_name")
    @classmethod
    def _name(cls, value: str, info: ValidationInfo) -> str:
        catalog = value if info.field_name == "catalog" else info.data.get("catalog")
        if catalog == SESSION_CATALOG and not NAME.fullmatch(value):
            raise ValueError(f"{value!r}: {SESSION_CATALOG} takes letters, digits and _ only, a letter first")
        return catalog_name(value)

    @field_validator("tables_root", "tables", "catalog_file", "artifacts", "archive", mode="before")
    @classmethod
    def _nothing(cls, value: object) -> object:
        """A job hands over every parameter, a variable without a value as an empty one."""
        return None if value == "" else value

    @field_validator("tables")
    @classmethod
    def _below_root(cls, value: str | None, info: ValidationInfo) -> str | None:
        """A folder for each schema: in development mode everyone has one, and nobody meets anybody."""
        root, schema = info.data.get("tables_root"), info.data.get("schema_name")
        return f"{root.rstrip('/')}/{schema}" if value is None and root and schema else value

    @field_validator("tables_root", "tables")
    @classmethod
    def _root(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/") and not _ADDRESS.match(value):
            raise ValueError(f"{value!r} depends on where one stands: give an absolute folder, or an address (s3://…)")
        return value

    @field_validator("catalog_file")
    @classmethod
    def _entries(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Entries are made and dropped at will, which must never drop data: so that must lie in a folder of its own."""
        if value is not None and info.data.get("tables", "") is None:
            raise ValueError("needs the setting tables, the folder of their data: give it, or leave catalog_file out")
        if value is not None and info.data.get("catalog", SESSION_CATALOG) != SESSION_CATALOG:
            raise ValueError(f"its entries are {SESSION_CATALOG}'s: set catalog to that, or leave catalog_file out")
        return value

    @field_validator("model_prefix")
    @classmethod
    def _plain_names(cls, value: str, info: ValidationInfo) -> str:
        unity = str(info.data.get("registry_uri", "")).startswith("databricks-uc")
        if not value and unity and {"catalog", "schema_name"} <= info.data.keys():
            # A model in Unity Catalog is told by three names.
            value = f"{info.data['catalog']}.{info.data['schema_name']}."
        if _NOT_IN_A_MODEL.search(value):
            raise ValueError(f"{value!r}: MLflow takes no space, slash, colon or question mark in a model's name")
        return value

    @field_validator("live", mode="before")
    @classmethod
    def _paused_or_not(cls, value: object) -> object:
        if value not in (None, "PAUSED", "UNPAUSED"):
            raise ValueError(
                f"{value!r}: write PAUSED or UNPAUSED for this shape in the variable live; the platform takes an empty "
                "text as UNPAUSED"
            )
        return value

    @field_validator("keep")
    @classmethod
    def _at_least(cls, value: timedelta) -> timedelta:
        if value < _LEAST_KEPT:
            raise ValueError("less than 7 days: readers and streams that lag would find their files gone")
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
        """The interval of processing time, or None for available-now."""
        interval = None if self.trigger == "available-now" else parse_duration(self.trigger)
        return interval if isinstance(interval, timedelta) else None

    @property
    def bounded(self) -> bool:
        """True when the run ends by itself once its input is drained."""
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
        """Only what `load_settings` gives: it has merged the three sources, so that it can name them in errors."""
        return (init_settings,)


def parse_parameters(words: Sequence[str]) -> dict[str, str]:
    """`--name value` or `--name=value` to settings by name. Raises ConfigurationError for anything else."""
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


def take_stream_names(arguments: dict[str, str]) -> list[str]:
    """Take the parameter `streams` of a task out of its arguments: what it names. Raises ConfigurationError."""
    names = [name.strip() for name in arguments.pop("streams", "").split(",") if name.strip()]
    if not names:
        raise ConfigurationError("parameter streams is missing: name the streams that this task runs, with commas")
    return names


def task_settings(arguments: Mapping[str, str], environment: Mapping[str, str]) -> Settings:
    """The settings of a task by its arguments, of which `settings` may name a file. Raises ConfigurationError."""
    given = {name: value for name, value in arguments.items() if name != "settings"}
    file = arguments.get("settings")
    return load_settings(given, environment, None if file is None else Path(file))


def load_settings(
    arguments: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
    defaults: Mapping[str, object] | None = None,
) -> Settings:
    """Settings from command line over environment (`SENSOR_STREAMS_…`) over file (YAML) over defaults.

    Raises ConfigurationError: every wrong or missing field by name, with the source that gave it.
    """
    names = {field.alias or name for name, field in Settings.model_fields.items()}
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}

    def take(values: Mapping[str, object], source: str) -> None:
        for name, value in values.items():
            if value is not None:
                merged[name] = value
                origin[name] = source

    take(defaults or {}, "default")
    if file is not None:
        take(load_names(file, "give the settings file's path"), str(file))
    for key, value in (environment or {}).items():
        name = key.removeprefix(PREFIX).lower()
        if key.startswith(PREFIX) and name in names:
            take({name: value}, f"environment variable {key}")
    take(arguments or {}, "command line")
    try:
        return Settings(**merged)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            name = str(problem["loc"][0]) if problem["loc"] else "settings"
            where = origin.get(name, f"give --{name.replace('_', '-')} or {PREFIX}{name.upper()}")
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                message = f"no such setting; there are: {', '.join(sorted(names))}"
            lines.append(f"setting {name} ({where}): {message}")
        raise ConfigurationError("\n".join(lines)) from None
