"""Slots of time that a change touches, by key: few of them are kept on the driver, many in Spark."""

from dataclasses import dataclass, replace

import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.incremental.small_rows import as_rows, fetch_small

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
    return _small_slots(touched) or _large_slots(touched)


def _small_slots(touched: DataFrame) -> Slots | None:
    """Return the touched slots, fetched to the driver; None when they are too many, or none."""
    table = fetch_small(touched)
    if table is None or not table.num_rows:
        return None
    limits = pc.min_max(table[SLOT]).as_py()
    return Slots(as_rows(table, touched), table.num_rows, limits["min"], limits["max"], is_small=True)


def _large_slots(touched: DataFrame) -> Slots | None:
    """Return the touched slots; None for no rows."""
    rows = touched.localCheckpoint()
    limits = rows.agg(F.min(SLOT), F.max(SLOT), F.count(F.lit(1))).first()
    if limits is None or limits[0] is None:
        return None
    return Slots(rows, int(limits[2]), int(limits[0]), int(limits[1]), is_small=False)
