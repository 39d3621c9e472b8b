"""Python process of a task: attach to the driver of its cluster, and run the entry point or file.

Only the runner starts it: `python -m dabs_lab.runner.task_process wheel PACKAGE ENTRY_POINT ARGUMENT…`
or `… file FILE ARGUMENT…`, with PySpark's gateway in the environment and a pipe from the runner as standard input.
"""

import importlib
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from dabs_lab.runner.driver import SESSION


def main(words: Sequence[str]) -> int:
    """Run the task; return 0 if it succeeds, 1 if it raises or exits with another code than 0."""
    exit_with_runner()
    kind, rest = words[0], list(words[1:])
    try:
        attach()
        if kind == "wheel":
            package, name, *arguments = rest
            sys.argv = [name, *arguments]
            entry_point(package, name)()
        else:
            file, *arguments = rest
            sys.argv = [file, *arguments]
            sys.path.insert(0, str(Path(file).parent))
            runpy.run_path(file, run_name="__main__")
    except SystemExit as end:
        if end.code not in (None, 0):
            print(f"SystemExit: {end.code}", file=sys.stderr)
            return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def entry_point(package: str, name: str) -> Callable[[], Any]:
    """Return the entry point in the package's metadata, or else the package's function of that name.

    Raises LookupError when the package has neither.
    """
    try:
        found = [point for point in distribution(package).entry_points if point.name == name]
    except PackageNotFoundError:
        raise LookupError(f"package {package} is not installed here: install its wheel, or correct the job") from None
    if found:
        loaded: Callable[[], Any] = found[0].load()
        return loaded
    function = getattr(importlib.import_module(package.replace("-", "_")), name, None)
    if not callable(function):
        raise LookupError(f"package {package} has no entry point {name} and no function of that name")
    of_package: Callable[[], Any] = function
    return of_package


def attach() -> Any:
    """Return the session of this task on its driver; `SparkSession.builder.getOrCreate()` returns it from now on."""
    from py4j.java_gateway import JavaObject
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    gateway = launch_gateway()  # type: ignore[no-untyped-call]
    # Child processes must not attach with these.
    for name in ("PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"):
        os.environ.pop(name, None)
    jvm = gateway.jvm
    jsc = jvm.JavaSparkContext.fromSparkContext(jvm.org.apache.spark.SparkContext.getOrCreate())
    context = SparkContext(gateway=gateway, jsc=jsc, conf=SparkConf(_jconf=jsc.getConf()))
    return SparkSession(context, JavaObject(SESSION, gateway._gateway_client))


def exit_with_runner() -> None:
    """End this process and its children when the pipe from the runner closes, however the runner ends."""
    pipe = os.dup(0)
    # The task must not read the pipe.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def wait() -> None:
        while os.read(pipe, 1):
            pass
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=wait, name="runner's pipe", daemon=True).start()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Library threads that never end must not keep the process alive.
    os._exit(code)
