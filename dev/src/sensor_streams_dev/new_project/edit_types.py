"""Kinds of differences between this project and a project made from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

EVERY_FILE = "*"
# Key of the text for all answers that have no text of their own. Without it the old text stays.
OTHERWISE = "*"


@dataclass(frozen=True)
class Edit:
    """A text that an answer changes. Without `by`, `new` replaces it whatever the answers are.

    A new text may contain `{{.name}}`, the answer to a question, and `{{"text"}}`, which is not renamed. `times` is how
    often each of the files has the old text; None: at least once. In `EVERY_FILE` any number is right.
    """

    files: str
    old: str
    new: str = ""
    by: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    times: int | None = 1


@dataclass(frozen=True)
class Block:
    """Lines that are removed, or only kept for one answer: from the line that starts with `first` up to `before`.

    `before` is the start of the next line that stays. Without it `first` alone is removed.
    """

    files: str
    first: str
    before: str = ""
    by: str = ""
    kept_for: str = ""


@dataclass(frozen=True)
class LastLine:
    """A line that is added at the end of a file. Its text is like the new text of an Edit."""

    files: str
    new: str


Change = Edit | Block | LastLine


def by_cloud(files: str, old: str, azure: str, gcp: str, times: int | None = 1) -> Edit:
    """Return the edit of a text that holds for AWS."""
    return Edit(files, old, by="cloud", texts={"azure": azure, "gcp": gcp}, times=times)


def for_destination(files: str, old: str, new: str, times: int | None = 1) -> Edit:
    """Return the edit of a text that holds for notifications by e-mail."""
    return Edit(files, old, by="notify_by", texts={"destination": new}, times=times)


def without_tools(files: str, old: str, new: str = "", times: int | None = 1) -> Edit:
    """Return the edit of a text that holds for a project with the development tools."""
    return Edit(files, old, by="dev_tools", texts={"no": new}, times=times)


def tools_only(files: str, first: str, before: str = "") -> Block:
    """Return the lines that only a project with the development tools has."""
    return Block(files, first, before, by="dev_tools", kept_for="yes")


def by_shape(files: str, old: str, times: int | None = 1) -> Edit:
    """Return the edit of a value of `live`, in which `single_task` is UNPAUSED and each other shape PAUSED."""
    shapes = re.findall(r"(\w+): (?:UN)?PAUSED", old)
    texts = {
        live: ", ".join(f"{shape}: {'UNPAUSED' if shape == live else 'PAUSED'}" for shape in shapes)
        for live in shapes[1:]
    }
    return Edit(files, old, by="live_shape", texts=texts, times=times)
