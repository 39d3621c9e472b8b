"""Merges values: files into one, a target over the rest, and the parts of a job that have the same key."""

from collections.abc import Callable
from dataclasses import replace

from dabs_lab.bundle.problems import BundleError, Path, Position, Problem, path_text
from dabs_lab.bundle.yaml_nodes import ANY_INDEX, ANY_KEY, Node

# What of a target is merged into the section of the same name.
_MERGED = ("bundle", "workspace", "artifacts", "resources", "sync", "permissions", "presets")


_GRANTED = (
    *("catalogs", "schemas", "external_locations", "volumes", "registered_models", "vector_search_indexes"),
    "secrets",
)


def merge(base: Node, over: Node, path: Path = ()) -> Node:
    """Mappings entry by entry, lists joined, anything else replaced. The places of both are kept.

    Raises BundleError when the two are of different types.
    """
    if base.kind == "nil":
        return replace(over, positions=_joined(over, base))
    if over.kind == "nil":
        return replace(base, positions=_joined(base, over))
    if base.kind != over.kind:
        what = f"cannot merge {base.kind} with {over.kind}"
        places = (*over.positions[:1], *base.positions[:1])
        raise BundleError([Problem(what, path_text(path), places, remedy="write both as the same type")])
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
    return first.positions + tuple(one for one in second.positions if one not in first.positions)


def merge_target(root: Node, name: str) -> Node:
    """The bundle with one target merged into it, and without its targets.

    Raises BundleError for a variable that only the target knows, and for types that cannot be merged.
    """
    target = root.get("targets", name) or Node({})
    result = root.drop("targets")
    for section in _MERGED:
        over = target.get(section)
        if over is not None:
            base = result.get(section)
            result = result.put((section,), over if base is None else merge(base, over, (section,)))
    result = _merge_variables(result, target)
    moved: dict[str, Path] = {"run_as": ("run_as",), "mode": ("bundle", "mode"), "cluster_id": ("bundle", "cluster_id")}
    for name, place in moved.items():
        value = target.get(name)
        if value is not None:
            result = result.put(place, value)
    git = target.get("git")
    if git is not None:
        result = result.put(("bundle", "git"), merge(result.get("bundle", "git") or Node({}), git, ("bundle", "git")))
    return result


def _merge_variables(root: Node, target: Node) -> Node:
    """A target gives variables another default, as a whole; it declares none."""
    overrides = target.get("variables") or Node({})
    unknown = [
        Problem(
            f"variable {name} is not defined but is assigned a value",
            path_text(("variables", name)),
            (value.key,) if value.key else value.positions,
            remedy="declare it under variables",
        )
        for name, value in overrides.children.items()
        if root.get("variables", name) is None
    ]
    if unknown:
        raise BundleError(unknown)
    for name, value in overrides.children.items():
        default, lookup = value.get("default"), value.get("lookup")
        if default is not None:
            root = root.put(("variables", name, "default"), default).put(("variables", name, "lookup"), Node(None))
        if lookup is not None:
            root = root.put(("variables", name, "lookup"), lookup).put(("variables", name, "default"), Node(None))
    return root


def merge_job_parts(root: Node) -> Node:
    """Job clusters, parameters and tasks of the same key become one; tasks are sorted by it, the others are not."""
    job: Path = ("resources", "jobs", ANY_KEY)
    root = root.change((*job, "job_clusters"), merge_by_key("job_cluster_key"))
    root = root.change((*job, "parameters"), merge_by_key("name"))
    return root.change((*job, "tasks"), merge_by_key("task_key", in_order=True))


def merge_grants(root: Node) -> Node:
    """Grants to the same principal become one, with every privilege once."""
    for kind in _GRANTED:
        grants: Path = ("resources", kind, ANY_KEY, "grants")
        root = root.change(grants, merge_by_key("principal"))
        root = root.change((*grants, ANY_INDEX, "privileges"), _once)
    return root


def merge_by_key(
    key: str,
    missing: str = "",
    normal: Callable[[str], str] = str,
    *,
    in_order: bool = False,
    override: bool = False,
) -> Callable[[Path, Node], Node]:
    """Return a change of a list in which entries with the same value of a field become one.

    missing: value of an entry without the field; normal: spelling in which values are compared; in_order: sort by it;
    override: the later entry replaces the fields of the earlier one, lists too.
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
        # As in the CLI a part without the key has an empty one from here on.
        if not missing and "" in parts and parts[""].kind == "map" and key not in parts[""].children:
            parts[""] = parts[""].put((key,), Node(""))
        return node.with_data(tuple(parts[name] for name in (sorted(parts) if in_order else parts)))

    return merged


def _once(_path: Path, node: Node) -> Node:
    first: dict[str, Node] = {}
    for item in node.items:
        first.setdefault(item.text, item)
    return node.with_data(tuple(first.values()))
