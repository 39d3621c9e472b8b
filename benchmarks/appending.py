"""A MERGE that matches no row, by which streams append, next to a plain append of the same rows (by name).

The rows are those of the first three streams after 250,000 lines, computed before each write. The plain append goes to
a path; managed tables on Databricks can be written by name only, which queries the catalog in each batch.
"""

import time
from pathlib import Path

from delta.tables import DeltaTable

from benchmarks.large_batches import LARGE
from benchmarks.measurement import Measurement, Ratio, Result
from benchmarks.simulated_home import FIRST_THREE, FileSets, opened_home, process
from sensor_streams.incremental.transactions import append
from sensor_streams.streams import BY_NAME


def run(folder: Path, rounds: int) -> Result:
    """Append the rows of each table by both forms, in turns."""
    home = opened_home(folder / "home", folder / "landing")
    FileSets.simulated(home.fleet, folder, 1, LARGE).land()
    process(home, FIRST_THREE)
    ratios = []
    for table in FIRST_THREE:
        spec = BY_NAME[table].table(home.fleet)
        rows = home.catalog.read(table).localCheckpoint()
        by_merge, plain = str(folder / f"{table}-merge"), str(folder / f"{table}-plain")
        for place in (by_merge, plain):
            rows.limit(0).write.format("delta").partitionBy(spec.partition or []).save(place)
        target = DeltaTable.forPath(home.spark, by_merge)
        seconds: dict[str, list[float]] = {by_merge: [], plain: []}
        for number in range(rounds + 1):
            for place in (by_merge, plain) if number % 2 else (plain, by_merge):
                begin = time.monotonic()
                if place == by_merge:
                    append(target, rows, spec.columns, None)
                else:
                    rows.write.format("delta").mode("append").save(plain)
                if number:
                    seconds[place].append(time.monotonic() - begin)
        ratios.append(Ratio(f"{table}: seconds of a MERGE / of a plain append", seconds[by_merge], seconds[plain], "s"))
    return Result(ratios)


MEASUREMENTS = [Measurement("append", "a MERGE that matches no row, next to a plain append", 2, run, by_default=False)]
