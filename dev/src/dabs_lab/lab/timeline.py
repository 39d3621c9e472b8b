"""Lanes of a cell's timeline: what the job reports, what is true, and the states of tasks and streams."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from dabs_lab.lab.job_process import Seen
from dabs_lab.lab.results import Bar, Lane, LaneKind, State
from dabs_lab.lab.watching import Change, by_stream

# From worse to better: what is true of all streams is the worst state of one of them.
_WORST_FIRST = (State.DEAD, State.STUCK, State.PENDING, State.WORKING, State.ENDED)
_REPORTED = {
    "BLOCKED": State.PENDING,
    "PENDING": State.PENDING,
    "QUEUED": State.PENDING,
    "RUNNING": State.RUNNING,
    "TERMINATING": State.RUNNING,
    "WAITING": State.WAITING,
}
_SKIPPED = ("MAXIMUM_CONCURRENT_RUNS_REACHED", "EXCLUDED")
# Shorter bars cannot be seen.
_SHORTEST = 0.001


def reported_lane(events: Sequence[Seen], started: float, end: float, title: str) -> Lane:
    """Return what the list of runs shows of a job, from its events.

    started: monotonic time at which the cell began. end: its length in seconds.
    """
    steps = [(one.at - started, _state(one), "") for one in events if one.kind == "run"]
    return Lane(kind=LaneKind.REPORTED, title=title, bars=bars(steps, end))


def without_skipped(events: Sequence[Seen]) -> list[Seen]:
    """Return the events without the runs that never began because another one was active.

    events: of one process of a job, because the next process uses the same numbers of runs again.
    """
    skipped = {one.data.get("run") for one in events if one.kind == "run" and one.data.get("result") in _SKIPPED}
    return [one for one in events if one.kind != "run" or one.data.get("run") not in skipped]


def task_lanes(events: Sequence[Seen], started: float, end: float) -> list[Lane]:
    """Return the states of each task; its bars name the attempts."""
    found: dict[str, list[tuple[float, State | None, str]]] = {}
    numbers: dict[str, int] = {}
    for one in events:
        if one.kind == "attempt" and "number" in one.data:
            numbers[str(one.data["task"])] = int(one.data["number"])
        if one.kind == "task":
            task = str(one.data["task"])
            label = f"attempt {numbers[task]}" if task in numbers else ""
            found.setdefault(task, []).append((one.at - started, _state(one), label))
    return [Lane(kind=LaneKind.TASK, title=task, bars=bars(steps, end)) for task, steps in found.items()]


def stream_lanes(changes: Sequence[Change], started: float, end: float) -> list[Lane]:
    """Return the true states of each stream."""
    return [
        Lane(
            kind=LaneKind.STREAM,
            title=stream,
            bars=bars([(change.at - started, change.state, "") for change in steps], end),
        )
        for stream, steps in by_stream(changes).items()
    ]


def true_lane(streams: Sequence[Lane], end: float, title: str = "streams") -> Lane:
    """Return the worst state of some streams at each moment."""
    moments = sorted({bar.begin for lane in streams for bar in lane.bars} | {0.0})
    steps: list[tuple[float, State | None, str]] = []
    for moment in moments:
        states = {state_at(lane, moment): lane.title for lane in streams}
        worst = next((state for state in _WORST_FIRST if state in states), None)
        bad = worst in (State.DEAD, State.STUCK)
        several = sum(state_at(lane, moment) == worst for lane in streams)
        label = (states[worst] if several == 1 else f"{several} streams") if bad and worst is not None else ""
        if not steps or steps[-1][1:] != (worst, label):
            steps.append((moment, worst, label))
    return Lane(kind=LaneKind.TRUE, title=title, bars=bars(steps, end))


def state_at(lane: Lane, moment: float) -> State | None:
    """Return the state of a lane at a moment, None between bars."""
    return next((bar.state for bar in lane.bars if bar.begin <= moment < bar.end), None)


def seconds_where(
    lanes: Iterable[Lane], end: float, condition: Callable[[float], bool], moments: Iterable[float] = ()
) -> float:
    """Return for how many seconds a condition holds that changes only where bars begin or end, and at `moments`."""
    changes = {at for lane in lanes for bar in lane.bars for at in (bar.begin, bar.end)} | set(moments)
    edges = sorted({0.0, end} | {at for at in changes if 0 < at < end})
    return sum(after - before for before, after in pairwise(edges) if condition((before + after) / 2))


def bars(steps: Sequence[tuple[float, State | None, str]], end: float) -> list[Bar]:
    """Return the bars between changes of state; None leaves a gap. Equal neighbours are one bar."""
    found: list[Bar] = []
    for at, (begin, state, label) in enumerate(steps):
        until = min(steps[at + 1][0] if at + 1 < len(steps) else end, end)
        begin = max(0.0, begin)
        if state is None or until - begin < _SHORTEST:
            continue
        if found and found[-1].state == state and found[-1].label == label and found[-1].end >= begin - _SHORTEST:
            found[-1] = found[-1].model_copy(update={"end": until})
        else:
            found.append(Bar(begin=round(begin, 3), end=round(until, 3), state=state, label=label))
    return found


def _state(event: Seen) -> State | None:
    name = str(event.data["state"])
    if name != "TERMINATED":
        return _REPORTED.get(name)
    return State.ENDED if event.data.get("result") in ("SUCCESS", "SUCCESS_WITH_FAILURES") else State.FAILED
