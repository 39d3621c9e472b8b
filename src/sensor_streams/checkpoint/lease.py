"""Lease on checkpoints: a second run is refused, the next attempt of the same run takes over."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sensor_streams.errors import CheckpointInUseError, LeaseLostError
from sensor_streams.json_files import read_json, write_json

FILE = "holder.json"
_BEATS = 4


@dataclass(frozen=True)
class Holder:
    """Holder of a checkpoint: run, attempt, start (UTC), process; `token` is unique to the holder."""

    run: str
    attempt: int
    since: str
    host: str
    machine: str
    pid: int
    token: str


def this_process(run: str, attempt: int) -> Holder:
    """Return this process as a holder."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    host = socket.gethostname()
    # Two machines may have the same name, and a process id is valid on its own machine only.
    machine = f"{host}/{uuid.getnode():x}"
    return Holder(run, attempt, since, host, machine, os.getpid(), uuid.uuid4().hex)


class Lease:
    """Lease on checkpoints: next to each one, a file names the holder, and another file has the holder's heartbeat.

    A lock of the operating system would be unknown to other machines. No clocks are compared: a waiting run looks for
    a change of the heartbeat. The heartbeat file is named by its holder's token, so that the last heartbeat of an old
    attempt never overwrites the new holder.
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
        """Take all checkpoints. Raises CheckpointInUseError when another run is alive on one of them."""
        for folder, who in in_use(self.folders, self.holder, self.timeout, self._stop.wait):
            raise CheckpointInUseError(
                f"checkpoint {folder} is in use by {who}. Two runs on one checkpoint would write the same batches "
                "twice: stop that run, or wait for its end"
            )
        for folder in self.folders:
            self._take(folder)
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise LeaseLostError when another attempt has taken over."""
        for folder in self._held:
            try:
                holder = read_json(folder / FILE)
            except OSError:
                # While storage does not answer, the holder is not known.
                continue
            if holder is not None and holder.get("token") != self.holder.token:
                self.lost = (
                    f"checkpoint {folder} was taken over by run {holder.get('run')}, attempt {holder.get('attempt')}: "
                    "this attempt stops"
                )
        if self.lost:
            raise LeaseLostError(self.lost)

    def release(self) -> None:
        """Release the checkpoints that this holder still holds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        for folder in self._held:
            try:
                if (read_json(folder / FILE) or {}).get("token") == self.holder.token:
                    (folder / FILE).unlink(missing_ok=True)
                beat_file(folder, self.holder.token).unlink(missing_ok=True)
            except OSError:
                # Without heartbeats, the checkpoint is free after the timeout.
                continue
        self._held = []

    def _take(self, folder: Path) -> None:
        for old in folder.glob(".beat-*"):
            old.unlink(missing_ok=True)
        write_json(beat_file(folder, self.holder.token), {"beat": self._beat})
        write_json(folder / FILE, asdict(self.holder))
        self._held.append(folder)

    def _run(self) -> None:
        every = self.timeout.total_seconds() / _BEATS
        while not self._stop.wait(every):
            try:
                self.check()
            except LeaseLostError:
                return
            self._beat += 1
            for folder in self._held:
                try:
                    write_json(beat_file(folder, self.holder.token), {"beat": self._beat})
                except OSError:
                    # One missed heartbeat does not lose the lease.
                    continue


def in_use(
    folders: Sequence[Path], me: Holder, timeout: timedelta, pause: Callable[[float], object]
) -> Iterator[tuple[Path, str]]:
    """Yield each checkpoint that another living run holds, with a description of the holder.

    An earlier attempt of `me`'s run and a dead process of this machine do not count. All other holders are watched
    together for a heartbeat, for at most `timeout`. pause: waits so many seconds.
    """
    waiting: dict[Path, tuple[Mapping[str, object], object]] = {}
    for folder in folders:
        known = read_json(folder / FILE)
        if known is not None and not _may_take_over(known, me):
            waiting[folder] = known, _beat_of(folder, known)
    deadline = time.monotonic() + timeout.total_seconds()
    while waiting and time.monotonic() < deadline:
        for folder, (holder, first) in list(waiting.items()):
            now = read_json(folder / FILE)
            if now is None:
                del waiting[folder]
            elif now.get("token") != holder.get("token") or _beat_of(folder, holder) != first:
                del waiting[folder]
                yield folder, _describe(now)
        if waiting:
            pause(0.1)


def _may_take_over(holder: Mapping[str, object], me: Holder) -> bool:
    """True for an earlier attempt of the same run, and for a dead process of this machine."""
    attempt = holder.get("attempt")
    if holder.get("run") == me.run and isinstance(attempt, int) and attempt < me.attempt:
        return True
    return holder.get("machine") == me.machine and not _alive(holder.get("pid"))


def beat_file(folder: Path, token: str) -> Path:
    """Return the file of a holder's heartbeat."""
    return folder / f".beat-{token}"


def _beat_of(folder: Path, holder: Mapping[str, object]) -> object:
    found = read_json(beat_file(folder, str(holder.get("token"))))
    return None if found is None else found.get("beat")


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


def _describe(holder: Mapping[str, object]) -> str:
    return (
        f"run {holder.get('run')}, attempt {holder.get('attempt')}, since {holder.get('since')} "
        f"(process {holder.get('pid')} on {holder.get('host')})"
    )
