"""Convert the output of any model to the columns of a score table, or say what is wrong with it."""

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from sensor_streams.errors import UnusableModelError
from sensor_streams.table_spec import Columns


def result_columns(output: Any, rows: int, wanted: Columns) -> pd.DataFrame:
    """Return a model's output as the wanted columns (name, Spark type), in the order of the input rows.

    Accepted outputs: a DataFrame, a dict of columns, a list or Series of dicts; or an array or list of rows with values
    in the order of the wanted columns. When the first wanted column is null, the model has no result for the row, and
    all its values become null. Raises UnusableModelError for missing columns, another number of rows, wrong types,
    infinite numbers, and other nulls.
    """
    frame = _frame(output, [name for name, _ in wanted])
    missing = [name for name, _ in wanted if name not in frame.columns]
    if missing:
        present = ", ".join(map(str, frame.columns[:8])) or "none"
        raise UnusableModelError(f"its output has no column {', '.join(missing)} (it has {present})")
    if len(frame) != rows:
        raise UnusableModelError(f"its output has {len(frame)} rows for {rows} rows of input")
    values: dict[str, list[Any]] = {}
    for name, kind in wanted:
        column = frame[name]
        if isinstance(column, pd.DataFrame):
            raise UnusableModelError(f"its output has the column {name} more than once")
        values[name] = _numbers(column, name) if kind == "double" else [_strings(v, name) for v in column.tolist()]
    first = wanted[0][0]
    no_result = [value is None for value in values[first]]
    for name, _ in wanted[1:]:
        if any(value is None and not skip for value, skip in zip(values[name], no_result, strict=True)):
            raise UnusableModelError(f"its output has a null in {name} in a row that has a {first}")
        values[name] = [None if skip else value for value, skip in zip(values[name], no_result, strict=True)]
    return pd.DataFrame({n: pd.Series(values[n], dtype=float if kind == "double" else object) for n, kind in wanted})


def _frame(output: Any, names: list[str]) -> pd.DataFrame:
    """Return the output as a DataFrame; an output without column names gets the given ones."""
    if isinstance(output, pd.DataFrame):
        return output
    try:
        if hasattr(output, "to_pandas"):
            return _frame(output.to_pandas(), names)
        if isinstance(output, Mapping):
            # As lists, because pandas would join Series by their indexes.
            return pd.DataFrame({str(name): list(column) for name, column in output.items()})
        if isinstance(output, np.ndarray) and output.dtype.names:
            return pd.DataFrame({name: output[name] for name in output.dtype.names})
        if isinstance(output, pd.Series):
            if not any(isinstance(value, Mapping) for value in output):
                return output.to_frame(output.name if output.name is not None else "0")
            output = output.tolist()
        if isinstance(output, np.ndarray):
            output = output.tolist()
        if isinstance(output, list | tuple):
            return _of_rows(list(output), names)
    except (TypeError, ValueError) as error:
        raise UnusableModelError(f"its output, a {type(output).__name__}, is not a table: {error}") from None
    raise UnusableModelError(f"its output is a {type(output).__name__}, not a table of results")


def _of_rows(rows: list[Any], names: list[str]) -> pd.DataFrame:
    if all(isinstance(row, Mapping) for row in rows):
        return pd.DataFrame(rows, columns=None if rows else names)
    if any(isinstance(row, Mapping) or not isinstance(row, list | tuple | np.ndarray) for row in rows):
        raise UnusableModelError(f"its output has one value per row and no column names; it needs {', '.join(names)}")
    widths = {len(row) for row in rows}
    if widths != {len(names)}:
        raise UnusableModelError(
            f"its output has {', '.join(map(str, sorted(widths)))} values per row and no column names; "
            f"it needs {', '.join(names)}"
        )
    return pd.DataFrame({name: [row[at] for row in rows] for at, name in enumerate(names)}, dtype=object)


def _numbers(column: "pd.Series[Any]", name: str) -> list[float | None]:
    if column.dtype.kind not in "fiu" or not isinstance(column.dtype, np.dtype):
        return [_number(value, name) for value in column.tolist()]
    numbers = column.to_numpy(dtype=float)
    if np.isinf(numbers).any():
        raise UnusableModelError(f"its output has a number that is not finite in {name}")
    known = ~np.isnan(numbers)
    return [number if is_known else None for number, is_known in zip(numbers.tolist(), known.tolist(), strict=True)]


def _number(value: Any, name: str) -> float | None:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real | Decimal | np.number):
        raise UnusableModelError(f"its output has a {type(value).__name__} in {name}, not a number")
    number = float(value)
    if math.isinf(number):
        raise UnusableModelError(f"its output has a number that is not finite in {name}")
    return None if math.isnan(number) else number


def _strings(value: Any, name: str) -> list[str] | None:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise UnusableModelError(f"its output has a {type(value).__name__} in {name}, not a list of strings")
    strings = []
    for item in value:
        if not isinstance(item, str):
            raise UnusableModelError(f"its output has a {type(item).__name__} in a list of {name}, not a string")
        strings.append(str(item))
    return strings
