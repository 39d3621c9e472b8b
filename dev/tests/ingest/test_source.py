"""How new files are found: each choice of Auto Loader is written down."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sensor_streams.errors import InputError
from sensor_streams.ingest.source import auto_loader_options, landing_files
from sensor_streams.settings import load_settings

NEEDED = {"catalog": "main", "schema": "plant", "landing": "/Volumes/a/b/landing", "checkpoints": "/Volumes/a/b/c"}


@pytest.mark.parametrize(("source", "events"), [("auto", "false"), ("auto-loader", "false"), ("file-events", "true")])
def test_a_runtime_that_changes_its_default_changes_nothing(source: str, events: str) -> None:
    # Runtime 18.1 and later take file events by themselves where the external location has them.
    options = auto_loader_options(load_settings({**NEEDED, "source": source, "max_files": "7"}), "/Volumes/a/b/c/s")
    assert options["cloudFiles.useManagedFileEvents"] == events
    assert options["cloudFiles.useNotifications"] == "false"
    assert options.get("cloudFiles.useIncrementalListing") == ("false" if events == "false" else None)
    assert options["cloudFiles.maxFilesPerTrigger"] == "7"
    assert options["cloudFiles.format"] == "binaryFile"


def test_a_missing_landing_folder_is_named_with_what_to_do(spark: SparkSession, tmp_path: Path) -> None:
    settings = load_settings({**NEEDED, "landing": str(tmp_path / "no")})
    with pytest.raises(InputError, match="no does not exist: make it, or give the right one by the setting `landing`"):
        landing_files(spark, settings, str(tmp_path / "schema"))
