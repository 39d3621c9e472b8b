"""Ends the process of a task when its driver does not answer."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger("sensor_streams.runtime")

# Seconds between two looks; the limit is much longer.
_EVERY = 1.0


def _end_process() -> None:
    logging.shutdown()
    # The main thread waits in a call that does not return, so no exception can end this process.
    os._exit(1)


class DriverWatch:
    """Ends this process with an error when a call of the driver does not return in time.

    A JVM without memory answers no call. The supervisor then waits in that call, and could report nothing.
    limit: seconds; end: ends the process. Use it as a context.
    """

    def __init__(self, limit: float, end: Callable[[], None] = _end_process) -> None:
        self._limit, self._end = limit, end
        self._since: float | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="driver watch", daemon=True)

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
            if since is not None and time.monotonic() - since > self._limit:
                log.error(
                    "the driver has not answered for %.0f s: the task ends. Look for OutOfMemoryError or long garbage "
                    "collections in the log of the driver",
                    self._limit,
                )
                self._end()
                return

    def __enter__(self) -> "DriverWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()
