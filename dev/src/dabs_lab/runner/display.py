"""What one sees while a job runs here: a live table, plain lines, or a JSON object for each event; and the end."""

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
from dabs_lab.jobs.snapshots import AttemptView, RunView, TaskView
from dabs_lab.runner.console import say
from dabs_lab.runner.run_state import RunState
from dabs_lab.runner.stream_status import StreamStatus, stream_statuses

_EVENTS, _LAST_LINES = 8, 6
_BAD = ("FAILED", "TIMEDOUT")


class JsonLines:
    """An object a line, for programs."""

    def __init__(self, write: Any = print) -> None:
        self._write = write

    def showing(self) -> AbstractContextManager[object]:
        """Nothing to prepare."""
        return nullcontext()

    def events(self, happened: RunState, events: tuple[Event, ...]) -> None:
        """A line for each."""
        for event in events:
            self.line(event.as_dict())

    def process(self, happened: RunState, told: Mapping[str, Json]) -> None:
        """A line."""
        self.line(told)

    def look(self, happened: RunState) -> None:
        """Nothing: figures are in the logs."""

    def line(self, told: Mapping[str, Json]) -> None:
        """Print one object at once."""
        self._write(json.dumps(told), flush=True)


class Lines:
    """A line for each event, where there is no terminal; failures with the last lines of their log."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._last: deque[str] = deque(maxlen=_EVENTS)

    def showing(self) -> AbstractContextManager[object]:
        """Nothing to prepare."""
        return nullcontext()

    def events(self, happened: RunState, events: tuple[Event, ...]) -> None:
        """Tell each, and why an attempt failed."""
        for event in events:
            if text := sentence(event):
                self._tell(text)
            if event.kind is EventKind.ATTEMPT and event.data.get("result") in _BAD:
                for line in why(happened, event):
                    self._print(line)

    def process(self, happened: RunState, told: Mapping[str, Json]) -> None:
        """Tell it."""
        what = told.get("cluster") if told["event"] == "driver" else f"{told.get('task')}, attempt {told.get('number')}"
        self._tell(f"{str(told['at'])[11:19]}  {what}: process {told['pid']}, log {told['log']}")

    def look(self, happened: RunState) -> None:
        """Nothing: there is no table to renew."""

    def _tell(self, text: str) -> None:
        self._print(text)

    def _print(self, text: str) -> None:
        say(self.console, text)


class Screen(Lines):
    """The table, renewed once a second, with the last events under it; failures stay above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def showing(self) -> AbstractContextManager[object]:
        """The table is there while this is open."""
        return self._live

    def look(self, happened: RunState) -> None:
        """Renew it."""
        last = Text("\n".join(self._last), style="dim", no_wrap=True, overflow="ellipsis")
        self._live.update(Group(table(happened), last), refresh=True)

    def _tell(self, text: str) -> None:
        self._last.append(text)


def table(happened: RunState) -> Table:
    """Runs, tasks, attempts and streams as they are now."""
    found = Table("run", "task", "attempt", "state", "cluster", "driver", "stream", "batch", "rows", "lag", "moved")
    now = time.monotonic()
    streams: dict[tuple[int, str], list[StreamStatus]] = {}
    for truth in stream_statuses(happened, happened.view, now):
        streams.setdefault((truth.run, truth.task), []).append(truth)
    for run in happened.view.runs[-3:]:
        found.add_row(str(run.id), "", "", word(run), *[""] * 7, style="bold")
        for task in run.tasks:
            rows = [_cells(one) for one in streams.get((run.id, task.key), [])] or [[""] * 5]
            last = task.attempts[-1] if task.attempts else None
            driver = happened.drivers.get(last.cluster) if last else None
            state = f"{word(task)} until {task.retry_at:%H:%M:%S}" if task.retry_at else word(task)
            number, cluster = (str(last.number), last.cluster.partition("-")[2]) if last else ("", "")
            pid = str(driver.pid) if driver and not driver.stopping else ""
            head = ["", task.key, number, state, cluster, pid]
            for at, row in enumerate(rows):
                found.add_row(*(head if at == 0 else [""] * 6), *row)
    return found


def _cells(truth: StreamStatus) -> list[str]:
    if truth.batch is None:
        return [truth.stream, "", "", "", ""]
    lag = "" if truth.batch.lag_seconds is None else span(truth.batch.lag_seconds)
    return [truth.stream, str(truth.batch.number), f"{truth.batch.rows_out:,}", lag, f"{span(truth.still_seconds)} ago"]


def word(one: RunView | TaskView | AttemptView) -> str:
    """Its result, or the state of what has not ended."""
    return one.result.value if one.result else one.state.value


def span(seconds: float) -> str:
    """A length of time in one unit or two."""
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h" if whole < 172_800 else f"{whole // 86_400} days"


def sentence(event: Event) -> str:
    """An event as a line; an empty text for what another line says already."""
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
            told = ", ".join([*data["emails"], *data["webhooks"]])
            return f"{who}: {told} would be told: {data['about']}"
        case EventKind.ASSUMPTION:
            value = f" ({data['value']})" if data.get("value") else ""
            return f"{event.at:%H:%M:%S}  assumed: {data['name']}{value}: {data['sentence']}"


def why(happened: RunState, event: Event) -> Iterator[str]:
    """The log of an attempt that failed: its path, and its last lines."""
    attempt = happened.attempts.get(event.attempt or 0)
    if attempt is not None:
        yield f"  {event.task}, attempt {attempt.number}: its log is {attempt.log.file}"
        for line in attempt.log.last_lines(_LAST_LINES):
            yield f"    {line}"


def summary(happened: RunState) -> Iterator[str]:
    """What the UI would say, beside what is true; then what was assumed, and who would have been told."""
    view = happened.at_stop or happened.view
    when = "when it was stopped" if happened.at_stop else "at the end"
    found = list(stream_statuses(happened, view, happened.ended_at))
    for run in view.runs:
        yield f"run {run.id}: the UI would say {word(run)}; what was true {when}:"
        for truth in (one for one in found if one.run == run.id):
            if truth.moves and truth.batch:
                told = f"moves: batch {truth.batch.number}, {span(truth.still_seconds)} ago"
            elif truth.batch is None:
                told = f"no batch for {span(truth.still_seconds)}, since its task began; {truth.why}"
            else:
                told = f"no batch for {span(truth.still_seconds)}, the last was {truth.batch.number}; {truth.why}"
            yield f"  {truth.stream:<16} {told}"
        for task in run.tasks:
            tries = f"{len(task.attempts)} attempt{'s' if len(task.attempts) != 1 else ''}"
            yield f"  task {task.key}: {word(task)}, {tries}"
        if happened.at_stop and run.id in happened.results:
            yield f"  then it was stopped: {happened.results[run.id].value}"
    heads = {
        EventKind.ASSUMPTION: "what Databricks does not publish, and was assumed:",
        EventKind.NOTIFICATION: "who would have been told:",
    }
    for kind, head in heads.items():
        told_of = [sentence(event) for event in happened.kept if event.kind is kind]
        if told_of:
            yield head
            yield from (f"  {text}" for text in told_of)


def summary_object(happened: RunState, at: str) -> dict[str, Json]:
    """The same, for programs; assumptions and notifications were events."""
    view = happened.at_stop or happened.view
    results = happened.results
    runs: list[Json] = [
        {"run": one.id, "ui": word(one), "result": results[one.id].value if one.id in results else None}
        for one in view.runs
    ]
    streams: list[Json] = [truth.as_dict() for truth in stream_statuses(happened, view, happened.ended_at)]
    return {
        "at": at,
        "event": "summary",
        "stopped": happened.at_stop is not None,
        "runs": runs,
        "streams": streams,
        "exit_code": happened.exit_code,
    }
