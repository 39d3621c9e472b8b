"""One cell's folder: a fresh copy of the seed's home, its sets of files, and the truth about its tables."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from deltalake.exceptions import DeltaError

from dabs_lab.lab.declarations import Loss, Shape, StreamPlace
from dabs_lab.runner.local_config import load_local
from sensor_streams.errors import MachineError
from sensor_streams.fleet import load_fleet
from sensor_streams.json_files import read_json
from sensor_streams.streams import STREAMS
from sensor_streams_dev.java_options import FEW_ROWS
from sensor_streams_dev.lab.lab_bundle import RESOLVED
from sensor_streams_dev.lab.lab_sets import SETS, parameters
from sensor_streams_dev.lab.table_truth import (
    Tables,
    compare,
    read_readable,
    read_tables,
    read_truth,
    row_count,
    versions,
)

JAVA = "JAVA_TOOL_OPTIONS"
ENVIRONMENT = {"PYTHONUNBUFFERED": "1", JAVA: FEW_ROWS}
# Seconds until tables are read again, of which one could not be read: reading takes time from the job.
_TRY_EVERY = 2.0


class LabStage:
    """See `dabs_lab.lab.declarations.Stage`. more: variables of the jobs' processes."""

    def __init__(
        self, data: Path, home: Path, shape: Shape, seed: int, more: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(data / "home", home, symlinks=True)
        self.data, self.home, self.shape, self._seed = data, home, shape, seed
        self.folder = home / "project"
        self._environment = {**ENVIRONMENT, **more}
        self.fleet = load_fleet(str(self.folder / "sensors.yml"))
        volumes = load_local(self.folder / "local.yml").volumes
        self.landing, self.checkpoints, self.tables = volumes["landing"], volumes["checkpoints"], home / "tables"
        self.landed = 0
        # Lines of files that no set has.
        self.more_lines = 0
        # Copy of readings that has to be complete too, in `loss` only.
        self.copy: Path | None = None
        # What was compared last, the result, and when a table that could not be read is tried again.
        self._compared: tuple[tuple[str, ...], int] | None = None
        self._complete, self._try_at = False, 0.0

    @property
    def seed(self) -> int:
        """Seed of the data."""
        return self._seed

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment of the jobs' processes."""
        return self._environment

    @property
    def streams(self) -> Sequence[StreamPlace]:
        """All eight streams."""
        return [StreamPlace(stream.name, self.checkpoints / stream.name / "checkpoint") for stream in STREAMS]

    def words(self, job: str) -> Sequence[str]:
        """Return the words of `dabs-lab run` for a job, which follows its trigger."""
        return ["dabs_lab.cli", "run", job, "--json", "--live", "--bundle-json", RESOLVED]

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of sensor-streams on this home, as a person would; return its output."""
        command = [sys.executable, "-m", "sensor_streams_dev.cli", *words, "--home", str(self.home)]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=600, check=False)

    def land(self) -> int:
        """Let the next set arrive: its files are copied aside and renamed into the folder, with their times."""
        self.landed += 1
        files = sorted((self.data / "sets" / str(self.landed)).iterdir())
        for file in files:
            aside = self.home / f".{file.name}"
            shutil.copy2(file, aside)
            aside.rename(self.landing / file.name)
        return int(json.loads((self.data / "data.json").read_text("utf-8"))["lines"][self.landed - 1])

    def land_file(self, name: str, content: bytes, lines: int) -> None:
        """Let a file arrive that no set has."""
        aside = self.home / f".{name}"
        aside.write_bytes(content)
        # The arrival of a file is its time of modification: that of the newest file that arrived.
        newest = max(file.stat().st_mtime for file in self.landing.iterdir())
        os.utime(aside, (newest, newest))
        aside.rename(self.landing / name)
        self.more_lines += lines

    def complete(self) -> bool:
        """Return True when all tables have the rows of everything that has landed."""
        now = (versions(self.tables, self.fleet), self.landed)
        if now != self._compared and time.monotonic() >= self._try_at:
            try:
                found = read_tables(self.tables, self.fleet)
            except (DeltaError, OSError):
                # A table is being written, or is damaged. A file that is restored makes no new version.
                self._try_at = time.monotonic() + _TRY_EVERY
                return False
            self._complete = compare(found, self._right(), self.fleet, self.more_lines) == Loss()
            self._compared = now
        return self._complete and now == self._compared

    def loss(self) -> Loss:
        """Compare all tables with the right ones; all rows of a table that cannot be read are lost."""
        right = self._right()
        found = compare(read_readable(self.tables, self.fleet, right), right, self.fleet, self.more_lines)
        missing = 0 if self.copy is None else self.readings - row_count(self.copy)
        if not missing or self.copy is None:
            return found
        return replace(found, lost=found.lost + missing, by_table={**found.by_table, self.copy.name: missing})

    @property
    def readings(self) -> int:
        """Number of readings in the files that have landed."""
        return int(self._right()["readings"].num_rows)

    def _right(self) -> Tables:
        return read_truth(self.data / "tables" / str(self.landed), self.fleet)


def prepared(folder: Path, home: Path, seed: int, sets: int = SETS) -> Path:
    """Return the folder with the data of a seed; makes them in a process of their own unless they are there.

    Raises MachineError, naming the log, if that fails.
    """
    data = folder / f"seed-{seed}"
    if (read_json(data / "data.json") or {}).get("parameters") == parameters(sets):
        return data
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"seed-{seed}.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "sensor_streams_dev.lab.lab_data", *map(str, (data, home, seed, sets))]
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    if code or not (data / "data.json").exists():
        raise MachineError(f"the data of seed {seed} could not be made: see {log}")
    return data
