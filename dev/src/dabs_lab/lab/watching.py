"""True state of each stream while a job runs, seen from outside: processes, threads of queries, checkpoints."""

import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from dabs_lab.lab.declarations import StreamPlace
from dabs_lab.lab.job_process import JobProcess, is_running
from dabs_lab.lab.results import State
from dabs_lab.runner.attempts import AttemptLog

# Seconds between two looks. A promise of the product is a report within two seconds.
EVERY = 0.25
# A batch that is open for longer than this is stuck; the first one of a cold JVM takes up to 20 s on two cores.
STUCK_SECONDS = 40.0
# Linux keeps 15 characters of a thread's name: `stream execution thread for NAME [id = …`.
_SHORT_NAME = "stream executio"
_NAME = re.compile(r'"stream execution thread for (?P<name>\S+) \[id = ')
_JCMD_SECONDS = 10.0


@dataclass(frozen=True)
class Change:
    """From this moment (monotonic clock) on, a stream is in a state."""

    at: float
    stream: str
    state: State


@dataclass
class _Process:
    """Python process of an attempt. log: has the streams that it announced."""

    pid: int
    driver: int
    job: str
    log: AttemptLog
    # Stream → first moment of its query in this process.
    seen: dict[str, float] = field(default_factory=dict)


@dataclass
class _Queries:
    """Queries of a driver. threads: their threads at the last look; changed: first change after the last look-up."""

    threads: frozenset[str] = frozenset()
    changed: float = 0.0
    names: frozenset[str] = frozenset()
    # The names belong to these threads; if others run, the names are looked up again.
    named: frozenset[str] = frozenset()
    # Moments of the last two look-ups.
    looked_up: tuple[float, float] = (0.0, 0.0)
    lookup: threading.Thread | None = None


class StreamWatch:
    """Looks at the streams of some jobs until `close`, from a thread of its own. `changes` has all changes of state."""

    def __init__(self, jobs: Callable[[], Sequence[JobProcess]], streams: Sequence[StreamPlace], bounded: bool) -> None:
        self.changes: list[Change] = []
        self.peak_mb, self.processes = 0.0, 0
        self.repeated = 0
        # Moments at which each stream committed a batch: (monotonic time, batch).
        self.commits: dict[str, list[tuple[float, int]]] = {stream.name: [] for stream in streams}
        # Stream → job that runs it.
        self.owners: dict[str, str] = {}
        self._jobs, self._streams, self._bounded = jobs, list(streams), bounded
        self._known: dict[int, _Process] = {}
        self._queries: dict[int, _Queries] = {}
        self._states: dict[str, State | None] = {}
        self._changed: dict[str, float] = {}
        # A home with history has batches of before.
        self._committed = {stream.name: _latest(stream.checkpoint / "commits") for stream in streams}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()
        self._thread.join(30)

    def state(self, stream: str) -> State | None:
        """Return the present state of a stream; None before its first attempt and between attempts."""
        return self._states.get(stream)

    def process_of(self, stream: str) -> tuple[int, int] | None:
        """Return the Python process and the driver that run a stream, or None."""
        for one in reversed(list(self._known.values())):
            if stream in one.seen and is_running(one.pid):
                return one.pid, one.driver
        return None

    def open_batch(self, stream: str) -> int | None:
        """Return the batch of a stream that has begun and is not committed, or None."""
        begun, done = _latest(self._place(stream) / "offsets"), _latest(self._place(stream) / "commits")
        return begun if begun > done else None

    def _place(self, stream: str) -> Path:
        return next(one.checkpoint for one in self._streams if one.name == stream)

    def _run(self) -> None:
        measured = 0.0
        while not self._closing.wait(EVERY):
            jobs = list(self._jobs())
            self._find_processes(jobs)
            for driver in {one.driver for one in self._known.values()}:
                self._look_at_driver(driver)
            now = time.monotonic()
            for place in self._streams:
                self._look_at(place, now)
            if now - measured > 1:
                measured = now
                self._measure(jobs)

    def _find_processes(self, jobs: Sequence[JobProcess]) -> None:
        for job in jobs:
            drivers = {one.data["cluster"]: int(one.data["pid"]) for one in job.find("driver")}
            for event in job.find("process"):
                pid = int(event.data["pid"])
                if pid not in self._known:
                    log = AttemptLog(Path(str(event.data["log"])))
                    self._known[pid] = _Process(pid, drivers.get(event.data["cluster"], 0), job.job, log)
        for one in self._known.values():
            one.log.poll()
            self.owners |= dict.fromkeys(one.log.streams, one.job)

    def _look_at_driver(self, driver: int) -> None:
        """Look up the names of the running queries when their threads have changed; in a thread, it takes a second."""
        queries = self._queries.setdefault(driver, _Queries())
        threads = _query_threads(driver)
        if threads != queries.threads:
            if queries.threads == queries.named:
                # The first change after a look-up: others may follow before the next one.
                queries.changed = time.monotonic()
            queries.threads = threads
        if queries.lookup is not None and queries.lookup.is_alive():
            return
        if threads == queries.named:
            return
        if not threads:
            queries.names, queries.named = frozenset(), threads
            return

        def look_up() -> None:
            begin = time.monotonic()
            names = running_queries(driver)
            if names is not None:
                queries.looked_up = (queries.looked_up[1], begin)
                queries.names = frozenset(names)
                # If a query started or ended in between, the next look tries again.
                if _query_threads(driver) == threads:
                    queries.named = threads

        queries.lookup = threading.Thread(target=look_up, name=f"queries of {driver}", daemon=True)
        queries.lookup.start()

    def _look_at(self, place: StreamPlace, now: float) -> None:
        begun, done = place.checkpoint / "offsets", place.checkpoint / "commits"
        last = _latest(done)
        if last != self._committed[place.name]:
            self._committed[place.name] = last
            # A checkpoint that is lost has none; its batches count again from 0.
            if last >= 0:
                self.commits[place.name].append((now, last))
        state, since = self._true_state(place, now, _latest(begun), last)
        before = self._states.get(place.name)
        if state != before:
            if before in (State.WORKING, State.STUCK) and _latest(begun) > last:
                # The batch that was open runs again in the next attempt.
                self.repeated += state not in (State.WORKING, State.STUCK)
            self._states[place.name] = state
            earliest = self._changed.get(place.name, 0.0)
            self._changed[place.name] = at = max(min(since, now), earliest)
            self.changes.append(Change(at, place.name, state or State.ENDED))

    def _true_state(self, place: StreamPlace, now: float, begun: int, done: int) -> tuple[State | None, float]:
        """Return the state of a stream, and since when (monotonic clock)."""
        owners = [one for one in self._known.values() if place.name in one.log.streams or place.name in one.seen]
        alive = [one for one in owners if is_running(one.pid)]
        before = self._states.get(place.name)
        # Without a query a stream stays as it was: a fault may change the files that say whether it is at rest.
        if before in (State.ENDED, State.DEAD):
            gone = before
        else:
            gone = State.ENDED if self._bounded and begun == done else State.DEAD
        if not alive:
            return (gone if owners else None), now
        one = alive[-1]
        if _stopped(one.pid) or _stopped(one.driver):
            return State.STUCK, now
        queries = self._queries.get(one.driver, _Queries())
        if place.name in queries.names:
            first = one.seen.setdefault(place.name, now)
            # An attempt that repeats a batch finds its offset file, which is older.
            open_for = min(_age(place.checkpoint / "offsets" / str(begun)), now - first) if begun > done else 0.0
            if open_for > STUCK_SECONDS:
                return State.STUCK, now - open_for
            return State.WORKING, now
        if place.name not in one.seen:
            return State.PENDING, now
        # The names were looked up after the threads had changed; at the look-up before, the query still ran.
        return gone, max(queries.changed, queries.looked_up[0])

    def _measure(self, jobs: Sequence[JobProcess]) -> None:
        total, count = 0.0, 0
        for job in jobs:
            # The runner itself is not part of a job on the platform.
            for one in job.tree()[1:]:
                with suppress(psutil.Error):
                    total += one.memory_info().rss / 2**20
                    count += 1
        if total > self.peak_mb:
            self.peak_mb, self.processes = total, count


def _query_threads(driver: int) -> frozenset[str]:
    """Return the ids of the threads of queries: a query that takes the place of another has a thread of its own."""
    found = set()
    with suppress(OSError):
        for thread in Path(f"/proc/{driver}/task").iterdir():
            with suppress(OSError):
                if (thread / "comm").read_text().startswith(_SHORT_NAME):
                    found.add(thread.name)
    return frozenset(found)


def running_queries(driver: int) -> set[str] | None:
    """Return the names of the streaming queries that run in a JVM; None if it does not answer."""
    try:
        dump = subprocess.run(
            ["jcmd", str(driver), "Thread.print"], capture_output=True, text=True, timeout=_JCMD_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {found["name"] for found in _NAME.finditer(dump.stdout)}


def _latest(folder: Path) -> int:
    """Return the greatest number of a file in a folder of a checkpoint, -1 without any."""
    with suppress(OSError):
        return max((int(file.name) for file in folder.iterdir() if file.name.isdigit()), default=-1)
    return -1


def _age(file: Path) -> float:
    with suppress(OSError):
        return max(0.0, time.time() - file.stat().st_mtime)
    return 0.0


def _stopped(pid: int) -> bool:
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    return False


def by_stream(changes: Sequence[Change]) -> Mapping[str, list[Change]]:
    """Return the changes of each stream, in order."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.stream, []).append(change)
    return found
