"""How files that arrive become a stream: the one place that knows where this runs."""

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from sensor_streams.errors import InputError
from sensor_streams.settings import Settings

# The schema that the binary source has; a stream must be told.
_BINARY = "path string, modificationTime timestamp, length bigint, content binary"


def on_databricks(spark: SparkSession) -> bool:
    """True on a Databricks cluster."""
    return spark.conf.get("spark.databricks.clusterUsageTags.sparkVersion", None) is not None


def landing_files(spark: SparkSession, settings: Settings, schema_location: str) -> DataFrame:
    """A stream of the files that arrive in the landing folder: path, modificationTime, length.

    Only names go through the stream; the batch reads the files as text. A text stream would fail for good on one
    damaged compressed file, or with `ignoreCorruptFiles` keep the half of it that could be read, in silence.
    Contents are not read here: the binary source leaves out the column that nobody asks for.
    """
    way = settings.source
    if way == "auto":
        way = "auto-loader" if on_databricks(spark) else "files"
    reader = spark.readStream.option("recursiveFileLookup", "true")
    if way != "files":
        reader = reader.format("cloudFiles").options(**auto_loader_options(settings, schema_location))
    else:
        reader = (
            reader.format("binaryFile")
            .schema(_BINARY)
            .option("maxFilesPerTrigger", settings.max_files)
            # By default a file that is a week older than the newest one is left out in silence.
            .option("maxFileAge", "36500d")
        )
    try:
        return reader.load(settings.landing).select("path", "modificationTime", "length")
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise
        raise InputError(
            f"the landing folder {settings.landing} does not exist: make it, or give the right one by the setting "
            "`landing` (--landing on this machine)"
        ) from None


def auto_loader_options(settings: Settings, schema_location: str) -> dict[str, str]:
    """How Auto Loader finds files, each choice written down: its defaults differ between runtimes.

    From runtime 18.1 on it takes file events by itself where the external location has them, so one runtime would list
    the folder and the next one would not (docs/storage.md has what each way costs).
    """
    return {
        "cloudFiles.format": "binaryFile",
        "cloudFiles.maxFilesPerTrigger": str(settings.max_files),
        "cloudFiles.schemaLocation": schema_location,
        "cloudFiles.useManagedFileEvents": "true" if settings.source == "file-events" else "false",
        # Queues that each stream sets up for itself: the older way, which needs rights in the cloud's account.
        "cloudFiles.useNotifications": "false",
    } | (
        # A listing from the last name on would miss a file whose name comes before it.
        {} if settings.source == "file-events" else {"cloudFiles.useIncrementalListing": "false"}
    )
