"""One run on a checkpoint at a time: a second one is refused, the same run's next attempt takes over."""

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
from sensor_streams.runtime.json_files import read_json, write_json

FILE = "holder.json"
_BEATS = 4


@dataclass(frozen=True)
class Holder:
    """Who holds a checkpoint: run, attempt, since when (UTC), where; `token` tells two holders apart."""

    run: str
    attempt: int
    since: str
    host: str
    machine: str
    pid: int
    token: str


def this_process(run: str, attempt: int) -> Holder:
    """The holder that this process would be."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    host = socket.gethostname()
    # Two machines may have one name; a process id says something on its own machine only.
    machine = f"{host}/{uuid.getnode():x}"
    return Holder(run, attempt, since, host, machine, os.getpid(), uuid.uuid4().hex)


class Lease:
    """Holds the checkpoints of some streams: a file each that says who, and one beside it that beats.

    Files and not a lock: a lock of the operating system ends with the process and is unknown to other machines; and
    no clock is compared: whoever waits looks whether the beat changes. The beat has a file of its own, named by its
    holder, so that an old attempt's last beat never overwrites the name of the new one.
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
                f"checkpoint {folder} is in use by {who}. Two runs on one checkpoint would write "
                "the same batches twice: stop that run, or wait for its end"
            )
        for folder in self.folders:
            self._take(folder)
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise LeaseLostError when another attempt has taken over."""
        for folder in self._held:
            try:
                there = read_json(folder / FILE)
            except OSError:
                # Storage that is away for a moment says nothing about who holds the checkpoint.
                continue
            if there is not None and there.get("token") != self.holder.token:
                self.lost = (
                    f"checkpoint {folder} was taken over by run {there.get('run')}, attempt {there.get('attempt')}: "
                    "this attempt stops"
                )
        if self.lost:
            raise LeaseLostError(self.lost)

    def release(self) -> None:
        """Give back what is still this holder's."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        for folder in self._held:
            try:
                if (read_json(folder / FILE) or {}).get("token") == self.holder.token:
                    (folder / FILE).unlink(missing_ok=True)
                beat_file(folder, self.holder.token).unlink(missing_ok=True)
            except OSError:
                # What cannot be given back falls silent, and is free after the timeout.
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
                    # The storage may be away for a moment; a beat that is missed is not a lease that is lost.
                    continue


def in_use(
    folders: Sequence[Path], me: Holder, timeout: timedelta, pause: Callable[[float], object]
) -> Iterator[tuple[Path, str]]:
    """Those checkpoints that a living run other than `me` holds, each with who that is, as soon as it shows.

    An earlier attempt of `me`'s run, and a dead process of this machine, hold nothing. Any other holder is watched
    for at most `timeout`, all at once; where there is none nothing is waited for. pause: waits so many seconds.
    """
    waiting: dict[Path, tuple[Mapping[str, object], object]] = {}
    for folder in folders:
        holder = read_json(folder / FILE)
        if holder is not None and not _yields(holder, me):
            waiting[folder] = holder, _beat_of(folder, holder)
    deadline = time.monotonic() + timeout.total_seconds()
    while waiting and time.monotonic() < deadline:
        for folder, (there, first) in list(waiting.items()):
            now = read_json(folder / FILE)
            if now is None:
                del waiting[folder]
            elif now.get("token") != there.get("token") or _beat_of(folder, there) != first:
                del waiting[folder]
                yield folder, _describe(now)
        if waiting:
            pause(0.1)


def _yields(there: Mapping[str, object], me: Holder) -> bool:
    """True when a holder need not be waited for: an earlier attempt of the same run, or a dead process here."""
    attempt = there.get("attempt")
    if there.get("run") == me.run and isinstance(attempt, int) and attempt < me.attempt:
        return True
    return there.get("machine") == me.machine and not _alive(there.get("pid"))


def beat_file(folder: Path, token: str) -> Path:
    """The file that a holder writes again and again while it lives."""
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


def _describe(there: Mapping[str, object]) -> str:
    return (
        f"run {there.get('run')}, attempt {there.get('attempt')}, since {there.get('since')} "
        f"(process {there.get('pid')} on {there.get('host')})"
    )
