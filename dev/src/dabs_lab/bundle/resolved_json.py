"""Read the output of `databricks bundle validate -o json`."""

from dataclasses import replace
from pathlib import Path as FilePath

from dabs_lab.bundle.bundle_checks import check_resources
from dabs_lab.bundle.loading import parse, read_file
from dabs_lab.bundle.problems import refuse
from dabs_lab.bundle.reader import Bundle, bundle_of, without_managed_fields
from dabs_lab.bundle.yaml_nodes import Node


def read_resolved(folder: FilePath, source: str, text: str | None = None) -> Bundle:
    """Return the bundle in a JSON file, including jobs that Python code defines.

    folder: folder of the bundle; local paths are relative to it. source: file. text: JSON to read instead of the file.
    Raises BundleError for a file that is not the output of `databricks bundle validate -o json`.
    """
    root = read_file(FilePath(), source) if text is None else parse(text, source)
    if root.get("bundle", "target") is None:
        what = f"{source} has no bundle.target: it is not the output of the CLI"
        raise refuse(what, "create it with: databricks bundle validate -o json", positions=root.positions[:1])
    check_resources(root)
    root = root.put(("resources",), without_managed_fields(root.get_filled("resources") or Node({})))
    return replace(bundle_of(root, folder.absolute()), from_json=True)
