"""Kill -9 at random moments, many times: every line is counted, every table is right, every event is there once."""

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable

from dabs_lab.lab.declarations import Shape
from dabs_lab.lab.faults import kill
from dabs_lab.lab.scene import Scene
from sensor_streams.errors import MachineError
from sensor_streams_dev.lab.soak import small_files
from sensor_streams_dev.lab.stage import LabStage, prepared

# Longest random wait from a running query to its end, in seconds.
_LATEST = 5.0
_DRIVERS = 0.3
_SECONDS = 240.0


@dataclass(frozen=True)
class Killed:
    """Result of a run with many kills. differing: rows that `verify` finds; repeated: events that are there twice."""

    shape: str
    seed: int
    python: int
    drivers: int
    lines: int
    uncounted: int
    differing: int
    events: int
    repeated: int


def kills(folder: Path, shape: Shape, count: int, seed: int, say: Callable[[str], None]) -> Killed:
    """Kill processes of a running job at random moments, then let it finish, and check everything.

    A file arrives before each kill. Raises MachineError if the job does not come back.
    """
    home = folder / "home"
    stage = LabStage(prepared(folder, home, 1), home, shape, 1)
    waiting = small_files(stage, folder / "kill-files", count + 1)
    chance, number = random.Random(seed), Counter[str]()
    streams = [place.name for place in stage.streams]
    pause = threading.Event()
    with Scene(stage, shape, lambda _: None) as scene:
        scene.start()
        for at, file in enumerate(waiting, 1):
            file.rename(stage.landing / file.name)
            if at > count:
                break
            stream = chance.choice(streams)
            scene.until(lambda stream=stream: scene.watch.process_of(stream), f"a process of {stream}", _SECONDS)  # type: ignore[misc]
            pause.wait(chance.uniform(0, _LATEST))
            found = scene.watch.process_of(stream)
            if found is None:
                continue
            what = "drivers" if chance.random() < _DRIVERS else "python"
            kill(found[1] if what == "drivers" else found[0])
            number[what] += 1
            say(f"{shape.id}: kill {at} of {count}: {what} of {stream}")
        files = {file.name for file in stage.landing.iterdir() if file.is_file()}
        scene.until(lambda: _read(stage) >= files, "the last file", _SECONDS)
        scene.until(lambda: _at_rest(scene), "the end of all batches", _SECONDS)
    return _checked(stage, shape.id, seed, number)


def _read(stage: LabStage) -> set[str]:
    rows = DeltaTable(str(stage.tables / "ingested_files")).to_pyarrow_table(columns=["source_file"])
    return {Path(name).name for name in rows["source_file"].to_pylist()}


def _at_rest(scene: Scene) -> bool:
    """Return True when no stream has an open batch, and none has begun one for some seconds."""

    def latest() -> list[int]:
        return [len(commits) for commits in scene.watch.commits.values()]

    before = latest()
    scene.wait(8)
    return latest() == before and all(scene.watch.open_batch(place.name) is None for place in scene.stage.streams)


def _checked(stage: LabStage, shape: str, seed: int, number: Counter[str]) -> Killed:
    files = DeltaTable(str(stage.tables / "ingested_files")).to_pyarrow_table().to_pylist()
    lines = sum(len(file.read_bytes().splitlines()) for file in stage.landing.iterdir() if file.is_file())
    counted = sum(int(row[kind] or 0) for row in files for kind in ("accepted", "rejected", "duplicates"))
    keys = ("device_id", "rule", "opened_at", "number")
    events = Counter(
        tuple(row[key] for key in keys)
        for row in DeltaTable(str(stage.tables / "alert_events")).to_pyarrow_table().to_pylist()
    )
    return Killed(
        shape=shape,
        seed=seed,
        python=number["python"],
        drivers=number["drivers"],
        lines=lines,
        uncounted=lines - counted,
        differing=_verify(stage),
        events=len(events),
        repeated=sum(events.values()) - len(events),
    )


def _verify(stage: LabStage) -> int:
    command = [sys.executable, "-m", "sensor_streams_dev.cli", "verify", "--json", "--home", str(stage.home)]
    ended = subprocess.run(command, cwd=stage.folder, capture_output=True, text=True, timeout=600, check=False)
    try:
        return int(json.loads(ended.stdout)["differing"])
    except (ValueError, KeyError, TypeError):
        raise MachineError(f"verify gave no result: {ended.stderr[-500:]}") from None
