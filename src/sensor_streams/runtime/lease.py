"""One run on a checkpoint at a time: a second one is refused, the same run's next attempt takes over."""

import os
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sensor_streams.errors import CheckpointInUse, LeaseLost
from sensor_streams.runtime.files import read_json, write_json

_BEATS = 4


@dataclass(frozen=True)
class Holder:
    """Who holds a checkpoint: run, attempt, since when (UTC), where; `token` tells two holders apart."""

    run: str
    attempt: int
    since: str
    host: str
    pid: int
    token: str

    def __str__(self) -> str:
        return f"run {self.run}, attempt {self.attempt}, since {self.since} (process {self.pid} on {self.host})"


def this_process(run: str, attempt: int) -> Holder:
    """The holder that this process would be."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return Holder(run, attempt, since, socket.gethostname(), os.getpid(), uuid.uuid4().hex)


class Lease:
    """Holds the checkpoints of some streams: a file each, with a beat that another run can see.

    A file and not a lock: a lock of the operating system ends with the process and is unknown to other machines,
    and no clock is compared: whoever waits looks whether the beat changes.
    """

    def __init__(self, folders: list[Path], holder: Holder, timeout: timedelta) -> None:
        self.folders = folders
        self.holder = holder
        self.timeout = timeout
        self.lost: str | None = None
        self._beat = 0
        self._held: list[Path] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> None:
        """Take all checkpoints. Raises CheckpointInUse when another run is alive on one of them."""
        try:
            for folder in self.folders:
                self._take(folder)
        except CheckpointInUse:
            self.release()
            raise
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise LeaseLost when another attempt has taken over."""
        for folder in self._held:
            there = read_json(folder / "holder.json")
            if there is not None and there.get("token") != self.holder.token:
                self.lost = (
                    f"checkpoint {folder} was taken over by run {there.get('run')}, attempt {there.get('attempt')}: "
                    "this attempt stops"
                )
        if self.lost:
            raise LeaseLost(self.lost)

    def release(self) -> None:
        """Give back what is still this holder's."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        for folder in self._held:
            file = folder / "holder.json"
            if (read_json(file) or {}).get("token") == self.holder.token:
                file.unlink(missing_ok=True)
        self._held = []

    def _take(self, folder: Path) -> None:
        file = folder / "holder.json"
        there = read_json(file)
        if there is not None and there.get("run") != self.holder.run and not self._gone(file, there):
            raise CheckpointInUse(
                f"checkpoint {folder} is in use by {_describe(there)}. Two runs on one checkpoint would write the same "
                "batches twice: stop that run, or wait for its end"
            )
        self._write(folder)
        self._held.append(folder)

    def _gone(self, file: Path, there: dict[str, object]) -> bool:
        if there.get("host") == self.holder.host and not _alive(there.get("pid")):
            return True
        deadline = time.monotonic() + self.timeout.total_seconds()
        while time.monotonic() < deadline:
            now = read_json(file)
            if now is None:
                return True
            if (now.get("beat"), now.get("token")) != (there.get("beat"), there.get("token")):
                return False
            time.sleep(0.1)
        return True

    def _write(self, folder: Path) -> None:
        write_json(folder / "holder.json", asdict(self.holder) | {"beat": self._beat})

    def _run(self) -> None:
        every = self.timeout.total_seconds() / _BEATS
        while not self._stop.wait(every):
            try:
                self.check()
            except LeaseLost:
                return
            self._beat += 1
            for folder in self._held:
                try:
                    self._write(folder)
                except OSError:
                    # The storage may be away for a moment; a beat that is missed is not a lease that is lost.
                    continue


def _alive(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _describe(there: dict[str, object]) -> str:
    return (
        f"run {there.get('run')}, attempt {there.get('attempt')}, since {there.get('since')} "
        f"(process {there.get('pid')} on {there.get('host')})"
    )
