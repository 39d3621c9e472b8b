"""Read branch, commit and origin of a bundle's repository from its git folder."""

import re
from pathlib import Path as FilePath

from dabs_lab.bundle.yaml_nodes import Node

_ORIGIN = re.compile(r'\[remote "origin"\][^\[]*?^\s*url\s*=\s*(.+?)\s*$', re.MULTILINE | re.DOTALL)


def set_git(root: Node, folder: FilePath) -> Node:
    """Return the bundle with the missing fields of `bundle.git`."""
    found = _details(folder)
    git = root.get("bundle", "git") or Node({})
    git = git if git.kind == "map" else Node({})
    for name, value in found.items():
        written = git.get(name)
        if value and (written is None or not written.text):
            git = git.put((name,), Node(value))
    return root.put(("bundle", "git"), git) if git.children else root


def _details(folder: FilePath) -> dict[str, str]:
    """Return branch, commit, origin_url and bundle_root_path; unknown ones are empty texts."""
    top = next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), None)
    if top is None:
        return {"bundle_root_path": "."}
    path = folder.relative_to(top).as_posix()
    directory, common = _directories(top / ".git")
    head = _read(directory / "HEAD")
    branch = head.removeprefix("ref: refs/heads/") if head.startswith("ref: refs/heads/") else ""
    commit = _commit(head.removeprefix("ref: "), directory, common) if head.startswith("ref: ") else head
    origin = _ORIGIN.search(_read(common / "config"))
    return {
        "actual_branch": branch,
        "branch": branch,
        "commit": commit,
        "origin_url": origin[1].strip('"') if origin else "",
        "bundle_root_path": path,
    }


def _directories(git: FilePath) -> tuple[FilePath, FilePath]:
    """Return the git folder of this work tree, and the git folder that all work trees share."""
    if git.is_dir():
        return git, git
    directory = (git.parent / _read(git).removeprefix("gitdir:").strip()).resolve()
    common = _read(directory / "commondir")
    return directory, (directory / common).resolve() if common else directory


def _commit(reference: str, directory: FilePath, common: FilePath) -> str:
    for git in (directory, common):
        commit = _read(git / reference)
        if commit:
            return commit
    packed = re.search(rf"^([0-9a-f]{{40}}) {re.escape(reference)}$", _read(common / "packed-refs"), re.MULTILINE)
    return packed[1] if packed else ""


def _read(file: FilePath) -> str:
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
