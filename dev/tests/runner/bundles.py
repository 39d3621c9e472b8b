"""Small bundles for tests, and the runner as a process with its events and child processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from sensor_streams_dev.java_options import FEW_ROWS
from tests.plant import Plant
from tests.policies.golden import given_with

ROOT = Path(__file__).parents[3]
CLUSTER = {"spark_version": "18.x-scala2.13", "node_type_id": "m5d.large", "num_workers": 1}
# A task that writes a `.ready` file and waits for an `.end` file with its exit code.
WAITING = """
import pathlib, sys, threading, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
name, number = sys.argv[1], sys.argv[2]
here = pathlib.Path(__file__).parent
(here / f"{name}-{number}.ready").write_text(spark.sparkContext.applicationId)
deadline = time.monotonic() + 300
while not (end := here / f"{name}-{number}.end").exists():
    assert time.monotonic() < deadline, "no .end file"
    threading.Event().wait(0.05)
sys.exit(int(end.read_text()))
"""


def bundle(folder: Path, tasks: Sequence[Mapping[str, Any]], **job: Any) -> Path:
    """Write a bundle with one job, `small`, whose default cluster is `main`; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "waiting.py").write_text(WAITING, "utf-8")
    named = [{"job_cluster_key": "main", **task} for task in tasks]
    clusters = [
        {"job_cluster_key": key, "new_cluster": CLUSTER} for key in dict.fromkeys(t["job_cluster_key"] for t in named)
    ]
    whole = {
        "bundle": {"name": "small"},
        "targets": {"dev": {"default": True}},
        "resources": {"jobs": {"small": {"name": "small", "job_clusters": clusters, "tasks": named, **job}}},
    }
    (folder / "databricks.yml").write_text(yaml.safe_dump(whole), "utf-8")
    local = {"clusters": {"cores": 1, "memory": "600m"}, "volumes": {"landing": "volumes/landing"}}
    (folder / "local.yml").write_text(yaml.safe_dump(local), "utf-8")
    return folder


def waits(key: str, cluster: str = "main", **more: Any) -> dict[str, Any]:
    """Return a task that runs `waiting.py`."""
    arguments = [key, "{{task.execution_count}}"]
    work = {"python_file": "waiting.py", "parameters": arguments}
    return {"task_key": key, "job_cluster_key": cluster, "spark_python_task": work, **more}


def project(plant: Plant) -> Path:
    """Copy the project's bundle, with a local.yml for a plant; return its folder."""
    folder = plant.folder / "project"
    for name in ("resources", "cluster"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("databricks.yml", "policies.yml"):
        shutil.copy(ROOT / name, folder)
    shutil.copy(plant.fleet_file, folder / "sensors.yml")
    store = f"sqlite:///{plant.folder / 'models' / 'mlflow.db'}"
    here = {
        "home": str(plant.folder),
        "arguments": {"catalog": "spark_catalog", "schema": plant.schema},
        "environment": {
            "SENSOR_STREAMS_TABLES": "${home}/tables",
            "SENSOR_STREAMS_CATALOG_FILE": "${home}/catalog.json",
            "SENSOR_STREAMS_TRACKING_URI": store,
            "SENSOR_STREAMS_REGISTRY_URI": store,
            "SENSOR_STREAMS_ARTIFACTS": "${home}/models/artifacts",
        },
        "volumes": {name: f"${{home}}/{name}" for name in ("landing", "checkpoints", "archive")},
        "variables": given_with(catalog="spark_catalog"),
    }
    (folder / "local.yml").write_text(yaml.safe_dump(here), "utf-8")
    return folder


class Running:
    """Process of `sensor-streams run … --json`, or of another module's; `events` grows while it runs."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        job: str = "small",
        environment: Mapping[str, str] | None = None,
        module: str = "sensor_streams_dev.cli",
    ) -> None:
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        # Small JVMs are enough here.
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "run", job, "--json", *words],
            cwd=folder,
            env={**os.environ, "JAVA_TOOL_OPTIONS": FEW_ROWS, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A session of its own: signals to its process group must not reach the tests.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def find(self, event: str, **values: Any) -> list[dict[str, Any]]:
        """Return the events of a kind with these values."""
        return [
            one
            for one in list(self.events)
            if one["event"] == event and all(one.get(name) == value for name, value in values.items())
        ]

    def until(self, condition: Callable[[], Any], seconds: float = 90, every: float = 0.1) -> Any:
        """Wait until a condition is true and return its value. Fails after a deadline or if the runner ends."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"not within {seconds} s: {self.output()}"
            if self.process.poll() is not None and not condition():
                raise AssertionError(f"the runner ended with {self.process.returncode}: {self.output()}")
            self._reader.join(every)
        return found

    def pid(self, task: str, number: int = 1) -> int:
        """Wait until an attempt runs its code; return its process id."""
        self.until(lambda: (self.folder / f"{task}-{number}.ready").exists())
        (found,) = self.until(lambda: self.find("process", task=task, number=number))
        return int(found["pid"])

    def drivers(self) -> list[int]:
        """Return the process ids of the drivers so far."""
        return [int(one["pid"]) for one in self.find("driver")]

    def finish(self, task: str, code: int = 0, number: int = 1) -> None:
        """End an attempt with an exit code."""
        new = self.folder / f".{task}-{number}.new"
        new.write_text(str(code))
        new.rename(self.folder / f"{task}-{number}.end")

    def tree(self) -> list[psutil.Process]:
        """Return the processes of the runner and its descendants."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def wait(self, seconds: float = 60) -> int:
        """Wait for the end, read all output and return the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code

    def output(self) -> str:
        """Return the last events and the end of stderr."""
        error = self.process.stderr.read() if self.process.poll() is not None and self.process.stderr else ""
        return "\n".join([*map(str, self.events[-15:]), error[-2000:]])

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)
        self._reader.join(10)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def command_line(process: psutil.Process) -> str:
    """Return the command line, or an empty text if the process has ended."""
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def left(processes: Sequence[psutil.Process], seconds: float = 10) -> list[str]:
    """Wait at most `seconds`; return the processes that are still running."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [f"{one.pid} {command_line(one)[:120]}" for one in alive if one.status() != psutil.STATUS_ZOMBIE]
