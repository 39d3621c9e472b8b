"""Rules of the CLI for kinds of resources other than jobs: names, tags, pauses, defaults, merging."""

import posixpath
from collections.abc import Callable, Mapping
from functools import partial

from dabs_lab.bundle.merging import merge_by_key
from dabs_lab.bundle.problems import Path
from dabs_lab.bundle.workspace_paths import normal_prefix
from dabs_lab.bundle.yaml_nodes import ANY_INDEX, ANY_KEY, Node, to_node

# Field with the name of a resource, by kind. The name prefix is put before it unchanged.
_NAME_FIELDS = {
    "pipelines": "name",
    "models": "name",
    "clusters": "cluster_name",
    "instance_pools": "instance_pool_name",
    "dashboards": "display_name",
    "genie_spaces": "title",
    "alerts": "display_name",
    "sql_warehouses": "name",
}
# Kinds whose names are identifiers: special characters are removed from the prefix.
_NAMED_BY_IDENTIFIER = ("model_serving_endpoints", "registered_models")
# Default workload clients of a cluster.
CLIENTS: Mapping[str, object] = {"notebooks": True, "jobs": True}
_TAG_MAPS = {"pipelines": "tags", "clusters": "custom_tags", "instance_pools": "custom_tags"}
_TAG_LISTS: dict[str, Path] = {
    "models": ("tags",),
    "experiments": ("tags",),
    "sql_warehouses": ("tags", "custom_tags"),
}


def apply_presets(root: Node, presets: Node, prefix: str, pause: str) -> Node:
    """Apply prefix, tags and pauses of the presets to every kind except jobs and schemas."""
    tags = sorted((presets.get("tags") or Node({})).children.items())
    for kind, field in _NAME_FIELDS.items():
        root = _each(root, kind, partial(_prefixed, field=field, prefix=prefix))
    for kind in _NAMED_BY_IDENTIFIER:
        root = _each(root, kind, partial(_prefixed, field="name", prefix=normal_prefix(prefix)))
    root = _each(root, "experiments", lambda node: _experiment(node, prefix))
    for kind, field in _TAG_MAPS.items():
        root = _each(root, kind, partial(_tag_map, field=field, tags=tags))
    for kind, path in _TAG_LISTS.items():
        root = _each(root, kind, partial(_tag_list, path=path, tags=tags))
    if presets.is_true("pipelines_development"):
        root = _each(root, "pipelines", lambda node: node.put(("development",), Node(True)))
    if pause == "PAUSED":
        root = _each(root, "pipelines", _not_continuous)
        root = _each(root, "quality_monitors", _without_schedule)
    if pause:
        root = _each(root, "alerts", lambda node: _paused_alert(node, pause))
    return root


def set_defaults(root: Node) -> Node:
    """Set the CLI's defaults of every kind except jobs and volumes."""
    folder = root.text_at("workspace", "resource_path")
    defaults: dict[str, dict[str, object]] = {
        "dashboards": {"parent_path": folder, "embed_credentials": False},
        "genie_spaces": {"parent_path": folder},
        "alerts": {"parent_path": folder},
        "pipelines": {"edition": "ADVANCED", "channel": "CURRENT"},
        "sql_warehouses": {
            "auto_stop_mins": 120,
            "enable_photon": True,
            "max_num_clusters": 1,
            "spot_instance_policy": "COST_OPTIMIZED",
        },
        "clusters": {"autotermination_minutes": 60},
    }
    for kind, values in defaults.items():
        root = _each(root, kind, partial(defaulted, values=values))
    root = root.change(
        ("resources", "clusters", ANY_KEY, "workload_type", "clients"), lambda _, node: defaulted(node, CLIENTS)
    )
    for kind in ("dashboards", "genie_spaces"):
        root = root.change(("resources", kind, ANY_KEY, "parent_path"), lambda _, node: _in_workspace(node))
    return root


def merge_parts(root: Node) -> Node:
    """Merge clusters of pipelines by label, and resources of apps by name."""
    label: Path = ("resources", "pipelines", ANY_KEY, "clusters")
    root = root.change(label, merge_by_key("label", "default", str.lower))
    root = root.change((*label, ANY_INDEX), lambda _, cluster: defaulted(cluster, {"label": "default"}))
    return root.change(("resources", "apps", ANY_KEY, "resources"), merge_by_key("name", override=True))


def set_app_descriptions(root: Node) -> Node:
    """Set an empty description on apps without one, as the service does."""
    return _each(root, "apps", lambda node: defaulted(node, {"description": ""}))


def _each(root: Node, kind: str, change: Callable[[Node], Node]) -> Node:
    return root.change(("resources", kind, ANY_KEY), lambda _, node: change(node) if node.kind == "map" else node)


def _prefixed(node: Node, field: str, prefix: str) -> Node:
    if not prefix:
        return node
    name = node.get(field) or Node("")
    return node.put((field,), name.with_data(prefix + name.text))


def _experiment(node: Node, prefix: str) -> Node:
    """Put the prefix before the last part of an experiment's name, which is a path."""
    name = node.get("name") or Node("")
    folder, _, base = name.text.rpartition("/")
    at = "/" if not folder and name.text.startswith("/") else folder
    if not base:
        folder, base = posixpath.split(folder)
        at = folder
    text = f"{prefix}{base or '.'}" if not at else f"{at}/{prefix}{base}"
    return node.put(("name",), name.with_data(text))


def _tag_map(node: Node, field: str, tags: list[tuple[str, Node]]) -> Node:
    for key, value in tags:
        written = node.get(field, key)
        if written is None or (field == "tags" and not written.text):
            node = node.put((field, key), value)
    return node


def _tag_list(node: Node, path: Path, tags: list[tuple[str, Node]]) -> Node:
    items = (node.get(*path) or Node(())).items
    known = {item.text_at("key") for item in items}
    added = [Node({"key": Node(key), "value": value}) for key, value in tags if key not in known]
    return node.put(path, Node((*items, *added))) if added else node


def _not_continuous(node: Node) -> Node:
    return node.drop("continuous") if node.is_true("continuous") else node


def _without_schedule(node: Node) -> Node:
    return node if node.text_at("schedule", "pause_status") == "UNPAUSED" else node.drop("schedule")


def _paused_alert(node: Node, pause: str) -> Node:
    if not node.text_at("schedule", "quartz_cron_schedule") or node.text_at("schedule", "pause_status"):
        return node
    return node.put(("schedule", "pause_status"), Node(pause))


def defaulted(node: Node, values: Mapping[str, object]) -> Node:
    """Return a mapping with these values for its missing fields; other types unchanged."""
    if node.kind != "map":
        return node
    for name, value in values.items():
        if name not in node.children:
            node = node.put((name,), to_node(value))
    return node


def _in_workspace(node: Node) -> Node:
    text = node.text
    if text == "/Workspace" or text.startswith("/Workspace/"):
        return node
    return node.with_data(posixpath.normpath(posixpath.join("/Workspace", text.lstrip("/"))))
