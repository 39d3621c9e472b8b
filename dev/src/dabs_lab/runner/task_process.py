"""The Python process of a task: it attaches to the driver of its cluster, and runs what the job names.

Started by the runner, never by hand: `python -m dabs_lab.runner.task_process wheel PACKAGE ENTRY_POINT ARGUMENT…`
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
    """0 when the task returns, 1 when it raises or leaves with another code than 0."""
    end_with_the_runner()
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
    """What a wheel task runs: the entry point of that name in the package's metadata, else its function of that name.

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
        raise LookupError(f"package {package} has no entry point {name}, and no function of that name")
    of_package: Callable[[], Any] = function
    return of_package


def attach() -> Any:
    """The session of this task on its driver; `SparkSession.builder.getOrCreate()` finds it from now on."""
    from py4j.java_gateway import JavaObject
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    gateway = launch_gateway()  # type: ignore[no-untyped-call]
    # Nobody else is to attach with it by chance.
    for name in ("PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"):
        os.environ.pop(name, None)
    jvm = gateway.jvm
    jsc = jvm.JavaSparkContext.fromSparkContext(jvm.org.apache.spark.SparkContext.getOrCreate())
    context = SparkContext(gateway=gateway, jsc=jsc, conf=SparkConf(_jconf=jsc.getConf()))
    return SparkSession(context, JavaObject(SESSION, gateway._gateway_client))


def end_with_the_runner() -> None:
    """End this process, and all that it started, when the pipe from the runner closes: so it does whatever ends it."""
    pipe = os.dup(0)
    # What the task runs must not read it.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

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
    # Threads of a library that never end must not keep a task that has.
    os._exit(code)
