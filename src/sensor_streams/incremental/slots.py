"""Slots of time that a change touches, by key: few of them are kept on the driver, many in Spark."""

from dataclasses import dataclass, replace

import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.incremental.small_rows import kept

SLOT = "slot"
# Up to this many keys of a batch are broadcast, which avoids a sort of the table.
BROADCAST_ROWS = 300_000
# Up to this many, queries are interpreted.
_TINY = 2_000


@dataclass(frozen=True)
class Slots:
    """Touched slots: rows of key columns and `slot`; their number; least and greatest slot; is_small: see `Region`."""

    rows: DataFrame
    count: int
    low: int
    high: int
    is_small: bool

    @property
    def is_tiny(self) -> bool:
        """True when compiling a query takes longer than reading the rows of these slots."""
        return self.is_small and self.count <= _TINY

    def with_earlier(self, margin: int) -> "Slots":
        """Return these slots and the `margin` slots before each."""
        if not margin:
            return self
        by = [name for name in self.rows.columns if name != SLOT]
        steps = F.explode(F.array(*[F.col(SLOT) - n for n in range(margin + 1)]))
        # Duplicates do not change a semi-join.
        rows = self.rows.select(*by, steps.alias(SLOT))
        return replace(self, rows=rows if self.is_small else rows.distinct(), count=self.count * (margin + 1))

    def select_from(self, rows: DataFrame, slot: Column) -> DataFrame:
        """Return the rows whose key columns and slot are among these."""
        right = F.broadcast(self.rows) if self.count <= BROADCAST_ROWS else self.rows
        return rows.withColumn(SLOT, slot).join(right, self.rows.columns, "left_semi").drop(SLOT)


def slots_of(touched: DataFrame) -> Slots | None:
    """Return touched slots (key columns and `slot`, distinct); None for no rows."""
    rows, few = kept(touched)
    if few is not None:
        limits = pc.min_max(few[SLOT]).as_py()
        return Slots(rows, few.num_rows, limits["min"], limits["max"], is_small=True) if few.num_rows else None
    figures = rows.agg(F.min(SLOT), F.max(SLOT), F.count(F.lit(1))).first()
    assert figures is not None
    return Slots(rows, int(figures[2]), int(figures[0]), int(figures[1]), is_small=False)
