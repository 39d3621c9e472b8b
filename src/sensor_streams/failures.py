"""Known failures of devices, from which training learns."""

from pathlib import Path

from pyspark.sql import functions as F

from sensor_streams.errors import InputError
from sensor_streams.incremental.difference import DELETE, OPERATION, difference
from sensor_streams.incremental.transactions import Writes, apply
from sensor_streams.table_spec import Columns, TableSpec
from sensor_streams.tables import Catalog

COLUMNS: Columns = [("device_id", "string"), ("failed_at", "timestamp"), ("kind", "string")]
TABLE = TableSpec("failures", COLUMNS, ("device_id", "failed_at"))


def load_failures(catalog: Catalog, file: Path) -> Writes:
    """Add the failures of a file of JSON lines (device_id, failed_at ISO 8601 with zone, kind) to table `failures`.

    Known failures and blank lines are skipped. Raises InputError with the first line that is not a failure.
    """
    if not file.is_file():
        raise InputError(f"{file}: file not found: give a file of JSON lines with device_id, failed_at, kind")
    spark = catalog.spark
    catalog.create(TABLE)
    text = spark.read.text(str(file.absolute())).where(F.col("value").rlike(r"\S"))
    given = "device_id string, failed_at string, kind string"
    rows = text.select("value", F.from_json("value", given).alias("f")).select(
        "value",
        "f.device_id",
        F.when(F.col("f.failed_at").rlike(r"(Z|[+-]\d{2}:\d{2})$"), F.try_to_timestamp("f.failed_at")).alias(
            "failed_at"
        ),
        F.coalesce("f.kind", F.lit("unknown")).alias("kind"),
    )
    wrong = rows.where("device_id IS NULL OR failed_at IS NULL").first()
    if wrong is not None:
        raise InputError(
            f"{file}: {wrong['value'][:120]!r} is not a failure: write "
            '{"device_id": "…", "failed_at": "2026-01-31T12:00:00Z", "kind": "…"}'
        )
    new = rows.select("device_id", "failed_at", "kind").dropDuplicates(["device_id", "failed_at"])
    handle = catalog.handle(TABLE.name)
    changes = difference(handle.toDF(), new, COLUMNS, TABLE.key).where(F.col(OPERATION) != DELETE)
    return apply(handle, changes, COLUMNS, TABLE.key, "true", None)
