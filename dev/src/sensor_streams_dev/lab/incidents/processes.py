"""Incidents of processes and memory."""

import resource

import psutil

from dabs_lab.lab.faults import full_heap, kill, terminate
from dabs_lab.lab.scene import Scene
from sensor_streams_dev.lab.incidents.declare import FEATURES, INFERENCE, incident, until_failed_again
from sensor_streams_dev.lab.lab_bundle import STALL_AFTER

_GROUP = "Processes"


def _python_killed(scene: Scene) -> None:
    scene.land()
    process = scene.process_of("anomaly_scores")
    scene.until_batch("device_features", "anomaly_scores")
    scene.fault("kill -9 of the Python process that runs anomaly_scores", *INFERENCE)
    kill(process)


def _driver_killed(scene: Scene) -> None:
    scene.land()
    driver = scene.driver_of("device_features")
    scene.until_batch("sensor_features", "device_features")
    scene.fault("kill -9 of the driver that runs device_features", *FEATURES)
    kill(driver)


def _heap(scene: Scene) -> None:
    # A bounded shape has a process only while there is input.
    scene.land()
    process = scene.process_of("device_features")
    scene.fault("a neighbour on the driver that runs device_features fills its heap", *FEATURES)
    with full_heap(process):
        scene.land()
        until_failed_again(scene, 1)
    scene.repaired("the neighbour is gone")


def _python_memory(scene: Scene) -> None:
    process = psutil.Process(scene.process_of("anomaly_scores"))
    size = process.memory_info().vms
    scene.fault("the Python process that runs anomaly_scores gets no more memory", *INFERENCE)
    process.rlimit(resource.RLIMIT_AS, (size, size))
    scene.land()


def _terminated(scene: Scene) -> None:
    scene.land()
    process = scene.process_of("device_features")
    scene.until_batch("readings", "sensor_features", "device_features")
    scene.fault("SIGTERM to the Python process that runs device_features, within a batch", *FEATURES)
    terminate(process)


def _random_kills(scene: Scene) -> None:
    streams = [place.name for place in scene.stage.streams]
    for number in range(1, 4):
        scene.land()
        stream = scene.random.choice(streams)
        scene.process_of(stream)
        scene.wait(scene.random.uniform(0, 4))
        found = scene.watch.process_of(stream)
        # It may have ended in between, as the tasks of a bounded shape do.
        if found is not None:
            python, driver = found
            whole = scene.random.random() < 0.4
            scene.fault(f"kill -9 number {number}: {'driver' if whole else 'Python process'} of {stream}")
            kill(driver if whole else python)


INCIDENTS = (
    incident(
        "python-killed",
        _GROUP,
        "The Python process dies",
        "The kernel ends the task's Python process in the middle of a batch. Its driver lives on.",
        "kill -9 of the Python process",
        _python_killed,
        warm=False,
    ),
    incident(
        "driver-killed",
        _GROUP,
        "The driver dies",
        "The driver's machine is lost in the middle of a batch. All queries on it end at once.",
        "kill -9 of the JVM",
        _driver_killed,
        warm=False,
    ),
    incident(
        "driver-heap",
        _GROUP,
        "The driver runs out of heap",
        "A neighbour on the same driver collects a large table. Queries on it fail with OutOfMemoryError.",
        "arrays that fill the heap, through the session of a task, until an attempt has failed",
        _heap,
        # A heap that is nearly full slows a batch down. After `stall_after` (30 minutes, here 60 s) that is a failure.
        stuck_after=STALL_AFTER,
    ),
    incident(
        "python-memory",
        _GROUP,
        "The Python process runs out of memory",
        "The Python process of a task reaches its limit of memory. Its next allocation fails.",
        "the limit of the address space is set to its present size (prlimit)",
        _python_memory,
        "No row is lost or wrong, and the process ends instead of waiting for threads that never begin.",
        warm=False,
    ),
    incident(
        "terminated",
        _GROUP,
        "SIGTERM under load",
        "A redeploy or a maintenance ends the task while it works on a batch. It gets a few seconds to end.",
        "SIGTERM to the Python process, within a batch",
        _terminated,
        # Batches may finish within `stop_deadline`, and until then the other streams have ended.
        known_after=10.0,
        warm=False,
    ),
    incident(
        "random-kills",
        _GROUP,
        "Kill -9 at random moments",
        "Machines die when they like. A process or a driver is killed three times, at any point of a batch.",
        "kill -9 of Python process or driver, three times at random moments (by the seed), with new input each time",
        _random_kills,
        warm=False,
    ),
)
