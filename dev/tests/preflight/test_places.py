"""One place has one spelling, another place has another one. Nothing here starts Spark but the last test."""

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
# What stands in names of folders and is dangerous in an address, beside letters of several alphabets and forms.
LETTERS = "abcXYZ019-_.~ %+#?&=:;,'()[]{}|^@!$*üßçéи日\u0308"
NAMES = st.text(LETTERS, min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
PLAIN = st.text("abcdefgh0123456789", min_size=3, max_size=8)


@dataclass(frozen=True)
class Place:
    """A place by its parts, as nobody spells it: store, bucket (or container and account, or catalog, schema and
    volume), folders."""

    store: str
    bucket: str
    account: str
    folders: tuple[str, ...]


STORES = ("s3", "azure", "gs", "hdfs", "file", "volume")
PLACES = st.builds(Place, st.sampled_from(STORES), PLAIN, PLAIN, st.lists(NAMES, min_size=1, max_size=5).map(tuple))


def straight(place: Place) -> str:
    """The plainest spelling, as a URI has it."""
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
    """A folder's name with the percent signs encoded, and the characters at these positions."""
    told = ""
    for where, letter in enumerate(name):
        escapes = "".join(f"%{byte:02X}" for byte in letter.encode())
        told += escapes if letter == "%" or where in at else letter
    return told


def heads(place: Place) -> list[str]:
    """The ways in which scheme and authority of a place are spelt."""
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
    """Some healthy spelling of a place."""
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
        told = encoded(name, at)
        path += before + (told if draw(st.booleans()) else lower_escapes(told))
    return head + path + draw(st.sampled_from(["", "", "/", "//", "/."]))


def lower_escapes(text: str) -> str:
    head, *rest = text.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])


@st.composite
def changes(draw: st.DrawFn, place: Place) -> tuple[str, Place]:
    """Another place that looks much like this one, and what is other."""
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


def test_500_spellings_of_one_place_give_no_alarm(capsys: pytest.CaptureFixture[str]) -> None:
    tried: Counter[str] = Counter()

    @settings(max_examples=TRIES, deadline=None, database=None)
    @given(st.data())
    def one(data: st.DataObject) -> None:
        place = data.draw(PLACES)
        told = data.draw(spellings(place))
        assert same_place(told, straight(place))
        assert canonical(canonical(told)) == canonical(told)
        assert not inside(told, straight(place))
        tried[place.store] += 1

    one()
    with capsys.disabled():
        print(f"\nhealthy spellings: {tried.total()} {dict(tried)}, alarms: 0")
    assert tried.total() >= TRIES


def within(child: Place, parent: Place) -> bool:
    """True when a place lies in another one, by its parts."""
    same = (child.store, child.bucket, child.account) == (parent.store, parent.bucket, parent.account)
    return same and child.folders[: len(parent.folders)] == parent.folders and child != parent


def test_500_places_that_look_alike_are_all_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    tried: Counter[str] = Counter()

    @settings(max_examples=TRIES, deadline=None, database=None)
    @given(st.data())
    def one(data: st.DataObject) -> None:
        place = data.draw(PLACES)
        what, other = data.draw(changes(place))
        told, also = data.draw(spellings(place)), data.draw(spellings(other))
        assert not same_place(told, also), what
        assert inside(also, told) == within(other, place)
        assert inside(told, also) == within(place, other)
        tried[what] += 1

    one()
    with capsys.disabled():
        print(f"\nother places: {tried.total()} {dict(tried)}, misses: 0")
    assert tried.total() >= TRIES


@pytest.mark.parametrize(
    ("told", "is_"),
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
        ("an unknown place", "an unknown place"),
        ("", ""),
    ],
)
def test_a_spelling_is_what_it_is(told: str, is_: str) -> None:
    assert canonical(told) == is_
    assert canonical(is_) == is_


def test_two_keys_of_other_bytes_are_two_places() -> None:
    assert not same_place("s3://b/%FE", "s3://b/%FF")
    assert not same_place("s3://b/ü", "s3://b/u\u0308")


def test_a_link_and_what_it_leads_to_are_one_place(tmp_path: Path) -> None:
    real = tmp_path / "real ü"
    (real / "t").mkdir(parents=True)
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "round").symlink_to(tmp_path / "round")
    assert same_place(f"{tmp_path}/link/t", f"file://{tmp_path}/real%20%C3%BC/t/")
    assert same_place(f"{tmp_path}/link/not-there-yet", f"file:{real}/not-there-yet")
    assert inside(f"file:{tmp_path}/link/t", str(real))
    assert not inside(f"{tmp_path}/real ü2", str(real))
    assert canonical(f"{tmp_path}/round").startswith("file:/")


def test_a_folder_whose_name_looks_encoded_is_found_by_either_spelling(tmp_path: Path) -> None:
    (tmp_path / "a%20b").mkdir()
    literal = f"file:{tmp_path}/a%20b"
    assert same_place(literal, f"{tmp_path}/a%20b"), "as Spark prints it"
    assert same_place(literal, f"file://{tmp_path}/a%2520b"), "as a URI"
    assert same_place(f"{literal}/new", f"{tmp_path}/a%20b/new")
    (tmp_path / "a b").mkdir()
    assert not same_place(literal, f"file:{tmp_path}/a b")


def test_what_spark_and_delta_print_is_the_place_that_was_asked_for(spark: SparkSession, tmp_path: Path) -> None:
    spark.sql("CREATE SCHEMA IF NOT EXISTS spelling")
    for number, name in enumerate(["a b ü", "u\u0308", "a%20b", "100%", "a#b?c", "[x] {y}"]):
        folder = tmp_path / name
        spark.range(1).write.format("delta").save(str(folder))
        told = str(folder).replace("'", "\\'")
        spark.sql(f"CREATE TABLE spelling.t{number} USING delta LOCATION '{told}'")
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
