"""Shape of a whole bundle: its sections, and every kind of resource after the package databricks-bundles."""

from collections.abc import Mapping
from typing import Any, cast

import databricks.bundles.version
from databricks.bundles.core._resource_type import _ResourceType
from databricks.bundles.jobs import JobRunAs

from dabs_lab.bundle.schemas import Anything, Fields, Flag, Many, Named, Shape, Text, Whole, model_shape


def _texts(*names: str) -> dict[str, Shape]:
    return dict.fromkeys(names, Text())


_TEXTS = Many(Text())
_LEVELS = (
    "CAN_ATTACH_TO CAN_BIND CAN_CREATE CAN_CREATE_APP CAN_EDIT CAN_EDIT_METADATA CAN_MANAGE"
    " CAN_MANAGE_PRODUCTION_VERSIONS CAN_MANAGE_RUN CAN_MANAGE_STAGING_VERSIONS CAN_MONITOR CAN_MONITOR_ONLY CAN_QUERY"
    " CAN_READ CAN_RESTART CAN_RUN CAN_USE CAN_VIEW CAN_VIEW_METADATA IS_OWNER"
)
_PERMISSIONS = Many(
    Fields(
        "permission",
        {"level": Text(tuple(_LEVELS.split())), **_texts("user_name", "service_principal_name", "group_name")},
        ("level",),
    )
)
_VARIABLE = Fields(
    "variable",
    {
        "type": Text(("complex",)),
        "description": Text(),
        "default": Anything(),
        "value": Anything(),
        "lookup": Named(Text()),
    },
)
_GIT = Fields("git", _texts("branch", "origin_url", "commit", "actual_branch", "bundle_root_path"))
_LOCK = Fields("lock", {"enabled": Flag(optional=True), "force": Flag()})
_BUNDLE = Fields(
    "bundle",
    {
        **_texts("name", "target", "environment", "mode", "cluster_id", "compute_id", "engine", "uuid"),
        **_texts("databricks_cli_version"),
        "git": _GIT,
        "deployment": Fields("deployment", {"fail_on_active_runs": Flag(), "lock": _LOCK}),
    },
    ("name",),
)
_WORKSPACE = Fields(
    "workspace",
    {
        **_texts("host", "profile", "auth_type", "client_id", "google_service_account", "account_id", "workspace_id"),
        **_texts("azure_workspace_resource_id", "azure_client_id", "azure_tenant_id", "azure_environment"),
        **_texts("azure_login_app_id", "root_path", "file_path", "resource_path", "artifact_path", "state_path"),
        **dict.fromkeys(("azure_use_msi", "experimental_is_unified_host"), Flag()),
        "current_user": Fields("current_user", _texts("userName", "short_name", "domain_friendly_name", "id")),
    },
)
_ARTIFACT = Fields(
    "artifact",
    {
        "type": Text(("whl", "jar")),
        "executable": Text(("bash", "sh", "cmd")),
        **_texts("path", "build"),
        "dynamic_version": Flag(),
        "files": Many(Fields("file", _texts("source"), ("source",))),
    },
)
_PRESETS = Fields(
    "presets",
    {
        **_texts("name_prefix", "trigger_pause_status"),
        "jobs_max_concurrent_runs": Whole(),
        **dict.fromkeys(("pipelines_development", "source_linked_deployment"), Flag(optional=True)),
        "artifacts_dynamic_version": Flag(),
        "tags": Named(Text()),
    },
)
PYTHON = Fields("python", {"resources": _TEXTS, "mutators": _TEXTS, **_texts("venv_path")})
_EXPERIMENTAL = Fields(
    "experimental",
    {
        "scripts": Named(Text()),
        **dict.fromkeys(("python_wheel_wrapper", "skip_artifact_cleanup", "skip_name_prefix_for_schema"), Flag()),
        **dict.fromkeys(("use_legacy_run_as", "immutable_folder", "record_deployment_history"), Flag()),
        "pydabs": Fields("pydabs", {"enabled": Flag()}),
        "python": PYTHON,
    },
)
# Fields that the CLI knows and the models do not: it sets them itself, or computes them.
_OF_EVERY_KIND = _texts("id", "modified_status", "url")
_APP_CONFIG = Fields(
    "config",
    {"command": _TEXTS, "env": Many(Fields("env", _texts("name", "value", "value_from"), ("name",)))},
)
_MORE: Mapping[str, dict[str, Shape]] = {
    "jobs": {**_texts("edit_mode", "format"), "deployment": Anything()},
    "pipelines": {"deployment": Anything()},
    "volumes": _texts("volume_path"),
    "dashboards": {**_texts("file_path", "etag"), "serialized_dashboard": Anything()},
    "genie_spaces": {**_texts("file_path", "etag"), "serialized_space": Anything()},
    "alerts": _texts("file_path"),
    "apps": {**_texts("source_code_path"), "config": _APP_CONFIG, "git_source": Anything()},
}
_MORE_NEEDED: Mapping[str, tuple[str, ...]] = {"volumes": ("volume_type",)}
# Kinds that the CLI knows and databricks-bundles has no model of: they are read as they are written.
_WITHOUT_MODEL = (
    "postgres_branches",
    "postgres_catalogs",
    "postgres_databases",
    "postgres_endpoints",
    "postgres_projects",
    "postgres_roles",
    "postgres_synced_tables",
)


def _kinds() -> dict[str, Shape]:
    """Shape of every kind of resource: by the models of databricks-bundles, else any value."""
    kinds: dict[str, Shape] = dict.fromkeys(_WITHOUT_MODEL, Named(Anything()))
    for kind in _ResourceType.all():
        model = model_shape(cast(Any, kind.resource_type))
        name = kind.plural_name
        table = {**_OF_EVERY_KIND, **(model.table or {}), **_MORE.get(name, {})}
        needed = (*model.needed, *_MORE_NEEDED.get(name, ()))
        kinds[name] = Named(Fields(kind.singular_name, table, needed, kind.resource_type))
    return kinds


RESOURCES = Fields("resources", _kinds())
# Release of databricks-bundles, and so of the CLI, whose fields and values are known here.
SPEAKS_FOR = databricks.bundles.version.__version__
_SHARED: dict[str, Shape] = {
    "bundle": _BUNDLE,
    "workspace": _WORKSPACE,
    "artifacts": Named(_ARTIFACT),
    "resources": RESOURCES,
    "variables": Named(_VARIABLE),
    "presets": _PRESETS,
    "permissions": _PERMISSIONS,
    "run_as": model_shape(JobRunAs),
    "sync": Fields("sync", dict.fromkeys(("paths", "include", "exclude"), _TEXTS)),
}
TARGET = Fields("target", {**_SHARED, "default": Flag(), **_texts("mode", "cluster_id", "compute_id"), "git": _GIT})
ROOT = Fields(
    "bundle",
    {
        **_SHARED,
        "include": _TEXTS,
        # Blocks to be used elsewhere by their anchors.
        "definitions": Anything(),
        "targets": Named(TARGET),
        # The older name of targets.
        "environments": Named(TARGET),
        "python": PYTHON,
        "experimental": _EXPERIMENTAL,
        "scripts": Named(Fields("script", {"content": Text(), "env": Named(Text())}, ("content",))),
    },
)
