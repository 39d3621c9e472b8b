"""An attempt of a task: its Python process on a driver, its log, and the progress that the log reports."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dabs_lab.local_spark import last_error_line
from dabs_lab.runner.driver import DRIVER_ERRORS, Driver, Gateway

# Seconds from SIGTERM to SIGKILL.
GRACE_SECONDS = 15.0
# Seconds to wait for the end of a driver whose task failed first.
_DRIVER_SECONDS = 2.0
# Seconds to stop the queries that a process left in the driver.
_CLOSE_SECONDS = 5.0
# First line of the error in a traceback: `package.module.Class: message`.
_ERROR = re.compile(r"(?P<package>\w+)(?:\.\w+)+: (?P<message>.+)")
# The message of these errors is a Java stack trace: the last error line of the log is more useful.
_JAVA = frozenset({"py4j", "pyspark"})
_MOST_LINES = 60


@dataclass(frozen=True)
class Batch:
    """Last batch that a task reported for a stream. seen: monotonic clock of this process."""

    number: int
    rows_in: int
    rows_out: int
    lag_seconds: float | None
    seen: float


class AttemptLog:
    """The log file of an attempt, read while it grows.

    A task may print progress lines, one JSON object a line: `{"streams": ["a", "b"]}` names the streams that it runs;
    `{"stream": "a", "batch_id": 3, "rows_in": 5, "rows_out": 4, "lag_seconds": 1.5}` reports a finished batch
    (docs/local-runs.md). Other lines are text.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.streams: list[str] = []
        self.batches: dict[str, Batch] = {}
        self._read = 0
        self._rest = b""

    def poll(self) -> None:
        """Read the lines since the last call."""
        with suppress(OSError):
            if self.file.stat().st_size <= self._read:
                return
            with self.file.open("rb") as log:
                log.seek(self._read)
                data = log.read()
            self._read += len(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                if line.startswith(b'{"stream'):
                    self._take(line)

    def _take(self, line: bytes) -> None:
        # Other output of a task may look like a progress line.
        with suppress(ValueError, KeyError, TypeError):
            read = json.loads(line)
            if isinstance(read.get("streams"), list):
                self.streams = list(dict.fromkeys([*self.streams, *map(str, read["streams"])]))
                return
            lag = read["lag_seconds"]
            batch = Batch(int(read["batch_id"]), int(read["rows_in"]), int(read["rows_out"]), lag, time.monotonic())
            self.batches[str(read["stream"])] = batch

    def last_lines(self, count: int) -> list[str]:
        """Return the last lines without progress lines, and the whole error message of the last traceback."""
        lines = self._text()
        begin = self._error_at(lines)
        return lines[min(begin, max(0, len(lines) - count)) :][:_MOST_LINES]

    def message(self) -> str | None:
        """Return why the attempt failed: the error message of the last traceback, or the last error line."""
        lines = self._text()
        found = _ERROR.match(lines[at]) if (at := self._error_at(lines)) < len(lines) else None
        return found["message"] if found else last_error_line(self.file, 0)

    def _text(self) -> list[str]:
        with suppress(OSError):
            lines = self.file.read_text("utf-8", "replace").splitlines()
            return [line for line in lines if line.strip() and not line.startswith('{"stream')]
        return []

    def _error_at(self, lines: Sequence[str]) -> int:
        """Return the index of the line with the error of the last Python traceback, or the number of lines."""
        begin = next((at for at in reversed(range(len(lines))) if lines[at].startswith("Traceback (most")), None)
        if begin is None:
            return len(lines)
        at = next((at for at in range(begin + 1, len(lines)) if not lines[at].startswith(" ")), len(lines))
        found = _ERROR.match(lines[at]) if at < len(lines) else None
        return at if found and found["package"] not in _JAVA else len(lines)


class AttemptProcess:
    """Process of an attempt. A thread starts it, waits for its end and calls `ended` once."""

    def __init__(
        self,
        number: int,
        driver: Driver,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        log: AttemptLog,
        started: Callable[[int], None],
        ended: Callable[[int, int | None, str], None],
    ) -> None:
        self.number, self.driver, self.log = number, driver, log
        self.process: subprocess.Popen[bytes] | None = None
        self._command, self._environment, self._folder = command, environment, folder
        self._started, self._ended = started, ended
        self._lock = threading.Lock()
        self._canceled = False
        self._timer: threading.Timer | None = None
        threading.Thread(target=self._run, name=f"attempt {number}", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """Return the process id, or None before the start."""
        return self.process.pid if self.process else None

    def cancel(self, at_once: bool) -> None:
        """End the process with SIGTERM and, after a grace period, SIGKILL; or with SIGKILL at once."""
        with self._lock:
            self._canceled = True
            if self.process is None or self.process.returncode is not None:
                return
            self._signal(signal.SIGKILL if at_once else signal.SIGTERM)
            if not at_once and self._timer is None:
                self._timer = threading.Timer(GRACE_SECONDS, self._signal, [signal.SIGKILL])
                self._timer.daemon = True
                self._timer.start()

    def _run(self) -> None:
        gateway: Gateway | None = None
        try:
            gateway = self.driver.open()
            process = self._start(gateway)
        except (*DRIVER_ERRORS, RuntimeError) as error:
            self.driver.wait(_DRIVER_SECONDS)
            self._ended(self.number, None, f"the process of the task did not start: {error}")
            return
        if process is None:
            self._close(gateway)
            self._ended(self.number, None, "canceled before it started")
            return
        self._started(process.pid)
        code = process.wait()
        if self._timer is not None:
            self._timer.cancel()
        # Kill child processes that still run.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        self._close(gateway)
        if process.stdin is not None:
            process.stdin.close()
        self._ended(self.number, code if code >= 0 else None, self._message(code))

    def _start(self, gateway: Gateway) -> subprocess.Popen[bytes] | None:
        self.log.file.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self.log.file.open("ab") as log:
            if self._canceled:
                return None
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-m", "dabs_lab.runner.task_process", *self._command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**self._environment, **gateway.environment()},
                cwd=self._folder,
                start_new_session=True,
            )
            return self.process

    def _close(self, gateway: Gateway) -> None:
        """Stop the queries that the process left in the driver; wait at most _CLOSE_SECONDS."""

        def close() -> None:
            try:
                gateway.close()
            except DRIVER_ERRORS:
                self.driver.wait(_DRIVER_SECONDS)

        closing = threading.Thread(target=close, name=f"close {self.number}", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)

    def _message(self, code: int) -> str:
        if code == 0:
            return ""
        if code < 0:
            return f"ended by signal {-code}"
        return (self.log.message() or f"ended with {code}")[:500]

    def _signal(self, number: int) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                # SIGTERM goes to the process only: it stops its children itself.
                if number == signal.SIGKILL:
                    os.killpg(self.process.pid, number)
                else:
                    os.kill(self.process.pid, number)
