"""Translate local paths, relative to the YAML file that contains them, to the workspace paths of the CLI."""

import fnmatch
import posixpath
import re
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Literal
from urllib.parse import urlsplit

from dabs_lab.bundle.notebooks import UnreadableNotebookError, is_notebook, without_extension
from dabs_lab.bundle.problems import BundleError, Path, path_text, refuse
from dabs_lab.bundle.yaml_nodes import ANY_INDEX, ANY_KEY, Node

Mode = Literal["file", "notebook", "folder", "glob", "library", "dependency"]
_TASK: dict[Path, Mode] = {
    ("notebook_task", "notebook_path"): "notebook",
    ("spark_python_task", "python_file"): "file",
    ("dbt_task", "project_directory"): "folder",
    ("sql_task", "file", "path"): "file",
    ("alert_task", "workspace_path"): "file",
    ("libraries", ANY_INDEX, "requirements"): "file",
    ("ai_runtime_task", "deployments", ANY_INDEX, "command_path"): "file",
    ("libraries", ANY_INDEX, "whl"): "library",
    ("libraries", ANY_INDEX, "jar"): "library",
}
_JOB: Path = ("resources", "jobs", ANY_KEY)
_PIPELINE: Path = ("resources", "pipelines", ANY_KEY)
_PATTERNS: dict[Path, Mode] = {
    **{(*_JOB, "tasks", ANY_INDEX, *path): mode for path, mode in _TASK.items()},
    **{(*_JOB, "tasks", ANY_INDEX, "for_each_task", "task", *path): mode for path, mode in _TASK.items()},
    (*_JOB, "environments", ANY_INDEX, "spec", "dependencies", ANY_INDEX): "dependency",
    (*_PIPELINE, "libraries", ANY_INDEX, "notebook", "path"): "notebook",
    (*_PIPELINE, "libraries", ANY_INDEX, "file", "path"): "file",
    (*_PIPELINE, "libraries", ANY_INDEX, "glob", "include"): "glob",
    (*_PIPELINE, "root_path"): "folder",
    (*_PIPELINE, "environment", "dependencies", ANY_INDEX): "dependency",
    ("resources", "apps", ANY_KEY, "source_code_path"): "folder",
}
# Files whose content becomes part of the resource; they are not uploaded.
_CONTENTS: tuple[Path, ...] = tuple(
    ("resources", kind, ANY_KEY, "file_path") for kind in ("dashboards", "genie_spaces", "alerts")
)
# Characters that make a path a pattern.
GLOB = "*?["
_PIP_FLAG = re.compile(r"(-[re]) (.*)", re.DOTALL)
_ANY_PIP_FLAG = re.compile(r"(^|\s+)--?[a-zA-Z0-9-]+(([\s|=]+)|$)")
_VERSION = r"(\d+!)?\d+(\.\d+)*([-_.]?(a|b|rc)\d+)?([-_.]?post\d+)?([-_.]?dev\d+)?(\+[a-zA-Z0-9]+([-_.][a-zA-Z0-9]+)*)?"
_PACKAGE = re.compile(rf"[a-zA-Z0-9\-_]+\s?(\[.*\])?\s?((==|!=|<=|>=|~=|>|<)\s?{_VERSION},?)*")
_SNAPSHOT = "${workspace.snapshot_path}/files"


def normalise_paths(root: Node) -> Node:
    """Return the bundle with paths relative to its folder instead of to the YAML file that contains them."""
    for pattern, mode in _PATTERNS.items():

        def relative(path: Path, node: Node, mode: Mode = mode, root: Node = root) -> Node:
            if _from_git(root, path) or node.kind != "string":
                return node
            flag = _PIP_FLAG.fullmatch(node.text) if mode == "dependency" else None
            if flag and _is_local(flag[2].strip()):
                return node.with_data(f"{flag[1]} {_local_path(node, flag[2].strip())}")
            if mode == "dependency" and not _is_local_library(node.text):
                return node
            return node.with_data(_local_path(node, node.text))

        root = root.change(pattern, relative)
    for pattern in (*_CONTENTS, ("artifacts", ANY_KEY, "path")):
        root = root.change(pattern, lambda _, node: node.with_data(_local_path(node, node.text)))
    return root


def expand_pipeline_globs(root: Node, folder: FilePath) -> Node:
    """Replace pipeline libraries that have a pattern by one library per matching file."""

    def expand(_path: Path, node: Node) -> Node:
        if node.kind != "sequence":
            return node
        found: list[Node] = []
        for library in node.items:
            kind = next((kind for kind in ("notebook", "file") if library.text_at(kind, "path")), None)
            text = library.text_at(kind, "path") if kind else ""
            names = sorted(find_matching(folder, text)) if text and not _is_remote(text) else []
            for name in names:
                path = library.get(kind or "", "path") or library
                found.append(library.put((kind or "", "path"), path.with_data(name)))
            if not names:
                found.append(library)
        return node.with_data(tuple(found))

    return root.change((*_PIPELINE, "libraries"), expand)


def exists(file: FilePath) -> bool:
    """Return whether a file exists; False for a name that no file can have, such as one that is too long."""
    try:
        return file.exists()
    except (OSError, ValueError):
        return False


def is_folder(file: FilePath) -> bool:
    """Return whether a folder exists; False for a name that no folder can have."""
    return exists(file) and file.is_dir()


def find_matching(folder: FilePath, pattern: str) -> list[str]:
    """Return the matching names. As in the CLI, `**` matches one folder, like `*`."""
    names = [""]
    for part in pattern.split("/"):
        if part in ("", "."):
            continue
        below: list[str] = []
        for name in names:
            here = folder / name
            if part == ".." or not any(character in part for character in GLOB):
                below += [f"{name}{part}/"] if exists(here / part) else []
            elif is_folder(here):
                glob = part.replace("[^", "[!")
                below += [f"{name}{file.name}/" for file in here.iterdir() if fnmatch.fnmatchcase(file.name, glob)]
        names = below
    return [name.rstrip("/") for name in names]


def translate_paths(root: Node, folder: FilePath) -> Node:
    """Return the bundle with workspace paths of files and notebooks; libraries keep local paths until the upload.

    Raises BundleError for a missing file, and for a notebook in the place of a file or the reverse.
    """
    level, remote = sync_level(root, folder), root.text_at("workspace", "file_path")
    if is_immutable(root):
        # The deployment sets the snapshot's path after the upload.
        remote = _SNAPSHOT
    here = "" if folder == level else folder.relative_to(level).as_posix()

    def translate(path: Path, node: Node, mode: Mode) -> str:
        text, flag = node.text, None
        if mode == "dependency":
            flag = _PIP_FLAG.fullmatch(text)
            if flag and _is_local(flag[2].strip()):
                return f"{flag[1]} {to_remote(path, node, flag[2].strip(), 'file')}"
            if not _is_local_library(text):
                return text
        return text if _is_remote(text) else to_remote(path, node, text, mode)

    def to_remote(path: Path, node: Node, text: str, mode: Mode) -> str:
        local = posixpath.normpath(posixpath.join(here, text))
        if mode == "library":
            return local
        if mode == "dependency":
            return local if local.startswith(".") else f"./{local}"
        if local.startswith("../"):
            what = f"path {text} is not contained in sync root path"
            raise refuse(what, "add its folder to sync.paths", at=path, positions=node.positions[:1])
        _check(folder / text, text, mode, path, node)
        bare = without_extension(local) if mode == "notebook" else local
        return posixpath.normpath(posixpath.join(remote, bare))

    for pattern, mode in _PATTERNS.items():

        def change(path: Path, node: Node, mode: Mode = mode, root: Node = root) -> Node:
            if _from_git(root, path) or node.kind != "string":
                return node
            return node.with_data(translate(path, node, mode))

        root = root.change(pattern, change)
    return root


def is_immutable(root: Node) -> bool:
    """Return whether each deployment uploads its files to a new folder that never changes."""
    return root.is_true("experimental", "immutable_folder")


def sync_level(root: Node, folder: FilePath) -> FilePath:
    """Return the folder that is uploaded: the bundle's, or a parent of it that sync.paths needs."""
    level = folder
    for _, node in root.find(("sync", "paths", ANY_INDEX)):
        path = posixpath.normpath(node.text)
        ups = path.split("/").count("..")
        above = folder.parents[ups - 1] if 0 < ups <= len(folder.parents) else folder
        level = above if len(above.parts) < len(level.parts) else level
    return level


def sync_paths(root: Node) -> Node:
    """Return the bundle with sync paths relative to its folder; the default of sync.paths is this folder."""
    for name in ("paths", "include", "exclude"):
        root = root.change(("sync", name, ANY_INDEX), lambda _, node: node.with_data(_from_folder(node, node.text)))
    if root.get("sync", "paths") is None:
        root = root.put(("sync", "paths"), Node((Node("."),)))
    return root


def _check(file: FilePath, text: str, mode: Mode, path: Path, node: Node) -> None:
    def wrong(what: str, remedy: str) -> BundleError:
        return refuse(what, remedy, at=path, positions=node.positions[:1])

    if mode == "glob":
        return
    if mode == "folder":
        if not is_folder(file):
            raise wrong(f"{text} is not a directory", "name a folder")
    elif mode == "file":
        if not exists(file):
            raise wrong(f"file {text} not found", "paths are relative to the YAML file that contains them")
        if _is_notebook(file, wrong, "not a notebook"):
            what = f'expected a file for "{path_text(path)}" but got a notebook: file at {text} is a notebook'
            raise wrong(what, "use a notebook_task")
    elif not exists(file):
        raise wrong(f"notebook {text} not found", "paths are relative to the YAML file that contains them")
    elif not _is_notebook(file, wrong, "a notebook"):
        what = f'expected a notebook for "{path_text(path)}" but got a file: file at {text} is not a notebook'
        raise wrong(what, "its first line must be `# Databricks notebook source`")


def _is_notebook(file: FilePath, wrong: Callable[[str, str], BundleError], kind: str) -> bool:
    try:
        return is_notebook(file)
    except UnreadableNotebookError as error:
        raise wrong(f"unable to determine if {file} is {kind}: {error}", "name a notebook or a file") from None


def _from_folder(node: Node, text: str) -> str:
    """Return a path, relative to the file of a node, as one relative to the bundle's folder."""
    file = node.positions[0].file if node.positions else ""
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), text))


def _local_path(node: Node, text: str) -> str:
    return text if _is_remote(text) else _from_folder(node, text)


def _scheme(text: str) -> str:
    try:
        return urlsplit(text).scheme
    except ValueError:
        return ""


def _is_remote(text: str) -> bool:
    return text.startswith("/") or bool(_scheme(text))


def _is_local(text: str) -> bool:
    bare, scheme = text.strip("\"'"), _scheme(text.strip("\"'"))
    return not bare.startswith(("file://", "/")) and not (scheme not in ("", "file") and f"{scheme}:/" in bare)


def _is_local_library(text: str) -> bool:
    if text.startswith("."):
        return True
    if not text or _ANY_PIP_FLAG.search(text) or _PACKAGE.fullmatch(text):
        return False
    name, separator, address = text.partition(" @ ")
    if separator and _PACKAGE.fullmatch(name) and not _is_local(address):
        return False
    return _is_local(text)


def _from_git(root: Node, path: Path) -> bool:
    return root.get(*path[:3], "git_source") is not None
