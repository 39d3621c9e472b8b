"""What may stand where: the shape of a bundle, and that of its resources after the package databricks-bundles."""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache, cached_property

from databricks.bundles.core import Variable
from databricks.bundles.jobs import Job, JobRunAs
from databricks.bundles.schemas import Schema
from databricks.bundles.volumes import Volume


@dataclass(frozen=True)
class Text:
    """A text; numbers and booleans become one. With `values` it is one of them."""

    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Whole:
    """An integer, or a text that is one."""


@dataclass(frozen=True)
class Real:
    """A number, or a text that is one."""


@dataclass(frozen=True)
class Flag:
    """True or false; also yes, no, on, off."""


@dataclass(frozen=True)
class Anything:
    """Any value."""


@dataclass(frozen=True)
class Many:
    """A list of the same shape."""

    item: "Shape"


@dataclass(frozen=True)
class Named:
    """A mapping with names of the user's own and values of the same shape."""

    value: "Shape"


@dataclass(frozen=True)
class Fields:
    """A mapping with known names, by an own table or by a dataclass of databricks-bundles (which may hold itself)."""

    name: str
    table: Mapping[str, "Shape"] | None = None
    needed: tuple[str, ...] = ()
    model: type | None = None

    __hash__ = object.__hash__

    @cached_property
    def shapes(self) -> Mapping[str, "Shape"]:
        """The shape of every known name."""
        if self.model is None:
            return self.table or {}
        hints = typing.get_type_hints(self.model)
        shapes = {field.name: shape_of(hints[field.name]) for field in fields(self.model)}
        return {**shapes, **(self.table or {})}


Shape = Text | Whole | Real | Flag | Anything | Many | Named | Fields
# Lists that the models fill with nothing, but the CLI wants to be written.
_NEEDED_LISTS = {
    "AiRuntimeTask": ("deployments",),
    "DbtTask": ("commands",),
    "TableUpdateTriggerConfiguration": ("table_names",),
}
_SIMPLE: dict[object, Shape] = {str: Text(), int: Whole(), float: Real(), bool: Flag(), typing.Any: Anything()}


@cache
def model_shape(model: type) -> Fields:
    """The shape of a dataclass of databricks-bundles; fields without a default are needed."""
    bare = [f.name for f in fields(model) if f.default is MISSING and f.default_factory is MISSING]
    needed = sorted({*bare, *_NEEDED_LISTS.get(model.__name__, ())})
    return Fields(model.__name__, needed=tuple(needed), model=model)


def shape_of(hint: object) -> Shape:
    """The shape of a type hint; what a reference may stand for is looked through.

    Raises TypeError for a hint that databricks-bundles did not use so far.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        kept = [one for one in arguments if one is not type(None) and typing.get_origin(one) is not Variable]
        if len(kept) == 1:
            return shape_of(kept[0])
    elif origin is list:
        return Many(shape_of(arguments[0]))
    elif origin is dict:
        return Named(shape_of(arguments[1]))
    elif hint in _SIMPLE:
        return _SIMPLE[hint]
    elif isinstance(hint, type) and is_dataclass(hint):
        return model_shape(hint)
    elif isinstance(hint, type) and issubclass(hint, Enum):
        return Text(tuple(sorted(str(one.value) for one in hint)))
    raise TypeError(f"no shape for {hint}")


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
_GIT = Fields("git", _texts("branch", "origin_url", "commit"))
_LOCK = Fields("lock", {"enabled": Flag(), "force": Flag()})
_BUNDLE = Fields(
    "bundle",
    {
        **_texts("name", "target", "environment", "mode", "cluster_id", "engine", "databricks_cli_version", "uuid"),
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
        "current_user": Fields("current_user", _texts("userName", "short_name", "domain_friendly_name")),
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
        **dict.fromkeys(("pipelines_development", "source_linked_deployment", "artifacts_dynamic_version"), Flag()),
        "tags": Named(Text()),
    },
)
_EXPERIMENTAL = Fields(
    "experimental",
    {
        "scripts": Named(Text()),
        **dict.fromkeys(("python_wheel_wrapper", "skip_artifact_cleanup", "skip_name_prefix_for_schema"), Flag()),
    },
)
# The CLI's own additions to a job: the user may write them, the CLI sets them in any case.
_JOB = Fields("job", _texts("id", "edit_mode", "format"), model=Job)
_VOLUME = Fields("volume", _texts("volume_path"), (*model_shape(Volume).needed, "volume_type"), Volume)
RESOURCES = Fields("resources", {"jobs": Named(_JOB), "schemas": Named(model_shape(Schema)), "volumes": Named(_VOLUME)})
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
TARGET = Fields("target", {**_SHARED, "default": Flag(), **_texts("mode", "cluster_id"), "git": _GIT})
ROOT = Fields(
    "bundle",
    {
        **_SHARED,
        "include": _TEXTS,
        # Blocks to be used elsewhere by their anchors.
        "definitions": Anything(),
        "targets": Named(TARGET),
        "experimental": _EXPERIMENTAL,
        "scripts": Named(Fields("script", {"content": Text(), "env": Named(Text())}, ("content",))),
    },
)
