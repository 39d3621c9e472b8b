"""Canonical spellings of paths. Only the last test starts Spark."""

import os
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from sensor_streams.locations import canonical, inside, same_place

TRIES = 500
AZURE = "dfs.core.windows.net"
# Characters of folder names that are special in a URI, and letters of several alphabets.
LETTERS = "abcXYZ019-_.~ %+#?&=:;,'()[]{}|^@!$*üßçéи日\u0308"
NAMES = st.text(LETTERS, min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
PLAIN = st.text("abcdefgh0123456789", min_size=3, max_size=8)


@dataclass(frozen=True)
class Place:
    """A path by its parts. bucket, account: or catalog and schema of a volume."""

    store: str
    bucket: str
    account: str
    folders: tuple[str, ...]


STORES = ("s3", "azure", "gs", "hdfs", "file", "volume")
PLACES = st.builds(Place, st.sampled_from(STORES), PLAIN, PLAIN, st.lists(NAMES, min_size=1, max_size=5).map(tuple))


def straight(place: Place) -> str:
    """Return the plain URI."""
    path = "".join(f"/{encoded(name, set())}" for name in place.folders)
    return {
        "s3": f"s3://{place.bucket}{path}",
        "azure": f"abfss://{place.bucket}@{place.account}.{AZURE}{path}",
        "gs": f"gs://{place.bucket}{path}",
        "hdfs": f"hdfs://{place.bucket}{path}",
        "file": f"file:/nowhere/{place.bucket}{path}",
        "volume": f"dbfs:/Volumes/{place.bucket}/{place.account}/v{path}",
    }[place.store]


def encoded(name: str, at: set[int]) -> str:
    """Encode the percent signs of a name, and the characters at these positions."""
    text = ""
    for index, letter in enumerate(name):
        escapes = "".join(f"%{byte:02X}" for byte in letter.encode())
        text += escapes if letter == "%" or index in at else letter
    return text


def heads(place: Place) -> list[str]:
    """Return spellings of scheme and authority."""
    bucket, account = place.bucket, place.account
    return {
        "s3": [f"{scheme}://{bucket}{port}" for scheme in ("s3", "s3a", "s3n") for port in ("", ":443", ":80")],
        "azure": [
            *(f"{scheme}://{bucket}@{account}.{AZURE}{port}" for scheme in ("abfss", "abfs") for port in ("", ":443")),
            *(f"{scheme}://{bucket}@{account}.blob.core.windows.net" for scheme in ("wasbs", "wasb")),
        ],
        "gs": [f"gs://{bucket}", f"gs://{bucket}:443"],
        "hdfs": [f"hdfs://{bucket}", f"hdfs://{bucket}:8020"],
        "file": [f"{scheme}/nowhere/{bucket}" for scheme in ("file:", "file://", "file://localhost")],
        "volume": [f"{scheme}/Volumes/{bucket}/{account}/v" for scheme in ("dbfs:", "dbfs://", "file:", "file://")],
    }[place.store]


def in_some_case(draw: st.DrawFn, text: str) -> str:
    return "".join(letter.upper() if draw(st.booleans()) else letter for letter in text)


@st.composite
def spellings(draw: st.DrawFn, place: Place) -> str:
    """Draw a spelling of a path."""
    head = draw(st.sampled_from(heads(place)))
    if place.store == "file":
        scheme, colon, rest = head.partition(":")
        host, slash, folders = rest.partition("/nowhere")
        head = in_some_case(draw, scheme) + colon + in_some_case(draw, host) + slash + folders
    elif place.store == "volume":
        scheme, volumes, names = head.partition("/Volumes")
        head = in_some_case(draw, scheme) + volumes + in_some_case(draw, names)
    else:
        head = in_some_case(draw, head)
    path = ""
    for name in place.folders:
        before = draw(st.sampled_from(["/", "/", "/", "//", "/./", "/x/../", "/%2E/", "///"]))
        at = draw(st.sets(st.integers(0, len(name) - 1), max_size=len(name)))
        text = encoded(name, at)
        path += before + (text if draw(st.booleans()) else lower_escapes(text))
    return head + path + draw(st.sampled_from(["", "", "/", "//", "/."]))


def lower_escapes(text: str) -> str:
    head, *rest = text.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])


@st.composite
def changes(draw: st.DrawFn, place: Place) -> tuple[str, Place]:
    """Draw a similar path, and the difference."""
    first, last = place.folders[:-1], place.folders[-1]
    made = {
        "another bucket": replace(place, bucket=place.bucket + "x"),
        "another key": replace(place, folders=(*first, draw(NAMES.filter(lambda name: name != last)))),
        "another case of the key": replace(place, folders=(*first, last.swapcase())),
        "a folder more": replace(place, folders=(*place.folders, draw(NAMES))),
        "a folder more, before": replace(place, folders=(draw(NAMES), *place.folders)),
        "a folder less": replace(place, folders=first),
        "a letter more": replace(place, folders=(*first, last + draw(st.sampled_from(LETTERS)))),
        "another form of the letters": replace(place, folders=(*first, unicodedata.normalize("NFD", last))),
        "an escape that is a name": replace(place, folders=(*first, encoded(last, set(range(len(last)))))),
        "another store": replace(place, store=draw(st.sampled_from(STORES))),
    }
    if place.store in ("azure", "volume"):
        made["another account"] = replace(place, account=place.account + "x")
    made = {what: other for what, other in made.items() if other != place and ".." not in other.folders}
    what = draw(st.sampled_from(sorted(made)))
    return what, made[what]


def test_500_spellings_of_one_path_are_equal(capsys: pytest.CaptureFixture[str]) -> None:
    tried: Counter[str] = Counter()

    @settings(max_examples=TRIES, deadline=None, database=None)
    @given(st.data())
    def one(data: st.DataObject) -> None:
        place = data.draw(PLACES)
        text = data.draw(spellings(place))
        assert same_place(text, straight(place))
        assert canonical(canonical(text)) == canonical(text)
        assert not inside(text, straight(place))
        tried[place.store] += 1

    one()
    with capsys.disabled():
        print(f"\nhealthy spellings: {tried.total()} {dict(tried)}, alarms: 0")
    assert tried.total() >= TRIES


def within(child: Place, parent: Place) -> bool:
    """Return True if a path is below another one, by its parts."""
    same = (child.store, child.bucket, child.account) == (parent.store, parent.bucket, parent.account)
    return same and child.folders[: len(parent.folders)] == parent.folders and child != parent


def test_500_similar_paths_are_different(capsys: pytest.CaptureFixture[str]) -> None:
    tried: Counter[str] = Counter()

    @settings(max_examples=TRIES, deadline=None, database=None)
    @given(st.data())
    def one(data: st.DataObject) -> None:
        place = data.draw(PLACES)
        what, other = data.draw(changes(place))
        text, other_text = data.draw(spellings(place)), data.draw(spellings(other))
        assert not same_place(text, other_text), what
        assert inside(other_text, text) == within(other, place)
        assert inside(text, other_text) == within(place, other)
        tried[what] += 1

    one()
    with capsys.disabled():
        print(f"\nother places: {tried.total()} {dict(tried)}, misses: 0")
    assert tried.total() >= TRIES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("S3A://Bucket/Key//a/", "s3://bucket/Key/a"),
        ("s3a://AKIA:secret@bucket/a", "s3://bucket/a"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/../a", "s3://bucket/../a"),
        ("s3://b/%FF", "s3://b/%FF"),
        ("s3://b/100%", "s3://b/100%"),
        ("s3://b/a?b#c", "s3://b/a?b#c"),
        ("WASBS://c@Acc.blob.core.windows.net/p", "abfss://c@acc.dfs.core.windows.net/p"),
        ("abfss://c@a.dfs.core.chinacloudapi.cn:443", "abfss://c@a.dfs.core.chinacloudapi.cn"),
        ("hdfs://n:9000/a", "hdfs://n:9000/a"),
        ("file://elsewhere/a", "file://elsewhere/a"),
        ("file:/", "file:/"),
        ("/nowhere/../a//b/", "file:/a/b"),
        ("//nowhere/a", "file:/nowhere/a"),
        ("/nowhere/a%20b", "file:/nowhere/a%2520b"),
        ("file:///nowhere/a%20b", "file:/nowhere/a b"),
        ("file:///nowhere/a%00b", "file:/nowhere/a\0b"),
        ("/Volumes/Main/Plant/Landing/North", "dbfs:/Volumes/main/plant/landing/North"),
        ("/VolumesOfMine/A", "file:/VolumesOfMine/A"),
        ("a relative path", "a relative path"),
        ("", ""),
    ],
)
def test_canonical_spelling(text: str, expected: str) -> None:
    assert canonical(text) == expected
    assert canonical(expected) == expected


def test_keys_with_different_bytes_are_different() -> None:
    assert not same_place("s3://b/%FE", "s3://b/%FF")
    assert not same_place("s3://b/ü", "s3://b/u\u0308")


def test_a_link_and_its_target_are_one_path(tmp_path: Path) -> None:
    real = tmp_path / "real ü"
    (real / "t").mkdir(parents=True)
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "round").symlink_to(tmp_path / "round")
    assert same_place(f"{tmp_path}/link/t", f"file://{tmp_path}/real%20%C3%BC/t/")
    assert same_place(f"{tmp_path}/link/not-there-yet", f"file:{real}/not-there-yet")
    assert inside(f"file:{tmp_path}/link/t", str(real))
    assert not inside(f"{tmp_path}/real ü2", str(real))
    assert canonical(f"{tmp_path}/round").startswith("file:/")


def test_a_folder_with_an_encoded_name_is_found_by_either_spelling(tmp_path: Path) -> None:
    (tmp_path / "a%20b").mkdir()
    literal = f"file:{tmp_path}/a%20b"
    assert same_place(literal, f"{tmp_path}/a%20b"), "as Spark prints it"
    assert same_place(literal, f"file://{tmp_path}/a%2520b"), "as a URI"
    assert same_place(f"{literal}/new", f"{tmp_path}/a%20b/new")
    (tmp_path / "a b").mkdir()
    assert not same_place(literal, f"file:{tmp_path}/a b")


def test_paths_printed_by_spark_and_delta_are_equal(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql("CREATE SCHEMA IF NOT EXISTS spelling")
    for number, name in enumerate(["a b ü", "u\u0308", "a%20b", "100%", "a#b?c", "[x] {y}"]):
        folder = tmp_path / name
        spark.range(1).write.format("delta").save(str(folder))
        path = str(folder).replace("'", "\\'")
        spark.sql(f"CREATE TABLE spelling.t{number} USING delta LOCATION '{path}'")
        detail = spark.sql(f"DESCRIBE DETAIL spelling.t{number}").first()
        described = spark.sql(f"DESCRIBE EXTENDED spelling.t{number}").where("col_name = 'Location'").first()
        assert detail is not None
        assert described is not None
        jvm = spark._jvm
        assert jvm is not None
        uri = jvm.org.apache.hadoop.fs.Path(f"file:{folder}").toUri().toString()
        assert {canonical(t) for t in (str(folder), detail["location"], described["data_type"], uri)} == {
            canonical(os.fspath(folder))
        }
    spark.sql("DROP SCHEMA spelling CASCADE")
