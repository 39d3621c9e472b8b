"""Shapes of values: text, number, list, mapping with known fields; shape of a dataclass of databricks-bundles."""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache, cached_property

from databricks.bundles.core import Variable

# Structures that the CLI declares itself, without the fields that are sent in any case.
_OWN_TYPES = ("Permission", "Lifecycle", "LifecycleWithStarted", "JobRunTrigger")


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
    """True or false; also yes, no, on, off. `optional`: False says something else than no value."""

    optional: bool = False


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
    def sends_zeros(self) -> bool:
        """True when a zero value (an empty text, 0, false, null) is kept because it was written.

        The CLI keeps it in structures of Databricks' SDK that have an optional field of a simple type, and drops it
        everywhere else (ForceSendFields in libs/dyn/convert of its source).
        """
        if self.model is None or self.model.__name__.endswith(_OWN_TYPES):
            return False
        hints = typing.get_type_hints(self.model)
        optional = [shape_of(hint) for name, hint in hints.items() if name not in self.needed]
        return any(isinstance(shape, Whole | Real | Flag) or shape == Text() for shape in optional)

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


_OLD_PARAMETERS: dict[str, "Shape"] = {
    **dict.fromkeys(("dbt_commands", "jar_params", "python_params", "spark_submit_params"), Many(Text())),
    **dict.fromkeys(("notebook_params", "python_named_params", "sql_params"), Named(Text())),
}
# Fields that the CLI takes and the models do not have, mostly older ones.
_OLDER: Mapping[str, dict[str, "Shape"]] = {
    "RunJobTask": _OLD_PARAMETERS,
    "JobRun": _OLD_PARAMETERS,
    "Task": {"dbt_cloud_task": Anything()},
    "Pipeline": {"trigger": Anything()},
    "PipelineLibrary": {"whl": Text()},
    "IngestionGatewayPipelineDefinition": {"connection_id": Text()},
    "NewPipelineSpec": {"pipeline_channel": Text()},
}


@cache
def model_shape(model: type) -> Fields:
    """The shape of a dataclass of databricks-bundles; fields without a default are needed."""
    bare = [f.name for f in fields(model) if f.default is MISSING and f.default_factory is MISSING]
    needed = sorted({*bare, *_NEEDED_LISTS.get(model.__name__, ())})
    return Fields(model.__name__, _OLDER.get(model.__name__), tuple(needed), model)


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
