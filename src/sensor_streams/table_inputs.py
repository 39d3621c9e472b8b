"""Settings of sensors.yml that each table is computed with, and the rows that contradict them.

Other settings change no stored row: `accept`, `unit`, `range` and `fields` apply to arriving lines only. A change of
the features' code is not detected: users run `rebuild` after it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from sensor_streams.features.sensor import expected_readings
from sensor_streams.features.windows import window_start
from sensor_streams.fleet import Fleet, device_pattern

# Value for a sensor that was removed from sensors.yml: one expected reading, or no column.
_REMOVED: Mapping[str, object] = {"sensor_features": 1.0, "device_features": None}


@dataclass(frozen=True)
class ComputedWith:
    """Settings that one table is computed with.

    values: setting → value. sensors: sensor → value, with removed sensors. devices: name patterns and their value; the
    first match counts. model: settings of the rows that models score. trained: settings of the next training.
    learnt: True after a training. unfinished: True during a rebuild.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    sensors: Mapping[str, object] = field(default_factory=dict)
    devices: Sequence[Sequence[object]] = ()
    model: Mapping[str, object] | None = None
    trained: Mapping[str, object] | None = None
    learnt: bool = False
    unfinished: bool = False


def computed_with(stream: str, fleet: Fleet) -> ComputedWith:
    """Return the settings that a stream's table depends on, in addition to its source tables."""
    windows = {
        "windows.short": _text(fleet.windows.short),
        "windows.long": _text(fleet.windows.long),
        "windows.lookback": fleet.windows.lookback,
    }
    kinds = fleet.device_types
    if stream == "sensor_features":
        short = fleet.short_seconds
        expected = {name: max(1.0, short / s.period.total_seconds()) for name, s in fleet.sensors.items()}
        return ComputedWith({"windows.short": windows["windows.short"]}, expected)
    if stream == "device_features":
        types = [[list(kind.devices), name] for name, kind in kinds.items()]
        return ComputedWith(windows, dict.fromkeys(fleet.sensors, "column"), types)
    if stream == "device_sessions":
        sessions = {
            "windows.short": windows["windows.short"],
            "sessions.gap": _text(fleet.sessions.gap),
            "sessions.longest": _text(fleet.sessions.longest),
        }
        loads = [[list(kind.devices), _load(fleet, name)] for name, kind in kinds.items()]
        return ComputedWith(sessions, {}, loads)
    if stream in ("anomaly_scores", "remaining_life"):
        role = "anomaly" if stream == "anomaly_scores" else "life"
        used = sorted(name for name, sensor in fleet.sensors.items() if role in sensor.roles)
        trained: dict[str, object] = {f"sensors with the role {role}": used, "device_types": sorted(kinds)}
        if role == "life":
            trained["life.cap"] = None if fleet.life.cap is None else _text(fleet.life.cap)
        return ComputedWith(model=windows, trained=trained)
    if stream == "alerts":
        return ComputedWith({f"alerts.{name}": rule.model_dump() for name, rule in fleet.alerts.items()})
    return ComputedWith()


def _load(fleet: Fleet, device_type: str) -> list[object]:
    sensor = fleet.load_sensor(device_type)
    return [sensor, None if sensor is None else fleet.sensors[sensor].idle_below]


def _text(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    for unit, length in (("days", 86400), ("hours", 3600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def with_removed(stream: str, was: ComputedWith | None, now: ComputedWith) -> Mapping[str, object]:
    """Return the sensors of a record: current ones, and those that were removed."""
    removed = set() if was is None else set(was.sensors) - set(now.sensors)
    return {**dict.fromkeys(sorted(removed), _REMOVED.get(stream)), **now.sensors}


def differences(
    stream: str, was: ComputedWith, now: ComputedWith, devices: DataFrame | None
) -> tuple[list[str], list[str]]:
    """Return the changed settings of the table and those of the models, as text.

    devices: rows with the `device_id`s of the table's source. A new device type without known devices and a new
    sensor do not count, because no stored row depends on them.
    """
    found = [
        f"{name} was {_shown(was.values.get(name))} and is {_shown(now.values.get(name))}"
        for name in sorted({*was.values, *now.values})
        if was.values.get(name) != now.values.get(name)
    ]
    for name, before in sorted(was.sensors.items()):
        after = now.sensors.get(name, _REMOVED.get(stream))
        if after == before or (stream == "device_features" and name not in now.sensors):
            continue
        if stream == "device_features":
            found.append(f"sensors.{name} was removed and added again")
        else:
            found.append(f"sensors.{name}: {before} readings were expected in a short window and are {after}")
    if list(was.devices) != list(now.devices) and devices is not None:
        setting = "device_types" if stream == "device_features" else "load sensor and idle_below"
        ids = sorted(str(row[0]) for row in devices.select("device_id").distinct().collect())
        pairs = [(i, _value_for(was.devices, i), _value_for(now.devices, i)) for i in ids]
        changed = [(i, old, new) for i, old, new in pairs if old != new]
        if changed:
            device, old, new = changed[0]
            found.append(f"{setting}: {device} was {_shown(old)} and is {_shown(new)} ({len(changed)} devices changed)")
    of_model = [
        f"{name} was {_shown(value)} when the model was trained and is {_shown((now.model or {}).get(name))}"
        for name, value in (was.model or {}).items()
        if value != (now.model or {}).get(name)
    ]
    return found, of_model


def _value_for(devices: Sequence[Sequence[object]], device: str) -> object:
    for globs, value in devices:
        if isinstance(globs, list) and any(re.fullmatch(device_pattern(str(glob)), device) for glob in globs):
            return value
    return None


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    if isinstance(value, list):
        return "no load sensor" if value == [None, None] else f"{value[0]} from {value[1]}"
    return "missing" if value is None else str(value)


def contradictions(stream: str, rows: DataFrame, sources: Mapping[str, DataFrame], fleet: Fleet) -> list[str]:
    """Return the settings of this fleet that a table's rows contradict, as text.

    A row that a stream has not read yet is never a contradiction. A change that leaves no trace in the rows, such as
    another look-back, is not detected.
    """
    found = []
    for setting, wrong in _checks(stream, rows, sources, fleet):
        example = wrong.first()
        if example is not None:
            at = next((example[name] for name in ("window_start", "session_start", "opened_at") if name in example), "")
            found.append(f"{setting}: the row of {example['device_id']} at {at} was computed with another value")
    return found


def _checks(
    stream: str, rows: DataFrame, sources: Mapping[str, DataFrame], fleet: Fleet
) -> Iterator[tuple[str, DataFrame]]:
    short, long = fleet.short_seconds, fleet.long_seconds
    if stream == "sensor_features":
        start, end = F.unix_seconds("window_start"), F.unix_seconds("last_time")
        yield (
            f"windows.short is {_text(fleet.windows.short)}",
            rows.where((start % short != 0) | (end >= start + short)),
        )
        missing = F.greatest(F.lit(0.0), F.lit(1.0) - F.col("count") / expected_readings(fleet))
        yield "sensors: the period", rows.where(F.abs(F.col("share_missing") - missing) > 1e-9)
    elif stream in ("device_features", "anomaly_scores", "remaining_life"):
        off = rows.where(F.unix_seconds("window_start") % long != 0)
        yield f"windows.long is {_text(fleet.windows.long)}", off
        if stream == "device_features":
            yield "device_types", rows.where(~F.col("device_type").eqNullSafe(fleet.device_type_of(F.col("device_id"))))
            of_window = [F.col("device_id"), window_start(F.col("window_start"), long).alias("window_start")]
            sums = sources["sensor_features"].groupBy(*of_window).agg(F.sum("count").alias("readings"))
            joined = rows.join(sums, ["device_id", "window_start"], "left")
            yield f"windows.long is {_text(fleet.windows.long)}", joined.where("count > coalesce(readings, 0)")
    elif stream == "device_sessions":
        yield from _sessions(rows, fleet)
    elif stream == "alerts":
        known = F.col("rule").isin(list(fleet.alerts))
        yield "alerts: the rules", rows.where(~known)
        wrong = F.lit(False)
        for name, rule in fleet.alerts.items():
            mild = F.col("peak") > rule.open if rule.falling else F.col("peak") < rule.open
            wrong = wrong | ((F.col("rule") == name) & (mild | (F.col("windows") < rule.least)))
        yield "alerts: open and least", rows.where(wrong)


def _sessions(rows: DataFrame, fleet: Fleet) -> Iterator[tuple[str, DataFrame]]:
    short, gap = fleet.short_seconds, int(fleet.sessions.gap.total_seconds())
    longest = int(fleet.sessions.longest.total_seconds())
    start, end = F.unix_seconds("session_start"), F.unix_seconds("session_end")
    yield f"windows.short is {_text(fleet.windows.short)}", rows.where((start % short != 0) | (end % short != 0))
    cut = F.floor(start / longest) != F.floor((end - 1) / longest)
    yield f"sessions.longest is {_text(fleet.sessions.longest)}", rows.where(cut)
    before = F.lag("session_end").over(Window.partitionBy("device_id").orderBy("session_start"))
    apart = rows.withColumn("apart", start - F.unix_seconds(before))
    idle = end - start - F.col("windows") * short
    # A session that continues after a cut may begin without a start.
    breaks = F.col("starts") - F.when(F.col("continues"), 0).otherwise(1)
    near = (F.col("apart") <= gap) & ~F.col("continues")
    yield f"sessions.gap is {_text(fleet.sessions.gap)}", apart.where(near | (idle > breaks * gap))
    kind, loaded = fleet.device_type_of(F.col("device_id")), F.lit(False)
    for name in fleet.device_types:
        sensor = fleet.load_sensor(name)
        if sensor is not None:
            least = fleet.sensors[sensor].idle_below
            enough: Column = F.lit(True) if least is None else F.col("load_mean") >= least - abs(least) * 1e-9
            loaded = loaded | ((kind == name) & enough)
    yield "load sensor and idle_below", rows.where(~F.coalesce(loaded, F.lit(False)))
