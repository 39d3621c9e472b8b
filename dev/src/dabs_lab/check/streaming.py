"""Streams, checkpoints and tables of a task, as its parameters, comments or code name them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from dabs_lab.check.file_texts import Comment
from dabs_lab.check.places import Place
from dabs_lab.check.settings import CheckSettings
from dabs_lab.check.stream_code import StreamCode

_NAMES = re.compile(r"#\s*(streams|checkpoints?|writes)\s*:\s*([^\s#]\S*(?:\s*,\s*\S+)*)\s*(?:\s#.*)?$", re.IGNORECASE)
_TRIGGER = re.compile(r"#\s*(endless|bounded|available[-_ ]?now)\s*(?:$|[:.,(;])", re.IGNORECASE)
_INTERVAL = re.compile(r"\d+(\.\d+)?\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)", re.IGNORECASE)
_BOUNDED = ("availablenow", "once")
_ENDLESS = ("continuous", "processingtime", "endless", "realtime")
_COMMENT_KEYS = {"checkpoint": "checkpoints"}
NONE = "none"


@dataclass(frozen=True)
class Streaming:
    """Streams of a task, with checkpoints and tables. None means: cannot tell; an empty tuple: nothing.

    checkpoints: complete paths. trigger: `endless` or `bounded` where parameters or a comment declare it.
    endless: the task does not end by itself: it declares so, or its job is continuous and it declares nothing else.
    places: where streams, checkpoints, writes and trigger are named. code: what the task's source file shows; it counts
    where parameters and comments say nothing.
    """

    streams: tuple[str, ...] | None = None
    checkpoints: tuple[str, ...] | None = None
    writes: tuple[str, ...] | None = None
    trigger: str | None = None
    endless: bool | None = None
    places: Mapping[str, Place] = field(default_factory=dict)
    code: StreamCode | None = None

    @property
    def in_code(self) -> bool:
        """Return whether the source file starts a stream."""
        return self.code is not None and self.code.is_stream is True

    @property
    def is_stream(self) -> bool | None:
        """Return whether the task runs streams: True if it names or starts one, or has a checkpoint, or is endless."""
        if self.streams or self.checkpoints or self.trigger == "endless" or self.in_code:
            return True
        return None if self.streams is None else False

    @property
    def number(self) -> int | None:
        """Return the number of streams; None if it is not known."""
        if self.streams is not None:
            return len(self.streams)
        return self.code.queries if self.code is not None else None

    def seen(self, value: str = "") -> str:
        """Return the line of the source file that shows the stream, or a value of it: ` (src/a.py:12)`; or nothing."""
        if self.code is None or not self.code.line:
            return ""
        line = dict((*self.code.checkpoints, *self.code.tables)).get(value, self.code.line)
        return f" ({self.code.name}:{line})"


NO_STREAMS = Streaming((), (), (), None, False)


def streaming_of(
    parameters: Mapping[str, tuple[str, Place]],
    comments: Iterable[Comment],
    task: Place,
    settings: CheckSettings,
    *,
    continuous: bool,
    code: StreamCode | None = None,
    file: Place | None = None,
) -> Streaming:
    """Return what a task streams, from its parameters (name → value, place) and its comments, which win.

    code, file: what its source file shows, and the place that names the file. They count last.
    """
    found: dict[str, tuple[tuple[str, ...], Place]] = {}
    trigger: tuple[str, Place] | None = None
    for kind, names in settings.parameters.items():
        for name, (value, place) in parameters.items():
            if not value or not any(fnmatchcase(normal_name(name), normal_name(one)) for one in names):
                continue
            if kind == "trigger":
                declared = trigger_kind(value)
                trigger = (declared, place) if declared else trigger
            else:
                others, first = found.get(kind, ((), place))
                found[kind] = (tuple(dict.fromkeys((*others, *split_names(value)))), first)
    for comment in comments:
        place = Place(task.path, comment.position, task.covered_by)
        if match := _NAMES.match(comment.text):
            kind = match[1].lower()
            names = split_names(match[2])
            found[_COMMENT_KEYS.get(kind, kind)] = (() if names == (NONE,) else names, place)
        elif match := _TRIGGER.match(comment.text):
            trigger = ("endless" if match[1].lower() == "endless" else "bounded", place)
    streams = _expanded(found.get("streams", (None, task))[0], settings)
    if streams == () or (streams is None and trigger is None and code is not None and code.is_stream is False):
        return NO_STREAMS
    if code is not None and code.is_stream:
        at = file or task
        if trigger is None and (code.trigger == "bounded" or (code.trigger and (code.waits or continuous))):
            trigger = (code.trigger, at)
        for kind, values in (("checkpoints", code.checkpoints), ("writes", code.tables)):
            if values and kind not in found and not (kind == "checkpoints" and "checkpoint_root" in found):
                found[kind] = (tuple(value for value, _ in values), at)
    checkpoints = found.get("checkpoints", (None, task))[0]
    root = found.get("checkpoint_root")
    if checkpoints is None and root is not None:
        found["checkpoints"] = root
        if streams is not None:
            checkpoints = tuple(f"{folder.rstrip('/')}/{stream}" for folder in root[0] for stream in streams)
    declared = trigger[0] if trigger else None
    places = {kind: place for kind, (_, place) in found.items()} | ({"trigger": trigger[1]} if trigger else {})
    return Streaming(
        streams=streams,
        checkpoints=checkpoints,
        writes=found.get("writes", (None, task))[0],
        trigger=declared,
        endless=declared == "endless" if declared else True if continuous else None,
        places=places,
        code=code,
    )


def _expanded(streams: tuple[str, ...] | None, settings: CheckSettings) -> tuple[str, ...] | None:
    if streams is None:
        return None
    names = (name for stream in streams for name in settings.stream_groups.get(stream, (stream,)))
    return tuple(dict.fromkeys(names))


def normal_name(name: str) -> str:
    """Return a parameter's name in lower case with underscores: `--Checkpoint-Path` is checkpoint_path."""
    return name.lstrip("-").replace("-", "_").lower()


def split_names(value: str) -> tuple[str, ...]:
    """Return the names in a comma-separated text."""
    return tuple(name.strip() for name in value.split(",") if name.strip())


def trigger_kind(value: str) -> str | None:
    """Return `endless` or `bounded` for the value of a trigger parameter, or None if it is neither."""
    words = re.sub(r"[^a-z]", "", value.lower())
    if words in _BOUNDED:
        return "bounded"
    return "endless" if words in _ENDLESS or _INTERVAL.fullmatch(value.strip()) else None
