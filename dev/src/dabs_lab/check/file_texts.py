"""Text of a bundle's files: comments, blocks and excerpts, which the YAML reader does not keep."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath

from dabs_lab.bundle import Position
from dabs_lab.bundle.yaml_nodes import Node

# Characters before a quote that starts a quoted text.
_BEFORE_QUOTE = " \t[{,:"


@dataclass(frozen=True)
class Comment:
    """Comment of a file: its text from `#` on, and the line that it describes (its own, or the next with content)."""

    position: Position
    text: str
    describes: int


def _unquoted(line: str) -> Iterator[tuple[int, str, str]]:
    """Yield index, character and the character before it, of a line of YAML outside quoted texts."""
    quote = ""
    for at, character in enumerate(line):
        before = line[at - 1] if at else " "
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and before in _BEFORE_QUOTE:
            quote = character
        else:
            yield at, character, before


def comment_start(line: str) -> int | None:
    """Return the index of the `#` that starts a comment in a line of YAML, or None."""
    if "#" not in line:
        return None
    return next((at for at, character, before in _unquoted(line) if character == "#" and before in " \t"), None)


def value_end(line: str, start: int) -> int:
    """Return the index after the value at an index: the end of the line, or that of a value within `{…}` or `[…]`."""
    depth = outer = 0
    for at, character, _ in _unquoted(line):
        outer = depth if at <= start else outer
        if at > start and outer and depth == outer and character in ",}]":
            return at
        depth += (character in "{[") - (character in "}]")
    return len(line)


class FileText:
    """Lines and comments of one file; empty for a file that cannot be read."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self.lines = text.splitlines()

    @cached_property
    def comments(self) -> tuple[Comment, ...]:
        """Return the comments of the file."""
        found: list[Comment] = []
        for number, line in enumerate(self.lines, 1):
            at = comment_start(line)
            if at is not None:
                describes = number if line[:at].strip() else self._next_content(number)
                found.append(Comment(Position(self._name, number, at + 1), line[at:].rstrip(), describes))
        return tuple(found)

    def _next_content(self, number: int) -> int:
        for later, line in enumerate(self.lines[number:], number + 1):
            if line.strip() and not line.lstrip().startswith("#"):
                return later
        return number

    def content(self, number: int) -> str:
        """Return a line without its comment; an empty text after the end of the file."""
        return self._contents[number - 1] if 0 < number <= len(self._contents) else ""

    @cached_property
    def _contents(self) -> tuple[str, ...]:
        return tuple(line[: comment_start(line)].rstrip() for line in self.lines)

    def excerpt(self, position: Position) -> str:
        """Return the line of a position, without its comment unless the position is in the comment."""
        content = self.content(position.line)
        if position.column <= len(content) or not 0 < position.line <= len(self.lines):
            return content
        return self.lines[position.line - 1].rstrip()

    def block_end(self, start: Position, node: Node) -> int:
        """Return the last line of the value that starts at a position."""
        if self.content(start.line)[start.column - 1 : start.column] in ("{", "["):
            inside = (place.line for _, value in node.walk() for place in value.positions if place.file == start.file)
            return max((line for line in inside if line >= start.line), default=start.line)
        last = start.line
        for number, line in enumerate(self.lines[start.line :], start.line + 1):
            indent = len(line) - len(line.lstrip())
            if line.strip() and indent < start.column - 1:
                if line.lstrip().startswith("#"):
                    continue
                break
            last = number if line.strip() else last
        return last

    def key_line(self, start: Position, key: str) -> int | None:
        """Return the line with the key of the value that starts at a position, or None if it is not found."""
        pattern = re.compile(rf"(^|[\s{{,-])[\"']?{re.escape(key)}[\"']?\s*:")
        for number in range(start.line, max(start.line - 8, 0), -1):
            text = self.content(number)
            if pattern.search(text[: start.column - 1] if number == start.line else text):
                return number
        return None


class FileTexts:
    """Text of the files of a bundle, read once each. Positions name files relative to the folder."""

    def __init__(self, folder: FilePath) -> None:
        self._folder = folder
        self._known: dict[str, FileText] = {}

    def of(self, name: str) -> FileText:
        """Return the text of a file."""
        if name not in self._known:
            try:
                text = (self._folder / name).read_text("utf-8-sig")
            except (OSError, UnicodeDecodeError, ValueError):
                text = ""
            self._known[name] = FileText(name, text)
        return self._known[name]

    def is_reference(self, position: Position) -> bool:
        """Return whether the value at a position is written as `${…}`."""
        return bool(re.match(r"[\"']?\$\{", self.of(position.file).content(position.line)[position.column - 1 :]))

    def comments_of(self, node: Node) -> Iterator[Comment]:
        """Yield the comments in a value's blocks and directly before them, and those at fields from an anchor."""
        blocks = [(start, self.of(start.file).block_end(start, node)) for start in node.positions]
        for child in node.children.values():
            key = child.key
            if key and not any(key.file == start.file and start.line <= key.line <= end for start, end in blocks):
                yield from (one for one in self.of(key.file).comments if one.describes == key.line)
        for start, end in blocks:
            comments = self.of(start.file).comments
            yield from (one for one in comments if start.line <= one.describes and one.position.line <= end)
