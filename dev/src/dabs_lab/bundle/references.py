"""Replace `${...}` by values: a value that is one reference gets any type, a reference inside a text becomes text."""

import difflib
import re
from collections.abc import Callable
from dataclasses import replace

from dabs_lab.bundle.file_paths import is_immutable
from dabs_lab.bundle.problems import BundleError, Path, Problem, Report, path_text, refuse
from dabs_lab.bundle.root_schema import ROOT
from dabs_lab.bundle.schemas import Boolean, Fields, Integer, MapOf, Shape, Text
from dabs_lab.bundle.type_checks import REFERENCE, go_number, is_reference, normalise, without_zero_values
from dabs_lab.bundle.yaml_nodes import Node

# Limit of rounds, as in the CLI: a value may contain new references.
_ROUNDS = 11
# Limits that no real bundle reaches, and that fit into memory.
_MOST_VALUES, _DEEPEST, _LONGEST_TEXT = 200_000, 60, 1_000_000
_NAMESPACES = ("bundle", "workspace", "variables", "artifacts")
_RESOURCES = "resources"
# Paths that a deployment to an immutable folder sets after the upload.
_SNAPSHOT_PATHS = tuple(("workspace", name) for name in ("file_path", "artifact_path", "snapshot_path"))
_PART = re.compile(r"([^.\[\]]+)|\[([0-9]+)\]")
_ZEROS: tuple[tuple[type, str | int | bool], ...] = ((Text, ""), (Integer, 0), (Boolean, False))
# Paths of shell commands, which have their own `${...}`: first name, then a name at an index.
_SHELL = (("artifacts", 2, "build"), ("experimental", 1, "scripts"), ("scripts", 2, "content"))
# Returns the value at a path, or None to keep the reference. Raises BundleError for a path that does not exist.
LookUp = Callable[[Path, str, Node], Node | None]


def resolve(root: Node, warn: Report, *, resources: bool) -> Node:
    """Replace references to bundle, workspace and variables, in the section resources or in all others.

    References to resources stay; in the section resources, those to artifacts too.
    Raises BundleError for an unknown reference, and for a cycle.
    """
    immutable = is_immutable(root)
    for _ in range(_ROUNDS):
        hits = [0]

        def look_up(path: Path, name: str, at: Node, tree: Node = root, hits: list[int] = hits) -> Node | None:
            if (
                path[0] == _RESOURCES
                or (resources and path[0] == "artifacts")
                or (resources and path in _SNAPSHOT_PATHS and immutable)
            ):
                return None
            found = _look_up(tree, path, name, at)
            hits[0] += found is not None
            return found

        if resources:
            section = root.get("resources")
            changed = section and Node({"resources": _Resolver(section, look_up).run()})
        else:
            changed = _Resolver(root.drop("resources"), look_up).run()
        if changed is not None:
            _check_size(changed)
            fitted = without_zero_values(normalise(changed, ROOT, warn) or changed, ROOT)
            root = root.with_data({**root.children, **fitted.children})
        if not hits[0]:
            return root
    what = f"Variables references are too deep, stopping resolution after {_ROUNDS} rounds."
    warn(Problem(f"{what} Unresolved variables may remain."))
    return root


def resolve_volume_paths(root: Node) -> Node:
    """Replace references `${resources.volumes.<key>.volume_path}`. Raises BundleError for an unknown volume."""

    def look_up(path: Path, name: str, at: Node) -> Node | None:
        if len(path) != 4 or path[:2] != ("resources", "volumes") or path[3] != "volume_path":
            return None
        found = root.get(*path)
        if found is None:
            raise _missing(name, at, [f"resources.volumes.{key}.volume_path" for key in _names(root, path[:2])])
        return found

    return _Resolver(root, look_up).run()


def split(text: str) -> Path:
    """Parse a path like `a.b[0].c`."""
    return tuple(int(number) if number else name for name, number in _PART.findall(text))


def resource_name(root: Node, text: str) -> str:
    """Return the text of the resource field that `text` references; other texts unchanged."""
    match = REFERENCE.fullmatch(text)
    found = root.get(*split(match[1])) if match and match[1].startswith("resources.") else None
    return found.text if found is not None and found.kind == "string" else text


def _needs_workspace(root: Node, path: Path) -> bool:
    """Return whether a path is a property of the current user, or a variable with a lookup."""
    if path[:2] == ("workspace", "current_user"):
        return len(path) > 2
    return path[0] == "variables" and root.get_filled("variables", *path[1:2], "lookup") is not None


def unresolved(node: Node) -> list[tuple[Path, Node, str]]:
    """Return path, value and reference of every remaining reference to bundle, workspace, variables or artifacts."""
    found = []
    for path, value in node.walk():
        for match in REFERENCE.finditer(_text(value)):
            if split(match[1])[0] in (*_NAMESPACES, "var"):
                found.append((path, value, match[0]))
    return found


def _look_up(root: Node, path: Path, name: str, at: Node) -> Node | None:
    if path[0] not in _NAMESPACES or len(path) < 2:
        what = f"${{{name}}} is not a supported reference"
        known = "${bundle...}, ${workspace...}, ${var...} or ${resources...}"
        raise refuse(what, f"use {known}", positions=at.positions[:1])
    found = root.get_filled(*path)
    if found is not None:
        return found
    if _needs_workspace(root, path) or any(isinstance(part, int) for part in path):
        # The reference stays; `unresolved` lists it for callers that need the value.
        return None
    if path[0] == "variables":
        raise _missing(name, at, [f"var.{variable}" for variable in _names(root, ("variables",))])
    shape: Shape | None = ROOT
    for part in path:
        shape = shape.shapes.get(str(part)) if isinstance(shape, Fields) else None
        shape = shape.value if isinstance(shape, MapOf) else shape
    if shape is None:
        raise _missing(name, at, [f"{path[0]}.{field}" for field in _names(root, path[:1])])
    zero = next((value for kind, value in _ZEROS if isinstance(shape, kind)), None)
    if zero is not None and path[0] != "workspace":
        # A missing field has the zero value of its type.
        return Node(zero)
    what = f"${{{name}}} has no value"
    raise refuse(what, "set it in databricks.yml", positions=at.positions[:1])


def _names(root: Node, path: Path) -> list[str]:
    return list((root.get(*path) or Node({})).children)


def _missing(name: str, at: Node, known: list[str]) -> BundleError:
    near = difflib.get_close_matches(name, known, n=1)
    remedy = f"did you mean ${{{near[0]}}}?" if near else "declare it, or correct the name"
    return refuse(f"reference does not exist: ${{{name}}}", remedy, positions=at.positions[:1])


class _Resolver:
    """One round of replacements in one tree. Resolves and caches the values that it looks up."""

    def __init__(self, tree: Node, look_up: LookUp) -> None:
        self._tree = tree
        self._look_up = look_up
        self._known: dict[str, Node | None] = {}

    def run(self) -> Node:
        found = {path_text(path): (path, node) for path, node in self._tree.walk() if REFERENCE.search(_text(node))}
        # Sorted, so that a cycle is always reported at the same position.
        resolved = {found[name][0]: self._resolve(*found[name], [name]) for name in sorted(found)}
        return self._tree.change_texts(lambda path, node: resolved.get(path, node))

    def _resolve(self, path: Path, node: Node, seen: list[str]) -> Node:
        text = node.text
        for match in REFERENCE.finditer(node.text):
            value = self._value(match[1], path, node, seen)
            if value is None:
                continue
            if is_reference(node):
                # The value gets the position of the reference, to which its relative paths refer.
                return replace(node, data=value.data)
            text = text.replace(match[0], _as_text(value, match[1], node), 1)
        if len(text) > _LONGEST_TEXT:
            raise refuse(
                "the text is too long after substitution", "use fewer references", positions=node.positions[:1]
            )
        return node.with_data(text)

    def _value(self, name: str, path: Path, at: Node, seen: list[str]) -> Node | None:
        if name in seen:
            chain = " -> ".join([*seen, name])
            what = f"cycle detected in field resolution: {chain}"
            raise refuse(what, "remove one of these references", positions=at.positions[:1])
        if name in self._known:
            return self._known[name]
        target = split(name)
        if target[0] == "var" and len(target) > 1:
            target = ("variables", target[1], "value", *target[2:])
        if target[0] not in (*_NAMESPACES, _RESOURCES, "var") and (len(target) == 1 or _is_shell(path)):
            # Not a namespace of the bundle, such as the shell's `${HOME}`.
            value = None
        else:
            value = self._look_up(target, name, at)
        if value is not None and REFERENCE.search(_text(value)):
            value = self._resolve(path, value, [*seen, name])
        self._known[name] = value
        return value


def _check_size(tree: Node) -> None:
    """Refuse complex values that contain each other: they would grow without limit. Raises BundleError."""
    for number, (path, node) in enumerate(tree.walk()):
        if number > _MOST_VALUES or len(path) > _DEEPEST:
            what = "complex values form a cycle, or have too many values"
            raise refuse(what, "remove one of the references", at=path[:3], positions=node.positions[:1])


def _text(node: Node) -> str:
    return node.text if node.kind == "string" else ""


def _is_shell(path: Path) -> bool:
    return any(path[:1] == (first,) and path[at : at + 1] == (name,) for first, at, name in _SHELL)


def _as_text(value: Node, name: str, at: Node) -> str:
    match value.data:
        case bool():
            return str(value.data).lower()
        case float():
            return go_number(value.data)
        case int() | str():
            return str(value.data)
        case _:
            what = f"cannot interpolate non-primitive value of type {value.kind} into string: ${{{name}}}"
            raise refuse(what, "make the reference the whole value", positions=at.positions[:1])
