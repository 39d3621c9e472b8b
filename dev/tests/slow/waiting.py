"""Waiting for something that processes bring about."""

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress


def until(
    condition: Callable[[], bool], seconds: float, *processes: subprocess.Popen[str], told: Callable[[], str]
) -> None:
    """Wait for a condition, no longer than a deadline, and only while all processes live. told: what they said."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {told()}"
        with suppress(subprocess.TimeoutExpired):
            processes[0].wait(0.2)
        assert all(process.poll() is None for process in processes), f"a process ended: {told()}"
