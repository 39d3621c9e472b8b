"""Change feeds of Delta tables as one stream of rows."""

from collections.abc import Sequence

from pyspark.sql import DataFrame

from sensor_streams.incremental.stream import Stream
from sensor_streams.settings import Settings
from sensor_streams.tables import Catalog

# Columns that locate a change; batches read the rows from the tables.
_COLUMNS = ("device_id", "sensor", "event_time", "window_start", "rule", "opened_at")


def change_feed(catalog: Catalog, tables: Sequence[str], settings: Settings) -> DataFrame:
    """Return the changed rows of the tables as a stream, with those columns of `_COLUMNS` that they have.

    Raises ValueError when no table is given.
    """
    changes: DataFrame | None = None
    for table in tables:
        feed = (
            catalog.spark.readStream.option("readChangeFeed", "true")
            .option("maxFilesPerTrigger", settings.max_files)
            .table(catalog.full_name(table))
        )
        rows = feed.select(*[name for name in _COLUMNS if name in feed.columns])
        changes = rows if changes is None else changes.unionByName(rows)
    if changes is None:
        raise ValueError("a change feed needs at least one table")
    return changes


class ChangeFeedScope:
    """Base of the scopes of streams that read tables."""

    def open_source(self, stream: Stream, catalog: Catalog, settings: Settings, folder: str) -> DataFrame:
        """Return the change feeds of the sources."""
        return change_feed(catalog, stream.sources, settings)

    def warnings(self, catalog: Catalog, settings: Settings) -> Sequence[str]:
        """Return no warnings."""
        return ()
