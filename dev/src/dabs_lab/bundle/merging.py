"""Merge files, a target into the bundle, and entries of a list that have the same key."""

from collections.abc import Callable
from dataclasses import replace

from dabs_lab.bundle.problems import BundleError, Path, Position, Problem, path_text, raise_if_any
from dabs_lab.bundle.yaml_nodes import ANY_INDEX, ANY_KEY, Node

# Sections of a target that are merged into the section of the same name.
_MERGED = ("bundle", "workspace", "artifacts", "resources", "sync", "permissions", "presets")
_KINDS_WITH_GRANTS = (
    *("catalogs", "schemas", "external_locations", "volumes", "registered_models", "vector_search_indexes"),
    "secrets",
)


def merge(base: Node, over: Node, path: Path = ()) -> Node:
    """Merge mappings by entry, append lists, and replace other values. The result has the positions of both.

    Raises BundleError for values of different types.
    """
    if base.kind == "nil":
        return replace(over, positions=_joined(over, base))
    if over.kind == "nil":
        return replace(base, positions=_joined(base, over))
    if base.kind != over.kind:
        what = f"cannot merge {base.kind} with {over.kind}"
        positions = (*over.positions[:1], *base.positions[:1])
        raise BundleError([Problem(what, path_text(path), positions, remedy="give both the same type")])
    if isinstance(base.data, dict):
        entries = dict(base.data)
        for name, value in over.children.items():
            merged = merge(entries[name], value, (*path, name)) if name in entries else value
            entries[name] = replace(merged, key=value.key)
        return replace(base, data=entries, positions=_joined(base, over))
    if isinstance(base.data, tuple):
        return replace(base, data=base.items + over.items, positions=_joined(base, over))
    return replace(over, positions=_joined(over, base))


def _joined(first: Node, second: Node) -> tuple[Position, ...]:
    return first.positions + tuple(position for position in second.positions if position not in first.positions)


def merge_target(root: Node, name: str) -> Node:
    """Return the bundle with one target merged into it, without the section targets.

    Raises BundleError for a variable that only the target has, and for types that cannot be merged.
    """
    target = root.get("targets", name) or Node({})
    result = root.drop("targets")
    for section in _MERGED:
        over = target.get(section)
        if over is not None:
            base = result.get(section)
            result = result.put((section,), over if base is None else merge(base, over, (section,)))
    result = _merge_variables(result, target)
    paths: dict[str, Path] = {"run_as": ("run_as",), "mode": ("bundle", "mode"), "cluster_id": ("bundle", "cluster_id")}
    for name, path in paths.items():
        value = target.get(name)
        if value is not None:
            result = result.put(path, value)
    git = target.get("git")
    if git is not None:
        result = result.put(("bundle", "git"), merge(result.get("bundle", "git") or Node({}), git, ("bundle", "git")))
    return result


def _merge_variables(root: Node, target: Node) -> Node:
    """Replace defaults and lookups of variables by those of the target."""
    overrides = target.get("variables") or Node({})
    unknown = [
        Problem(
            f"variable {name} is not defined but is assigned a value",
            path_text(("variables", name)),
            value.key_positions,
            remedy="declare it under variables",
        )
        for name, value in overrides.children.items()
        if root.get("variables", name) is None
    ]
    raise_if_any(unknown)
    for name, value in overrides.children.items():
        for field, other in (("default", "lookup"), ("lookup", "default")):
            written = value.get(field)
            if written is not None:
                root = root.put(("variables", name, field), written).put(("variables", name, other), Node(None))
    return root


def merge_job_parts(root: Node) -> Node:
    """Merge job clusters, parameters and tasks of the same key; sort tasks by it."""
    job: Path = ("resources", "jobs", ANY_KEY)
    root = root.change((*job, "job_clusters"), merge_by_key("job_cluster_key"))
    root = root.change((*job, "parameters"), merge_by_key("name"))
    return root.change((*job, "tasks"), merge_by_key("task_key", in_order=True))


def merge_grants(root: Node) -> Node:
    """Merge grants to the same principal; keep every privilege once."""
    for kind in _KINDS_WITH_GRANTS:
        grants: Path = ("resources", kind, ANY_KEY, "grants")
        root = root.change(grants, merge_by_key("principal"))
        root = root.change((*grants, ANY_INDEX, "privileges"), _unique_texts)
    return root


def merge_by_key(
    key: str,
    missing: str = "",
    normal: Callable[[str], str] = str,
    *,
    in_order: bool = False,
    override: bool = False,
) -> Callable[[Path, Node], Node]:
    """Return a function for Node.change that merges the entries of a list with the same value of `key`.

    missing: value of an entry without the field; normal: normalises values before they are compared; in_order: sort
    the entries; override: a later entry replaces the fields of an earlier one, and does not append lists.
    """

    def merged(path: Path, node: Node) -> Node:
        if node.kind != "sequence":
            return node
        parts: dict[str, Node] = {}
        for item in node.items:
            name = normal(item.text_at(key)) or missing
            if name in parts and override:
                parts[name] = parts[name].with_data({**parts[name].children, **item.children})
            else:
                parts[name] = merge(parts[name], item, path) if name in parts else item
        # As in the CLI, an entry without the field gets an empty text.
        if not missing and "" in parts and parts[""].kind == "map" and key not in parts[""].children:
            parts[""] = parts[""].put((key,), Node(""))
        return node.with_data(tuple(parts[name] for name in (sorted(parts) if in_order else parts)))

    return merged


def _unique_texts(_path: Path, node: Node) -> Node:
    first: dict[str, Node] = {}
    for item in node.items:
        first.setdefault(item.text, item)
    return node.with_data(tuple(first.values()))
