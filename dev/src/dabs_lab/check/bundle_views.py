"""Load the views of a bundle for its targets, without a workspace and without values that only a deployment has."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

from dabs_lab.bundle import Bundle, BundleError, Position, load_bundle
from dabs_lab.bundle.bundle_files import ROOT_FILES, choose_target, included_files, read_files
from dabs_lab.bundle.loading import read_file
from dabs_lab.bundle.problems import Problem, refuse
from dabs_lab.bundle.resolved_json import read_resolved
from dabs_lab.bundle.variables import PREFIX, unset_variables
from dabs_lab.bundle.yaml_nodes import Node
from dabs_lab.check.deployer import PRINCIPAL, USER
from dabs_lab.check.file_texts import FileTexts
from dabs_lab.check.settings import SETTINGS_FILE, load_settings
from dabs_lab.check.views import TargetView
from dabs_lab.errors import ConfigurationError

LARGEST_FILE = 1_000_000
_PYTHON = (("python",), ("experimental", "python"), ("experimental", "pydabs"))


@dataclass(frozen=True)
class LoadedBundle:
    """Views of the checked targets, the files they come from, and what could not be seen."""

    targets: tuple[TargetView, ...]
    files: tuple[str, ...]
    texts: FileTexts
    # All targets of the bundle are checked.
    complete: bool
    notes: tuple[Problem, ...]


def load_views(folder: FilePath, target: str | None, every: bool, variables: Mapping[str, str]) -> LoadedBundle:
    """Return the views of one target (None: the default) or of every target.

    A variable without a value gets the text `<name>`. Raises BundleError for a bundle that cannot be read, and for a
    file over 1 MB.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: is not a folder: name the folder of databricks.yml")
    _refuse_large_files(folder)
    settings, texts = load_settings(folder), FileTexts(folder)
    written = _read(folder)
    names = list((written.get("targets") or Node({})).children)
    chosen = names if every and names else [choose_target(written, target)[1]]
    views: list[TargetView] = []
    notes: dict[str, Problem] = {}
    missing: dict[str, None] = {}
    for name in chosen:
        given = {**{PREFIX + key: "" for key in variables}, **os.environ}
        unset = unset_variables(written, folder, name, given)
        placeholders = {f"{PREFIX}{key}": f"<{key}>" for key in unset}
        environment = {**placeholders, **os.environ}
        user = PRINCIPAL if written.text_at("targets", name, "mode") == "production" else USER
        try:
            bundle = load_bundle(folder, name, variables=variables, environment=environment, user=user, any_host=True)
        except BundleError as error:
            if len(chosen) == 1:
                raise
            raise BundleError([replace(one, remedy=_in_target(one.remedy, name)) for one in error.problems]) from None
        missing |= dict.fromkeys([*unset, *unset_variables(written, folder, name, given, complex=True)])
        tree = bundle.tree
        for note in _python_notes(tree):
            notes.setdefault(note.summary, note)
        views.append(TargetView(name, bundle.mode, tree, written, folder, texts, settings))
    if missing:
        what = f"variables without a value, read as <name>: {', '.join(missing)}; give values with --var"
        notes.setdefault(what, Problem(what, "variables"))
    files = _files(folder, written)
    return LoadedBundle(tuple(views), files, texts, set(names) <= set(chosen), tuple(notes.values()))


def load_resolved(folder: FilePath, source: str) -> LoadedBundle:
    """Return the view of a bundle that the CLI has resolved; `-` is standard input. Raises BundleError."""
    if source == "-":
        bundle = read_resolved(folder, "standard input", sys.stdin.read())
    else:
        if FilePath(source).is_file():
            _refuse_large(FilePath(source).stat().st_size, source)
        bundle = read_resolved(folder, source)
    return views_of(bundle)


def views_of(bundle: Bundle) -> LoadedBundle:
    """Return the view of a bundle that is already read. Raises BundleError for a wrong dabs-lab.yml."""
    folder, tree = bundle.folder, bundle.tree
    texts = FileTexts(folder)
    settings = load_settings(folder) if folder.is_dir() else load_settings(FilePath())
    written = tree if bundle.from_json else _read(folder)
    view = TargetView(bundle.target, bundle.mode, tree, written, folder, texts, settings, resolved=bundle.from_json)
    return LoadedBundle((view,), () if bundle.from_json else _files(folder, written), texts, False, ())


def _files(folder: FilePath, written: Node) -> tuple[str, ...]:
    """Return the files of a bundle: its root file and the included ones."""
    included = (node.text for node in (written.get("include") or Node(())).items)
    return (*(name for name in ROOT_FILES if (folder / name).is_file()), *included)


def _read(folder: FilePath) -> Node:
    """Return all files merged. Raises BundleError."""
    try:
        return read_files(folder, lambda _: None, lambda _: None)
    except RecursionError:
        raise refuse("the bundle is nested too deeply, or contains itself", "reduce the nesting") from None


def _in_target(remedy: str, target: str) -> str:
    return f"{remedy} (target {target})".lstrip()


def _refuse_large_files(folder: FilePath) -> None:
    settings = folder / SETTINGS_FILE
    if settings.is_file():
        _refuse_large(settings.stat().st_size, SETTINGS_FILE)
    for name in ROOT_FILES:
        file = folder / name
        if not file.is_file():
            continue
        _refuse_large(file.stat().st_size, name)
        include = read_file(folder, name).get("include") or Node(())
        for included in included_files(folder, include):
            path = folder / included
            _refuse_large(path.stat().st_size if path.is_file() else 0, included)


def _refuse_large(size: int, name: str) -> None:
    if size > LARGEST_FILE:
        what = f"{name} has {size:,} bytes, more than the limit of {LARGEST_FILE:,}"
        raise BundleError([Problem(what, positions=(Position(name, 1, 1),), remedy="split it, or do not include it")])


def _python_notes(root: Node) -> Sequence[Problem]:
    """Return a note for each section that defines resources in Python, with the names of its functions."""
    notes = []
    for path in _PYTHON:
        node = root.get(*path) or Node({})
        names = [item.text for section in node.children.values() for item in section.items if item.text]
        if names or any(value.data is True for value in node.children.values()):
            what = f"not seen: resources defined in Python ({', '.join(names) or 'pydabs'})"
            how = "databricks bundle validate -o json | dabs-lab check --resolved -"
            notes.append(Problem(f"{what}; check them with: {how}", ".".join(path), node.positions[:1]))
    return notes
