"""Insert the content of files into dashboards, Genie spaces and alerts; rename old fields of served models."""

import json
from pathlib import Path as FilePath

from dabs_lab.bundle.problems import Path, path_text, refuse
from dabs_lab.bundle.type_checks import REFERENCE
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node, to_node

# Fields that an alert may set next to file_path.
_WITH_ALERT_FILE = ("warehouse_id", "display_name", "file_path", "permissions", "lifecycle")
_ALERT_FIELDS = ("custom_summary", "schedule", "evaluation", "run_as", "run_as_user_name", "parent_path", "parameters")
_SERVED = {"model_name": "entity_name", "model_version": "entity_version"}


def read_contents(root: Node, folder: FilePath) -> Node:
    """Return the bundle with the content of each `file_path` in its resource.

    Raises BundleError for a file that cannot be read, and for a resource that also sets the content itself.
    """

    def dashboard(_path: Path, node: Node) -> Node:
        file = node.get("file_path")
        if file is None or not file.text:
            return node
        return node.put(("serialized_dashboard",), Node(_read(folder, file, "serialized dashboard"), file.positions))

    def space(_path: Path, node: Node) -> Node:
        file, written = node.get("file_path"), node.get("serialized_space")
        if file is not None and file.text:
            if written is not None and written.kind != "nil":
                what = "both file_path and serialized_space are set; specify only one"
                raise refuse(what, "remove one", positions=written.positions[:1])
            return node.put(("serialized_space",), Node(_read(folder, file, "serialized genie space"), file.positions))
        if written is None or written.kind not in ("map", "sequence"):
            return node
        text = json.dumps(written.plain(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return node.put(("serialized_space",), written.with_data(text))

    root = root.change(("resources", "dashboards", ANY_KEY), dashboard)
    root = root.change(("resources", "genie_spaces", ANY_KEY), space)
    root = root.change(("resources", "alerts", ANY_KEY), lambda path, node: _alert(path, node, folder))
    return root.change(("resources", "model_serving_endpoints", ANY_KEY), _serving)


def _read(folder: FilePath, file: Node, words: str) -> str:
    try:
        return (folder / file.text).read_text("utf-8")
    except (OSError, ValueError) as error:
        what = f"failed to read {words} from file_path {file.text}: {error}"
        raise refuse(what, "name a file of the bundle", positions=file.positions[:1]) from None


def _alert(path: Path, node: Node, folder: FilePath) -> Node:
    file = node.get("file_path")
    if file is None or not file.text:
        return node
    for name, value in node.children.items():
        if name not in _WITH_ALERT_FILE and value.kind != "nil":
            what = f"field {name} is not allowed in the bundle configuration."
            remedy = f"next to file_path only {', '.join(_WITH_ALERT_FILE)} are allowed"
            raise refuse(what, remedy, at=(*path, name), positions=value.positions[:1])
    at = (*path, "file_path")
    text = _read(folder, file, ".dbalert.json file")
    if REFERENCE.search(text):
        what = f".alert file {file.text} must not contain variable interpolations."
        raise refuse(what, "define the alert in the bundle", at=at, positions=file.positions[:1])
    try:
        alert = json.loads(text)
    except ValueError as error:
        what = f"failed to parse .dbalert.json file {file.text}: {error}"
        raise refuse(what, "write JSON", at=at, positions=file.positions[:1]) from None
    found = {name: alert[name] for name in _ALERT_FIELDS if alert.get(name)}
    for name, lines in (("query_text", "query_lines"), ("custom_description", "custom_description_lines")):
        if alert.get(lines):
            found[name] = "".join(f"{line}\n" for line in alert[lines])
    return node.with_data({**node.children, **to_node(found, file.positions).children})


def _serving(path: Path, node: Node) -> Node:
    """Rename the deprecated served_models of an endpoint to served_entities."""
    models, entities = node.get("config", "served_models"), node.get("config", "served_entities")
    if models is None or not models.items:
        return node
    if entities is not None and entities.items:
        what = f"Cannot use both served_models and served_entities: {path_text(path)}"
        raise refuse(what, "keep served_entities", positions=node.positions[:1])
    renamed = tuple(
        model.with_data({_SERVED.get(name, name): value for name, value in model.children.items()})
        for model in models.items
    )
    config = (node.get("config") or Node({})).drop("served_models").put(("served_entities",), Node(renamed))
    return node.put(("config",), config)
