"""The stream of new files: options of Auto Loader, and a missing landing folder."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sensor_streams.errors import InputError
from sensor_streams.ingest.source import auto_loader_options, landing_files
from sensor_streams.settings import load_settings

NEEDED = {"catalog": "main", "schema": "plant", "landing": "/Volumes/a/b/landing", "checkpoints": "/Volumes/a/b/c"}


@pytest.mark.parametrize(("source", "events"), [("auto", "false"), ("auto-loader", "false"), ("file-events", "true")])
def test_each_option_of_auto_loader_is_explicit(source: str, events: str) -> None:
    # Runtime 18.1 and later use file events by default when the external location has them.
    options = auto_loader_options(load_settings({**NEEDED, "source": source, "max_files": "7"}), "/Volumes/a/b/c/s")
    assert options["cloudFiles.useManagedFileEvents"] == events
    assert options["cloudFiles.useNotifications"] == "false"
    assert options.get("cloudFiles.useIncrementalListing") == ("false" if events == "false" else None)
    assert options["cloudFiles.maxFilesPerTrigger"] == "7"
    assert options["cloudFiles.format"] == "binaryFile"


def test_a_missing_landing_folder_is_reported_with_the_setting(spark: SparkSession, tmp_path: Path) -> None:
    settings = load_settings({**NEEDED, "landing": str(tmp_path / "no")})
    with pytest.raises(InputError, match="no does not exist: create it, or correct the setting `landing`"):
        landing_files(spark, settings, str(tmp_path / "schema"))
