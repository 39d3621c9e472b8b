"""The fleet that `sensors.yml` describes: sensors, device types, windows, limits and alert rules."""

import hashlib
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sensor_streams.durations import Duration
from sensor_streams.errors import FleetError
from sensor_streams.marked_yaml import Path as Where
from sensor_streams.marked_yaml import load_marked, text_of

if TYPE_CHECKING:
    from pyspark.sql import Column

Role = Literal["anomaly", "life", "load"]
FieldType = Literal["string", "double", "long", "boolean"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

# Statistics of a sensor in a long window: `device_features` has a column `<sensor>_<statistic>` for each.
STATISTICS = ("mean", "deviation", "min", "max", "last", "slope", "missing", "lookback_mean", "trend")
# Columns of the tables: an extra field must have another name.
RESERVED = frozenset(
    {"device_id", "sensor", "event_time", "sequence", "value", "unit", "quality", "event_date", "arrived_at"}
    | {"source_file", "line_hash", "line_occurrence", "raw", "reason", "detail", "decision", "stored", "hour", "slot"}
    | {"window_start"}
)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Windows(_Model):
    """Lengths of the windows: `short` per sensor, `long` per device; `lookback`: long windows that trends cover."""

    short: Duration
    long: Duration
    lookback: int = Field(ge=0, le=1000)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.short < timedelta(seconds=1):
            raise ValueError("short: windows of less than a second are not supported")
        if self.long % self.short:
            raise ValueError("long must be a multiple of short, so that no short window is in two long ones")
        return self


class Sessions(_Model):
    """Limits of a session: it ends after a `gap` without load, and is cut at `longest`."""

    gap: Duration = timedelta(minutes=5)
    longest: Duration = timedelta(days=1)


class Accept(_Model):
    """Limits of a reading: age on arrival (null: any), time in the future, quality flags, line length."""

    oldest: Duration | None = timedelta(days=30)
    ahead: Duration = timedelta(minutes=10)
    quality: tuple[str, ...] = ("good",)
    longest_line: int = Field(default=65536, ge=64)


class Life(_Model):
    """Limit of the remaining life that models learn: longer ones count as `cap` (null: no cap)."""

    cap: Duration | None = None


class Sensor(_Model):
    """One kind of measurement: unit, valid range, expected period, and its use by models and sessions."""

    unit: str | None = None
    range: tuple[float, float] | None = None
    period: Duration
    roles: tuple[Role, ...] = ()
    idle_below: float | None = None

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError("range: the first number must be less than the second")
        if self.idle_below is not None and "load" not in self.roles:
            raise ValueError("idle_below is for a sensor with the role load: add the role or remove it")
        return self


class DeviceType(_Model):
    """Name patterns of devices (`*` and `?`), and their sensors."""

    devices: tuple[str, ...] = Field(min_length=1)
    sensors: tuple[str, ...] = Field(min_length=1)


class AlertRule(_Model):
    """Rule of an alert: opens after `least` windows in a row at or beyond `open`, ends at the first beyond `close`."""

    # The name is not "on", which YAML reads as true.
    watch: Literal["score", "life_hours"]
    open: float
    close: float
    least: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.open == self.close:
            raise ValueError("open and close must differ: between them an alert neither opens nor ends")
        return self

    @property
    def falling(self) -> bool:
        """True when low values open an alert."""
        return self.open < self.close


class Fleet(_Model):
    """Content of `sensors.yml`. No stream knows a sensor by name: all read them here."""

    windows: Windows
    sessions: Sessions = Sessions()
    accept: Accept = Accept()
    life: Life = Life()
    sensors: dict[Name, Sensor] = Field(min_length=1)
    device_types: dict[Name, DeviceType] = Field(min_length=1)
    fields: dict[Name, FieldType] = {}
    alerts: dict[Name, AlertRule] = {}

    @property
    def short_seconds(self) -> int:
        """Length of the short windows."""
        return int(self.windows.short.total_seconds())

    @property
    def long_seconds(self) -> int:
        """Length of the long windows."""
        return int(self.windows.long.total_seconds())

    def load_sensor(self, device_type: str) -> str | None:
        """Return the sensor whose load makes the sessions of a device type, or None."""
        names = self.device_types[device_type].sensors
        return next((name for name in names if "load" in self.sensors[name].roles), None)

    def device_type_of(self, device_id: "Column") -> "Column":
        """Return the type of a device by its id: the first one whose pattern matches, or null."""
        from pyspark.sql import functions as F

        chosen: Column | None = None
        for name, kind in self.device_types.items():
            matches = device_id.rlike("|".join(f"^{device_pattern(glob)}\\z" for glob in kind.devices))
            chosen = F.when(matches, name) if chosen is None else chosen.when(matches, name)
        return F.lit(None).cast("string") if chosen is None else chosen

    @property
    def fingerprint(self) -> str:
        """Short hash of the settings that decide which lines are accepted."""
        what = self.model_dump_json(include={"accept", "sensors", "device_types", "fields"})
        return hashlib.sha256(what.encode()).hexdigest()[:12]

    def of_any_age(self) -> "Fleet":
        """Return the fleet without a limit on the age of a reading, for a load of history."""
        return self.model_copy(update={"accept": self.accept.model_copy(update={"oldest": None})})


def device_pattern(glob: str) -> str:
    """Return a device's name pattern as a regular expression."""
    return "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob)


def load_fleet(path: str | Path) -> Fleet:
    """Read and check a `sensors.yml`. Raises FleetError with file, line and field of every problem."""
    file = Path(path)
    return parse_fleet(text_of(file, "give the path of a sensors.yml", FleetError), str(file))


def parse_fleet(text: str, name: str = "sensors.yml") -> Fleet:
    """Parse the text of a `sensors.yml`. Raises FleetError, see `load_fleet`."""
    marked = load_marked(text, name)
    problems: list[str] = []
    fleet: Fleet | None = None
    try:
        fleet = Fleet.model_validate(marked.content)
    except ValidationError as error:
        for problem in error.errors():
            where = tuple(part for part in problem["loc"] if part != "[key]")
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                message = f"unknown field; {_allowed(where)}"
            elif problem["type"] == "string_pattern_mismatch":
                message = "names are lower-case letters, digits and _, a letter first"
            elif problem["type"] == "missing":
                message = "is missing: add it"
            problems.append(f"{marked.at(where)}: {message}")
    if fleet is not None:
        problems = [f"{marked.at(where)}: {message}" for where, message in _across(fleet)]
    if problems:
        raise FleetError("\n".join(problems))
    assert fleet is not None
    return fleet


def _allowed(where: Where) -> str:
    kinds: dict[str, type[_Model]] = {
        "windows": Windows,
        "sessions": Sessions,
        "accept": Accept,
        "life": Life,
        "sensors": Sensor,
        "device_types": DeviceType,
        "alerts": AlertRule,
    }
    kind = kinds.get(str(where[0]), Fleet) if len(where) > 1 else Fleet
    return f"there are: {', '.join(kind.model_fields)}"


def _across(fleet: Fleet) -> list[tuple[Where, str]]:
    """Return contradictions between the parts of a fleet: path of the value, message."""
    found: list[tuple[Where, str]] = []
    sessions, short = fleet.sessions, fleet.windows.short
    if sessions.longest % short or sessions.longest <= sessions.gap:
        found.append((("sessions", "longest"), "must be a multiple of windows.short and longer than the gap"))
    for short_name in fleet.sensors:
        columns = {f"{short_name}_{statistic}" for statistic in STATISTICS}
        for name in fleet.sensors:
            both = columns & {f"{name}_{statistic}" for statistic in STATISTICS}
            # Such as `flow` and `flow_lookback`.
            if both and len(name) > len(short_name):
                message = f"has the column {', '.join(sorted(both))} in common with the sensor {short_name}: rename one"
                found.append((("sensors", name), message))
    for field in fleet.fields:
        if field in RESERVED:
            found.append((("fields", field), "is a column of the tables: choose another name"))
    for name, kind in fleet.device_types.items():
        for at, sensor in enumerate(kind.sensors):
            if sensor not in fleet.sensors:
                message = f"sensor {sensor} is not among sensors: {', '.join(fleet.sensors)}"
                found.append((("device_types", name, "sensors", at), message))
        loads = [s for s in kind.sensors if s in fleet.sensors and "load" in fleet.sensors[s].roles]
        if len(loads) > 1:
            message = f"has {len(loads)} sensors with the role load ({', '.join(loads)}): sessions follow one"
            found.append((("device_types", name, "sensors"), message))
    return found
