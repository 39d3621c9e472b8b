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

from dabs_lab.local_spark import last_telling_line
from dabs_lab.runner.driver import DRIVER_ERRORS, Driver, Gateway

# From SIGTERM to SIGKILL: streams get 10 s to stop (stop_deadline), their last figures some more.
GRACE_SECONDS = 15.0
# A task that ends because its driver died may be seen before its driver is.
_DRIVER_SECONDS = 2.0
# What stopping the queries that a dead process left in the driver may take.
_CLOSE_SECONDS = 5.0
# Where the error of a traceback is printed: `package.module.Class: message`, whose message may have more lines.
_ERROR = re.compile(r"(?P<package>\w+)(?:\.\w+)+: (?P<message>.+)")
# Errors whose message is a Java stack: the most telling line of the log says more.
_JAVA = frozenset({"py4j", "pyspark"})
_MOST_LINES = 60


@dataclass(frozen=True)
class Batch:
    """The last batch that a task reported for a stream; `seen`: monotonic clock of this process."""

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
        """Read what was written since the last call."""
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
        # Another line of a task may look like a progress line.
        with suppress(ValueError, KeyError, TypeError):
            read = json.loads(line)
            if isinstance(read.get("streams"), list):
                self.streams = list(dict.fromkeys([*self.streams, *map(str, read["streams"])]))
                return
            lag = read["lag_seconds"]
            batch = Batch(int(read["batch_id"]), int(read["rows_in"]), int(read["rows_out"]), lag, time.monotonic())
            self.batches[str(read["stream"])] = batch

    def last_lines(self, count: int) -> list[str]:
        """Return the last lines without progress lines, but the whole message of the error that ended the task."""
        lines = self._text()
        begin = self._error_at(lines)
        return lines[min(begin, max(0, len(lines) - count)) :][:_MOST_LINES]

    def message(self) -> str | None:
        """Return the line that says why the attempt failed: the message of the last traceback, or the last error."""
        lines = self._text()
        found = _ERROR.match(lines[at]) if (at := self._error_at(lines)) < len(lines) else None
        return found["message"] if found else last_telling_line(self.file, 0)

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
    """Starts the process in a thread, waits for its end there, and says once how it ended."""

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
        threading.Thread(target=self._live, name=f"attempt {number}", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """The process id, once there is one."""
        return self.process.pid if self.process else None

    def cancel(self, at_once: bool) -> None:
        """End the process: it is asked, and killed when it takes too long; or killed at once."""
        with self._lock:
            self._canceled = True
            if self.process is None or self.process.returncode is not None:
                return
            self._signal(signal.SIGKILL if at_once else signal.SIGTERM)
            if not at_once and self._timer is None:
                self._timer = threading.Timer(GRACE_SECONDS, self._signal, [signal.SIGKILL])
                self._timer.daemon = True
                self._timer.start()

    def _live(self) -> None:
        gateway: Gateway | None = None
        try:
            gateway = self.driver.open()
            process = self._start(gateway)
        except (*DRIVER_ERRORS, RuntimeError) as error:
            self.driver.gone(_DRIVER_SECONDS)
            self._ended(self.number, None, f"the task's process does not start: {error}")
            return
        if process is None:
            self._close(gateway)
            self._ended(self.number, None, "canceled before it started")
            return
        self._started(process.pid)
        code = process.wait()
        if self._timer is not None:
            self._timer.cancel()
        # What it started itself, and left.
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
        """Stop what it left in the driver; a driver that does not answer is waited for no longer than a deadline."""

        def close() -> None:
            try:
                gateway.close()
            except DRIVER_ERRORS:
                self.driver.gone(_DRIVER_SECONDS)

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
                # To the process alone when it is asked: what it started is its own to stop.
                if number == signal.SIGKILL:
                    os.killpg(self.process.pid, number)
                else:
                    os.kill(self.process.pid, number)
