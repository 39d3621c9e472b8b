"""Files of a batch: names below the landing folder, and files that are replaced later."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sensor_streams.errors import InputError
from sensor_streams.ingest.landing_files import Counts, LandedFile, Landing, RecordedFile, files_of_batch

THEN = datetime(2026, 1, 3, 12, 0, 0, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("landing", "path", "name"),
    [
        ("/data/in", "file:/data/in/a.json", "a.json"),
        ("/data/in/", "file:///data/in/day 1/a.json", "day 1/a.json"),
        ("/data/x/../in", "/data/in/in/a.json", "in/a.json"),
        ("/Volumes/c/s/in", "dbfs:/Volumes/c/s/in/a.json", "a.json"),
        ("abfss://box@account/in/./", "abfss://box@account/in/a.json", "a.json"),
        ("s3a://bucket/in", "s3://bucket/in/a.json", "a.json"),
    ],
)
def test_a_file_has_the_same_name_below_the_landing_folder_for_each_form_of_address(
    landing: str, path: str, name: str
) -> None:
    assert Landing.at(landing).name(path) == name


@pytest.mark.parametrize(
    "path", ["file:/data/input/a.json", "/other/data/in/a.json", "abfss://box@other/data/in/a.json"]
)
def test_a_file_outside_of_the_landing_folder_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="is not below the landing folder /data/in"):
        Landing.at("/data/in").name(path)


def test_replaced_files_are_added_and_files_that_match_their_record_are_not(tmp_path: Path) -> None:
    landing = Landing.at(str(tmp_path))
    for name, data in {"old.gz": "x", "whole.gz": "xyz", "later.gz": "x", "empty": "", "new_empty": ""}.items():
        (tmp_path / name).write_text(data, encoding="utf-8")
        at = round(THEN.timestamp() * 1000) * 1_000_000 + (10**9 if name == "later.gz" else 456)
        os.utime(tmp_path / name, ns=(at, at))
    names = ("old.gz", "whole.gz", "later.gz", "gone.gz")
    known = {name: RecordedFile(THEN, 1, Counts(), "SET_ASIDE") for name in names}
    known["empty"] = RecordedFile(THEN, 0, Counts(), "DONE")
    assert sorted(landing.skipped_by_sources()[0]) == ["empty", "new_empty"]
    listed = landing.file("whole.gz")
    assert listed is not None
    assert list(files_of_batch([listed], ["empty", "new_empty"], landing, known)) == [
        "whole.gz",
        "later.gz",
        "new_empty",
    ]
    assert list(files_of_batch([], ["empty"], landing, known)) == ["whole.gz", "later.gz"]
    assert listed.arrived_at == THEN
    within = LandedFile("", "old.gz", THEN + timedelta(microseconds=900), 1)
    assert known["old.gz"].matches(within), "sources give times in whole milliseconds"
