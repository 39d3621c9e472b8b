"""Policies across shapes: the variable `live` starts them, and all use the same checkpoint folder."""

from collections.abc import Iterator, Mapping
from typing import Any

from sensor_streams_dev.policies.stream_tasks import Finding, parameter_path, parameters, streams_of_task, tasks

SHAPES = ("single_task", "shared_cluster", "cluster_per_task")


def _shaped(jobs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each job that runs streams and its shape: the tag `shape`, by default the key of the job."""
    for key in [*(shape for shape in SHAPES if shape in jobs), *(key for key in jobs if key not in SHAPES)]:
        job = jobs[key]
        if any(streams_of_task(task) for _, task in tasks(job)):
            yield key, str((job.get("tags") or {}).get("shape", key))


def pause_statuses(jobs: Mapping[str, Any], live: object) -> Iterator[Finding]:
    """Yield pause statuses that differ from the variable `live`."""
    expected = live if isinstance(live, Mapping) else {}
    for key, shape in _shaped(jobs):
        trigger = next((kind for kind in ("continuous", "schedule", "trigger") if jobs[key].get(kind)), None)
        if trigger is None:
            continue
        status = jobs[key][trigger].get("pause_status")
        if status != expected.get(shape):
            yield (
                ("jobs", key, trigger, "pause_status"),
                f"job {key}: pause_status is {status}, but the variable live has {expected.get(shape)}: write "
                f"${{var.live.{shape}}}; a literal UNPAUSED starts the job in every target, also dev",
            )


def single_checkpoint_folder(jobs: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield checkpoint folders that differ, so that each shape continues where another stopped."""
    places: dict[str, list[tuple[str, str]]] = {}
    for key, shape in _shaped(jobs):
        for path, task in tasks(jobs[key]):
            name = f"job {key}, task {task['task_key']}"
            folder = parameters(task).get("checkpoints", "")
            checkpoints_path = ("jobs", key, *parameter_path(jobs[key], path, "checkpoints"))
            # Whole path parts only: a user or a volume may have a longer name that contains these.
            own = {shape, task["task_key"]}.intersection(folder.split("/"))
            for word in dict.fromkeys((*SHAPES, "{{", *sorted(own))):
                if word in folder:
                    what = f"checkpoint path {folder} contains {word!r}: remove it, or other shapes start from scratch"
                    yield checkpoints_path, f"{name}: {what}"
            places.setdefault(folder, []).append((key, task["task_key"]))
            if len(places) > 1 and len(places[folder]) == 1:
                first = next(iter(places))
                yield checkpoints_path, f"{name}: checkpoint path is {folder}, elsewhere {first}: write the same"
