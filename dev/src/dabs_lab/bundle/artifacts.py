"""Artifacts of a bundle: their folders, build commands and files."""

import os
from pathlib import Path as FilePath

from dabs_lab.bundle.file_paths import matching
from dabs_lab.bundle.problems import BundleError, Path, refuse
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node


def _no_match(source: str, path: Path, node: Node) -> BundleError:
    return refuse(f"{source}: no matching files", "build it first, or give a build", at=path, positions=node.positions)


def finish_artifacts(root: Node, folder: FilePath) -> Node:
    """Artifacts with absolute folders, and a wheel with the command and the files that the CLI takes by default.

    Raises BundleError for a folder that is not there.
    """

    def artifact(path: Path, node: Node) -> Node:
        written = node.get("path")
        place = folder / written.text if written is not None and written.text else folder
        if written is not None and not place.is_dir():
            what = f"directory {written.text} not found"
            raise refuse(what, "name the project's folder", at=(*path, "path"), positions=written.positions[:1])
        base = FilePath(node.positions[0].file).parent if node.positions else FilePath()
        node = node.put(("path",), Node(str(place.resolve()), (written or node).positions))
        if node.text_at("type") == "whl" and node.get("files") is None:
            if not node.text_at("build"):
                node = node.put(("build",), Node("python3 setup.py bdist_wheel"))
            return node.put(("files",), Node((Node({"source": Node(str(place.resolve() / "dist" / "*.whl"))}),)))
        files: list[Node] = []
        for at, one in enumerate((node.get("files") or Node(())).items):
            source = one.get("source") or Node("")
            whole = str((folder / base / source.text).resolve())
            if node.text_at("build"):
                files.append(one.put(("source",), source.with_data(whole)))
                continue
            names = [str(folder / name) for name in matching(folder, os.path.relpath(whole, folder))]
            if not names:
                raise _no_match(source.text, (*path, "files", at, "source"), source)
            files += [one.put(("source",), source.with_data(name)) for name in names]
        return node if node.get("files") is None else node.put(("files",), Node(tuple(files)))

    return root.change(("artifacts", ANY_KEY), artifact)
