"""Immutable values of a YAML file, with their positions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, cast

from dabs_lab.bundle.problems import Path, Position

# In a pattern: any name of a mapping, any index of a list.
ANY_KEY: Final = "*"
ANY_INDEX: Final = -1

Scalar = None | bool | int | float | str
Data = Scalar | tuple["Node", ...] | dict[str, "Node"]


class Timestamp(str):
    """Unquoted date or time, unchanged. Its `kind` is `time`, not `string`."""

    __slots__ = ()


@dataclass(frozen=True)
class Node:
    """Value with its positions (the effective one first) and the position of its key."""

    data: Data
    positions: tuple[Position, ...] = ()
    key: Position | None = None
    # Has an anchor (`&name`). Such a block may have any name, because it is there for its aliases.
    anchored: bool = False

    @property
    def kind(self) -> str:
        """Return the CLI's name of the type."""
        match self.data:
            case None:
                return "nil"
            case bool():
                return "bool"
            case int():
                return "int"
            case float():
                return "float"
            case Timestamp():
                return "time"
            case str():
                return "string"
            case dict():
                return "map"
            case _:
                return "sequence"

    @property
    def children(self) -> dict[str, "Node"]:
        """Return the entries of a mapping; empty for other types."""
        return self.data if isinstance(self.data, dict) else {}

    @property
    def items(self) -> tuple["Node", ...]:
        """Return the items of a list; empty for other types."""
        return self.data if isinstance(self.data, tuple) else ()

    @property
    def text(self) -> str:
        """Return the text; empty for other types."""
        return self.data if isinstance(self.data, str) else ""

    @property
    def key_positions(self) -> tuple[Position, ...]:
        """Return the position of the key; for a value without a key, its own position."""
        return (self.key,) if self.key else self.positions[:1]

    def get(self, *path: str | int) -> "Node | None":
        """Return the value at a path, or None."""
        node: Node | None = self
        for part in path:
            if node is None:
                return None
            if isinstance(part, str):
                node = node.children.get(part)
            else:
                node = node.items[part] if 0 <= part < len(node.items) else None
        return node

    def get_filled(self, *path: str | int) -> "Node | None":
        """Return the value at a path, or None if it is missing or null."""
        node = self.get(*path)
        return None if node is None or node.kind == "nil" else node

    def text_at(self, *path: str | int) -> str:
        """Return the text at a path, or an empty text."""
        node = self.get(*path)
        return node.text if node is not None else ""

    def is_true(self, *path: str | int) -> bool:
        """Return whether the value at a path is the boolean true."""
        node = self.get(*path)
        return node is not None and node.data is True

    def with_data(self, data: Data) -> "Node":
        """Return a copy with other data and the same positions."""
        # `dataclasses.replace` takes three times as long, which counts for the thousands of values of a bundle.
        return Node(data, self.positions, self.key, self.anchored)

    def put(self, path: Path, value: "Node") -> "Node":
        """Return a copy with a value at a path. Creates mappings that are missing on the path."""
        if not path:
            return value
        head, rest = path[0], path[1:]
        if isinstance(head, int):
            items = list(self.items)
            items[head] = items[head].put(rest, value)
            return self.with_data(tuple(items))
        below = self.children.get(head, Node({}))
        return self.with_data({**self.children, head: below.put(rest, value)})

    def drop(self, *names: str) -> "Node":
        """Return a copy of a mapping without some entries."""
        return self.with_data({name: value for name, value in self.children.items() if name not in names})

    def change(self, pattern: Path, function: Callable[[Path, "Node"], "Node"], path: Path = ()) -> "Node":
        """Return a copy in which `function` replaced every value at a pattern (with ANY_KEY and ANY_INDEX)."""
        if not pattern:
            return function(path, self)
        head, rest = pattern[0], pattern[1:]
        if isinstance(head, int):
            if not isinstance(self.data, tuple):
                return self
            return self.with_data(
                tuple(
                    item.change(rest, function, (*path, at)) if head in (ANY_INDEX, at) else item
                    for at, item in enumerate(self.data)
                )
            )
        if not isinstance(self.data, dict):
            return self
        return self.with_data(
            {
                name: value.change(rest, function, (*path, name)) if head in (ANY_KEY, name) else value
                for name, value in self.data.items()
            }
        )

    def find(self, pattern: Path) -> list[tuple[Path, "Node"]]:
        """Return all values at a pattern, with their paths."""
        found: list[tuple[Path, Node]] = []

        def record(path: Path, node: Node) -> Node:
            found.append((path, node))
            return node

        self.change(pattern, record)
        return found

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, "Node"]]:
        """Yield this value and all values inside it, with paths."""
        yield path, self
        for name, value in self.children.items():
            yield from value.walk((*path, name))
        for at, item in enumerate(self.items):
            yield from item.walk((*path, at))

    def change_texts(self, function: Callable[[Path, "Node"], "Node"], path: Path = ()) -> "Node":
        """Return a copy in which `function` replaced every text."""
        if isinstance(self.data, dict):
            below = {name: value.change_texts(function, (*path, name)) for name, value in self.data.items()}
            return self.with_data(below)
        if isinstance(self.data, tuple):
            return self.with_data(tuple(v.change_texts(function, (*path, at)) for at, v in enumerate(self.data)))
        return function(path, self) if self.kind == "string" else self

    def plain(self) -> object:
        """Return the value as plain Python: dict, list, str, int, float, bool, None."""
        if isinstance(self.data, dict):
            return {name: value.plain() for name, value in self.data.items()}
        if isinstance(self.data, tuple):
            return [item.plain() for item in self.data]
        return str(self.data) if isinstance(self.data, Timestamp) else self.data


def to_node(value: object, positions: tuple[Position, ...] = ()) -> Node:
    """Return plain Python as a node; `positions` are those of the value that it was computed from."""
    if isinstance(value, dict):
        return Node({str(name): to_node(below, positions) for name, below in value.items()}, positions)
    if isinstance(value, list | tuple):
        return Node(tuple(to_node(below, positions) for below in value), positions)
    return Node(cast(Scalar, value), positions)


def without_nulls(value: object) -> object:
    """Return a plain value without mapping entries that are null."""
    if isinstance(value, dict):
        return {name: without_nulls(below) for name, below in value.items() if below is not None}
    return [without_nulls(below) for below in value] if isinstance(value, list) else value
