"""Contents of files that become part of a resource: dashboards, Genie spaces, alerts; and models that are served."""

import json
from pathlib import Path as FilePath

from dabs_lab.bundle.problems import BundleError, Path, path_text, refuse
from dabs_lab.bundle.type_checks import REFERENCE
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node, made

# What may be written next to the file of an alert; all else comes from the file.
_BESIDE_ALERT_FILE = ("warehouse_id", "display_name", "file_path", "permissions", "lifecycle")
_OF_ALERT_FILE = ("custom_summary", "schedule", "evaluation", "run_as", "run_as_user_name", "parent_path", "parameters")
_SERVED = {"model_name": "entity_name", "model_version": "entity_version"}


def read_contents(root: Node, folder: FilePath) -> Node:
    """Return the bundle with the contents of the files that its resources name.

    Raises BundleError for a file that cannot be read, and where contents are given twice.
    """

    def dashboard(_path: Path, node: Node) -> Node:
        file = node.get("file_path")
        if file is None or not file.text:
            return node
        return node.put(("serialized_dashboard",), Node(_text(folder, file, "serialized dashboard"), file.positions))

    def space(_path: Path, node: Node) -> Node:
        file, written = node.get("file_path"), node.get("serialized_space")
        if file is not None and file.text:
            if written is not None and written.kind != "nil":
                what = "both file_path and serialized_space are set; specify only one"
                raise refuse(what, "remove one", positions=written.positions[:1])
            return node.put(("serialized_space",), Node(_text(folder, file, "serialized genie space"), file.positions))
        if written is None or written.kind not in ("map", "sequence"):
            return node
        text = json.dumps(written.plain(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return node.put(("serialized_space",), written.with_data(text))

    root = root.change(("resources", "dashboards", ANY_KEY), dashboard)
    root = root.change(("resources", "genie_spaces", ANY_KEY), space)
    root = root.change(("resources", "alerts", ANY_KEY), lambda path, node: _alert(path, node, folder))
    return root.change(("resources", "model_serving_endpoints", ANY_KEY), _serving)


def _text(folder: FilePath, file: Node, words: str) -> str:
    try:
        return (folder / file.text).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"failed to read {words} from file_path {file.text}: {error}"
        raise refuse(what, "name a file of the bundle", positions=file.positions[:1]) from None


def _alert(path: Path, node: Node, folder: FilePath) -> Node:
    file = node.get("file_path")
    if file is None or not file.text:
        return node
    for name, value in node.children.items():
        if name not in _BESIDE_ALERT_FILE and value.kind != "nil":
            what = f"field {name} is not allowed in the bundle configuration."
            remedy = f"next to file_path only {', '.join(_BESIDE_ALERT_FILE)} are allowed"
            raise refuse(what, remedy, at=(*path, name), positions=value.positions[:1])
    place = (*path, "file_path")
    text = _text(folder, file, ".dbalert.json file")
    if REFERENCE.search(text):
        what = f".alert file {file.text} must not contain variable interpolations."
        raise refuse(what, "write the alert into the bundle", at=place, positions=file.positions[:1])
    try:
        read = json.loads(text)
    except ValueError as error:
        what = f"failed to parse .dbalert.json file {file.text}: {error}"
        raise refuse(what, "write JSON", at=place, positions=file.positions[:1]) from None
    found = {name: read[name] for name in _OF_ALERT_FILE if read.get(name)}
    for name, lines in (("query_text", "query_lines"), ("custom_description", "custom_description_lines")):
        if read.get(lines):
            found[name] = "".join(f"{line}\n" for line in read[lines])
    return node.with_data({**node.children, **made(found, file.positions).children})


def _serving(path: Path, node: Node) -> Node:
    """Return an endpoint with served_entities in the place of the older served_models."""
    models, entities = node.get("config", "served_models"), node.get("config", "served_entities")
    if models is None or not models.items:
        return node
    if entities is not None and entities.items:
        raise _both(path, node)
    renamed = tuple(
        one.with_data({_SERVED.get(name, name): value for name, value in one.children.items()}) for one in models.items
    )
    config = (node.get("config") or Node({})).drop("served_models").put(("served_entities",), Node(renamed))
    return node.put(("config",), config)


def _both(path: Path, node: Node) -> BundleError:
    what = "Cannot use both served_models and served_entities"
    return refuse(f"{what}: {path_text(path)}", "keep served_entities", positions=node.positions[:1])
