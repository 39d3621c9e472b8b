"""Faults from outside: signals to processes, and damage to files and folders."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from py4j.clientserver import ClientServer, JavaParameters, PythonParameters
from py4j.java_gateway import JavaObject

from dabs_lab.errors import MachineError
from dabs_lab.runner.driver import SESSION


def kill(pid: int) -> None:
    """End a process with SIGKILL; it cannot clean up."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def terminate(pid: int) -> None:
    """Ask a process to end, with SIGTERM."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


@contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    """Stop processes inside the `with` block; they continue after it, if they still exist."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def block(folder: Path) -> None:
    """Put a file in place of a folder: every write into it fails. `unblock` restores the folder."""
    folder.rename(_aside(folder))
    folder.write_text("blocked by the lab\n", "utf-8")


def unblock(folder: Path) -> None:
    """Restore a folder after `block`."""
    folder.unlink()
    _aside(folder).rename(folder)


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
        ),
        python_parameters=PythonParameters(port=0, eager_load=False),
    )


def fill_heap(pid: int) -> Callable[[], None]:
    """Fill the heap of the driver that runs a task's process, as a large `collect` of a neighbour does.

    Return a function that releases the memory. Raises MachineError if the heap cannot be filled.
    """
    client = _client_of(pid)
    held: list[object] = []
    released = False

    def release() -> None:
        nonlocal released
        if not released:
            released = True
            held.clear()
            # Java forgets the objects when Python's references are gone.
            with suppress(Exception):
                client.jvm.System.gc()
                client.close()

    size = 64 * 2**20
    while size >= 2**20:
        try:
            held.append(client.new_array(client.jvm.byte, size))
        except Exception as error:
            if "OutOfMemory" not in str(error):
                release()
                raise MachineError(f"the heap of the driver of process {pid} cannot be filled: {error}") from None
            size //= 4
    return release
