"""Reads a Databricks Asset Bundle as `databricks bundle validate -o json` does, without the CLI and a workspace."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any, cast

from databricks.bundles.jobs import Job

from dabs_lab.bundle import bundle_checks as checks
from dabs_lab.bundle import file_paths as paths
from dabs_lab.bundle import modes
from dabs_lab.bundle import resource_defaults as finishing
from dabs_lab.bundle import resource_kinds as kinds
from dabs_lab.bundle import workspace_paths as workspace
from dabs_lab.bundle.artifacts import finish_artifacts
from dabs_lab.bundle.bundle_files import choose_target, read_files
from dabs_lab.bundle.file_contents import read_contents
from dabs_lab.bundle.git_details import set_git
from dabs_lab.bundle.job_models import job_models
from dabs_lab.bundle.merging import merge_grants, merge_job_parts, merge_target
from dabs_lab.bundle.permissions import set_permissions
from dabs_lab.bundle.problems import BundleError, Path, Position, Problem, path_text, refuse
from dabs_lab.bundle.references import resolve, resolve_volume_paths, unresolved
from dabs_lab.bundle.reserved_fields import check_required, check_reserved
from dabs_lab.bundle.root_schema import ROOT
from dabs_lab.bundle.type_checks import Warn, missing, settled, without_empty_texts, wrong_values
from dabs_lab.bundle.variables import set_flags, set_variables, values_of
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node, without_nulls

_NOTHING: Mapping[str, str] = MappingProxyType({})
_OWN_PATHS = "resources"


@dataclass(frozen=True)
class Bundle:
    """A bundle for one target: everything resolved, merged and renamed as the CLI would deploy it."""

    folder: FilePath
    name: str
    target: str
    # development, production, or an empty text.
    mode: str
    # By kind and key, as the CLI prints them, without what it adds to say that it manages them.
    resources: dict[str, Any]
    variables: dict[str, Any]
    # Every other section that is there: bundle, workspace, artifacts, sync, run_as, permissions, presets, …
    sections: dict[str, Any]
    warnings: list[Problem]
    recommendations: list[Problem]
    # Remarks of this reader on what the CLI passes over without a word, or runs and this reader does not.
    notes: list[Problem]
    # Values of resources that only a workspace knows, such as the id of the user or a variable that is looked up.
    unresolved: list[Problem]
    _root: Node = field(repr=False, compare=False)
    # What `load_bundle` was given, to read the same files again.
    _given: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def read_again(
        self, *, target: str | None = None, user: str | None = None, more: Mapping[str, str] = _NOTHING
    ) -> "Bundle":
        """Read the same folder with the same values, for another target or another user.

        `more`: values for further variables, which come after those that were given. Raises BundleError.
        """
        given = dict(self._given)
        given["variables"] = {**more, **given.get("variables", {})}
        if user is not None:
            given["user"] = user
        return load_bundle(self.folder, target or self.target, **given)

    def variable_position(self, path: Path) -> Position:
        """Return the place where a variable's value was written, such as ("live", "single_task").

        Falls back to the nearest value around it.
        """
        given = self._root.get("variables", path[0], "value", *path[1:])
        if given is not None and not given.positions:
            # JSON has no positions here.
            return Position(f".databricks/bundle/{self.target}/variable-overrides.json", 1, 1)
        for end in range(len(path), 0, -1):
            for source in ("value", "default"):
                node = self._root.get("variables", path[0], source, *path[1:end])
                if node is not None and node.positions:
                    return node.positions[0]
        return (self._root.get("variables") or self._root).positions[0]

    @cached_property
    def written(self) -> dict[str, Any]:
        """The resources without fields that are null: what a reader of them wants who asks for fields by name."""
        return cast(dict[str, Any], without_nulls(self.resources))

    @cached_property
    def jobs(self) -> dict[str, Job]:
        """The jobs as models. Raises BundleError, with file and line, for what the models do not take."""
        return job_models(self._root)

    def position(self, path: Path) -> Position:
        """Where a value of `resources` was written, such as ("jobs", "j", "tasks", 0, "max_retries").

        For a value that came by a reference this is where the reference stands; for one that nobody wrote, such as a
        default, where the nearest thing around it stands. Raises KeyError for a path that leads nowhere.
        """
        if self._root.get(_OWN_PATHS, *path) is None:
            raise KeyError(path)
        for end in range(len(path), -1, -1):
            node = self._root.get(_OWN_PATHS, *path[:end])
            if node is not None and node.positions:
                return node.positions[0]
        return (self._root.get("bundle") or self._root).positions[0]


def load_bundle(
    folder: FilePath,
    target: str | None = None,
    *,
    variables: Mapping[str, str] = _NOTHING,
    environment: Mapping[str, str] | None = None,
    user: str = "tester@databricks.com",
    strict: bool = False,
) -> Bundle:
    """Read the bundle in a folder for a target (without one: the default, or the only one).

    `variables` are those of `--var`; `environment` is where `BUNDLE_VAR_…` is looked up (None: this process's);
    `user` is who would deploy. With `strict` every warning is an error, as for `validate --strict`.
    Raises BundleError for whatever the CLI refuses, and for whatever is not read here.
    """
    try:
        found = _load(folder.absolute(), target, variables, environment, user, strict)
        return replace(found, _given={"variables": variables, "environment": environment, "user": user})
    except RecursionError:
        raise refuse("is nested too deeply, or leads back to itself", "make it flatter") from None


def _load(
    folder: FilePath,
    target: str | None,
    variables: Mapping[str, str],
    environment: Mapping[str, str] | None,
    user: str,
    strict: bool,
) -> Bundle:
    environment = os.environ if environment is None else environment
    warnings: list[Problem] = []
    recommendations: list[Problem] = []
    notes: list[Problem] = []
    root, chosen, target_root = _chosen(folder, target, environment, warnings.append, notes.append)
    notes += _python_notes(root)
    root = set_flags(root, variables)
    checks.check_settings(root, warnings.append)
    root = set_git(paths.sync_paths(root), folder)
    root = workspace.set_workspace(root, user)
    root = workspace.rewrite_prefixes(root, warnings.append)
    root = set_variables(root, folder, chosen, environment)
    root = resolve(root, warnings.append, resources=False)
    workspace.check_folders(root)
    root = modes.set_presets(root)
    written = {path[1:] for path, _ in root.find(("resources", ANY_KEY, ANY_KEY))}
    root = paths.normalise_paths(resolve(root, warnings.append, resources=True))
    later, root = _by_reference(root, written)
    root = read_contents(paths.expand_pipeline_globs(root, folder), folder)
    root = _resources(root, user, environment.get("DATABRICKS_CLUSTER_ID", ""), warnings.append)
    for path, node in later:
        root = root.put(("resources", *path), node)
    checks.check_grants(root)
    check_required(root)
    warnings += missing(root, ROOT) + wrong_values(root, ROOT)
    checks.check_references(root)
    check_reserved(root)
    recommendations += workspace.permissions_advice(root, user)
    root = finish_artifacts(paths.translate_paths(root, folder), folder)
    recommendations += modes.check_mode(root, target_root, user)
    workspace.check_shared_root(root, warnings.append)
    checks.check_runtimes(root)
    checks.check_tasks(root, warnings.append)
    checks.check_sync(root, folder, warnings.append)
    if strict and (warnings or notes):
        raise BundleError([*warnings, *notes])
    return _bundle(root, folder, chosen, warnings, recommendations, notes)


def _chosen(
    folder: FilePath, target: str | None, environment: Mapping[str, str], warn: Warn, note: Warn
) -> tuple[Node, str, Node | None]:
    """The bundle merged for a target, the target's name, and the root path that it wrote itself."""
    named = target or environment.get("DATABRICKS_BUNDLE_TARGET") or environment.get("DATABRICKS_BUNDLE_ENV")
    root, name = choose_target(read_files(folder, warn, note), named)
    target_root = root.get("targets", name, "workspace", "root_path")
    root = merge_target(root, name)
    bundle = root.get("bundle") or Node({})
    root = root.put(("bundle",), bundle.put(("target",), Node(name)).put(("environment",), Node(name)))
    return root, name, target_root


def _resources(root: Node, user: str, cluster: str, warn: Warn) -> Node:
    """Resources merged by key, mended, renamed and filled, in the CLI's order."""
    checks.check_single_nodes(root, warn)
    root = merge_grants(kinds.merge_parts(merge_job_parts(root)))
    root = finishing.complete_clusters(finishing.link_catalog_objects(root))
    root = finishing.override_compute(finishing.set_run_as(root, user, warn), cluster, warn)
    root = modes.set_defaults(modes.apply_presets(root))
    root = set_permissions(root, user, warn)
    root = resolve_volume_paths(finishing.set_volume_paths(root))
    return kinds.described_apps(settled(without_empty_texts(root, ROOT), ROOT))


def _by_reference(root: Node, written: set[Path]) -> tuple[list[tuple[Path, Node]], Node]:
    """Return the resources that came by a reference to a whole section, and the bundle without them.

    The CLI sets no defaults and no presets on these.
    """
    later = [(path[1:], node) for path, node in root.find(("resources", ANY_KEY, ANY_KEY)) if path[1:] not in written]
    for path, _ in later:
        kind = root.get("resources", *path[:1]) or Node({})
        root = root.put(("resources", *path[:1]), kind.drop(str(path[1])))
    return later, root


def without_own_fields(resources: Node) -> Node:
    """Return the resources without the fields that the CLI overwrites to say that it manages them."""
    resources = resources.change(("jobs", ANY_KEY), lambda _, node: node.drop("deployment", "edit_mode", "format"))
    return resources.change(("pipelines", ANY_KEY), lambda _, node: node.drop("deployment"))


def _python_notes(root: Node) -> list[Problem]:
    """Say that resources defined in Python are not seen, and how to supply them."""
    notes = []
    for path in (("python",), ("experimental", "python"), ("experimental", "pydabs")):
        node = root.get(*path)
        if node is None or not any(one.items or one.data is True for one in node.children.values()):
            continue
        what = "resources defined in Python are not seen here: jobs that the code adds or changes are missing"
        remedy = (
            "give the resolved bundle instead: databricks bundle validate -o json > bundle.json, then --bundle-json"
        )
        notes.append(Problem(f"{what}. {remedy}", path_text(path), node.positions[:1]))
    return notes


def _bundle(
    root: Node,
    folder: FilePath,
    target: str,
    warnings: list[Problem],
    recommendations: list[Problem],
    notes: list[Problem],
) -> Bundle:
    sections = {name: node.plain() for name, node in root.children.items() if name not in ("resources", "variables")}
    resources = without_own_fields(root.get("resources") or Node({}))
    return Bundle(
        folder=folder,
        name=root.text_at("bundle", "name"),
        target=target,
        mode=root.text_at("bundle", "mode"),
        resources=cast(dict[str, Any], resources.plain()),
        variables=values_of(root),
        sections=sections,
        warnings=warnings,
        recommendations=recommendations,
        notes=notes,
        unresolved=[
            Problem(f"{text} is known in a workspace only", path_text(path), node.positions[:1])
            for path, node, text in unresolved(root.get("resources") or Node({}))
        ],
        _root=root,
    )
