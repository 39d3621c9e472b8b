"""Shapes of values (text, number, list, mapping), also derived from dataclasses of databricks-bundles."""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache, cached_property

from databricks.bundles.core import Variable

# Structures of the CLI itself; unlike those of the SDK, they never send zero values.
_CLI_TYPES = ("Permission", "Lifecycle", "LifecycleWithStarted", "JobRunTrigger")


@dataclass(frozen=True)
class Text:
    """Text; numbers and booleans are converted. With `values` it must be one of them."""

    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Integer:
    """Integer, or a text that contains one."""


@dataclass(frozen=True)
class Float:
    """Number, or a text that contains one."""


@dataclass(frozen=True)
class Boolean:
    """Boolean, or a text such as yes, no, on, off. `optional`: false is different from no value."""

    optional: bool = False


@dataclass(frozen=True)
class AnyValue:
    """Any value, unchecked."""


@dataclass(frozen=True)
class ListOf:
    """List of items of one shape."""

    item: "Shape"


@dataclass(frozen=True)
class MapOf:
    """Mapping with any names and values of one shape."""

    value: "Shape"


@dataclass(frozen=True)
class Fields:
    """Mapping with known names, from a table and from a dataclass of databricks-bundles (which may contain itself)."""

    name: str
    table: Mapping[str, "Shape"] | None = None
    required: tuple[str, ...] = ()
    model: type | None = None

    __hash__ = object.__hash__

    @cached_property
    def sends_zeros(self) -> bool:
        """Return whether zero values (empty text, 0, false, null) are kept if they are set.

        The CLI keeps them in structures of the Databricks SDK that have an optional field of a simple type, and drops
        them elsewhere (ForceSendFields in libs/dyn/convert of its source).
        """
        if self.model is None or self.model.__name__.endswith(_CLI_TYPES):
            return False
        hints = typing.get_type_hints(self.model)
        optional = [shape_of(hint) for name, hint in hints.items() if name not in self.required]
        return any(isinstance(shape, Integer | Float | Boolean) or shape == Text() for shape in optional)

    @cached_property
    def shapes(self) -> Mapping[str, "Shape"]:
        """Return the shape of every known name."""
        if self.model is None:
            return self.table or {}
        hints = typing.get_type_hints(self.model)
        shapes = {field.name: shape_of(hints[field.name]) for field in fields(self.model)}
        return {**shapes, **(self.table or {})}


Shape = Text | Integer | Float | Boolean | AnyValue | ListOf | MapOf | Fields
# Lists that default to empty in the models, but that the CLI requires.
_REQUIRED_LISTS = {
    "AiRuntimeTask": ("deployments",),
    "DbtTask": ("commands",),
    "TableUpdateTriggerConfiguration": ("table_names",),
}
_SIMPLE: dict[object, Shape] = {str: Text(), int: Integer(), float: Float(), bool: Boolean(), typing.Any: AnyValue()}
_OLD_PARAMETERS: dict[str, "Shape"] = {
    **dict.fromkeys(("dbt_commands", "jar_params", "python_params", "spark_submit_params"), ListOf(Text())),
    **dict.fromkeys(("notebook_params", "python_named_params", "sql_params"), MapOf(Text())),
}
# Fields, mostly deprecated, that the CLI accepts and the models do not have.
_DEPRECATED_FIELDS: Mapping[str, dict[str, "Shape"]] = {
    "RunJobTask": _OLD_PARAMETERS,
    "JobRun": _OLD_PARAMETERS,
    "Task": {"dbt_cloud_task": AnyValue()},
    "Pipeline": {"trigger": AnyValue()},
    "PipelineLibrary": {"whl": Text()},
    "IngestionGatewayPipelineDefinition": {"connection_id": Text()},
    "NewPipelineSpec": {"pipeline_channel": Text()},
}


@cache
def model_shape(model: type) -> Fields:
    """Return the shape of a dataclass of databricks-bundles; fields without a default are required."""
    bare = [f.name for f in fields(model) if f.default is MISSING and f.default_factory is MISSING]
    required = sorted({*bare, *_REQUIRED_LISTS.get(model.__name__, ())})
    return Fields(model.__name__, _DEPRECATED_FIELDS.get(model.__name__), tuple(required), model)


def shape_of(hint: object) -> Shape:
    """Return the shape of a type hint; `Variable` and None in a union are ignored.

    Raises TypeError for a hint that databricks-bundles did not use when this was written.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        kept = [part for part in arguments if part is not type(None) and typing.get_origin(part) is not Variable]
        if len(kept) == 1:
            return shape_of(kept[0])
    elif origin is list:
        return ListOf(shape_of(arguments[0]))
    elif origin is dict:
        return MapOf(shape_of(arguments[1]))
    elif hint in _SIMPLE:
        return _SIMPLE[hint]
    elif isinstance(hint, type) and is_dataclass(hint):
        return model_shape(hint)
    elif isinstance(hint, type) and issubclass(hint, Enum):
        return Text(tuple(sorted(str(member.value) for member in hint)))
    raise TypeError(f"no shape for {hint}")
