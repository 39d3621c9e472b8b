"""Write the sums as text."""

import sys
from pathlib import Path

from pyspark.sql import SparkSession

out, name = sys.argv[1:]
rows = SparkSession.builder.getOrCreate().read.parquet(f"{out}/total").orderBy("shop").collect()
lines = [name, *(f"{row['shop']} {row['items']}" for row in rows)]
Path(out, "report.txt").write_text("\n".join(lines), "utf-8")
