"""Shape of a whole bundle: its sections, and every kind of resource that databricks-bundles has."""

from collections.abc import Mapping
from typing import Any, cast

import databricks.bundles.version
from databricks.bundles.core._resource_type import _ResourceType
from databricks.bundles.jobs import JobRunAs

from dabs_lab.bundle.schemas import AnyValue, Boolean, Fields, Integer, ListOf, MapOf, Shape, Text, model_shape


def _texts(*names: str) -> dict[str, Shape]:
    return dict.fromkeys(names, Text())


_TEXTS = ListOf(Text())
_LEVELS = (
    "CAN_ATTACH_TO CAN_BIND CAN_CREATE CAN_CREATE_APP CAN_EDIT CAN_EDIT_METADATA CAN_MANAGE"
    " CAN_MANAGE_PRODUCTION_VERSIONS CAN_MANAGE_RUN CAN_MANAGE_STAGING_VERSIONS CAN_MONITOR CAN_MONITOR_ONLY CAN_QUERY"
    " CAN_READ CAN_RESTART CAN_RUN CAN_USE CAN_VIEW CAN_VIEW_METADATA IS_OWNER"
)
_PERMISSIONS = ListOf(
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
        "default": AnyValue(),
        "value": AnyValue(),
        "lookup": MapOf(Text()),
    },
)
_GIT = Fields("git", _texts("branch", "origin_url", "commit", "actual_branch", "bundle_root_path"))
_LOCK = Fields("lock", {"enabled": Boolean(optional=True), "force": Boolean()})
_BUNDLE = Fields(
    "bundle",
    {
        **_texts("name", "target", "environment", "mode", "cluster_id", "compute_id", "engine", "uuid"),
        **_texts("databricks_cli_version"),
        "git": _GIT,
        "deployment": Fields("deployment", {"fail_on_active_runs": Boolean(), "lock": _LOCK}),
    },
    ("name",),
)
_WORKSPACE = Fields(
    "workspace",
    {
        **_texts("host", "profile", "auth_type", "client_id", "google_service_account", "account_id", "workspace_id"),
        **_texts("azure_workspace_resource_id", "azure_client_id", "azure_tenant_id", "azure_environment"),
        **_texts("azure_login_app_id", "root_path", "file_path", "resource_path", "artifact_path", "state_path"),
        **dict.fromkeys(("azure_use_msi", "experimental_is_unified_host"), Boolean()),
        "current_user": Fields("current_user", _texts("userName", "short_name", "domain_friendly_name", "id")),
    },
)
_ARTIFACT = Fields(
    "artifact",
    {
        "type": Text(("whl", "jar")),
        "executable": Text(("bash", "sh", "cmd")),
        **_texts("path", "build"),
        "dynamic_version": Boolean(),
        "files": ListOf(Fields("file", _texts("source"), ("source",))),
    },
)
_PRESETS = Fields(
    "presets",
    {
        **_texts("name_prefix", "trigger_pause_status"),
        "jobs_max_concurrent_runs": Integer(),
        **dict.fromkeys(("pipelines_development", "source_linked_deployment"), Boolean(optional=True)),
        "artifacts_dynamic_version": Boolean(),
        "tags": MapOf(Text()),
    },
)
PYTHON = Fields("python", {"resources": _TEXTS, "mutators": _TEXTS, **_texts("venv_path")})
_EXPERIMENTAL = Fields(
    "experimental",
    {
        "scripts": MapOf(Text()),
        **dict.fromkeys(("python_wheel_wrapper", "skip_artifact_cleanup", "skip_name_prefix_for_schema"), Boolean()),
        **dict.fromkeys(("use_legacy_run_as", "immutable_folder", "record_deployment_history"), Boolean()),
        "pydabs": Fields("pydabs", {"enabled": Boolean()}),
        "python": PYTHON,
    },
)
# Fields that the CLI sets or computes and that the models do not have.
_COMMON_FIELDS = _texts("id", "modified_status", "url")
_APP_CONFIG = Fields(
    "config",
    {"command": _TEXTS, "env": ListOf(Fields("env", _texts("name", "value", "value_from"), ("name",)))},
)
_CLI_FIELDS: Mapping[str, dict[str, Shape]] = {
    "jobs": {**_texts("edit_mode", "format"), "deployment": AnyValue()},
    "pipelines": {"deployment": AnyValue()},
    "volumes": _texts("volume_path"),
    "dashboards": {**_texts("file_path", "etag"), "serialized_dashboard": AnyValue()},
    "genie_spaces": {**_texts("file_path", "etag"), "serialized_space": AnyValue()},
    "alerts": _texts("file_path"),
    "apps": {**_texts("source_code_path"), "config": _APP_CONFIG, "git_source": AnyValue()},
}
_ALSO_REQUIRED: Mapping[str, tuple[str, ...]] = {"volumes": ("volume_type",)}
# Kinds that the CLI knows and databricks-bundles has no model for. Their fields are not checked.
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
    """Return the shape of every kind of resource: of its model, or any value."""
    kinds: dict[str, Shape] = dict.fromkeys(_WITHOUT_MODEL, MapOf(AnyValue()))
    for kind in _ResourceType.all():
        model = model_shape(cast(Any, kind.resource_type))
        name = kind.plural_name
        table = {**_COMMON_FIELDS, **(model.table or {}), **_CLI_FIELDS.get(name, {})}
        required = (*model.required, *_ALSO_REQUIRED.get(name, ()))
        kinds[name] = MapOf(Fields(kind.singular_name, table, required, kind.resource_type))
    return kinds


RESOURCES = Fields("resources", _kinds())
# Release of databricks-bundles, and of the CLI, whose fields and values this reader knows.
SUPPORTED_VERSION = databricks.bundles.version.__version__
_SHARED: dict[str, Shape] = {
    "bundle": _BUNDLE,
    "workspace": _WORKSPACE,
    "artifacts": MapOf(_ARTIFACT),
    "resources": RESOURCES,
    "variables": MapOf(_VARIABLE),
    "presets": _PRESETS,
    "permissions": _PERMISSIONS,
    "run_as": model_shape(JobRunAs),
    "sync": Fields("sync", dict.fromkeys(("paths", "include", "exclude"), _TEXTS)),
}
TARGET = Fields("target", {**_SHARED, "default": Boolean(), **_texts("mode", "cluster_id", "compute_id"), "git": _GIT})
ROOT = Fields(
    "bundle",
    {
        **_SHARED,
        "include": _TEXTS,
        # Blocks with anchors, for aliases in other sections.
        "definitions": AnyValue(),
        "targets": MapOf(TARGET),
        # The older name of targets.
        "environments": MapOf(TARGET),
        "python": PYTHON,
        "experimental": _EXPERIMENTAL,
        "scripts": MapOf(Fields("script", {"content": Text(), "env": MapOf(Text())}, ("content",))),
    },
)
