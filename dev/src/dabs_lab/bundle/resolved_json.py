"""Read a bundle that the CLI has resolved: the output of `databricks bundle validate -o json`."""

from pathlib import Path as FilePath
from typing import Any, cast

from dabs_lab.bundle.loading import parse, read_file
from dabs_lab.bundle.problems import refuse
from dabs_lab.bundle.reader import Bundle, without_own_fields
from dabs_lab.bundle.variables import values_of
from dabs_lab.bundle.yaml_nodes import Node


def read_resolved(folder: FilePath, source: str, text: str | None = None) -> Bundle:
    """Return the bundle in a file of JSON, with the jobs that its Python code defines.

    folder: of the bundle, to which paths of local files are relative. text: the JSON itself, `source` is its name then.
    Raises BundleError for a file that is not the output of `databricks bundle validate -o json`.
    """
    root = read_file(FilePath(), source) if text is None else parse(text, source)
    if root.get("bundle", "target") is None:
        what = f"{source} has no bundle.target: it is not what the CLI prints"
        raise refuse(what, "make it with: databricks bundle validate -o json", positions=root.positions[:1])
    root = root.put(("resources",), without_own_fields(root.get("resources") or Node({})))
    left_out = ("resources", "variables")
    return Bundle(
        folder=folder.absolute(),
        name=root.text_at("bundle", "name"),
        target=root.text_at("bundle", "target"),
        mode=root.text_at("bundle", "mode"),
        resources=cast(dict[str, Any], (root.get("resources") or Node({})).plain()),
        variables=values_of(root),
        sections={name: node.plain() for name, node in root.children.items() if name not in left_out},
        warnings=[],
        recommendations=[],
        notes=[],
        unresolved=[],
        _root=root,
    )
