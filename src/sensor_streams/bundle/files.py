"""Reads the files of a bundle: databricks.yml, what it includes, and all of it merged."""

import fnmatch
from collections.abc import Iterator
from pathlib import Path as FilePath

from sensor_streams.bundle.loading import read_file
from sensor_streams.bundle.merging import merge
from sensor_streams.bundle.problem import BundleError, Path, Position, Problem, path_text, refuse
from sensor_streams.bundle.shapes import RESOURCES, ROOT
from sensor_streams.bundle.typed import REFERENCE, Warn, is_anchored, normalise
from sensor_streams.bundle.variables import spell_out_overrides
from sensor_streams.bundle.yaml_nodes import ANY_KEY, Node

ROOT_FILES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")
_GLOB = "*?["
_RENAMED = {"environments": "call it targets", "compute_id": "call it cluster_id"}


def read_files(folder: FilePath, warn: Warn) -> Node:
    """The whole bundle before a target is chosen; `include` holds the names of the files that were read.

    Raises BundleError for files that are missing or wrong, sections that are not read here, and keys used twice.
    """
    found = [name for name in ROOT_FILES if (folder / name).is_file()]
    if not found:
        raise refuse(f"databricks.yml not found in {folder}", "name the folder of a bundle")
    if len(found) > 1:
        raise refuse(f"multiple bundle root configuration files found: {', '.join(found)}", "keep one of them")
    root = _read(folder, found[0], warn)
    patterns = root.get("include") or Node(())
    included = list(_included(folder, patterns))
    for name in included:
        more = _read(folder, name, warn)
        inner = more.get("include")
        if inner is not None and inner.items:
            detail = "An include section is defined in a file that is not databricks.yml.\n"
            detail += "Only includes defined in databricks.yml are applied."
            warn(Problem("Include section is defined outside root file", "include", inner.positions, detail))
        root = merge(root, more)
    root = root.put(("include",), Node(tuple(Node(name) for name in included), patterns.positions))
    _check_keys(root)
    return root


def _read(folder: FilePath, name: str, warn: Warn) -> Node:
    node = spell_out_overrides(read_file(folder, name))
    _refuse_unknown(node)
    return normalise(node, ROOT, warn) or node.with_data({})


def _refuse_unknown(root: Node) -> None:
    """Sections and kinds of resources that are not read here: to leave them out would change what the bundle is."""
    wrong = [
        Problem(f"the section {name} is not read here", "", _key(value), remedy=_RENAMED.get(name, _known(ROOT.shapes)))
        for name, value in root.children.items()
        if name not in ROOT.shapes and not is_anchored(value)
    ]
    places: list[Path] = [("resources",), ("targets", ANY_KEY, "resources")]
    for place in places:
        for path, node in root.find((*place, ANY_KEY)):
            if path[-1] not in RESOURCES.shapes and not is_anchored(node):
                what = f"resources of the kind {path[-1]} are not read here"
                wrong.append(Problem(what, path_text(path), _key(node), remedy=_known(RESOURCES.shapes)))
    if wrong:
        raise BundleError(wrong)


def _known(names: object) -> str:
    return f"take it out; there are: {', '.join(names) if isinstance(names, dict) else names}"


def _key(node: Node) -> tuple[Position, ...]:
    return (node.key,) if node.key else node.positions[:1]


def _included(folder: FilePath, patterns: Node) -> Iterator[str]:
    seen = set(ROOT_FILES)
    for entry in patterns.items:
        pattern = entry.text
        if pattern.startswith("/"):
            raise refuse(f"{pattern}: includes must be relative paths", "write it from here", positions=entry.positions)
        matches = sorted(_matching(folder, pattern))
        if not matches and not any(sign in pattern for sign in _GLOB):
            what = f"{pattern} defined in 'include' section does not match any files"
            raise refuse(what, "mend the name, or remove it", positions=entry.positions)
        for name in matches:
            if name in seen:
                continue
            seen.add(name)
            if not name.endswith((".yml", ".yaml", ".json")):
                what = f"Files in the 'include' configuration section must be YAML or JSON files: {name}"
                raise refuse(what, "name files to upload in sync.include", positions=entry.positions)
            yield name


def _matching(folder: FilePath, pattern: str) -> list[str]:
    """Names that match, part by part: `*` and `**` alike stand for one folder, as in the CLI."""
    names = [""]
    for part in pattern.split("/"):
        if part in ("", "."):
            continue
        below: list[str] = []
        for name in names:
            here = folder / name
            if part == ".." or not any(sign in part for sign in _GLOB):
                below += [f"{name}{part}/"] if (here / part).exists() else []
            elif here.is_dir():
                sign = part.replace("[^", "[!")
                below += [f"{name}{one.name}/" for one in here.iterdir() if fnmatch.fnmatchcase(one.name, sign)]
        names = below
    return [name.rstrip("/") for name in names]


def _check_keys(root: Node) -> None:
    """No two resources or scripts of one key, of whatever kind; and no reference in a key."""
    wrong: list[Problem] = []
    places: list[Path] = [("resources", ANY_KEY, ANY_KEY), ("targets", ANY_KEY, "resources", ANY_KEY, ANY_KEY)]
    for pattern in places:
        for path, node in root.find(pattern):
            if REFERENCE.search(str(path[-1])):
                what = f'resource key "{path[-1]}" must not contain variable references'
                wrong.append(Problem(what, path_text(path), node.positions, remedy="write the key plainly"))
    keys: dict[str, list[tuple[Path, Node]]] = {}
    for path, node in [*root.find(places[0]), *root.find(("scripts", ANY_KEY))]:
        keys.setdefault(str(path[-1]), []).append((path, node))
    for key, uses in keys.items():
        positions = sorted(place for _, node in uses for place in node.positions)
        if len(positions) > 1:
            what = f"multiple resources or scripts have been defined with the same key: {key}"
            paths = "\n     ".join(sorted(path_text(path) for path, _ in uses))
            wrong.append(Problem(what, paths, tuple(positions), remedy="rename one of them"))
    if wrong:
        raise BundleError(wrong)


def choose_target(root: Node, asked: str | None) -> tuple[Node, str]:
    """The bundle with at least one target, and the name of the one to use: asked for, the only one, or the default.

    Raises BundleError when there is no such target, or none or several are the default.
    """
    targets = root.get("targets") or Node({})
    if not targets.children:
        root = root.put(("targets",), Node({"default": Node({})}))
        targets = root.get("targets") or targets
    names = list(targets.children)
    if asked is not None:
        if asked not in names:
            what = f"{asked}: no such target. Available targets: {', '.join(sorted(names))}"
            raise refuse(what, "name one of these", positions=targets.positions[:1])
        return root, asked
    if len(names) == 1:
        return root, names[0]
    defaults = [name for name in names if (flag := targets.get(name, "default")) is not None and flag.data is True]
    if len(defaults) > 1:
        what = f"multiple targets are marked as default ({', '.join(defaults)})"
        raise refuse(what, "keep one", positions=[p for name in defaults for p in _key(targets.children[name])])
    if not defaults:
        names_known = ", ".join(names)
        raise refuse("please specify target", f"one of {names_known}", positions=targets.positions[:1])
    return root, defaults[0]
