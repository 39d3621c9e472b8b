"""The fleet: what `sensors.yml` says of sensors, device types, windows, limits and alert rules."""

import hashlib
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from sensor_streams.durations import parse_duration
from sensor_streams.errors import FleetError
from sensor_streams.marked_yaml import Marked, load_marked, text_of

if TYPE_CHECKING:
    from pyspark.sql import Column

Role = Literal["anomaly", "life", "load"]
FieldType = Literal["string", "double", "long", "boolean"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

# Columns of the tables that an extra field must not be called.
RESERVED = frozenset(
    {"device_id", "sensor", "event_time", "sequence", "value", "unit", "quality", "event_date", "arrived_at"}
    | {"source_file", "line_hash", "line_occurrence", "raw", "reason", "detail", "decision", "stored", "hour", "slot"}
    | {"window_start"}
)


def _duration(value: object) -> object:
    return parse_duration(value)


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Windows(_Model):
    """Lengths of the windows: `short` per sensor, `long` per device, and how many long ones trends look back."""

    short: Duration
    long: Duration
    lookback: int = Field(ge=0, le=1000)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.short < timedelta(seconds=1):
            raise ValueError("short: windows of less than a second are not supported")
        if self.long % self.short:
            raise ValueError("long must be a multiple of short, so that no short window lies in two long ones")
        return self


class Sessions(_Model):
    """When a device's session ends (a `gap` without load) and the length after which it is cut."""

    gap: Duration = timedelta(minutes=5)
    longest: Duration = timedelta(days=1)


class Accept(_Model):
    """Which readings are taken: greatest age on arrival (null: any), how far ahead, quality flags, line length."""

    oldest: Duration | None = timedelta(days=30)
    ahead: Duration = timedelta(minutes=10)
    quality: tuple[str, ...] = ("good",)
    longest_line: int = Field(default=65536, ge=64)


class Life(_Model):
    """Remaining life is not told apart beyond `cap` (null: no cap)."""

    cap: Duration | None = None


class Sensor(_Model):
    """One kind of measurement: unit, valid range, expected period, and what models and sessions use it for."""

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
    """Devices by name pattern (`*` and `?`), and the sensors that they have."""

    devices: tuple[str, ...] = Field(min_length=1)
    sensors: tuple[str, ...] = Field(min_length=1)


class AlertRule(_Model):
    """An alert opens after `least` windows in a row at or beyond `open`, and ends at the first beyond `close`."""

    # Not "on": YAML reads that word as true.
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
        """True when low values alarm."""
        return self.open < self.close


class Fleet(_Model):
    """All that is known of the fleet. Every stream reads it, none of them knows a sensor by name."""

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
        """The sensor whose load makes sessions for devices of this type, None when there is none."""
        names = self.device_types[device_type].sensors
        return next((name for name in names if "load" in self.sensors[name].roles), None)

    def device_type_of(self, device_id: "Column") -> "Column":
        """The type of a device by its id; null when no pattern matches. The first type that matches counts."""
        from pyspark.sql import functions as F

        chosen: Column | None = None
        for name, kind in self.device_types.items():
            matches = device_id.rlike("|".join(f"^{device_pattern(glob)}\\z" for glob in kind.devices))
            chosen = F.when(matches, name) if chosen is None else chosen.when(matches, name)
        return F.lit(None).cast("string") if chosen is None else chosen

    @property
    def fingerprint(self) -> str:
        """A short hash of what decides which lines are accepted."""
        what = self.model_dump_json(include={"accept", "sensors", "device_types", "fields"})
        return hashlib.sha256(what.encode()).hexdigest()[:12]

    def of_any_age(self) -> "Fleet":
        """Return the fleet with no limit on the age of a reading on arrival: for a load of history."""
        return self.model_copy(update={"accept": self.accept.model_copy(update={"oldest": None})})


def device_pattern(glob: str) -> str:
    """Return the regular expression of a device's name pattern."""
    return "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob)


def load_fleet(path: str | Path) -> Fleet:
    """Read and check a `sensors.yml`. Raises FleetError: every problem with file, line and field."""
    file = Path(path)
    return parse_fleet(text_of(file, "give the path of a sensors.yml", FleetError), str(file))


def parse_fleet(text: str, name: str = "sensors.yml") -> Fleet:
    """The fleet that a text in the form of `sensors.yml` describes. Raises FleetError, see `load_fleet`."""
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
                message = f"there is no such field; {_allowed(where)}"
            elif problem["type"] == "string_pattern_mismatch":
                message = "names are lower-case letters, digits and _, a letter first"
            elif problem["type"] == "missing":
                message = "is missing: add it"
            problems.append(_at(marked, name, where, message))
    if fleet is not None:
        problems = [_at(marked, name, where, message) for where, message in _across(fleet)]
    if problems:
        raise FleetError("\n".join(problems))
    assert fleet is not None
    return fleet


def _at(marked: Marked, name: str, where: tuple[int | str, ...], message: str) -> str:
    return f"{name} line {marked.line(where)}, {'.'.join(map(str, where)) or 'the whole file'}: {message}"


def _allowed(where: tuple[int | str, ...]) -> str:
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


def _across(fleet: Fleet) -> list[tuple[tuple[int | str, ...], str]]:
    """What is wrong between the parts of a fleet that are right by themselves."""
    found: list[tuple[tuple[int | str, ...], str]] = []
    sessions, short = fleet.sessions, fleet.windows.short
    if sessions.longest % short or sessions.longest <= sessions.gap:
        found.append((("sessions", "longest"), "must be a multiple of windows.short and longer than the gap"))
    found += _same_columns(fleet)
    for field in fleet.fields:
        if field in RESERVED:
            found.append((("fields", field), "is a name that the tables use themselves: choose another"))
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


def _same_columns(fleet: Fleet) -> list[tuple[tuple[int | str, ...], str]]:
    """Sensors that would have a column of `device_features` in common: `flow` and `flow_lookback`, two means."""
    found: list[tuple[tuple[int | str, ...], str]] = []
    longer = [(a, b) for a in fleet.sensors for b in fleet.sensors if b.startswith(f"{a}_")]
    if longer:
        # Only then, for it takes PySpark with it.
        from sensor_streams.features.device import STATISTICS

        for short, long in longer:
            both = {f"{short}_{s}" for s in STATISTICS} & {f"{long}_{s}" for s in STATISTICS}
            if both:
                message = f"has the column {', '.join(sorted(both))} in common with the sensor {short}: rename one"
                found.append((("sensors", long), message))
    return found
