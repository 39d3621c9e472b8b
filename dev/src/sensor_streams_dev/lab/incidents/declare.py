"""Short forms that the declarations of incidents share."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

from deltalake import DeltaTable

from dabs_lab.lab.declarations import Incident
from dabs_lab.lab.results import IncidentText, State
from dabs_lab.lab.scene import Scene
from sensor_streams.streams import STREAMS
from sensor_streams_dev.lab.stage import LabStage

# Streams of each task: a fault of a process or a driver aims at all streams of a task.
FEATURES = tuple(stream.name for stream in STREAMS if stream.task == "feature_extraction")
INFERENCE = tuple(stream.name for stream in STREAMS if stream.task == "inference")
# A table that two streams read; both look back to its newest file.
SOURCE, READERS = "sensor_features", ("device_features", "device_sessions")
Script = Callable[[Scene], None]
ALL_RIGHT = "No row is lost, repeated or wrong, and the job shows the failure within two seconds."


def incident(
    id: str,
    group: str,
    title: str,
    story: str,
    injected: str,
    script: Script,
    must_hold: str = ALL_RIGHT,
    note: str = "",
    **more: object,
) -> Incident:
    """Return an incident; `more`: other fields of `Incident`."""
    text = IncidentText(id=id, group=group, title=title, story=story, injected=injected, must_hold=must_hold, note=note)
    return Incident(text, script, **more)  # type: ignore[arg-type]


def stage_of(scene: Scene) -> LabStage:
    """Return the stage of this project."""
    return cast(LabStage, scene.stage)


def checkpoint(scene: Scene, stream: str) -> Path:
    """Return the folder of a stream's checkpoint."""
    return stage_of(scene).checkpoints / stream / "checkpoint"


def newest_file(scene: Scene, table: str) -> Path:
    """Return the newest data file of a table; files of its change data feed do not count."""
    uris = DeltaTable(str(stage_of(scene).tables / table)).file_uris()
    return max((Path(uri.removeprefix("file://")) for uri in uris), key=lambda file: file.stat().st_mtime)


def until_bad(scene: Scene, stream: str, seconds: float = 90) -> None:
    """Let a fault last until a stream is dead or stuck, or an attempt has failed, for at most these seconds."""
    before = len(scene.failed_attempts())
    scene.reached(
        lambda: scene.watch.state(stream) in (State.DEAD, State.STUCK) or len(scene.failed_attempts()) > before,
        seconds,
    )


def until_failed_again(scene: Scene, times: int, seconds: float = 180) -> None:
    """Let a fault last until a number of further attempts have failed, for at most these seconds."""
    before = len(scene.failed_attempts())
    scene.reached(lambda: len(scene.failed_attempts()) >= before + times, seconds)
