"""Typed view of one mapping in a resolved bundle, for rules.

A view hides merging, defaults and optional fields: a missing field, a null and a value of a wrong type read as absent.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dabs_lab.bundle.problems import Path
from dabs_lab.bundle.yaml_nodes import Node
from dabs_lab.check.places import Place

if TYPE_CHECKING:
    from dabs_lab.check.views import TargetView


@dataclass(frozen=True, eq=False)
class View:
    """Mapping in a target, with its path."""

    target: "TargetView"
    path: Path
    node: Node = field(repr=False)

    def get(self, *path: str | int) -> Node | None:
        """Return the value at a path below this one; None if it is missing or null."""
        return self.node.get_filled(*path)

    def has(self, *path: str | int) -> bool:
        """Return whether there is a value, written or set by the CLI."""
        return self.get(*path) is not None

    def is_written(self, *path: str | int) -> bool:
        """Return whether the bundle's files give the value; False for a default of the CLI or of development mode."""
        node = self.get(*path)
        return node is not None and bool(node.positions)

    def is_literal(self, *path: str | int) -> bool:
        """Return whether the value is written in place, not as a reference `${…}`."""
        node = self.get(*path)
        return node is not None and bool(node.positions) and not self.target.texts.is_reference(node.positions[0])

    def text(self, *path: str | int) -> str:
        """Return the text at a path, or an empty text."""
        return self.node.text_at(*path)

    def number(self, *path: str | int) -> int | None:
        """Return the whole number at a path, or None. A text of digits counts, as for the CLI."""
        node = self.get(*path)
        if node is None or isinstance(node.data, bool):
            return None
        if isinstance(node.data, int):
            return node.data
        return int(node.text) if node.text.lstrip("-").isdecimal() else None

    def is_true(self, *path: str | int) -> bool:
        """Return whether the value at a path is true."""
        return self.node.is_true(*path)

    def items(self, *path: str | int) -> list["View"]:
        """Return the mappings in a list."""
        node = self.get(*path) or Node(())
        return [self.below((*path, at), item) for at, item in enumerate(node.items) if item.kind == "map"]

    def below(self, path: Path, node: Node) -> "View":
        """Return a view of a value below this one."""
        return View(self.target, (*self.path, *path), node)

    def view(self, *path: str | int) -> "View | None":
        """Return a view of the mapping at a path, or None."""
        node = self.get(*path)
        return self.below(path, node) if node is not None and node.kind == "map" else None

    def at(self, *path: str | int) -> Place:
        """Return the place of a value below this one, or of the nearest value around it."""
        return self.target.at(*self.path, *path)


@dataclass(frozen=True, eq=False)
class ResourceView(View):
    """Resource: a job, a pipeline, an alert, …"""

    @property
    def key(self) -> str:
        """Return the key in the bundle."""
        return str(self.path[-1])


def as_text(node: Node | None) -> str:
    """Return a scalar as text; an empty text for other values."""
    if node is None or node.kind in ("map", "sequence"):
        return ""
    return str(node.data).lower() if isinstance(node.data, bool) else str(node.data)
