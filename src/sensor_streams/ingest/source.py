"""The stream of arriving files: Auto Loader on Databricks, Spark's file source elsewhere."""

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from sensor_streams.databricks import on_databricks
from sensor_streams.errors import InputError
from sensor_streams.settings import Settings

# Schema of the binary source, which a stream does not infer.
_BINARY = "path string, modificationTime timestamp, length bigint, content binary"


def landing_files(spark: SparkSession, settings: Settings, schema_location: str) -> DataFrame:
    """Return the stream of files that arrive in the landing folder: path, modificationTime, length.

    The stream carries names only, and each batch reads its files as text. A text stream would fail at every restart on
    one corrupt compressed file, or with `ignoreCorruptFiles` keep half of it without an error. The binary source does
    not read contents, because the column `content` is not selected.
    """
    source = settings.source
    if source == "auto":
        source = "auto-loader" if on_databricks(spark) else "files"
    reader = spark.readStream.option("recursiveFileLookup", "true")
    if source != "files":
        reader = reader.format("cloudFiles").options(**auto_loader_options(settings, schema_location))
    else:
        reader = (
            reader.format("binaryFile")
            .schema(_BINARY)
            .option("maxFilesPerTrigger", settings.max_files)
            # By default the source skips a file that is a week older than the newest one, without a message.
            .option("maxFileAge", "36500d")
        )
    try:
        return reader.load(settings.landing).select("path", "modificationTime", "length")
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise
        raise InputError(
            f"the landing folder {settings.landing} does not exist: create it, or correct the setting `landing` "
            "(--landing on this machine)"
        ) from None


def auto_loader_options(settings: Settings, schema_location: str) -> dict[str, str]:
    """Return the options of Auto Loader. Each choice is explicit, because defaults differ between runtimes.

    For example, runtime 18.1 and later use file events by default when the external location has them. docs/storage.md
    compares the cost of each choice.
    """
    return {
        "cloudFiles.format": "binaryFile",
        "cloudFiles.maxFilesPerTrigger": str(settings.max_files),
        "cloudFiles.schemaLocation": schema_location,
        "cloudFiles.useManagedFileEvents": "true" if settings.source == "file-events" else "false",
        # The older mode: each stream creates its own queue, which needs privileges in the cloud account.
        "cloudFiles.useNotifications": "false",
    } | (
        # An incremental listing would miss a file whose name sorts before the last one.
        {} if settings.source == "file-events" else {"cloudFiles.useIncrementalListing": "false"}
    )
