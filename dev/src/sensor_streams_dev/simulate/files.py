"""Files of simulated readings, with the faults of real files: duplicates, conflicts, malformed lines."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path

import numpy as np

from sensor_streams.errors import ConfigurationError
from sensor_streams.fleet import Fleet
from sensor_streams_dev.simulate.devices import DAY, Device

_REPEAT_DELAY = DAY
_MALFORMED_KINDS = 14


@dataclass(frozen=True)
class Simulation:
    """Input of the simulator. `duplicates`, `conflicts` and `malformed` are shares of all readings."""

    fleet: Fleet
    seed: int = 1
    origin: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    devices: int = 12
    files_every: timedelta = timedelta(hours=6)
    mean_life: timedelta | None = None
    duplicates: float = 0.004
    conflicts: float = 0.0002
    malformed: float = 0.002

    def all_devices(self) -> list[Device]:
        """Return the devices, named by the patterns of their type. Raises ConfigurationError if names are too few."""
        origin = int(self.origin.timestamp())
        life = self.mean_life or (self.fleet.life.cap or timedelta(days=6)) * 1.2
        return [
            Device(self.fleet, self.seed, device, name, number, origin, life.total_seconds())
            for name, kind in self.fleet.device_types.items()
            for number, device in enumerate(self._named(name, kind.devices))
        ]

    def _named(self, kind: str, patterns: Sequence[str]) -> list[str]:
        names = list(islice(_names(patterns), self.devices))
        if len(names) < self.devices:
            raise ConfigurationError(
                f"device type {kind} has names for {len(names)} devices, but {self.devices} are requested: "
                "reduce --devices, or add a pattern with * to the type"
            )
        return names


@dataclass
class SimulationReport:
    """Counts of files and lines written, in total and by file."""

    files: int = 0
    lines: int = 0
    readings: int = 0
    duplicates: int = 0
    conflicts: int = 0
    malformed: int = 0
    ahead: int = 0
    failures: int = 0
    end: datetime | None = None
    by_file: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass
class _Block:
    arrival: list[int] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def add(self, arrival: int, line: bytes, kind: str) -> None:
        self.arrival.append(arrival)
        self.lines.append(line)
        self.kinds.append(kind)


def simulate(
    simulation: Simulation,
    landing: Path,
    start: datetime,
    end: datetime,
    *,
    failures: Path | None = None,
    truth: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> SimulationReport:
    """Write the files that arrive from `start` up to `end` (UTC); a file's modification time is its arrival.

    Several calls that follow each other write the same files as one call. failures: a file of JSON lines (device_id,
    failed_at, kind) with all failures up to `end`, input for training. truth: a folder for the ground truth (faults,
    lives, spans offline, counts by file). Raises ConfigurationError if a file exists, the landing folder is not a
    folder, the fleet starts after `start`, or `end` is not after `start`.
    """
    if end <= start:
        raise ConfigurationError(f"nothing to simulate: the end {end} is not after the start {start}")
    if start < simulation.origin:
        raise ConfigurationError(
            f"the fleet starts at {simulation.origin}, after the start {start}: give an earlier --origin"
        )
    if simulation.files_every < timedelta(seconds=1):
        raise ConfigurationError(f"a file every {simulation.files_every}: the minimum is one second")
    if landing.exists() and not landing.is_dir():
        raise ConfigurationError(f"{landing} is not a folder: give the folder in which files arrive with --landing")
    report = SimulationReport(end=end)
    landing.mkdir(parents=True, exist_ok=True)
    devices = simulation.all_devices()
    step = int(simulation.files_every.total_seconds())
    low, high = int(start.timestamp()), int(end.timestamp())
    waiting = _Block()
    next_day = (low - 2 * DAY) // DAY
    for begin in range(low, high, step):
        until = min(begin + step, high)
        while next_day * DAY < until:
            for device in devices:
                _day_of(device, next_day, simulation, waiting, low)
            next_day += 1
        waiting = _write(waiting, begin, until, landing, report)
        if progress is not None:
            progress((until - low) / (high - low))
    known = [
        {"device_id": device.name, "failed_at": _iso(failed), "kind": "wear"}
        for device in devices
        for _, failed in device.lives(high)
        if int(simulation.origin.timestamp()) <= failed < high
    ]
    report.failures = len(known)
    if failures is not None:
        _json_lines(failures, known)
    if truth is not None:
        _truth(truth, simulation, devices, low, high, report)
    return report


def _day_of(device: Device, day: int, simulation: Simulation, block: _Block, low: int) -> None:
    """Add the lines of the device's readings of one day, with their times of arrival."""
    if (day + 1) * DAY <= device.origin:
        return
    random = np.random.default_rng([simulation.seed, day, device.number, 99])
    unit = {name: sensor.unit for name, sensor in device.fleet.sensors.items()}
    bad_from = int(device.fleet.accept.ahead.total_seconds())
    for readings in device.day(day):
        if readings.arrival.max(initial=0) + _REPEAT_DELAY < low:
            continue
        times = np.datetime_as_string(readings.clock.astype("datetime64[s]"))
        sensor_unit = unit[readings.sensor]
        tail = f', "unit": "{sensor_unit}"}}\n' if sensor_unit is not None else "}\n"
        head = f'{{"device_id": "{device.name}", "sensor": "{readings.sensor}", "event_time": "'
        chance = random.random((len(times), 3))
        ahead = (readings.clock - readings.time) > bad_from
        for i, (time, value) in enumerate(zip(times.tolist(), readings.value.tolist(), strict=True)):
            arrival = int(readings.arrival[i])
            line = f'{head}{time}Z", "value": {value}{tail}'.encode()
            block.add(arrival, line, "ahead" if ahead[i] else "reading")
            if chance[i, 0] < simulation.duplicates:
                later = arrival if chance[i, 1] < 0.5 else arrival + _REPEAT_DELAY
                block.add(later, line, "ahead_again" if ahead[i] else "duplicate")
            if chance[i, 1] < simulation.conflicts and not ahead[i]:
                block.add(arrival, f'{head}{time}Z", "value": {_other(value)}{tail}'.encode(), "conflict")
            if chance[i, 2] < simulation.malformed:
                block.add(
                    arrival,
                    _malformed_line(int(chance[i, 0] * 1e9) % _MALFORMED_KINDS, head, time, value, device.name),
                    "malformed",
                )


def _other(value: float) -> float:
    return round(value * 0.999 + 0.01, 4)


def _malformed_line(kind: int, head: str, time: str, value: float, device: str) -> bytes:
    """Return a malformed line of the given kind, as real gateways send them."""
    whole = f'{head}{time}Z", "value": {value}}}'
    lines = (
        whole[:-8],
        whole[: len(whole) // 2],
        f'{head}{time}Z", "value": "{value}"}}',
        f'{head}{time}Z", "value": NaN}}',
        f'{head}{time}Z", "value": Infinity}}',
        f'{head}{time}", "value": {value}}}',
        f'{head}{time}Z", "value": null}}',
        f'{head}{time}Z", "value": {{"is": {value}}}}}',
        f'{head}{time}Z", "value": 1e300}}',
        f'{{"device_id": "{device}", "sensor": "no_such_sensor", "event_time": "{time}Z", "value": {value}}}',
        f'{{"device_id": "stranger", "sensor": "none", "event_time": "{time}Z", "value": {value}}}',
        f"{whole}{whole}",
        "",
        f'{head}yesterday", "value": {value}}}',
    )
    text = lines[kind].encode()
    return (text if kind else b"\xff\xfe" + text) + b"\n"


def _write(block: _Block, begin: int, until: int, landing: Path, report: SimulationReport) -> _Block:
    """Write the lines that arrive in the span as one file; return the lines that arrive later."""
    arrival = np.array(block.arrival, dtype=np.int64)
    now = np.flatnonzero((arrival >= begin) & (arrival < until))
    rest = _Block()
    for i in np.flatnonzero(arrival >= until):
        rest.add(block.arrival[i], block.lines[i], block.kinds[i])
    if not len(now):
        return rest
    order = now[np.argsort(arrival[now], kind="stable")]
    name = f"readings-{datetime.fromtimestamp(begin, UTC):%Y%m%dT%H%M%S}.json"
    file, new = landing / name, landing / f".{name}.new"
    if file.exists():
        raise ConfigurationError(f"{file} exists: this span was simulated before; give a later --start")
    new.write_bytes(b"".join(block.lines[i] for i in order))
    os.utime(new, (until, until))
    new.rename(file)
    kinds = [block.kinds[i] for i in order]
    counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    report.files += 1
    report.lines += len(kinds)
    report.readings += counts.get("reading", 0)
    report.duplicates += counts.get("duplicate", 0)
    report.conflicts += counts.get("conflict", 0)
    report.malformed += counts.get("malformed", 0)
    report.ahead += counts.get("ahead", 0) + counts.get("ahead_again", 0)
    report.by_file[name] = {"lines": len(kinds), **counts}
    return rest


def _truth(
    folder: Path, simulation: Simulation, devices: list[Device], low: int, high: int, report: SimulationReport
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    faults = [f for d in devices for f in d.faults(int(simulation.origin.timestamp()), high)]
    _json_lines(
        folder / "faults.jsonl",
        [
            {"device_id": f.device, "sensor": f.sensor, "kind": f.kind, "begin": _iso(f.begin), "end": _iso(f.end)}
            for f in faults
        ],
    )
    _json_lines(
        folder / "lives.jsonl",
        [
            {"device_id": d.name, "begin": _iso(begin), "failed_at": _iso(failed)}
            for d in devices
            for begin, failed in d.lives(high)
        ],
    )
    _json_lines(
        folder / "offline.jsonl",
        [
            {"device_id": d.name, "begin": _iso(begin), "end": _iso(end)}
            for d in devices
            for begin, end in d.offline(low, high)
        ],
    )
    file = folder / "counts.json"
    before = json.loads(file.read_text("utf-8")) if file.exists() else {}
    file.write_text(json.dumps(before | report.by_file, indent=1), encoding="utf-8")


def _json_lines(file: Path, rows: list[dict[str, str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _names(patterns: Sequence[str]) -> Iterator[str]:
    """Yield names that match the patterns, each once: `pump-*` gives pump-01, pump-02, …; `fan-??` fan-01 to fan-99."""
    seen: set[str] = set()
    for pattern in patterns:
        for name in _matching(pattern):
            if name not in seen:
                seen.add(name)
                yield name


def _matching(pattern: str) -> Iterator[str]:
    if "*" in pattern:
        for number in count(1):
            yield pattern.replace("*", f"{number:02d}", 1).replace("*", "").replace("?", "0")
    places = pattern.count("?")
    if not places:
        yield pattern
        return
    for number in range(1, 10**places):
        digits = iter(f"{number:0{places}d}")
        yield "".join(next(digits) if letter == "?" else letter for letter in pattern)
