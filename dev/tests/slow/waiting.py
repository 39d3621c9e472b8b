"""Wait for a condition that other processes make true."""

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress


def until(
    condition: Callable[[], bool], seconds: float, *processes: subprocess.Popen[str], output: Callable[[], str]
) -> None:
    """Wait for a condition; fail with the processes' output after `seconds`, or when one of them ends."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {output()}"
        with suppress(subprocess.TimeoutExpired):
            processes[0].wait(0.2)
        assert all(process.poll() is None for process in processes), f"a process ended: {output()}"
