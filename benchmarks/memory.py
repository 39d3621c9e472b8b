"""Peak memory of this process and its children."""

import os
import threading
from collections.abc import Callable, Sequence

import psutil


class Memory:
    """Peak memory (MB) of this process and its children (JVM, Python workers), by running stream.

    On Linux, shared memory counts once, because a process that the JVM forks briefly shares all of its memory.
    """

    def __init__(self, running: Callable[[], Sequence[str]]) -> None:
        self.running = running
        self.peaks: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process(os.getpid())
        while not self._stop.wait(0.25):
            total = 0.0
            for process in [own, *own.children(recursive=True)]:
                try:
                    memory = process.memory_full_info()
                    total += getattr(memory, "pss", memory.rss) / 1e6
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            for name in self.running():
                self.peaks[name] = max(self.peaks.get(name, 0.0), total)
