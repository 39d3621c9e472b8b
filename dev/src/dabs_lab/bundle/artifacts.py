"""Artifacts of a bundle: their folders, build commands and files."""

import os
from pathlib import Path as FilePath

from dabs_lab.bundle.file_paths import find_matching, is_folder
from dabs_lab.bundle.problems import Path, refuse
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node


def complete_artifacts(root: Node, folder: FilePath) -> Node:
    """Return the bundle with absolute artifact folders and file names, and the CLI's default build of wheels.

    Raises BundleError for a folder that does not exist, and for files that match nothing and have no build.
    """

    def artifact(path: Path, node: Node) -> Node:
        written = node.get("path")
        project = folder / written.text if written is not None and written.text else folder
        if written is not None and not is_folder(project):
            what = f"directory {written.text} not found"
            raise refuse(what, "name the project's folder", at=(*path, "path"), positions=written.positions[:1])
        base = FilePath(node.positions[0].file).parent if node.positions else FilePath()
        node = node.put(("path",), Node(str(project.resolve()), (written or node).positions))
        if node.text_at("type") == "whl" and node.get("files") is None:
            if not node.text_at("build"):
                node = node.put(("build",), Node("python3 setup.py bdist_wheel"))
            return node.put(("files",), Node((Node({"source": Node(str(project.resolve() / "dist" / "*.whl"))}),)))
        files: list[Node] = []
        for index, entry in enumerate((node.get("files") or Node(())).items):
            source = entry.get("source") or Node("")
            absolute = str((folder / base / source.text).resolve())
            if node.text_at("build"):
                names = [absolute]
            else:
                names = [str(folder / name) for name in find_matching(folder, os.path.relpath(absolute, folder))]
            if not names:
                at = (*path, "files", index, "source")
                what = f"{source.text}: no matching files"
                raise refuse(what, "build it first, or set `build`", at=at, positions=source.positions)
            files += [entry.put(("source",), source.with_data(name)) for name in names]
        return node if node.get("files") is None else node.put(("files",), Node(tuple(files)))

    return root.change(("artifacts", ANY_KEY), artifact)
