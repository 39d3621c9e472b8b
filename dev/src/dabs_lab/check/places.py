"""Places of findings: path and position of a value, and the lines on which a suppression covers it."""

from dataclasses import dataclass

from dabs_lab.bundle import Position
from dabs_lab.bundle.problems import Path
from dabs_lab.bundle.yaml_nodes import Node
from dabs_lab.check.file_texts import FileTexts

# Fields that identify an item of a list. Indexes change when the CLI sorts or merges lists.
_NAMES = ("task_key", "job_cluster_key", "environment_key", "name")
# Depth of the outermost value that a comment can cover: a resource, such as resources.jobs.live.
_RESOURCE_DEPTH = 3


@dataclass(frozen=True)
class Place:
    """Place in a bundle: path with the names of tasks, position, and the lines (file, line) of it and around it."""

    path: str
    position: Position
    covered_by: frozenset[tuple[str, int]] = frozenset()


def readable_path(root: Node, path: Path) -> str:
    """Return a path with names in place of indexes: `resources.jobs.live.tasks.ingest.max_retries`."""
    parts: list[str] = []
    node: Node | None = root
    for part in path:
        node = node.get(part) if node is not None else None
        names = (node.text_at(name) for name in _NAMES) if node is not None and isinstance(part, int) else ()
        parts.append(next((name for name in names if name), str(part)))
    return ".".join(parts)


def place_at(root: Node, path: Path, texts: FileTexts) -> Place:
    """Return the place of a value, or of the nearest value around it that has a position."""
    position: Position | None = None
    lines: set[tuple[str, int]] = set()
    for end in range(len(path), 0, -1):
        node = root.get(*path[:end])
        if node is None or not (node.positions or node.key):
            continue
        starts = (node.key, *node.positions) if node.key else node.positions
        position = position or starts[0]
        if end >= _RESOURCE_DEPTH:
            lines |= _lines(node, path[end - 1], texts)
    if position is None:
        position = root.positions[0] if root.positions else Position("databricks.yml", 1, 1)
    return Place(readable_path(root, path), position, frozenset({*lines, (position.file, position.line)}))


def _lines(node: Node, name: str | int, texts: FileTexts) -> set[tuple[str, int]]:
    """Return the lines of a value's keys; for an item of a list, its first lines and those of its name."""
    if isinstance(name, int):
        named = (child.key for field in _NAMES if (child := node.get(field)) is not None)
        return {(start.file, start.line) for start in (*node.positions, *named) if start is not None}
    found = {(node.key.file, node.key.line)} if node.key else set()
    for start in node.positions:
        line = texts.of(start.file).key_line(start, name)
        if line is not None:
            found.add((start.file, line))
    return found
