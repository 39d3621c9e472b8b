"""What the shapes promise together: one of them is live, and all of them share one folder of checkpoints."""

from collections.abc import Iterator, Mapping
from typing import Any

from sensor_streams_dev.policies.stream_tasks import Broken, parameters, streams_of_task, tasks

SHAPES = ("single_task", "shared_cluster", "cluster_per_task")


def _shaped(jobs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each job that runs streams, with its shape: a shape may be several jobs, which the tag `shape` says."""
    for key in [*(shape for shape in SHAPES if shape in jobs), *(key for key in jobs if key not in SHAPES)]:
        job = jobs[key]
        if any(streams_of_task(task) for _, task in tasks(job)):
            yield key, str((job.get("tags") or {}).get("shape", key))


def one_live(jobs: Mapping[str, Any], live: object) -> Iterator[Broken]:
    """At most one shape runs by itself, and the variable `live` says which."""
    said = live if isinstance(live, Mapping) else {}
    running: dict[str, str] = {}
    for key, shape in _shaped(jobs):
        trigger = next((kind for kind in ("continuous", "schedule", "trigger") if jobs[key].get(kind)), None)
        if trigger is None:
            continue
        status = jobs[key][trigger].get("pause_status")
        if status != "PAUSED":
            running.setdefault(shape, key)
        if status != said.get(shape):
            yield (
                ("jobs", key, trigger, "pause_status"),
                f"job {key}: pause_status is {status} where the variable live says {said.get(shape)}: write "
                f"${{var.live.{shape}}}; a literal UNPAUSED runs in every target, dev too",
            )
    if len(running) > 1:
        yield (
            ("jobs", list(running.values())[1]),
            f"{' and '.join(running)} are live at once on the same checkpoints: the variable live may name one",
        )


def one_checkpoint_folder(jobs: Mapping[str, Any]) -> Iterator[Broken]:
    """One folder of checkpoints for all shapes, so that each goes on where another stopped."""
    places: dict[str, list[tuple[str, str]]] = {}
    for key, shape in _shaped(jobs):
        for path, task in tasks(jobs[key]):
            folder = parameters(task).get("checkpoints", "")
            here = ("jobs", key, *path, "python_wheel_task", "named_parameters", "checkpoints")
            # Names of one's own may be parts of longer ones, a user's or a volume's.
            own = {shape, task["task_key"]}.intersection(folder.split("/"))
            for word in dict.fromkeys((*SHAPES, "{{", *sorted(own))):
                if word in folder:
                    yield (
                        here,
                        f"job {key}, task {task['task_key']}: checkpoint path {folder} holds {word!r}: another shape "
                        "or run would begin anew",
                    )
            places.setdefault(folder, []).append((key, task["task_key"]))
            if len(places) > 1 and len(places[folder]) == 1:
                first = next(iter(places))
                yield (
                    here,
                    f"job {key}, task {task['task_key']}: checkpoint path is {folder} and not {first} as elsewhere",
                )
