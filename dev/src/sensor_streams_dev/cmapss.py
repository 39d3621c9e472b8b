"""The eight streams on NASA's C-MAPSS turbofan data (Saxena et al. 2008)."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql import functions as F
from rich.console import Console

from sensor_streams.errors import InputError, SensorStreamsError
from sensor_streams.failures import load_failures
from sensor_streams_dev.demo_report import show
from sensor_streams_dev.local_home import LocalHome
from sensor_streams_dev.watch import Watch

# One cycle counts as one hour. The engines start here.
_BEGIN = np.datetime64("2000-01-01T00:00:00")
_SETS = ("FD001", "FD002", "FD003", "FD004")
CHANNELS = [f"setting_{i}" for i in (1, 2, 3)] + [f"sensor_{i:02d}" for i in range(1, 22)]
CAP = 125  # cycles; a longer remaining life is cut to this
_UNITS_PER_FILE = 10


class Turbofan:
    """One of the four data sets: train engines run to failure, test engines stop before it."""

    def __init__(self, data: Path, name: str, home: Path, local: Path, console: Console) -> None:
        if name not in _SETS:
            raise InputError(f"--set {name!r} is unknown: choose one of {', '.join(_SETS)}")
        self.files = {part: data / f"{part}_{name}.txt" for part in ("train", "test", "RUL")}
        for file in self.files.values():
            if not file.is_file():
                raise InputError(
                    f"{file} not found: give the folder of NASA's C-MAPSS data set as DATA=… "
                    "(it is public; search for 'C-MAPSS Turbofan Engine Degradation Simulation')"
                )
        self.name = name
        self.home = home.absolute()
        landing = self.home / "landing"
        fleet = local.absolute().parent / "examples" / "fleets" / "turbofan.yml"
        arguments = {"landing": str(landing), "sensors": str(fleet)}
        self.landing = landing
        self.workspace = LocalHome.open(local, arguments, home=self.home, log_name="cmapss")
        self.watch = Watch(console, self.workspace)

    def run(self) -> float:
        """Stream and train on the train engines, then stream the test engines; return the RMSE at their last cycle.

        Raises SensorStreamsError if the line counts are wrong or verify finds a difference.
        """
        train = self._read("train")
        test = self._read("test")
        self._land("train", train)
        if self.workspace.registry.champion("remaining_life") is None:
            self.watch.run(["feature_extraction"], "features of the train engines")
            load_failures(self.workspace.catalog, self._failures(train))
            self.watch.train()
        self._land("test", test)
        self.watch.run([], "all eight streams")
        checks = self.watch.verify()
        show(self.watch.console, self.workspace, checks, None, None)
        rows = (len(train) + len(test)) * len(CHANNELS)
        self._check_counts(rows)
        differing = sum(check.differing for check in checks)
        if differing:
            raise SensorStreamsError(f"verify found {differing} rows that differ from those computed from the readings")
        rmse = self._rmse(test)
        self.watch.say(f"done in {self.watch.elapsed():.0f} s")
        self.watch.console.print(f"RMSE {rmse:.2f}", highlight=False)
        return rmse

    def _read(self, part: str) -> pd.DataFrame:
        try:
            rows = pd.read_csv(self.files[part], sep=r"\s+", header=None)
            rows.columns = pd.Index(["unit", "cycle", *CHANNELS])
        except ValueError as error:
            raise InputError(f"{self.files[part]}: does not have the 26 columns of the data set: {error}") from None
        return rows

    def _land(self, part: str, rows: pd.DataFrame) -> None:
        """Write the engines' rows as readings, a few engines per file; existing files stay."""
        self.landing.mkdir(parents=True, exist_ok=True)
        units = sorted(rows["unit"].unique())
        for at in range(0, len(units), _UNITS_PER_FILE):
            file = self.landing / f"{part}-{at:04d}.json"
            if file.exists():
                continue
            chosen = rows[rows["unit"].isin(units[at : at + _UNITS_PER_FILE])]
            times = np.datetime_as_string(_BEGIN + chosen["cycle"].to_numpy().astype("timedelta64[h]"), unit="s")
            lines = []
            for channel in CHANNELS:
                values = chosen[channel].tolist()
                lines += [
                    f'{{"device_id": "{part}-{unit:03d}", "sensor": "{channel}", "event_time": "{time}Z", '
                    f'"value": {value}}}\n'
                    for unit, time, value in zip(chosen["unit"], times, values, strict=True)
                ]
            new = file.with_name(f".{file.name}")
            new.write_text("".join(lines), encoding="utf-8")
            os.utime(new)
            new.rename(file)

    def _failures(self, train: pd.DataFrame) -> Path:
        """Write the failures of the train engines, each at its last cycle; return the file."""
        last = train.groupby("unit")["cycle"].max()
        lines = [
            f'{{"device_id": "train-{unit:03d}", "failed_at": "{_BEGIN + np.timedelta64(int(cycle), "h")}Z", '
            f'"kind": "worn"}}\n'
            for unit, cycle in last.items()
        ]
        file = self.home / "failures.jsonl"
        file.write_text("".join(lines), encoding="utf-8")
        return file

    def _check_counts(self, rows: int) -> None:
        files = self.workspace.catalog.read("ingested_files")
        row = files.agg(F.sum("lines"), F.sum("accepted"), F.sum("rejected"), F.sum("duplicates")).first()
        lines, *parts = (0, 0, 0, 0) if row is None else tuple(int(v or 0) for v in row)
        if lines != rows or sum(parts) != rows:
            raise SensorStreamsError(f"{rows} readings, {lines} ingested: accepted, rejected, duplicates = {parts}")
        self.watch.say(
            f"{rows:,} readings in = {parts[0]:,} accepted + {parts[1]:,} rejected + {parts[2]:,} duplicates"
        )

    def _rmse(self, test: pd.DataFrame) -> float:
        """Return the RMSE of the estimates at each test engine's last cycle (cycles, life capped at 125)."""
        left = pd.read_csv(self.files["RUL"], header=None)[0].clip(upper=CAP)
        truth = dict(zip([f"test-{unit:03d}" for unit in sorted(test["unit"].unique())], left, strict=True))
        life = self.workspace.catalog.read("remaining_life").where(F.col("device_id").startswith("test-"))
        newest = life.groupBy("device_id").agg(F.max_by("life_hours", "window_start").alias("hours")).collect()
        found = {row["device_id"]: float(row["hours"]) for row in newest}
        missing = truth.keys() - found.keys()
        if missing:
            raise SensorStreamsError(f"{len(missing)} test engines have no estimate: {', '.join(sorted(missing)[:5])}")
        errors = np.array([min(found[device], CAP) - truth[device] for device in truth])
        return float(np.sqrt((errors**2).mean()))
