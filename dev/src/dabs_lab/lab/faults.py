"""Faults from outside: signals to processes, and damage to files and folders."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from py4j.clientserver import ClientServer, JavaParameters, PythonParameters
from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JError

from dabs_lab.errors import MachineError
from dabs_lab.runner.driver import SESSION

# Longest wait for an answer of a driver.
_ANSWER_SECONDS = 20
# Bytes of an array that fills a heap, and what stays free.
_BLOCK, _LEFT = 8 * 2**20, 40 * 2**20


def kill(pid: int) -> None:
    """End a process with SIGKILL; it cannot clean up."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def terminate(pid: int) -> None:
    """Ask a process to end, with SIGTERM."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def block(folder: Path) -> None:
    """Put a file in place of a folder: every write into it fails. `unblock` restores the folder."""
    folder.rename(_aside(folder))
    folder.write_text("blocked by the lab\n", "utf-8")


def unblock(folder: Path) -> None:
    """Restore a folder after `block`."""
    folder.unlink()
    _aside(folder).rename(folder)


@contextmanager
def blocked(folder: Path) -> Iterator[None]:
    """Block a folder inside the `with` block."""
    block(folder)
    try:
        yield
    finally:
        unblock(folder)


def lose(path: Path) -> None:
    """Move a file or a folder away. `find_again` restores it."""
    path.rename(_aside(path))


def find_again(path: Path) -> None:
    """Restore a path after `lose`; what was written in its place is removed."""
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
    _aside(path).rename(path)


@contextmanager
def hanging(file: Path) -> Iterator[None]:
    """Put a named pipe in place of a file inside the `with` block: a read of it waits until the end of the block."""
    lose(file)
    os.mkfifo(file)
    try:
        yield
    finally:
        # Without a reader this fails, and nothing waits.
        with suppress(OSError):
            os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))
        find_again(file)


def _aside(path: Path) -> Path:
    return path.with_name(f".lab-{path.name}")


def stop_query(pid: int, name: str) -> None:
    """Stop a streaming query of a task's process, as a person can from the Spark UI or another notebook.

    pid: the task's Python process; the runner gave it the address of its session. Raises MachineError if the process
    has no such query.
    """
    client = _client_of(pid)
    try:
        session = JavaObject(SESSION, client._gateway_client)
        for query in list(session.streams().active()):
            if query.name() == name:
                query.stop()
                return
    finally:
        # Not `shutdown`: that would also end the gateway of the task.
        client.close()
    raise MachineError(f"process {pid} has no running query {name}")


def _client_of(pid: int) -> ClientServer:
    """Return a second connection to the gateway of a task; only the same user can read its secret."""
    environment = psutil.Process(pid).environ()
    return ClientServer(
        java_parameters=JavaParameters(
            port=int(environment["PYSPARK_GATEWAY_PORT"]),
            auth_token=environment["PYSPARK_GATEWAY_SECRET"],
            auto_convert=True,
            # A driver with a full heap may not answer.
            read_timeout=_ANSWER_SECONDS,
        ),
        python_parameters=PythonParameters(port=0, eager_load=False),
    )


@contextmanager
def full_heap(pid: int) -> Iterator[None]:
    """Fill the heap of the driver that runs a task's process, as a large `collect` of a neighbour does.

    A little stays free: a call that gets no memory would never return. The memory is free again after the `with` block.
    """
    client = _client_of(pid)
    held: list[object] = []
    try:
        runtime = client.jvm.Runtime.getRuntime()
        client.jvm.System.gc()
        with suppress(Py4JError, OSError):
            while runtime.maxMemory() - runtime.totalMemory() + runtime.freeMemory() > _LEFT:
                # Not bytes: Py4J sends those to Python, and Java would keep none.
                held.append(client.new_array(client.jvm.long, _BLOCK // 8))
        yield
    finally:
        # Java forgets the arrays when Python's references are gone.
        held.clear()
        with suppress(Exception):
            client.jvm.System.gc()
            client.close()
