"""Puts values in the place of `${...}`: whole values keep their type, parts of a text become text."""

import difflib
import re
from collections.abc import Callable
from dataclasses import replace

from dabs_lab.bundle.file_paths import is_immutable
from dabs_lab.bundle.problems import BundleError, Path, Problem, path_text, refuse
from dabs_lab.bundle.root_schema import ROOT
from dabs_lab.bundle.schemas import Fields, Flag, Named, Shape, Text, Whole
from dabs_lab.bundle.type_checks import REFERENCE, Warn, go_number, is_reference, normalise, settled
from dabs_lab.bundle.yaml_nodes import Node

# Rounds in which values may bring new references, as in the CLI.
_ROUNDS = 11
# More than any bundle has, and less than the memory holds.
_MOST_VALUES, _DEEPEST, _LONGEST_TEXT = 200_000, 60, 1_000_000
_HERE = ("bundle", "workspace", "variables", "artifacts")
_LATER = "resources"
# Known in a deployment to an immutable folder only once the files are uploaded.
_OF_SNAPSHOT = tuple(("workspace", name) for name in ("file_path", "artifact_path", "snapshot_path"))
_PART = re.compile(r"([^.\[\]]+)|\[([0-9]+)\]")
_ZEROS: tuple[tuple[type, str | int | bool], ...] = ((Text, ""), (Whole, 0), (Flag, False))
# Commands of a shell, which has `${...}` of its own.
_SHELL = (("artifacts", 2, "build"), ("experimental", 1, "scripts"), ("scripts", 2, "content"))
# Looks a path up: the value, None to leave the reference as it is; raises for what is not there.
LookUp = Callable[[Path, str, Node], Node | None]


def resolve(root: Node, warn: Warn, *, resources: bool) -> Node:
    """The bundle with its values in the place of references to bundle, workspace and variables.

    `resources` chooses between the section resources and all others. References to resources stay.
    Raises BundleError for a reference to what is not there or not known here, and for a cycle.
    """
    immutable = is_immutable(root)
    for _ in range(_ROUNDS):
        hits = [0]

        def look_up(path: Path, name: str, at: Node, tree: Node = root, hits: list[int] = hits) -> Node | None:
            if (
                path[0] == _LATER
                or (resources and path[0] == "artifacts")
                or (resources and path in _OF_SNAPSHOT and immutable)
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
            fitted = settled(normalise(changed, ROOT, warn) or changed, ROOT)
            root = root.with_data({**root.children, **fitted.children})
        if not hits[0]:
            return root
    what = f"Variables references are too deep, stopping resolution after {_ROUNDS} rounds."
    warn(Problem(f"{what} Unresolved variables may remain."))
    return root


def resolve_volume_paths(root: Node) -> Node:
    """The bundle with the paths of its volumes in the place of `${resources.volumes.<key>.volume_path}`."""

    def look_up(path: Path, name: str, at: Node) -> Node | None:
        if len(path) != 4 or path[:2] != ("resources", "volumes") or path[3] != "volume_path":
            return None
        found = root.get(*path)
        if found is None:
            raise _missing(name, at, [f"resources.volumes.{key}.volume_path" for key in _names(root, path[:2])])
        return found

    return _Resolver(root, look_up).run()


def split(text: str) -> Path:
    """`a.b[0].c` as a path."""
    return tuple(int(number) if number else name for name, number in _PART.findall(text))


def resource_name(root: Node, text: str) -> str:
    """What a reference to a text of a resource leads to, or the text itself."""
    match = REFERENCE.fullmatch(text)
    found = root.get(*split(match[1])) if match and match[1].startswith("resources.") else None
    return found.text if found is not None and found.kind == "string" else text


def _only_a_workspace_knows(root: Node, path: Path) -> bool:
    """True for properties of the current user, and for variables that are looked up."""
    if path[:2] == ("workspace", "current_user"):
        return len(path) > 2
    lookup = root.get("variables", *path[1:2], "lookup") if path[0] == "variables" else None
    return lookup is not None and lookup.kind != "nil"


def unresolved(node: Node) -> list[tuple[Path, Node, str]]:
    """Return every text that still has a reference to bundle, workspace or variables: path, value, reference."""
    found = []
    for path, value in node.walk():
        for match in REFERENCE.finditer(_text(value)):
            if split(match[1])[0] in (*_HERE, "var"):
                found.append((path, value, match[0]))
    return found


def _look_up(root: Node, path: Path, name: str, at: Node) -> Node | None:
    if path[0] not in _HERE or len(path) < 2:
        what = f"${{{name}}} is no reference that is read here"
        known = "${bundle...}, ${workspace...}, ${var...} and ${resources...}"
        raise refuse(what, f"there are {known}", positions=at.positions[:1])
    found = root.get(*path)
    if found is not None and found.kind != "nil":
        return found
    if _only_a_workspace_knows(root, path) or any(isinstance(part, int) for part in path):
        # It stays as it is written; who needs the value of it says so (see `unresolved`).
        return None
    if path[0] == "variables":
        raise _missing(name, at, [f"var.{one}" for one in _names(root, ("variables",))])
    shape: Shape | None = ROOT
    for part in path:
        shape = shape.shapes.get(str(part)) if isinstance(shape, Fields) else None
        shape = shape.value if isinstance(shape, Named) else shape
    if shape is None:
        raise _missing(name, at, [f"{path[0]}.{one}" for one in _names(root, path[:1])])
    zero = next((value for kind, value in _ZEROS if isinstance(shape, kind)), None)
    if zero is not None and path[0] != "workspace":
        # A field that is not written has the zero value of its type.
        return Node(zero)
    what = f"${{{name}}} has no value that is known here"
    raise refuse(what, "set it in databricks.yml", positions=at.positions[:1])


def _names(root: Node, path: Path) -> list[str]:
    return list((root.get(*path) or Node({})).children)


def _missing(name: str, at: Node, known: list[str]) -> BundleError:
    near = difflib.get_close_matches(name, known, n=1)
    remedy = f"did you mean ${{{near[0]}}}?" if near else "declare it, or mend the name"
    return refuse(f"reference does not exist: ${{{name}}}", remedy, positions=at.positions[:1])


class _Resolver:
    """One round over one tree; looked-up values are resolved in turn, and remembered."""

    def __init__(self, tree: Node, look_up: LookUp) -> None:
        self._tree = tree
        self._look_up = look_up
        self._known: dict[str, Node | None] = {}

    def run(self) -> Node:
        found = {path_text(path): (path, node) for path, node in self._tree.walk() if REFERENCE.search(_text(node))}
        # In order, so that a cycle is always told from the same place.
        resolved = {found[name][0]: self._resolve(*found[name], [name]) for name in sorted(found)}
        return self._tree.change_texts(lambda path, node: resolved.get(path, node))

    def _resolve(self, path: Path, node: Node, seen: list[str]) -> Node:
        text = node.text
        for match in REFERENCE.finditer(node.text):
            value = self._value(match[1], path, node, seen)
            if value is None:
                continue
            if is_reference(node):
                # It stands where the reference stands: so do relative paths.
                return replace(node, data=value.data)
            text = text.replace(match[0], _as_text(value, match[1], node), 1)
        if len(text) > _LONGEST_TEXT:
            raise refuse("comes to too long a text", "use fewer references", positions=node.positions[:1])
        return node.with_data(text)

    def _value(self, name: str, path: Path, at: Node, seen: list[str]) -> Node | None:
        if name in seen:
            chain = " -> ".join([*seen, name])
            what = f"cycle detected in field resolution: {chain}"
            raise refuse(what, "break it", positions=at.positions[:1])
        if name in self._known:
            return self._known[name]
        target = split(name)
        if target[0] == "var" and len(target) > 1:
            target = ("variables", target[1], "value", *target[2:])
        if target[0] not in (*_HERE, _LATER, "var") and (len(target) == 1 or _is_shell(path)):
            # No namespace: `${HOME}` is for someone else.
            value = None
        else:
            value = self._look_up(target, name, at)
        if value is not None and REFERENCE.search(_text(value)):
            value = self._resolve(path, value, [*seen, name])
        self._known[name] = value
        return value


def _check_size(tree: Node) -> None:
    """Complex values that hold each other grow without end; the CLI stops at some point and leaves the rest."""
    for number, (path, node) in enumerate(tree.walk()):
        if number > _MOST_VALUES or len(path) > _DEEPEST:
            what = "references to complex values lead back to themselves, or come to too many values"
            raise refuse(what, "break the circle", at=path[:3], positions=node.positions[:1])


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
            raise refuse(what, "let it stand alone", positions=at.positions[:1])
