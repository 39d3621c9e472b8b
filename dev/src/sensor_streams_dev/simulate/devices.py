"""One simulated device. Its lives, faults, gaps and readings depend only on seed, device and time."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from sensor_streams.fleet import Fleet, Sensor

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY = 86400
WEEK = 7 * DAY


@dataclass(frozen=True)
class Fault:
    """Period in which a sensor's readings are wrong; times in seconds since 1970."""

    device: str
    sensor: str
    kind: str
    begin: int
    end: int


@dataclass(frozen=True)
class Readings:
    """Readings of one device and sensor: true time, time by the device's clock, time of arrival, value."""

    sensor: str
    time: Ints
    clock: Ints
    arrival: Ints
    value: Floats


@dataclass(frozen=True)
class Device:
    """The `number`th device of its type, in a fleet that starts at `origin` (seconds since 1970)."""

    fleet: Fleet
    seed: int
    name: str
    kind: str
    number: int
    origin: int
    mean_life: float

    def _random(self, *what: object) -> np.random.Generator:
        words = [crc32(str(part).encode()) for part in (self.name, *what)]
        return np.random.default_rng([self.seed, *words])

    def lives(self, until: int) -> list[tuple[int, int]]:
        """Return (begin, failure) of each life that begins before `until`; a repair starts the next life."""
        random = self._random("lives")
        begin = self.origin - int(random.uniform(0.0, 0.6) * self.mean_life)
        found = []
        while begin < until:
            end = begin + int(random.uniform(0.6, 1.5) * self.mean_life)
            found.append((begin, end))
            begin = end
        return found

    def faults(self, low: int, high: int) -> list[Fault]:
        """Return the faults that overlap a time span: about one a week, on a sensor with the role anomaly."""
        names = [s for s in self.fleet.device_types[self.kind].sensors if "anomaly" in self.fleet.sensors[s].roles]
        found = []
        for week in range((low - WEEK) // WEEK, high // WEEK + 1):
            random = self._random("fault", week)
            begin = week * WEEK + int(random.uniform(0, WEEK))
            length = int(random.uniform(4, 12) * max(self.fleet.long_seconds, 1800))
            kind = str(random.choice(["shift", "spikes", "noise"]))
            if names and random.random() < 0.7 and begin >= self.origin and begin < high and begin + length > low:
                found.append(Fault(self.name, str(random.choice(names)), kind, begin, begin + length))
        return found

    def offline(self, low: int, high: int) -> list[tuple[int, int]]:
        """Return the spans (begin, end) in which the device is offline; it sends their readings at the end."""
        found = []
        for week in range((low - WEEK) // WEEK, high // WEEK + 1):
            random = self._random("offline", week)
            begin = week * WEEK + int(random.uniform(0, WEEK - DAY))
            if random.random() < 0.1:
                found.append((begin, begin + DAY))
        if self.number == 0:
            found.append((self.origin + 2 * DAY, self.origin + 3 * DAY))
        return [(a, b) for a, b in found if a >= self.origin and a < high and b > low]

    def clock_error(self, time: Ints) -> Ints:
        """Return how far the clock is ahead, in seconds: device 1 over the limit for half a day, device 2 below it."""
        ahead = int(self.fleet.accept.ahead.total_seconds())
        if self.number == 1:
            bad = (time >= self.origin + DAY + DAY // 2) & (time < self.origin + 2 * DAY)
            return np.where(bad, ahead + 6 * 3600, 0).astype(np.int64)
        return np.full(len(time), ahead // 2 if self.number == 2 else 0, dtype=np.int64)

    def day(self, day: int) -> list[Readings]:
        """Return the readings of a day (days since 1970), one item per sensor."""
        low = max(day * DAY, self.origin)
        high = (day + 1) * DAY
        lives = self.lives(high)
        faults = self.faults(low, high)
        offline = self.offline(low, high)
        found = []
        for name in self.fleet.device_types[self.kind].sensors:
            sensor = self.fleet.sensors[name]
            random = self._random("day", day, name)
            period = max(1, int(sensor.period.total_seconds()))
            time = np.arange(day * DAY, high, period, dtype=np.int64)
            noise = random.normal(0, 1, len(time))
            kept = (time >= low) & ~self._dropped(random, time)
            value = self._values(name, sensor, time, noise, lives, [f for f in faults if f.sensor == name], random)
            delay = random.uniform(1, 30, len(time)).astype(np.int64)
            arrival = time + delay
            for begin, end in offline:
                arrival = np.where((time >= begin) & (time < end), end + delay, arrival)
            clock = time + self.clock_error(time)
            found.append(Readings(name, time[kept], clock[kept], arrival[kept], value[kept]))
        return found

    @staticmethod
    def _dropped(random: np.random.Generator, time: Ints) -> npt.NDArray[np.bool_]:
        """Return a mask of the lost readings: one in a hundred, and on some days a whole hour."""
        lost = random.random(len(time)) < 0.01
        if random.random() < 0.15 and len(time):
            begin = time[0] + int(random.uniform(0, DAY - 3600))
            lost |= (time >= begin) & (time < begin + 3600)
        return np.asarray(lost)

    def _values(
        self,
        name: str,
        sensor: Sensor,
        time: Ints,
        noise: Floats,
        lives: list[tuple[int, int]],
        faults: list[Fault],
        random: np.random.Generator,
    ) -> Floats:
        low, high = sensor.range or (0.0, 100.0)
        span = high - low
        base = low + span * (0.25 + 0.1 * self._random("base", name).random())
        phase = 2 * np.pi * (time % DAY) / DAY
        running = self._running(time)
        if "load" in sensor.roles:
            idle = sensor.idle_below if sensor.idle_below is not None else low + 0.05 * span
            value = np.where(running, base + 0.25 * span, low + 0.25 * (idle - low)) + np.where(
                running, noise * 0.02 * span, 0.0
            )
        else:
            value = base + 0.015 * span * np.sin(phase) + noise * 0.008 * span
        if "life" in sensor.roles:
            for begin, end in lives:
                worn = np.clip((time - begin) / max(1, end - begin), 0, 1)
                value = value + np.where((time >= begin) & (time < end), 0.35 * span * worn**3, 0)
        for fault in faults:
            during = (time >= fault.begin) & (time < fault.end)
            if fault.kind == "shift":
                value = value + np.where(during, 0.2 * span, 0)
            elif fault.kind == "spikes":
                value = value + np.where(during & (random.random(len(time)) < 0.3), 0.35 * span, 0)
            else:
                value = value + np.where(during, noise * 0.1 * span, 0)
        result: Floats = np.round(np.clip(value, low, high), 4)
        return result

    def _running(self, time: Ints) -> npt.NDArray[np.bool_]:
        """Return a mask of the times in a shift: two shifts a day, which differ by device."""
        random = self._random("shifts")
        first, second = random.uniform(4, 8) * 3600, random.uniform(13, 16) * 3600
        second_of_day = time % DAY
        return ((second_of_day >= first) & (second_of_day < first + 5 * 3600)) | (
            (second_of_day >= second) & (second_of_day < second + 6 * 3600)
        )
