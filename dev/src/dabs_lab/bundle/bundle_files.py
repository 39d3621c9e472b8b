"""Read databricks.yml and the files that it includes, merge them, and choose the target."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, cast

from dabs_lab.bundle.file_paths import GLOB, find_matching
from dabs_lab.bundle.loading import read_file
from dabs_lab.bundle.merging import merge
from dabs_lab.bundle.problems import Path, Problem, Report, path_text, raise_if_any, refuse
from dabs_lab.bundle.root_schema import ROOT
from dabs_lab.bundle.type_checks import REFERENCE, normalise, without_added_zero_values, without_zero_values
from dabs_lab.bundle.variables import expand_overrides
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node

ROOT_FILES = ("databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml")


def read_files(folder: FilePath, warn: Report, note: Report) -> Node:
    """Return the bundle with all its targets; `include` lists the included files.

    Raises BundleError for files that are missing or wrong, and for keys used twice.
    """
    found = [name for name in ROOT_FILES if (folder / name).is_file()]
    if not found:
        raise refuse(f"databricks.yml not found in {folder}", "name a folder with a bundle")
    if len(found) > 1:
        raise refuse(f"multiple bundle root configuration files found: {', '.join(found)}", "keep one of them")
    main = _read(folder, found[0], warn, note)
    root = without_zero_values(main, ROOT)
    nulls = {name: node for name, node in main.children.items() if node.kind == "nil"}
    patterns = root.get("include") or Node(())
    included = list(included_files(folder, patterns))
    for name in included:
        added = _read(folder, name, warn, note)
        inner = added.get("include")
        if inner is not None and inner.items:
            detail = "An include section is defined in a file that is not databricks.yml.\n"
            detail += "Only includes defined in databricks.yml are applied."
            warn(Problem("Include section is defined outside root file", "include", inner.positions, detail))
        root = without_added_zero_values(merge(root, added), added, ROOT)
    root = _rename_compute(_check_sections(root, nulls), warn)
    root = root.put(("include",), Node(tuple(Node(name) for name in included), patterns.positions))
    _check_keys(root)
    return root


def target_sections(folder: FilePath) -> dict[str, dict[str, Any]]:
    """Return the targets of a bundle by name, each with its content as written. Raises BundleError."""
    targets = read_files(folder, lambda _: None, lambda _: None).get("targets") or Node({})
    return {name: cast(dict[str, Any], node.plain() or {}) for name, node in targets.children.items()}


def _read(folder: FilePath, name: str, warn: Report, note: Report) -> Node:
    node = expand_overrides(read_file(folder, name, note))
    return normalise(node, ROOT, warn) or node.with_data({})


def _check_sections(root: Node, nulls: Mapping[str, Node]) -> Node:
    """Refuse sections that are null where the CLI needs a mapping; rename `environments` to `targets`."""
    for name, what in (("resources", 'a map at "resources"'), ("workspace", 'a map to index "workspace.host"')):
        if name in nulls and root.get(name) is None:
            remedy = "fill the section or remove it"
            raise refuse(f"expected {what}, found nil", remedy, positions=nulls[name].key_positions)
    older, targets = root.get("environments"), root.get("targets")
    if older is None:
        return root
    if targets is not None:
        what = "both 'environments' and 'targets' are specified; only 'targets' should be used"
        raise refuse(what, "move all of them to targets", positions=older.key_positions)
    return root.drop("environments").put(("targets",), older)


def _rename_compute(root: Node, warn: Report) -> Node:
    """Rename the deprecated `compute_id` to `cluster_id`, with a warning."""

    def rename(node: Node, path: Path) -> Node:
        older = node.get_filled("compute_id")
        if older is None:
            return node
        what = "compute_id is deprecated, please use cluster_id instead"
        warn(Problem(what, path_text((*path, "compute_id")), older.positions))
        return node.drop("compute_id").put(("cluster_id",), older)

    bundle = root.get("bundle")
    if bundle is not None:
        root = root.put(("bundle",), rename(bundle, ("bundle",)))
    return root.change(("targets", ANY_KEY), lambda _, target: rename(target, ()))


def included_files(folder: FilePath, patterns: Node) -> Iterator[str]:
    """Yield the names of the files that `include` patterns match. Raises BundleError for a wrong pattern."""
    seen = set(ROOT_FILES)
    for entry in patterns.items:
        pattern = entry.text
        if re.search(r"\[[^\]]*$|\\$|\[\]", pattern):
            raise refuse("syntax error in pattern", "close the bracket", positions=entry.positions)
        if pattern.startswith("/"):
            what = f"{pattern}: includes must be relative paths"
            raise refuse(what, "write it relative to databricks.yml", positions=entry.positions)
        matches = sorted(find_matching(folder, pattern))
        if not matches and not any(character in pattern for character in GLOB):
            what = f"{pattern} defined in 'include' section does not match any files"
            raise refuse(what, "correct the name, or remove it", positions=entry.positions)
        for name in matches:
            if name in seen:
                continue
            seen.add(name)
            if not name.endswith((".yml", ".yaml", ".json")):
                what = f"Files in the 'include' configuration section must be YAML or JSON files: {name}"
                raise refuse(what, "name files to upload in sync.include", positions=entry.positions)
            yield name


def _check_keys(root: Node) -> None:
    """Refuse a key that two resources or scripts share, and references in keys."""
    wrong: list[Problem] = []
    patterns: list[Path] = [("resources", ANY_KEY, ANY_KEY), ("targets", ANY_KEY, "resources", ANY_KEY, ANY_KEY)]
    for pattern in patterns:
        for path, node in root.find(pattern):
            if REFERENCE.search(str(path[-1])):
                what = f'resource key "{path[-1]}" must not contain variable references'
                wrong.append(Problem(what, path_text(path), node.positions, remedy="write a literal key"))
    keys: dict[str, list[tuple[Path, Node]]] = {}
    for path, node in [*root.find(patterns[0]), *root.find(("scripts", ANY_KEY))]:
        keys.setdefault(str(path[-1]), []).append((path, node))
    for key, uses in keys.items():
        positions = sorted(position for _, node in uses for position in node.positions)
        if len(positions) > 1:
            what = f"multiple resources or scripts have been defined with the same key: {key}"
            paths = "\n     ".join(sorted(path_text(path) for path, _ in uses))
            wrong.append(Problem(what, paths, tuple(positions), remedy="rename one of them"))
    raise_if_any(wrong)


def choose_target(root: Node, requested: str | None) -> tuple[Node, str]:
    """Return the bundle with at least one target, and the target's name: the requested, the only, or the default one.

    Raises BundleError for an unknown target, and if not exactly one is the default.
    """
    targets = root.get("targets") or Node({})
    if not targets.children:
        root = root.put(("targets",), Node({"default": Node({})}))
        targets = root.get("targets") or targets
    names = list(targets.children)
    if requested is not None:
        if requested not in names:
            what = f"{requested}: no such target. Available targets: {', '.join(sorted(names))}"
            raise refuse(what, "name one of these", positions=targets.positions[:1])
        return root, requested
    if len(names) == 1:
        return root, names[0]
    defaults = [name for name in names if targets.is_true(name, "default")]
    if len(defaults) > 1:
        what = f"multiple targets are marked as default ({', '.join(defaults)})"
        raise refuse(what, "keep one", positions=[p for name in defaults for p in targets.children[name].key_positions])
    if not defaults:
        raise refuse("please specify target", f"one of {', '.join(names)}", positions=targets.positions[:1])
    return root, defaults[0]
