"""Read a bundle like `databricks bundle validate -o json`, but without the CLI and without a workspace."""

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
from dabs_lab.bundle import resource_defaults as defaults
from dabs_lab.bundle import resource_kinds as kinds
from dabs_lab.bundle import workspace_paths as workspace
from dabs_lab.bundle.artifacts import complete_artifacts
from dabs_lab.bundle.bundle_files import choose_target, read_files
from dabs_lab.bundle.file_contents import read_contents
from dabs_lab.bundle.git_details import set_git
from dabs_lab.bundle.job_models import job_models, malformed_jobs
from dabs_lab.bundle.merging import merge_grants, merge_job_parts, merge_target
from dabs_lab.bundle.permissions import set_permissions
from dabs_lab.bundle.problems import BundleError, Path, Position, Problem, Report, path_text, refuse
from dabs_lab.bundle.references import resolve, resolve_volume_paths, unresolved
from dabs_lab.bundle.reserved_fields import check_required, check_reserved
from dabs_lab.bundle.root_schema import ROOT
from dabs_lab.bundle.type_checks import REFERENCE, missing, without_empty_texts, without_zero_values, wrong_values
from dabs_lab.bundle.variables import leave_open, set_flags, set_variables, values_of
from dabs_lab.bundle.yaml_nodes import ANY_KEY, Node, without_nulls

_EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Bundle:
    """Bundle for one target, resolved, merged and named as the CLI would deploy it."""

    folder: FilePath
    name: str
    target: str
    # development, production, or an empty text.
    mode: str
    # By kind and key, as the CLI prints them, without the fields that mark CLI-managed resources.
    resources: dict[str, Any]
    variables: dict[str, Any]
    # All other sections: bundle, workspace, artifacts, sync, run_as, permissions, presets, …
    sections: dict[str, Any]
    warnings: list[Problem]
    recommendations: list[Problem]
    # Warnings of this reader only: content that the CLI ignores silently, and Python code that only the CLI runs.
    notes: list[Problem]
    # References in resources that need a workspace, such as the user's id or a variable with a lookup.
    unresolved: list[Problem]
    _root: Node = field(repr=False, compare=False)
    # Read from `bundle validate -o json`: positions are in the JSON, references and comments are gone.
    from_json: bool = False
    # Arguments of `load_bundle`, for `reload`.
    _arguments: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def reload(
        self, *, target: str | None = None, user: str | None = None, more: Mapping[str, str] = _EMPTY
    ) -> "Bundle":
        """Read the folder again with the same arguments, for another target or another user.

        `more`: values of variables that were not given before. Raises BundleError.
        """
        arguments = dict(self._arguments)
        arguments["variables"] = {**more, **arguments.get("variables", {})}
        if user is not None:
            arguments["user"] = user
        return load_bundle(self.folder, target or self.target, **arguments)

    def variable_position(self, path: Path) -> Position:
        """Return the position of a variable's value, such as ("live", "single_task"), or of the value around it."""
        value = self._root.get("variables", path[0], "value", *path[1:])
        if value is not None and not value.positions:
            # The override file is JSON, which is read without positions.
            return Position(f".databricks/bundle/{self.target}/variable-overrides.json", 1, 1)
        for end in range(len(path), 0, -1):
            for source in ("value", "default"):
                node = self._root.get("variables", path[0], source, *path[1:end])
                if node is not None and node.positions:
                    return node.positions[0]
        return (self._root.get("variables") or self._root).positions[0]

    @property
    def tree(self) -> Node:
        """Return the resolved bundle as values with positions. Defaults of the CLI have no position."""
        return self._root

    @cached_property
    def resources_without_nulls(self) -> dict[str, Any]:
        """Return the resources without null fields."""
        return cast(dict[str, Any], without_nulls(self.resources))

    @cached_property
    def jobs(self) -> dict[str, Job]:
        """Return the jobs as models. Raises BundleError, with file and line, for jobs that do not fit the models."""
        return job_models(self._root)

    @cached_property
    def malformed_jobs(self) -> dict[str, Problem]:
        """Return by key a problem of each job in which a reference remains in place of a mapping or a list."""
        return malformed_jobs(self._root)

    def position(self, path: Path) -> Position:
        """Return the position of a value of `resources`, such as ("jobs", "j", "tasks", 0, "max_retries").

        A value from a reference has the position of the reference. A default has the position of the nearest value
        around it. Raises KeyError for a path that does not exist.
        """
        if self._root.get("resources", *path) is None:
            raise KeyError(path)
        for end in range(len(path), -1, -1):
            node = self._root.get("resources", *path[:end])
            if node is not None and node.positions:
                return node.positions[0]
        return (self._root.get("bundle") or self._root).positions[0]


def load_bundle(
    folder: FilePath,
    target: str | None = None,
    *,
    variables: Mapping[str, str] = _EMPTY,
    environment: Mapping[str, str] | None = None,
    user: str = "tester@databricks.com",
    strict: bool = False,
    any_host: bool = False,
) -> Bundle:
    """Read the bundle in a folder for a target (None: the default, or the only one).

    variables: as given with `--var`. environment: for `BUNDLE_VAR_…` and others (None: that of this process).
    user: name of the deploying user. strict: every warning is an error, as for `validate --strict`.
    any_host: for readers that never log in: a host with a reference becomes `<host>`, and references to a complex
    variable without a value stay.
    Raises BundleError where the CLI fails, and for features that this reader does not support.
    """
    try:
        found = _load(folder.absolute(), target, variables, environment, user, strict, any_host)
        return replace(found, _arguments={"variables": variables, "environment": environment, "user": user})
    except RecursionError:
        raise refuse("the bundle is nested too deeply, or contains itself", "reduce the nesting") from None


def _load(
    folder: FilePath,
    target: str | None,
    variables: Mapping[str, str],
    environment: Mapping[str, str] | None,
    user: str,
    strict: bool,
    any_host: bool,
) -> Bundle:
    environment = os.environ if environment is None else environment
    warnings: list[Problem] = []
    recommendations: list[Problem] = []
    notes: list[Problem] = []
    root, name, target_root = _read_target(folder, target, environment, warnings.append, notes.append)
    notes += _python_notes(root)
    root = set_flags(root, variables)
    host = root.get("workspace", "host")
    if any_host and host is not None and REFERENCE.search(host.text):
        root = root.put(("workspace", "host"), host.with_data("<host>"))
    if any_host:
        root = leave_open(root, folder, name, environment)
    checks.check_settings(root, warnings.append)
    root = set_git(paths.sync_paths(root), folder)
    root = workspace.set_workspace(root, user)
    root = workspace.rewrite_prefixes(root, warnings.append)
    root = set_variables(root, folder, name, environment)
    root = resolve(root, warnings.append, resources=False)
    workspace.check_folders(root)
    root = modes.set_presets(root)
    declared = {path[1:] for path, _ in root.find(("resources", ANY_KEY, ANY_KEY))}
    root = paths.normalise_paths(resolve(root, warnings.append, resources=True))
    checks.check_resources(root)
    referenced, root = _take_out_referenced(root, declared)
    root = read_contents(paths.expand_pipeline_globs(root, folder), folder)
    root = _complete_resources(root, user, environment.get("DATABRICKS_CLUSTER_ID", ""), warnings.append)
    for path, node in referenced:
        root = root.put(("resources", *path), node)
    checks.check_grants(root)
    check_required(root)
    warnings += missing(root, ROOT) + wrong_values(root, ROOT)
    checks.check_references(root)
    check_reserved(root)
    recommendations += workspace.permissions_advice(root, user)
    root = complete_artifacts(paths.translate_paths(root, folder), folder)
    recommendations += modes.check_mode(root, target_root, user)
    workspace.check_shared_root(root, warnings.append)
    checks.check_runtimes(root)
    checks.check_tasks(root, warnings.append)
    checks.check_sync(root, folder, warnings.append)
    if strict and (warnings or notes):
        raise BundleError([*warnings, *notes])
    resources = root.get("resources") or Node({})
    need_workspace = [
        Problem(f"{text} is known in a workspace only", path_text(path), node.positions[:1])
        for path, node, text in unresolved(resources)
    ]
    return replace(
        bundle_of(root, folder),
        warnings=warnings,
        recommendations=recommendations,
        notes=notes,
        unresolved=need_workspace,
    )


def _read_target(
    folder: FilePath, target: str | None, environment: Mapping[str, str], warn: Report, note: Report
) -> tuple[Node, str, Node | None]:
    """Return the bundle merged for a target, the target's name, and the root path that the target itself sets."""
    named = target or environment.get("DATABRICKS_BUNDLE_TARGET") or environment.get("DATABRICKS_BUNDLE_ENV")
    root, name = choose_target(read_files(folder, warn, note), named)
    target_root = root.get("targets", name, "workspace", "root_path")
    root = merge_target(root, name)
    bundle = root.get("bundle") or Node({})
    root = root.put(("bundle",), bundle.put(("target",), Node(name)).put(("environment",), Node(name)))
    return root, name, target_root


def _complete_resources(root: Node, user: str, cluster: str, warn: Report) -> Node:
    """Merge, complete and rename resources in the CLI's order."""
    checks.check_single_nodes(root, warn)
    root = merge_grants(kinds.merge_parts(merge_job_parts(root)))
    root = defaults.complete_clusters(defaults.link_catalog_objects(root))
    root = defaults.override_compute(defaults.set_run_as(root, user, warn), cluster, warn)
    root = modes.set_defaults(modes.apply_presets(root))
    root = set_permissions(root, user, warn)
    root = resolve_volume_paths(defaults.set_volume_paths(root))
    return kinds.set_app_descriptions(without_zero_values(without_empty_texts(root, ROOT), ROOT))


def _take_out_referenced(root: Node, declared: set[Path]) -> tuple[list[tuple[Path, Node]], Node]:
    """Return the resources that a reference to a whole section added, and the bundle without them.

    The CLI sets no defaults and no presets on these resources.
    """
    referenced = [
        (path[1:], node) for path, node in root.find(("resources", ANY_KEY, ANY_KEY)) if path[1:] not in declared
    ]
    for path, _ in referenced:
        kind = root.get("resources", *path[:1]) or Node({})
        root = root.put(("resources", *path[:1]), kind.drop(str(path[1])))
    return referenced, root


def without_managed_fields(resources: Node) -> Node:
    """Return the resources without the fields that mark CLI-managed resources."""
    resources = resources.change(("jobs", ANY_KEY), lambda _, node: node.drop("deployment", "edit_mode", "format"))
    return resources.change(("pipelines", ANY_KEY), lambda _, node: node.drop("deployment"))


def _python_notes(root: Node) -> list[Problem]:
    """Return a note for each section that defines resources in Python."""
    notes = []
    for path in (("python",), ("experimental", "python"), ("experimental", "pydabs")):
        node = root.get(*path)
        if node is None or not any(value.items or value.data is True for value in node.children.values()):
            continue
        what = "resources defined in Python are not read: jobs that the code adds or changes are missing"
        remedy = "use the resolved bundle instead: databricks bundle validate -o json > bundle.json, then --bundle-json"
        notes.append(Problem(f"{what}. {remedy}", path_text(path), node.positions[:1]))
    return notes


def bundle_of(root: Node, folder: FilePath) -> Bundle:
    """Return a resolved tree as a bundle without problems."""
    return Bundle(
        folder=folder,
        name=root.text_at("bundle", "name"),
        target=root.text_at("bundle", "target"),
        mode=root.text_at("bundle", "mode"),
        resources=cast(dict[str, Any], without_managed_fields(root.get("resources") or Node({})).plain()),
        variables=values_of(root),
        sections={name: node.plain() for name, node in root.children.items() if name not in ("resources", "variables")},
        warnings=[],
        recommendations=[],
        notes=[],
        unresolved=[],
        _root=root,
    )
