"""Displays of a running job: a live table, plain lines, or one JSON object per event; and the summary."""

import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dabs_lab.jobs.events import Event, EventKind, Json
from dabs_lab.jobs.snapshots import AttemptSnapshot, RunSnapshot, TaskSnapshot
from dabs_lab.runner.console import say
from dabs_lab.runner.run_state import RunState
from dabs_lab.runner.stream_status import StreamStatus, stream_statuses

_EVENTS, _LAST_LINES = 8, 6
_BAD = ("FAILED", "TIMEDOUT")


class JsonLines:
    """Display for programs: one JSON object per line."""

    def __init__(self, write: Any = print) -> None:
        self._write = write

    def open(self) -> AbstractContextManager[object]:
        """Return an empty context."""
        return nullcontext()

    def events(self, state: RunState, events: tuple[Event, ...]) -> None:
        """Print one line per event."""
        for event in events:
            self.line(event.as_dict())

    def process(self, state: RunState, data: Mapping[str, Json]) -> None:
        """Print one line."""
        self.line(data)

    def refresh(self, state: RunState) -> None:
        """Do nothing: this display has no table."""

    def line(self, data: Mapping[str, Json]) -> None:
        """Print one object and flush."""
        self._write(json.dumps(data), flush=True)


class Lines:
    """Display without a terminal: one line per event; failures with the last lines of their log."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._last: deque[str] = deque(maxlen=_EVENTS)

    def open(self) -> AbstractContextManager[object]:
        """Return an empty context."""
        return nullcontext()

    def events(self, state: RunState, events: tuple[Event, ...]) -> None:
        """Print each event, and the log of a failed attempt."""
        for event in events:
            if text := sentence(event):
                self._add(text)
            if event.kind is EventKind.ATTEMPT and event.data.get("result") in _BAD:
                for line in log_lines(state, event):
                    self._print(line)

    def process(self, state: RunState, data: Mapping[str, Json]) -> None:
        """Print one line."""
        what = data.get("cluster") if data["event"] == "driver" else f"{data.get('task')}, attempt {data.get('number')}"
        self._add(f"{str(data['at'])[11:19]}  {what}: process {data['pid']}, log {data['log']}")

    def refresh(self, state: RunState) -> None:
        """Do nothing: this display has no table."""

    def _add(self, text: str) -> None:
        self._print(text)

    def _print(self, text: str) -> None:
        say(self.console, text)


class Screen(Lines):
    """Display in a terminal: a live table with the last events below; failures stay above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def open(self) -> AbstractContextManager[object]:
        """Return the context that shows the table."""
        return self._live

    def refresh(self, state: RunState) -> None:
        """Redraw the table and the last events."""
        last = Text("\n".join(self._last), style="dim", no_wrap=True, overflow="ellipsis")
        self._live.update(Group(table(state), last), refresh=True)

    def _add(self, text: str) -> None:
        self._last.append(text)


def table(state: RunState) -> Table:
    """Return a table of the current runs, tasks, attempts and streams."""
    found = Table("run", "task", "attempt", "state", "cluster", "driver", "stream", "batch", "rows", "lag", "moved")
    now = time.monotonic()
    streams: dict[tuple[int, str], list[StreamStatus]] = {}
    for status in stream_statuses(state, state.snapshot, now):
        streams.setdefault((status.run, status.task), []).append(status)
    for run in state.snapshot.runs[-3:]:
        found.add_row(str(run.id), "", "", word(run), *[""] * 7, style="bold")
        for task in run.tasks:
            rows = [_cells(one) for one in streams.get((run.id, task.key), [])] or [[""] * 5]
            last = task.attempts[-1] if task.attempts else None
            driver = state.drivers.get(last.cluster) if last else None
            shown = f"{word(task)} until {task.retry_at:%H:%M:%S}" if task.retry_at else word(task)
            number, cluster = (str(last.number), last.cluster.partition("-")[2]) if last else ("", "")
            pid = str(driver.pid) if driver and not driver.stopping else ""
            head = ["", task.key, number, shown, cluster, pid]
            for at, row in enumerate(rows):
                found.add_row(*(head if at == 0 else [""] * 6), *row)
    return found


def _cells(status: StreamStatus) -> list[str]:
    batch = status.batch
    if batch is None:
        return [status.stream, "", "", "", ""]
    lag = "" if batch.lag_seconds is None else span(batch.lag_seconds)
    return [status.stream, str(batch.number), f"{batch.rows_out:,}", lag, f"{span(status.still_seconds)} ago"]


def word(one: RunSnapshot | TaskSnapshot | AttemptSnapshot) -> str:
    """Return the result, or the state if it has not ended."""
    return one.result.value if one.result else one.state.value


def span(seconds: float) -> str:
    """Return a duration in its largest suitable unit."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h" if whole < 172_800 else f"{whole // 86_400} days"


def sentence(event: Event) -> str:
    """Return an event as a line, or an empty text if another event reports the same."""
    data = cast(dict[str, Any], dict(event.data))
    who = f"{event.at:%H:%M:%S}  run {event.run}" + (f", {event.task}" if event.task else "")
    result = f" {data.get('result') or ''} {data.get('code') or ''}".rstrip()
    match event.kind:
        case EventKind.RUN:
            message = f" ({data['message']})" if data.get("message") else ""
            return f"{who}: {data['state']}{result}{message}"
        case EventKind.ATTEMPT:
            message = f": {data['message']}" if data.get("message") else ""
            return f"{who}, attempt {data['number']}: {data['state']}{result}{message}"
        case EventKind.TASK:
            return f"{who}: {data['state']}{result}" if data["state"] == "TERMINATED" else ""
        case EventKind.CLUSTER:
            message = f": {data['message']}" if data.get("message") else ""
            return f"{who}, cluster {data['key']}: {data['state']}{message}"
        case EventKind.RETRY:
            return f"{who}: attempt {data['number']} starts at {data['next_at']}"
        case EventKind.NEXT_RUN:
            return f"{event.at:%H:%M:%S}  next run at {data['next_at']}; failed runs in a row: {data['failures']}"
        case EventKind.NOTIFICATION:
            recipients = ", ".join([*data["emails"], *(f"destination {hook}" for hook in data["webhooks"])])
            return f"{who}: {recipients} would be notified: {data['about']}"
        case EventKind.ASSUMPTION:
            value = f" ({data['value']})" if data.get("value") else ""
            return f"{event.at:%H:%M:%S}  assumed: {data['name']}{value}: {data['sentence']}"


def log_lines(state: RunState, event: Event) -> Iterator[str]:
    """Return path and last lines of the log of a failed attempt."""
    attempt = state.attempts.get(event.attempt or 0)
    if attempt is not None:
        yield f"  {event.task}, attempt {attempt.number}: its log is {attempt.log.file}"
        for line in attempt.log.last_lines(_LAST_LINES):
            yield f"    {line}"


def summary(state: RunState) -> Iterator[str]:
    """Return the lines of the summary: state in the UI and real state of each run; assumptions; notifications."""
    snapshot = state.at_stop or state.snapshot
    when = "when it was stopped" if state.at_stop else "at the end"
    found = list(stream_statuses(state, snapshot, state.ended_at))
    for run in snapshot.runs:
        yield f"run {run.id}: the UI would show {word(run)}; real state {when}:"
        for status in (one for one in found if one.run == run.id):
            if status.moves and status.batch:
                text = f"moves: batch {status.batch.number}, {span(status.still_seconds)} ago"
            elif status.batch is None:
                text = f"no batch for {span(status.still_seconds)}, since its task began; {status.why}"
            else:
                text = f"no batch for {span(status.still_seconds)}, the last was {status.batch.number}; {status.why}"
            yield f"  {status.stream:<16} {text}"
        for task in run.tasks:
            tries = f"{len(task.attempts)} attempt{'s' if len(task.attempts) != 1 else ''}"
            yield f"  task {task.key}: {word(task)}, {tries}"
        if state.at_stop and run.id in state.results:
            yield f"  then it was stopped: {state.results[run.id].value}"
    heads = {
        EventKind.ASSUMPTION: "assumed, because Databricks does not publish it:",
        EventKind.NOTIFICATION: "notifications that Databricks would have sent:",
    }
    for kind, head in heads.items():
        lines = [sentence(event) for event in state.kept if event.kind is kind]
        if lines:
            yield head
            yield from (f"  {text}" for text in lines)


def summary_object(state: RunState, at: str) -> dict[str, Json]:
    """Return the summary as a JSON object, without assumptions and notifications, which were events."""
    snapshot = state.at_stop or state.snapshot
    results = {run: result.value for run, result in state.results.items()}
    runs: list[Json] = [{"run": run.id, "ui": word(run), "result": results.get(run.id)} for run in snapshot.runs]
    streams: list[Json] = [status.as_dict() for status in stream_statuses(state, snapshot, state.ended_at)]
    return {
        "at": at,
        "event": "summary",
        "stopped": state.at_stop is not None,
        "runs": runs,
        "streams": streams,
        "exit_code": state.exit_code,
    }
