"""Scope of the stream that reads landed files: a batch is a list of files, whose lines are decided and appended."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.errors import ConfigurationError
from sensor_streams.incremental.difference import OPERATION
from sensor_streams.incremental.stream import (
    Batch,
    Comparison,
    LoadVersion,
    Outcome,
    Stream,
    TimeRange,
)
from sensor_streams.incremental.transactions import Writes
from sensor_streams.ingest.batch import READ_AGAIN, ingest_batch
from sensor_streams.ingest.changed_files import changed_files, describe_changes
from sensor_streams.ingest.source import landing_files
from sensor_streams.settings import Settings
from sensor_streams.tables import Catalog

if TYPE_CHECKING:
    from sensor_streams.inference.registry import LoadedModel


class LandingFiles:
    """Files of the landing folder become rows of `readings`, `readings_rejected` and `ingested_files`."""

    # Lines are decided in the order in which files arrive, so a range is not recomputed.
    is_computed = False

    def open_source(self, stream: Stream, catalog: Catalog, settings: Settings, folder: str) -> DataFrame:
        """Return the stream of arriving files: path, modificationTime, length."""
        return landing_files(catalog.spark, settings, f"{folder}/schema")

    def warnings(self, catalog: Catalog, settings: Settings) -> Sequence[str]:
        """Return one warning about files that changed after they were read; the source does not report them."""
        changed = changed_files(catalog.read("ingested_files"), settings.landing)
        return (describe_changes(changed),) if changed else ()

    def process_batch(self, rows: DataFrame, batch: Batch) -> Outcome:
        """Read the files of the batch, decide each line, and append to the three tables."""
        number = READ_AGAIN if batch.transaction is None else batch.transaction.version
        return ingest_batch(rows, batch.landing, number, batch.fleet, batch.tables, batch.transaction)

    def rebuild(self, batch: Batch, span: TimeRange) -> Writes:
        """Raise ConfigurationError: readings come from files and are not recomputed."""
        raise ConfigurationError(f"stream {batch.stream.name} cannot be rebuilt: it reads files, not tables")

    def rebuild_device(self, batch: Batch, device: str, model: "Callable[[], LoadedModel]") -> None:
        """Do nothing: no line of one device depends on the lines of another."""

    def compare(self, batch: Batch, span: TimeRange, load: LoadVersion) -> Comparison:
        """Compare the recorded counts of each file with the tables, and landed files with their records."""
        readings, files = batch.tables.read("readings"), batch.tables.read("ingested_files")
        notes = tuple(
            f"source_file {one.file.name}: {one.difference}; `sensor-streams reread` reads it again"
            for one in (changed_files(files, batch.landing) if batch.landing else ())
        )
        return Comparison(readings.count(), _differing_files(batch), files.count(), notes)

    def orphans(self, batch: Batch) -> DataFrame:
        """Return no rows: readings stay when their file is archived."""
        return batch.tables.read("ingested_files").limit(0)


def _differing_files(batch: Batch) -> DataFrame:
    """Return source_file and operation of files whose counts differ from the tables, and of keys with two readings."""

    def counted(table: str, name: str) -> DataFrame:
        return batch.tables.read(table).groupBy("source_file").agg(F.count(F.lit(1)).alias(name))

    joined = (
        batch.tables.read("ingested_files")
        .join(counted("readings", "stored"), "source_file", "full_outer")
        .join(counted("readings_rejected", "stored_rejected"), "source_file", "full_outer")
        .fillna(0, ["stored", "stored_rejected", "lines", "accepted", "rejected", "duplicates"])
    )
    wrong = (
        (F.col("accepted") != F.col("stored"))
        | (F.col("rejected") != F.col("stored_rejected"))
        | (F.col("lines") != F.col("accepted") + F.col("rejected") + F.col("duplicates"))
    )
    sums = joined.where(wrong).select("source_file", F.lit("counts differ from the tables").alias(OPERATION))
    twice = (
        batch.tables.read("readings")
        .groupBy("device_id", "sensor", "event_time", F.coalesce("sequence", F.lit(-(2**62))).alias("sequence"))
        .agg(F.count(F.lit(1)).alias("times"), F.min("source_file").alias("source_file"))
        .where("times > 1")
        .select("source_file", F.lit("a reading is stored twice").alias(OPERATION))
    )
    return sums.unionByName(twice)
