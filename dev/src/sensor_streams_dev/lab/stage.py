"""One cell's folder: a fresh copy of the seed's home, its sets of files, and the truth about its tables."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deltalake.exceptions import DeltaError

from dabs_lab.lab.declarations import Loss, Shape, StreamPlace
from dabs_lab.runner.local_config import load_local
from sensor_streams.errors import MachineError
from sensor_streams.fleet import load_fleet
from sensor_streams.incremental.interpreted import INTERPRETED
from sensor_streams.streams import STREAMS
from sensor_streams_dev.lab.lab_bundle import RESOLVED
from sensor_streams_dev.lab.table_truth import compare, read_tables, read_truth, versions

# Batches are small, and a cell is short: Java's quick compiler and interpreted queries save more than they cost.
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m"
_OPTIONS = " ".join([_JAVA, *(f"-D{name}={value}" for name, value in INTERPRETED.items())])
_ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "JAVA_TOOL_OPTIONS": _OPTIONS}


class LabStage:
    """See `dabs_lab.lab.declarations.Stage`."""

    def __init__(self, data: Path, home: Path, shape: Shape, seed: int) -> None:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(data / "home", home, symlinks=True)
        self.data, self.home, self.shape, self._seed = data, home, shape, seed
        self.folder = home / "project"
        self.fleet = load_fleet(str(self.folder / "sensors.yml"))
        volumes = load_local(self.folder / "local.yml").volumes
        self.landing, self.checkpoints, self.tables = volumes["landing"], volumes["checkpoints"], home / "tables"
        self.landed = 0
        # Lines of files that no set has.
        self.more_lines = 0
        self._resolved = json.loads((self.folder / RESOLVED).read_text("utf-8"))
        self._complete: tuple[tuple[str, ...], int] | None = None

    @property
    def seed(self) -> int:
        """Seed of the data."""
        return self._seed

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment of the jobs' processes."""
        return _ENVIRONMENT

    @property
    def streams(self) -> Sequence[StreamPlace]:
        """All eight streams."""
        return [StreamPlace(stream.name, self.checkpoints / stream.name / "checkpoint") for stream in STREAMS]

    def words(self, job: str) -> Sequence[str]:
        """Return the words of `dabs-lab run` for a job, which follows its trigger."""
        return ["dabs_lab.cli", "run", job, "--json", "--live", "--bundle-json", RESOLVED]

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
        if now == self._complete:
            return False
        self._complete = now
        return self._compared() == Loss()

    def loss(self) -> Loss:
        """Compare all tables with the right ones. Raises MachineError for a table that cannot be read."""
        try:
            return self._compare()
        except (DeltaError, OSError) as error:
            raise MachineError(f"a table of the cell cannot be read: {error}") from None

    def _compared(self) -> Loss | None:
        try:
            return self._compare()
        except (DeltaError, OSError):
            # A table is being written, or is damaged at the moment.
            return None

    def _compare(self) -> Loss:
        right = read_truth(self.data / "tables" / str(self.landed), self.fleet)
        return compare(read_tables(self.tables, self.fleet), right, self.fleet, self.more_lines)


def prepared(folder: Path, home: Path, seed: int) -> Path:
    """Return the folder with the data of a seed; makes them in a process of their own if they are not there.

    Raises MachineError, naming the log, if that fails.
    """
    data = folder / f"seed-{seed}"
    if (data / "data.json").exists():
        return data
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"seed-{seed}.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "sensor_streams_dev.lab.lab_data", str(data), str(home), str(seed)]
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    if code or not (data / "data.json").exists():
        raise MachineError(f"the data of seed {seed} could not be made: see {log}")
    return data
