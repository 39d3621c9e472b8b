"""Streams, checkpoints and tables of a task, as its parameters or comments name them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dabs_lab.check.file_texts import Comment
from dabs_lab.check.places import Place
from dabs_lab.check.settings import CheckSettings

_NAMES = re.compile(r"#\s*(streams|checkpoints?|writes)\s*:\s*(\S+(?:\s*,\s*\S+)*)\s*$", re.IGNORECASE)
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
    places: where streams, checkpoints, writes and trigger are named.
    """

    streams: tuple[str, ...] | None = None
    checkpoints: tuple[str, ...] | None = None
    writes: tuple[str, ...] | None = None
    trigger: str | None = None
    endless: bool | None = None
    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def is_stream(self) -> bool | None:
        """Return whether the task runs streams: True if it names a stream, a checkpoint or an endless trigger."""
        if self.streams or self.checkpoints or self.trigger == "endless":
            return True
        return None if self.streams is None else False


NO_STREAMS = Streaming((), (), (), None, False)


def streaming_of(
    parameters: Mapping[str, tuple[str, Place]],
    comments: Iterable[Comment],
    task: Place,
    settings: CheckSettings,
    *,
    continuous: bool,
) -> Streaming:
    """Return what a task streams, from its parameters (name → value, place) and its comments, which win."""
    found: dict[str, tuple[tuple[str, ...], Place]] = {}
    trigger: tuple[str, Place] | None = None
    for kind, names in settings.parameters.items():
        for name, (value, place) in parameters.items():
            if normal_name(name) in map(normal_name, names) and value:
                if kind == "trigger":
                    declared = trigger_kind(value)
                    trigger = (declared, place) if declared else trigger
                else:
                    found.setdefault(kind, (split_names(value), place))
    for comment in comments:
        place = Place(task.path, comment.position, task.covered_by)
        if match := _NAMES.match(comment.text):
            kind = match[1].lower()
            names = split_names(match[2])
            found[_COMMENT_KEYS.get(kind, kind)] = (() if names == (NONE,) else names, place)
        elif match := _TRIGGER.match(comment.text):
            trigger = ("endless" if match[1].lower() == "endless" else "bounded", place)
    streams = _expanded(found.get("streams", (None, task))[0], settings)
    if streams == ():
        return NO_STREAMS
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
