"""When two rows count as the same: but for the last bits of what the numbers were made of, and no more."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sensor_streams.incremental.difference import difference
from sensor_streams.table_spec import Columns
from tests.rows import frame

COLUMNS: Columns = [("id", "string"), ("mean", "double"), ("deviation", "double"), ("max", "double")]
MAGNITUDES = {"deviation": "abs(r.`max`)"}
HEAD = "id string|mean double|deviation double|max double"
# stored | computed
SAME = {
    "the same": ("1|2|3", "1|2|3"),
    "the last bits": ("1|2|3", "1.0000000000001|2|3"),
    "silence": ("||", "||"),
    "not a number": ("NaN|2|3", "NaN|2|3"),
    "infinite": ("Infinity|2|3", "Infinity|2|3"),
    "the last bits of a large number's deviation": ("1e8|1.00000001|1e8", "1e8|1|1e8"),
    "nothing and the noise of a sum that cancels out": ("1|0|3", "1|1e-17|3"),
    "currents in parts of a billionth": ("1e-10|2|3", "1.0000000000001e-10|2|3"),
}
OTHER = {
    "the eighth digit": ("1|2|3", "1.00000001|2|3"),
    "small units": ("1e-10|2|3", "2e-10|2|3"),
    "a small deviation of small numbers": ("1|1e-10|3e-10", "1|2e-10|3e-10"),
    "a deviation that is another one, of a large number": ("1e8|1.01|1e8", "1e8|1|1e8"),
    "something instead of silence": ("|2|3", "0|2|3"),
    "not a number any more": ("NaN|2|3", "5|2|3"),
    "a number no more": ("5|2|3", "NaN|2|3"),
    "infinity for a number": ("5|2|3", "Infinity|2|3"),
    "the other infinity": ("-Infinity|2|3", "Infinity|2|3"),
    "a magnitude that is none": ("1|2|Infinity", "1|3|Infinity"),
    "a magnitude that is not a number": ("1|2|NaN", "1|3|NaN"),
}


@pytest.mark.parametrize("wide", [0, 60])
def test_rows_are_equal_if_only_the_last_bits_of_their_numbers_differ(spark: SparkSession, wide: int) -> None:
    # With more columns the comparison is written in another way, and says the same.
    cases = SAME | OTHER
    extra = [f"e{n}" for n in range(wide)]
    columns = [*COLUMNS, *((name, "double") for name in extra)]
    one, other = (
        frame(spark, "\n".join([HEAD, *(f"{name}|{case[side]}" for name, case in cases.items())])).select(
            "*", *[F.lit(float(n)).alias(name) for n, name in enumerate(extra)]
        )
        for side in (0, 1)
    )
    found = {row["id"] for row in difference(one, other, columns, ["id"], MAGNITUDES).collect()}
    assert found == set(OTHER)
