"""Values that know where they were written. They never change: what changes one makes another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, cast

from dabs_lab.bundle.problems import Path, Position

# In a pattern: any name of a mapping, any place in a list.
ANY_KEY: Final = "*"
ANY_INDEX: Final = -1

Scalar = None | bool | int | float | str
Data = Scalar | tuple["Node", ...] | dict[str, "Node"]


class Timestamp(str):
    """A date or time: kept as it was written, but a text only where a text is asked for."""

    __slots__ = ()


@dataclass(frozen=True)
class Node:
    """A value: what it holds, where it stands (the one that counts first), and where its key stands."""

    data: Data
    positions: tuple[Position, ...] = ()
    key: Position | None = None
    # Written with an anchor (`&name`): such a block may stand under any name, it is there to be used elsewhere.
    anchored: bool = False

    @property
    def kind(self) -> str:
        """The name of its type, as the CLI says it."""
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
        """The entries of a mapping; none for anything else."""
        return self.data if isinstance(self.data, dict) else {}

    @property
    def items(self) -> tuple["Node", ...]:
        """The entries of a list; none for anything else."""
        return self.data if isinstance(self.data, tuple) else ()

    @property
    def text(self) -> str:
        """The text, or an empty one for anything else."""
        return self.data if isinstance(self.data, str) else ""

    def get(self, *path: str | int) -> "Node | None":
        """The value at a path, or None."""
        node: Node | None = self
        for part in path:
            if node is None:
                return None
            if isinstance(part, str):
                node = node.children.get(part)
            else:
                node = node.items[part] if 0 <= part < len(node.items) else None
        return node

    def text_at(self, *path: str | int) -> str:
        """The text at a path, or an empty one."""
        node = self.get(*path)
        return node.text if node is not None else ""

    def is_true(self, *path: str | int) -> bool:
        """True when the value at a path is written and is true."""
        node = self.get(*path)
        return node is not None and node.data is True

    def with_data(self, data: Data) -> "Node":
        """The same place with other content."""
        return replace(self, data=data)

    def put(self, path: Path, value: "Node") -> "Node":
        """A copy with a value at a path of names and places; mappings on the way are made where there are none."""
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
        """A copy of a mapping without some entries."""
        return self.with_data({name: value for name, value in self.children.items() if name not in names})

    def change(self, pattern: Path, function: Callable[[Path, "Node"], "Node"], path: Path = ()) -> "Node":
        """A copy in which the values at a pattern (with ANY_KEY and ANY_INDEX) are replaced."""
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
        """All values at a pattern, with their paths."""
        found: list[tuple[Path, Node]] = []

        def note(path: Path, node: Node) -> Node:
            found.append((path, node))
            return node

        self.change(pattern, note)
        return found

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, "Node"]]:
        """This value and everything below it, with paths."""
        yield path, self
        for name, value in self.children.items():
            yield from value.walk((*path, name))
        for at, item in enumerate(self.items):
            yield from item.walk((*path, at))

    def change_texts(self, function: Callable[[Path, "Node"], "Node"], path: Path = ()) -> "Node":
        """A copy in which every text is replaced by what the function makes of it."""
        if isinstance(self.data, dict):
            below = {name: value.change_texts(function, (*path, name)) for name, value in self.data.items()}
            return self.with_data(below)
        if isinstance(self.data, tuple):
            return self.with_data(tuple(v.change_texts(function, (*path, at)) for at, v in enumerate(self.data)))
        return function(path, self) if self.kind == "string" else self

    def plain(self) -> object:
        """The value as plain Python: dict, list, str, int, float, bool, None."""
        if isinstance(self.data, dict):
            return {name: value.plain() for name, value in self.data.items()}
        if isinstance(self.data, tuple):
            return [item.plain() for item in self.data]
        return str(self.data) if isinstance(self.data, Timestamp) else self.data


def made(value: object, positions: tuple[Position, ...] = ()) -> Node:
    """A value that no file holds, such as a default; `positions` say what it was made from."""
    if isinstance(value, dict):
        return Node({str(name): made(below, positions) for name, below in value.items()}, positions)
    if isinstance(value, list | tuple):
        return Node(tuple(made(below, positions) for below in value), positions)
    return Node(cast(Scalar, value), positions)


def without_nulls(value: object) -> object:
    """Return a plain value without the entries of mappings that are null."""
    if isinstance(value, dict):
        return {name: without_nulls(below) for name, below in value.items() if below is not None}
    return [without_nulls(below) for below in value] if isinstance(value, list) else value
