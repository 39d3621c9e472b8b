"""Ends the process of a task when it could not report a failure itself."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger("sensor_streams.runtime")

# Seconds between two looks; a failure must be reported within two.
_EVERY = 0.5
# Seconds after which the driver of a call counts as busy; a healthy one answers at once.
SLOW = 1.5
# Bytes that a process must be able to get. With less, a new thread may end before it has begun, and Python waits for it
# without end: in the supervisor, or in the server that starts a batch.
_SPARE = 64 * 2**20


class ProcessWatch:
    """Ends this process with an error when its driver does not answer, or when it gets no more memory.

    A JVM without memory answers no call. The supervisor then waits in that call, and could report nothing.
    limit: longest time of a call, in seconds. trouble: returns what has failed or is stuck, without a call of the
    driver; then the process does not wait for the limit. Use it as a context.
    """

    def __init__(self, limit: float, trouble: Callable[[], str] = str) -> None:
        self._limit, self._trouble = limit, trouble
        self._since: float | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="process watch", daemon=True)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Watch the calls in the `with` block; each of them returns at once if the driver is healthy."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def _watch(self) -> None:
        while not self._closing.wait(_EVERY):
            since = self._since
            waited = 0.0 if since is None else time.monotonic() - since
            trouble = self._trouble() if waited > SLOW else ""
            if trouble or waited > self._limit:
                _end(
                    f"{trouble + ', and ' if trouble else ''}the driver has not answered for {waited:.0f} s: the task "
                    "ends. Look for OutOfMemoryError or long garbage collections in the log of the driver"
                )
            try:
                # The pages are not touched, so this takes no memory.
                bytearray(_SPARE)
            except MemoryError:
                _end(
                    f"the Python process of the task gets no more memory, less than {_SPARE >> 20} MB: the task ends. "
                    "Raise its limit, or use smaller batches (max_files)"
                )

    def __enter__(self) -> "ProcessWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()


def _end(message: str) -> None:
    try:
        log.error("%s", message)
        logging.shutdown()
    finally:
        # The main thread may wait without end, so no exception can end this process.
        os._exit(1)
