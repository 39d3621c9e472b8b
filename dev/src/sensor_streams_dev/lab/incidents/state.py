"""Incidents of checkpoints, models and deployments."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient

from dabs_lab.lab.declarations import Shape
from dabs_lab.lab.faults import find_again, kill, lose
from dabs_lab.lab.job_process import JobProcess
from dabs_lab.lab.scene import Scene
from sensor_streams_dev.lab.incidents.declare import INFERENCE, checkpoint, incident, stage_of, until_failed_again

_GROUP = "State"
_BROKEN = "broken-model"
_OTHER = {"single_task": "cluster_per_task"}


def _lost_checkpoint(scene: Scene) -> None:
    process = scene.process_of("device_features")
    scene.fault("the checkpoint of device_features is deleted, and its task dies", "device_features")
    kill(process)
    shutil.rmtree(checkpoint(scene, "device_features"))
    scene.land()


def _full(scene: Scene) -> None:
    offsets = checkpoint(scene, "device_features") / "offsets"
    scene.fault("the volume of the checkpoint of device_features is full", "device_features")
    with _full_volume(offsets):
        scene.land()
        until_failed_again(scene, 1)
    scene.repaired("the volume has space again")


@contextmanager
def _full_volume(folder: Path) -> Iterator[None]:
    """Mount a full file system over a folder, with the folder's files; afterwards the folder has the new files too."""
    kept = folder.with_name("kept-by-the-lab")
    shutil.copytree(folder, kept)
    # Room for the files that are there: each takes a page of memory.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        (folder / ".full").write_bytes(b"x" * shutil.disk_usage(folder).free)
        yield
    finally:
        for file in folder.iterdir():
            if file.name.isdigit():
                shutil.copy2(file, kept)
        subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.copytree(kept, folder, dirs_exist_ok=True)


def _cannot_mount(_: Shape) -> str:
    probe = Path("/proc/self/status").read_text("utf-8")
    (line,) = (line for line in probe.splitlines() if line.startswith("CapEff:"))
    # Bit 21 is CAP_SYS_ADMIN, which mount needs.
    may = int(line.split()[1], 16) >> 21 & 1
    return "" if may else "this user cannot mount a small file system"


def _beside(job_of: Callable[[Scene], str], what: str) -> Callable[[Scene], None]:
    def script(scene: Scene) -> None:
        scene.land()
        scene.process_of("device_features")
        scene.fault(what)
        job = job_of(scene)
        stage = scene.stage
        with JobProcess(job, stage.words(job), stage.folder, stage.environment) as second:
            refused = scene.reached(
                lambda: [
                    one for one in second.find("attempt", state="TERMINATED") if one.data.get("result") == "FAILED"
                ],
                90,
            )
        # Tasks of a bounded shape hold their checkpoints while they run, so the tasks of two runs may take turns.
        if not scene.shape.bounded:
            scene.broken += [] if refused else ["the second run was not refused"]
            scene.broken += ["the first run failed"] if scene.failed_attempts() else []
        scene.repaired("the second run is stopped")
        scene.land()

    return script


def _no_model(scene: Scene) -> None:
    process = scene.process_of("anomaly_scores")
    scene.fault("the files of all models are deleted, and the task that scores dies", *INFERENCE)
    kill(process)
    lose(stage_of(scene).home / "models" / "artifacts")
    scene.land()


def _restore_model(scene: Scene) -> None:
    find_again(stage_of(scene).home / "models" / "artifacts")
    scene.repaired("the models are restored from a copy", by_person=True)


def _broken_champion(scene: Scene) -> None:
    client, model = _anomaly_model(scene)
    broken = stage_of(scene).home / _BROKEN
    broken.mkdir()
    (broken / "MLmodel").write_text("flavors: {}\n", "utf-8")
    version = client.create_model_version(model, f"file://{broken}").version
    process = scene.process_of("anomaly_scores")
    scene.fault(f"the alias champion moves to version {version}, which cannot be loaded; the task dies", *INFERENCE)
    client.set_registered_model_alias(model, "champion", version)
    kill(process)
    scene.land()


def _anomaly_model(scene: Scene) -> tuple[MlflowClient, str]:
    folder = stage_of(scene).home / "models"
    # MLflow keeps a connection to each address, and each cell has another file at the same one.
    link = folder / f"lab-{time.monotonic_ns()}.db"
    link.symlink_to("mlflow.db")
    client = MlflowClient(registry_uri=f"sqlite:///{link}")
    (model,) = (one.name for one in client.search_registered_models() if "anomaly" in one.name)
    return client, model


def _move_alias_back(scene: Scene) -> None:
    client, model = _anomaly_model(scene)
    found = client.search_model_versions(f"name='{model}'")
    good = max(int(one.version) for one in found if not str(one.source).endswith(_BROKEN))
    client.set_registered_model_alias(model, "champion", str(good))
    scene.repaired("the alias champion is moved back", by_person=True)


def _no_wheels(_: Shape) -> str:
    return "the local runner uses the installed package, so no wheel can be missing here; see `dabs-lab check`, D8"


INCIDENTS = (
    incident(
        "checkpoint-lost",
        _GROUP,
        "A checkpoint is lost",
        "A clean-up deletes the checkpoint of one stream. The stream begins again at the start of its source.",
        "kill -9 of the task, and the folder of the checkpoint is deleted",
        _lost_checkpoint,
        "The stream reads everything again, and no row is lost, repeated or wrong.",
        warm=False,
    ),
    incident(
        "volume-full",
        _GROUP,
        "The volume of a checkpoint is full",
        "The small volume of the checkpoints fills up. Spark cannot write the offset of the next batch.",
        "a full file system of 1 MB in place of the folder `offsets`",
        _full,
        not_shown=_cannot_mount,
    ),
    incident(
        "two-runs",
        _GROUP,
        "Two runs on one checkpoint",
        "A person starts the job on a second cluster while the first run lives. Both have the same checkpoints.",
        "a second runner of the same job",
        _beside(lambda scene: scene.shape.jobs[-1], "a second run of the same job starts"),
        "The second run refuses to start and names the first; the first goes on.",
        warm=False,
    ),
    incident(
        "two-shapes",
        _GROUP,
        "Two shapes live at once",
        "After a change of the variable `live`, the old shape's run goes on while the new shape starts.",
        "another shape's job in addition to the running one",
        _beside(lambda scene: _OTHER.get(scene.shape.id, "single_task"), "the job of another shape starts"),
        "The second job refuses to start and names the first; the first goes on.",
        warm=False,
    ),
    incident(
        "wheel-gone",
        _GROUP,
        "The wheel is gone after a redeploy",
        "A deploy removes the wheel of a running job. A retry on a new cluster cannot install it.",
        "nothing",
        lambda scene: None,
        not_shown=_no_wheels,
    ),
    incident(
        "model-deleted",
        _GROUP,
        "The model is deleted before a retry",
        "A clean-up deletes the files of the registered models. The next attempt of the task cannot load one.",
        "kill -9 of the task, and the folder with all model files is moved away",
        _no_model,
        "Scores wait and say why, all other streams go on; after the model is back, nothing is lost.",
        repair=_restore_model,
        needs_repair=True,
        warm=False,
    ),
    incident(
        "champion-broken",
        _GROUP,
        "The alias moves to a broken model",
        "A release moves the alias champion to a version that cannot be loaded. The task is retried just then.",
        "a version without files gets the alias, and kill -9 of the task",
        _broken_champion,
        "Rows are scored with the version before, or wait; a broken version scores nothing.",
        repair=_move_alias_back,
        warm=False,
    ),
)
