"""Reads a Databricks Asset Bundle as `databricks bundle validate -o json` does, without the CLI and a workspace."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any, cast

from databricks.bundles.jobs import Job

from sensor_streams.bundle import checks, finishing, modes, paths, workspace
from sensor_streams.bundle.files import choose_target, read_files
from sensor_streams.bundle.merging import merge_grants, merge_job_parts, merge_target
from sensor_streams.bundle.models import job_models
from sensor_streams.bundle.problem import BundleError, Path, Position, Problem, refuse
from sensor_streams.bundle.references import resolve, resolve_volume_paths
from sensor_streams.bundle.shapes import ROOT
from sensor_streams.bundle.typed import Warn, missing, without_empty_texts, wrong_values
from sensor_streams.bundle.variables import set_flags, set_variables, values_of
from sensor_streams.bundle.yaml_nodes import Node

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
    root, chosen, target_root = _chosen(folder, target, warnings.append)
    root = set_flags(root, variables)
    checks.check_settings(root, warnings.append)
    root = workspace.set_workspace(paths.sync_paths(root), user)
    root = workspace.rewrite_prefixes(root, warnings.append)
    root = set_variables(root, folder, chosen, environment)
    root = resolve(root, warnings.append, resources=False)
    workspace.check_folders(root)
    root = modes.set_presets(root)
    root = paths.normalise_paths(resolve(root, warnings.append, resources=True))
    root = _resources(root, user, environment.get("DATABRICKS_CLUSTER_ID", ""), warnings.append)
    checks.check_grants(root)
    warnings += missing(root, ROOT) + wrong_values(root, ROOT)
    recommendations += workspace.permissions_advice(root, user)
    root = checks.finish_artifacts(paths.translate_paths(root, folder), folder)
    recommendations += modes.check_mode(root, target_root, user)
    workspace.check_shared_root(root, warnings.append)
    checks.check_tasks(root, warnings.append)
    if strict and warnings:
        raise BundleError(warnings)
    return _bundle(root, folder, chosen, warnings, recommendations)


def _chosen(folder: FilePath, target: str | None, warn: Warn) -> tuple[Node, str, Node | None]:
    """The bundle merged for a target, the target's name, and the root path that it wrote itself."""
    root, name = choose_target(read_files(folder, warn), target)
    target_root = root.get("targets", name, "workspace", "root_path")
    root = merge_target(root, name)
    bundle = root.get("bundle") or Node({})
    root = root.put(("bundle",), bundle.put(("target",), Node(name)).put(("environment",), Node(name)))
    return root, name, target_root


def _resources(root: Node, user: str, cluster: str, warn: Warn) -> Node:
    """Resources merged by key, mended, renamed and filled, in the CLI's order."""
    checks.check_single_nodes(root, warn)
    root = merge_grants(merge_job_parts(root))
    root = finishing.mend_clusters(finishing.link_volumes(root))
    root = finishing.override_compute(finishing.set_run_as(root), cluster, warn)
    root = modes.set_defaults(modes.apply_presets(root))
    root = finishing.set_permissions(root, user, warn)
    root = resolve_volume_paths(finishing.set_volume_paths(root))
    return finishing.drop_unprotected(without_empty_texts(root, ROOT))


def _bundle(
    root: Node, folder: FilePath, target: str, warnings: list[Problem], recommendations: list[Problem]
) -> Bundle:
    sections = {name: node.plain() for name, node in root.children.items() if name not in ("resources", "variables")}
    resources = root.get("resources") or Node({})
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
        _root=root,
    )
