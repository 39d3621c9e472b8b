"""Turns paths on this machine, each relative to the file in which it stands, into those that the CLI makes of them."""

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
# Files that stay on this machine: their content becomes part of the resource.
_CONTENTS: tuple[Path, ...] = tuple(
    ("resources", kind, ANY_KEY, "file_path") for kind in ("dashboards", "genie_spaces", "alerts")
)
# Signs of a pattern in a path.
GLOB = "*?["
_PIP_FLAG = re.compile(r"(-[re]) (.*)", re.DOTALL)
_ANY_PIP_FLAG = re.compile(r"(^|\s+)--?[a-zA-Z0-9-]+(([\s|=]+)|$)")
_VERSION = r"(\d+!)?\d+(\.\d+)*([-_.]?(a|b|rc)\d+)?([-_.]?post\d+)?([-_.]?dev\d+)?(\+[a-zA-Z0-9]+([-_.][a-zA-Z0-9]+)*)?"
_PACKAGE = re.compile(rf"[a-zA-Z0-9\-_]+\s?(\[.*\])?\s?((==|!=|<=|>=|~=|>|<)\s?{_VERSION},?)*")
_SNAPSHOT = "${workspace.snapshot_path}/files"


def normalise_paths(root: Node) -> Node:
    """Paths relative to the bundle's folder instead of the file in which they stand."""
    for pattern, mode in _PATTERNS.items():

        def relative(path: Path, node: Node, mode: Mode = mode, root: Node = root) -> Node:
            if _from_git(root, path) or node.kind != "string":
                return node
            flag = _PIP_FLAG.fullmatch(node.text) if mode == "dependency" else None
            if flag and _is_local(flag[2].strip()):
                return node.with_data(f"{flag[1]} {_from_here(node, flag[2].strip())}")
            if mode == "dependency" and not _is_local_library(node.text):
                return node
            return node.with_data(_from_here(node, node.text))

        root = root.change(pattern, relative)
    for pattern in (*_CONTENTS, ("artifacts", ANY_KEY, "path")):
        root = root.change(pattern, lambda _, node: node.with_data(_from_here(node, node.text)))
    return root


def expand_pipeline_globs(root: Node, folder: FilePath) -> Node:
    """Return the bundle with one library of a pipeline for each file that its pattern matches."""

    def expanded(_path: Path, node: Node) -> Node:
        if node.kind != "sequence":
            return node
        found: list[Node] = []
        for library in node.items:
            kind = next((kind for kind in ("notebook", "file") if library.text_at(kind, "path")), None)
            text = library.text_at(kind, "path") if kind else ""
            names = sorted(matching(folder, text)) if text and not _is_elsewhere(text) else []
            for name in names:
                path = library.get(kind or "", "path") or library
                found.append(library.put((kind or "", "path"), path.with_data(name)))
            if not names:
                found.append(library)
        return node.with_data(tuple(found))

    return root.change((*_PIPELINE, "libraries"), expanded)


def matching(folder: FilePath, pattern: str) -> list[str]:
    """Return the names that match, part by part: `*` and `**` stand for one folder, as in the CLI."""
    names = [""]
    for part in pattern.split("/"):
        if part in ("", "."):
            continue
        below: list[str] = []
        for name in names:
            here = folder / name
            if part == ".." or not any(sign in part for sign in GLOB):
                below += [f"{name}{part}/"] if (here / part).exists() else []
            elif here.is_dir():
                sign = part.replace("[^", "[!")
                below += [f"{name}{one.name}/" for one in here.iterdir() if fnmatch.fnmatchcase(one.name, sign)]
        names = below
    return [name.rstrip("/") for name in names]


def translate_paths(root: Node, folder: FilePath) -> Node:
    """Files and notebooks as paths of the workspace; libraries stay here, until they are built and uploaded.

    Raises BundleError for what is not there, or a notebook where a file should be and the other way round.
    """
    up, remote = sync_level(root, folder), root.text_at("workspace", "file_path")
    if is_immutable(root):
        # The folder of the snapshot is known when the deployment has uploaded it.
        remote = _SNAPSHOT
    here = "" if folder == up else folder.relative_to(up).as_posix()

    def translated(path: Path, node: Node, mode: Mode) -> str:
        text, flag = node.text, None
        if mode == "dependency":
            flag = _PIP_FLAG.fullmatch(text)
            if flag and _is_local(flag[2].strip()):
                return f"{flag[1]} {_remote(path, node, flag[2].strip(), 'file')}"
            if not _is_local_library(text):
                return text
        return text if _is_elsewhere(text) else _remote(path, node, text, mode)

    def _remote(path: Path, node: Node, text: str, mode: Mode) -> str:
        local = posixpath.normpath(posixpath.join(here, text))
        if mode == "library":
            return local
        if mode == "dependency":
            return local if local.startswith(".") else f"./{local}"
        if local.startswith("../"):
            what = f"path {text} is not contained in sync root path"
            raise refuse(what, "name its folder in sync.paths", at=path, positions=node.positions[:1])
        _check(folder / text, text, mode, path, node)
        bare = without_extension(local) if mode == "notebook" else local
        return posixpath.normpath(posixpath.join(remote, bare))

    for pattern, mode in _PATTERNS.items():

        def one(path: Path, node: Node, mode: Mode = mode, root: Node = root) -> Node:
            if _from_git(root, path) or node.kind != "string":
                return node
            return node.with_data(translated(path, node, mode))

        root = root.change(pattern, one)
    return root


def is_immutable(root: Node) -> bool:
    """True when the files of a deployment go to a folder of their own, which never changes."""
    return root.is_true("experimental", "immutable_folder")


def sync_level(root: Node, folder: FilePath) -> FilePath:
    """The folder that is uploaded: the bundle's, or one above it when sync.paths leads there."""
    level = folder
    for _, node in root.find(("sync", "paths", ANY_INDEX)):
        path = posixpath.normpath(node.text)
        ups = path.split("/").count("..")
        above = folder.parents[ups - 1] if 0 < ups <= len(folder.parents) else folder
        level = above if len(above.parts) < len(level.parts) else level
    return level


def sync_paths(root: Node) -> Node:
    """The section sync with paths relative to the bundle's folder, and this folder where it names none."""
    for name in ("paths", "include", "exclude"):
        root = root.change(
            ("sync", name, ANY_INDEX), lambda _, node: node.with_data(posixpath.join(_folder(node), node.text))
        ).change(("sync", name, ANY_INDEX), lambda _, node: node.with_data(posixpath.normpath(node.text)))
    if root.get("sync", "paths") is None:
        root = root.put(("sync", "paths"), Node((Node("."),)))
    return root


def _check(file: FilePath, text: str, mode: Mode, path: Path, node: Node) -> None:
    def wrong(what: str, remedy: str) -> BundleError:
        return refuse(what, remedy, at=path, positions=node.positions[:1])

    if mode == "glob":
        return
    if mode == "folder":
        if not file.is_dir():
            raise wrong(f"{text} is not a directory", "name a folder")
    elif mode == "file":
        if not file.exists():
            raise wrong(f"file {text} not found", "paths are relative to the file in which they stand")
        if _is_notebook(file, wrong, "not a notebook"):
            what = f'expected a file for "{path_text(path)}" but got a notebook: file at {text} is a notebook'
            raise wrong(what, "use a notebook_task")
    elif not file.exists():
        raise wrong(f"notebook {text} not found", "paths are relative to the file in which they stand")
    elif not _is_notebook(file, wrong, "a notebook"):
        what = f'expected a notebook for "{path_text(path)}" but got a file: file at {text} is not a notebook'
        raise wrong(what, "its first line must be `# Databricks notebook source`")


def _is_notebook(file: FilePath, wrong: Callable[[str, str], BundleError], kind: str) -> bool:
    try:
        return is_notebook(file)
    except UnreadableNotebookError as error:
        raise wrong(f"unable to determine if {file} is {kind}: {error}", "name a notebook or a file") from None


def _folder(node: Node) -> str:
    return posixpath.dirname(node.positions[0].file) if node.positions else ""


def _from_here(node: Node, text: str) -> str:
    return text if _is_elsewhere(text) else posixpath.normpath(posixpath.join(_folder(node), text))


def _scheme(text: str) -> str:
    try:
        return urlsplit(text).scheme
    except ValueError:
        return ""


def _is_elsewhere(text: str) -> bool:
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
