"""Files that cannot be read are set aside with the reason; the other files of the batch are read."""

import bz2
import gzip
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from sensor_streams.ingest.compression import suffix
from sensor_streams.ingest.landing_files import Landing
from sensor_streams.ingest.long_lines import first_long_line, first_long_line_of
from tests.plant import ARRIVAL, Plant, reading

MB = 1 << 20


@pytest.fixture
def empty(plant: Plant) -> Plant:
    """Return a plant with the tables of ingestion."""
    plant.create("readings")
    return plant


def _line(minute: int) -> bytes:
    return reading("pump-1", "power", f"00:{minute:02d}:00", minute).encode() + b"\n"


def _states(plant: Plant) -> dict[str, tuple[str, int, str | None]]:
    rows = plant.read("ingested_files").collect()
    return {row["source_file"]: (row["state"], row["lines"], row["reason"]) for row in rows}


def _zstd(data: bytes) -> bytes:
    packed = pa.Codec("zstd").compress(data)
    return bytes(packed.to_pybytes())


def _lz4_frame(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


def test_good_files_of_each_codec_are_read_in_a_batch_with_damaged_files(empty: Plant) -> None:
    whole = {
        "a.json.zst": _zstd(_line(1)),
        "b.zstd": _zstd(_line(2)),
        "c.gzip": gzip.compress(_line(3)),
        "d.GZ": gzip.compress(_line(4)),
        "e.deflate": zlib.compress(_line(5)),
        "f.bz2": bz2.compress(_line(6)),
        "g.json": _line(7),
    }
    for name, data in whole.items():
        empty.land_bytes(name, data)
    empty.land_bytes("cut.json.gz", gzip.compress(os.urandom(5000))[:3000])
    empty.land_bytes("cut.json.zst", _zstd(os.urandom(5000))[:3000])
    empty.ingest()
    states = _states(empty)
    assert {name: states[name][:2] for name in whole} == dict.fromkeys(whole, ("DONE", 1))
    for name in ("cut.json.gz", "cut.json.zst"):
        state, lines, reason = states[name]
        assert (state, lines) == ("SET_ASIDE", 0)
        assert reason is not None
        assert reason.startswith("damaged: ")
    assert empty.differing("readings") == []


def test_a_file_in_a_format_that_spark_does_not_read_is_set_aside(empty: Plant) -> None:
    data = _line(1) * 3
    with zipfile.ZipFile(empty.landing / "a.zip", "w") as archive:
        archive.writestr("a.json", data)
    for name, packed in {
        "frame.json.lz4": _lz4_frame(data),
        "raw.json.lz4": pa.Codec("lz4_raw").compress(data).to_pybytes(),
        "raw.json.snappy": pa.Codec("snappy").compress(data).to_pybytes(),
        "framed.SNAPPY": b"\xff\x06\x00\x00sNaPpY" + data,
        "a.json.xz": lzma.compress(data),
        "a.json.Z": b"\x1f\x9d\x90" + data,
    }.items():
        empty.land_bytes(name, packed)
    empty.land_bytes("text.Z", _line(2))
    empty.spark.createDataFrame([(_line(3).decode().strip(),)], "value string").coalesce(1).write.option(
        "compression", "lz4"
    ).text(str(empty.folder / "hadoop"))
    written = next(file for file in (empty.folder / "hadoop").iterdir() if file.name.endswith(".lz4"))
    empty.land_bytes("hadoop.lz4", written.read_bytes())
    empty.ingest()
    states = _states(empty)
    assert {name for name, (state, _, _) in states.items() if state == "DONE"} == {"text.Z", "hadoop.lz4"}
    assert empty.sums() == (2, 2, 0, 0)
    assert all(".gz or .zst" in str(reason) for state, _, reason in states.values() if state == "SET_ASIDE")


def test_files_with_names_that_java_cannot_open_are_set_aside(empty: Plant) -> None:
    odd = ["new\nline", "per%20cent", "br[ack]et{s}", "trail ", "-dash", "back\\slash", "x" * 240, "Kühler", "日本"]
    for minute, name in enumerate(odd):
        empty.land_bytes(name, _line(minute))
    empty.land_bytes("2026-11-20T12:00:00Z.json", _line(30))
    for raw_name, content in ((b"K\xfchler.json", _line(31)), (b"empt\xfc.json", b"")):
        (empty.landing / os.fsdecode(raw_name)).write_bytes(content)
    empty.run("readings")
    states = _states(empty)
    assert {name for name, (state, _, _) in states.items() if state == "DONE"} == set(odd)
    assert "rename" in str(states["2026-11-20T12:00:00Z.json"][2])
    assert "not UTF-8" in str(states["K\\xfchler.json"][2])
    assert "not UTF-8" in str(states["empt\\xfc.json"][2])
    empty.land_bytes("next.json", _line(40))
    before = empty.version("ingested_files")
    empty.ingest("next.json")
    assert (empty.version("ingested_files"), len(_states(empty))) == (before + 1, len(states) + 1)
    assert empty.differing("readings") == []


@pytest.mark.slow
def test_a_line_that_is_too_long_for_memory_sets_its_file_aside_for_each_codec(empty: Plant) -> None:
    def long(write: Callable[[bytes], object]) -> None:
        write(_line(1))
        for _ in range(50):
            write(bytes(MB))
        write(b"\n" + _line(2))

    with (empty.landing / "plain.json").open("wb") as plain:
        long(plain.write)
    with gzip.open(empty.landing / "a.json.gz", "wb", 1) as by_gzip:
        long(by_gzip.write)
    with bz2.open(empty.landing / "a.json.bz2", "wb", 1) as by_bzip2:
        long(by_bzip2.write)
    with pa.CompressedOutputStream(str(empty.landing / "a.json.zst"), "zstd") as by_zstd:
        long(by_zstd.write)
    with (empty.landing / "last.json").open("wb") as plain:
        plain.write(_line(3))
        plain.truncate(50 * MB)
    with (empty.landing / "held.json").open("wb") as plain:
        plain.write(_line(4))
        plain.truncate(10 * MB)
    for file in empty.landing.iterdir():
        os.utime(file, (ARRIVAL.timestamp(), ARRIVAL.timestamp()))
    # With several members the last bytes of the file do not give its whole size.
    empty.land_bytes(
        "members.json.gz", gzip.compress(os.urandom(70_000).hex().encode() + b"\n") + gzip.compress(_line(5))
    )
    empty.run("readings")
    states = _states(empty)
    aside = {name for name, (state, _, _) in states.items() if state == "SET_ASIDE"}
    assert aside == {"plain.json", "a.json.gz", "a.json.bz2", "a.json.zst", "last.json"}
    assert all("line 2 is longer than 16 MB" in str(states[name][2]) for name in aside)
    assert empty.sums() == (4, 2, 2, 0)
    assert empty.reasons() == {"line_too_long": 2}
    assert empty.differing("readings") == []


def test_the_first_line_over_the_limit_is_found_for_any_cut_into_pieces() -> None:
    assert first_long_line([b"aaa\nbb", b"bb", b"b\n"], 5) is None
    assert first_long_line([b"aaa\nbb", b"bb", b"bb\n"], 5) == 2
    assert first_long_line([b"aa\r", b"bbb", b"bbb"], 5) == 1
    assert first_long_line([], 5) is None


def test_bytes_that_only_sparks_codec_accepts_are_not_a_long_line(tmp_path: Path, spark: SparkSession) -> None:
    landing = Landing.at(str(tmp_path))
    for name, data in {"text.bz2": _line(1), "end.zst": _zstd(_line(1)) + b"end", "text.deflate": _line(1)}.items():
        (tmp_path / name).write_bytes(data)
        file = landing.file(name)
        assert file is not None
        assert first_long_line_of(spark, landing, file, 5 * MB, 0, 0, 0) is None


def test_the_suffix_is_read_from_the_file_name_in_lower_case() -> None:
    assert [suffix(name) for name in ("a/b.JSON.GZ", "a.b/c", "x.", ".zst")] == ["gz", "", "", "zst"]
