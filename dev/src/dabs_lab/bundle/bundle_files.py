"""Reads the files of a bundle: databricks.yml, what it includes, and all of it merged."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath

from dabs_lab.bundle.file_paths import GLOB, matching
from dabs_lab.bundle.loading import Note, read_file
from dabs_lab.bundle.merging import merge
from dabs_lab.bundle.problems import BundleError, Path, Position, Problem, path_text, refuse
from dabs_lab.bundle.root_schema import ROOT
from dabs_lab.bundle.type_checks import REFERENCE, Warn, normalise, settled
from dabs_lab.bundle.variables import spell_out_overrides
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node

ROOT_FILES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")


def read_files(folder: FilePath, warn: Warn, note: Note) -> Node:
    """The whole bundle before a target is chosen; `include` holds the names of the files that were read.

    Raises BundleError for files that are missing or wrong, and for keys used twice.
    """
    found = [name for name in ROOT_FILES if (folder / name).is_file()]
    if not found:
        raise refuse(f"databricks.yml not found in {folder}", "name the folder of a bundle")
    if len(found) > 1:
        raise refuse(f"multiple bundle root configuration files found: {', '.join(found)}", "keep one of them")
    first = _read(folder, found[0], warn, note)
    root = settled(first, ROOT)
    nulls = {name: node for name, node in first.children.items() if node.kind == "nil"}
    patterns = root.get("include") or Node(())
    included = list(_included(folder, patterns))
    for name in included:
        more = _read(folder, name, warn, note)
        inner = more.get("include")
        if inner is not None and inner.items:
            detail = "An include section is defined in a file that is not databricks.yml.\n"
            detail += "Only includes defined in databricks.yml are applied."
            warn(Problem("Include section is defined outside root file", "include", inner.positions, detail))
        root = settled(merge(root, more), ROOT)
    root = _renamed_compute(_checked_sections(root, nulls), warn)
    root = root.put(("include",), Node(tuple(Node(name) for name in included), patterns.positions))
    _check_keys(root)
    return root


def _read(folder: FilePath, name: str, warn: Warn, note: Note) -> Node:
    node = spell_out_overrides(read_file(folder, name, note))
    return normalise(node, ROOT, warn) or node.with_data({})


def _checked_sections(root: Node, nulls: Mapping[str, Node]) -> Node:
    """Refuse sections that are null where the CLI needs a mapping, and give `environments` its present name."""
    for name, what in (("resources", 'a map at "resources"'), ("workspace", 'a map to index "workspace.host"')):
        if name in nulls and root.get(name) is None:
            remedy = "fill the section or remove it"
            raise refuse(f"expected {what}, found nil", remedy, positions=_key(nulls[name]))
    older, targets = root.get("environments"), root.get("targets")
    if older is None:
        return root
    if targets is not None:
        what = "both 'environments' and 'targets' are specified; only 'targets' should be used"
        raise refuse(what, "move everything to targets", positions=_key(older))
    return root.drop("environments").put(("targets",), older)


def _renamed_compute(root: Node, warn: Warn) -> Node:
    """Return the bundle with `cluster_id` in the place of the older `compute_id`, with a warning for each."""

    def renamed(node: Node, path: Path) -> Node:
        older = node.get("compute_id")
        if older is None or older.kind == "nil":
            return node
        what = "compute_id is deprecated, please use cluster_id instead"
        warn(Problem(what, path_text((*path, "compute_id")), older.positions))
        return node.drop("compute_id").put(("cluster_id",), older)

    bundle = root.get("bundle")
    if bundle is not None:
        root = root.put(("bundle",), renamed(bundle, ("bundle",)))
    return root.change(("targets", ANY_KEY), lambda _, target: renamed(target, ()))


def _key(node: Node) -> tuple[Position, ...]:
    return (node.key,) if node.key else node.positions[:1]


def _included(folder: FilePath, patterns: Node) -> Iterator[str]:
    seen = set(ROOT_FILES)
    for entry in patterns.items:
        pattern = entry.text
        if re.search(r"\[[^\]]*$|\\$|\[\]", pattern):
            raise refuse("syntax error in pattern", "close the bracket", positions=entry.positions)
        if pattern.startswith("/"):
            raise refuse(f"{pattern}: includes must be relative paths", "write it from here", positions=entry.positions)
        matches = sorted(matching(folder, pattern))
        if not matches and not any(sign in pattern for sign in GLOB):
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
    defaults = [name for name in names if targets.is_true(name, "default")]
    if len(defaults) > 1:
        what = f"multiple targets are marked as default ({', '.join(defaults)})"
        raise refuse(what, "keep one", positions=[p for name in defaults for p in _key(targets.children[name])])
    if not defaults:
        names_known = ", ".join(names)
        raise refuse("please specify target", f"one of {names_known}", positions=targets.positions[:1])
    return root, defaults[0]
