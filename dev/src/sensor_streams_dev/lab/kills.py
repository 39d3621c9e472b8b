"""Kill -9 at random moments, many times: every line is counted, every table is right, every event is there once."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from dabs_lab.lab.declarations import Shape
from dabs_lab.lab.faults import kill
from dabs_lab.lab.results import State
from dabs_lab.lab.scene import Scene
from sensor_streams.errors import MachineError
from sensor_streams.streams import BY_NAME
from sensor_streams_dev.lab.soak import small_files
from sensor_streams_dev.lab.stage import LabStage, prepared
from sensor_streams_dev.lab.table_truth import counted_lines, read_table

# Longest random wait from a running query to its end, in seconds.
_LATEST = 5.0
_DRIVERS = 0.3
_SECONDS = 240.0
# Seconds without a batch after which a continuous job is at rest: each stream looks for input every second.
_QUIET = 20.0


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

    @property
    def right(self) -> bool:
        """True when nothing is lost, wrong or repeated."""
        return not (self.uncounted or self.differing or self.repeated)


def kills(folder: Path, shape: Shape, count: int, seed: int, say: Callable[[str], None]) -> Killed:
    """Kill processes of a running job at random moments, then let it finish, and check everything.

    A file arrives before each kill. Raises MachineError if the job does not come back.
    """
    home = folder / "home"
    stage = LabStage(prepared(folder, home, 1), home, shape, 1)
    waiting = small_files(stage, folder / "kill-files", count + 1)
    chance, number = random.Random(seed), Counter[str]()
    streams = [place.name for place in stage.streams]
    with Scene(stage, shape, lambda _: None) as scene:
        scene.start()
        for at, file in enumerate(waiting, 1):
            file.rename(stage.landing / file.name)
            if at > count:
                break
            stream = chance.choice(streams)
            found = None
            while found is None:
                # The process may have ended in between: wait for the next one.
                scene.until(lambda stream=stream: scene.watch.process_of(stream), f"a process of {stream}", _SECONDS)  # type: ignore[misc]
                scene.wait(chance.uniform(0, _LATEST))
                found = scene.watch.process_of(stream)
            what = "drivers" if chance.random() < _DRIVERS else "python"
            kill(found[1] if what == "drivers" else found[0])
            number[what] += 1
            say(f"{shape.id}: kill {at} of {count}: {what} of {stream}")
        files = {file.name for file in stage.landing.iterdir() if file.is_file()}
        scene.until(lambda: _read(stage) >= files, "the last file", _SECONDS)
        read_at = time.monotonic()
        scene.until(lambda: _at_rest(scene, read_at), "the end of all batches", 2 * _SECONDS)
    return _checked(stage, shape.id, seed, number)


def add_kills(found: Killed, file: Path) -> None:
    """Add a result to a file; it replaces that of the same shape and seed."""
    known = [Killed(**one) for one in json.loads(file.read_text("utf-8"))] if file.exists() else []
    others = [one for one in known if (one.shape, one.seed) != (found.shape, found.seed)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(one) for one in [*others, found]], indent=1), "utf-8")


def _read(stage: LabStage) -> set[str]:
    files = read_table(stage.tables / "ingested_files")
    return {Path(name).name for name in files["source_file"].to_pylist()}


def _at_rest(scene: Scene, read_at: float) -> bool:
    """Return True when all streams have processed what was there at `read_at`.

    Bounded: a run that began later has succeeded. Continuous: all streams run, none has an open batch, and none has
    begun one for some seconds. A stream that is still away would otherwise look like one without input.
    """
    if scene.shape.bounded:
        (job,) = scene.jobs
        begun = {one.data["run"] for one in job.find("run", state="RUNNING") if one.at > read_at}
        return any(one.data["run"] in begun for one in job.find("run", state="TERMINATED", result="SUCCESS"))
    names = [place.name for place in scene.stage.streams]

    def latest() -> list[int]:
        return [len(scene.watch.commits[name]) for name in names]

    def working() -> bool:
        return all(scene.watch.state(name) == State.WORKING and scene.watch.open_batch(name) is None for name in names)

    if not working():
        return False
    before = latest()
    scene.wait(_QUIET)
    return working() and latest() == before


def _checked(stage: LabStage, shape: str, seed: int, number: Counter[str]) -> Killed:
    lines = sum(len(file.read_bytes().splitlines()) for file in stage.landing.iterdir() if file.is_file())
    counted = counted_lines(read_table(stage.tables / "ingested_files"))
    key = BY_NAME["alert_events"].key
    rows = read_table(stage.tables / "alert_events").to_pylist()
    events = Counter(tuple(row[name] for name in key) for row in rows)
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
    ended = stage.command("verify", "--json")
    try:
        return int(json.loads(ended.stdout)["differing"])
    except (ValueError, KeyError, TypeError):
        raise MachineError(f"verify gave no result: {ended.stderr[-500:]}") from None
