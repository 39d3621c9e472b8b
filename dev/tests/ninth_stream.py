"""A ninth stream as an edit of `streams.py` and a function, under a name that the caller chooses."""

from collections.abc import Sequence

_FUNCTION = '''"""Days of a device: how many short windows of each sensor have readings."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.table_spec import Columns


def columns(_: Fleet) -> Columns:
    """Return the columns of `NAME`."""
    return [("device_id", "string"), ("day", "timestamp"), ("windows", "bigint")]


def NAME(rows: DataFrame) -> DataFrame:
    """Return one row per device and day. In: rows of `sensor_features`."""
    day = F.date_trunc("day", "window_start").alias("day")
    return rows.groupBy("device_id", day).agg(F.count(F.lit(1)).alias("windows"))
'''
_END_OF_STREAMS = ")\n\nBY_NAME: "
_DECLARATION = """    Stream(
        name="NAME",
        task="feature_extraction",
        sources=("sensor_features",),
        columns=NAME.columns,
        key=("device_id", "day"),
        scope=TimeSlots(("device_id",), "window_start", "day", lambda _: 86400),
        compute=lambda inputs: NAME.NAME(inputs.rows["sensor_features"]),
    ),
"""
_IMPORT = "from sensor_streams.features import "


def function(name: str) -> str:
    """Return the content of the module `features/<name>.py`."""
    return _FUNCTION.replace("NAME", name)


def edits(name: str) -> Sequence[tuple[str, str]]:
    """Return the (old, new) texts of `streams.py`, which has each old text once."""
    declaration = _DECLARATION.replace("NAME", name)
    return [(_IMPORT, f"{_IMPORT}{name}, "), (_END_OF_STREAMS, declaration + _END_OF_STREAMS)]
