"""Proof that the tables are what the accepted readings make of them: recompute, compare, print what differs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.errors import ConfigurationError, TableError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.difference import DELETE, INSERT, OPERATION, UPDATE, difference
from sensor_streams.incremental.engine import Handles, changed_rows, checked_names
from sensor_streams.incremental.episodes import Since
from sensor_streams.incremental.time_slots import Region, Slots
from sensor_streams.inference import scoring
from sensor_streams.inference.alerts import PEAK
from sensor_streams.inference.registry import LoadedModel
from sensor_streams.ingest.changed_files import Changed, changed_files
from sensor_streams.streams import BY_NAME, STREAMS, Stream
from sensor_streams.tables import Catalog

LoadVersion = Callable[[str, str], LoadedModel]

_WORDS = {INSERT: "missing", UPDATE: "different", DELETE: "not to be there"}


@dataclass(frozen=True)
class Check:
    """One table's check: rows compared, rows that differ, and the first of them in words.

    files: of readings, whose sums are compared file by file; None for other tables.
    """

    table: str
    rows: int
    differing: int
    examples: tuple[str, ...] = ()
    files: int | None = None


def verify(
    catalog: Catalog,
    fleet: Fleet,
    load: LoadVersion,
    low: datetime | None = None,
    high: datetime | None = None,
    only: Sequence[str] = (),
    examples: int = 5,
    landing: str | None = None,
) -> list[Check]:
    """Compare every table with its function over the stored tables it is made from, stage by stage.

    low, high: the range of times (UTC), None = no limit; widened to whole windows. load: (kind, version) → model,
    for scores are checked with the version that their row names. Sums of floats are compared but for the last bits.
    landing: the folder of the files; those that changed after they were read count as rows of `readings` that differ.
    A table that does not exist yet is left out, see `left_out`. Raises TableError when nothing is left to compare.
    """
    check_names(only)
    missing = left_out(catalog, only)
    checks = []
    for stream in STREAMS:
        if (only and stream.name not in only) or stream.name in missing:
            continue
        handles = Handles.open(catalog, [*(table.name for table in stream.tables(fleet)), *stream.sources])
        check = _check(stream, fleet, handles, load, low, high, examples)
        if stream.name == "readings" and landing is not None:
            check = _with_changed(check, changed_files(handles.read("ingested_files"), landing), examples)
        checks.append(check)
    if not checks:
        raise TableError(
            f"nothing to verify: {catalog} has no table for {', '.join(missing)}. "
            "Give the home, settings and names that the streams ran with, or run them first"
        )
    return checks


def check_names(names: Sequence[str]) -> None:
    """Raise ConfigurationError when one is not a stream's."""
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise ConfigurationError(f"no stream is called {', '.join(unknown)}; there are: {', '.join(BY_NAME)}")


def left_out(catalog: Catalog, only: Sequence[str] = ()) -> dict[str, list[str]]:
    """Streams whose table cannot be compared yet, each with the tables that do not exist."""
    found = {}
    for stream in STREAMS:
        if not only or stream.name in only:
            missing = [name for name in (stream.name, *stream.sources) if not catalog.exists(name)]
            if missing:
                found[stream.name] = missing
    return found


def is_computed(stream: Stream) -> bool:
    """True when the stream's table is a function of other tables, so that a range of it can be computed afresh."""
    return isinstance(stream.touches, Slots | Since)


def region_of(stream: Stream, fleet: Fleet, low: datetime | None, high: datetime | None) -> Region:
    """The part of a computed stream's tables between two times.

    Raises ConfigurationError when the range is empty, or the stream is not computed from tables.
    """
    if low is not None and high is not None and low >= high:
        raise ConfigurationError(f"the range from {low} to {high} is empty: its end must be after its begin")
    if isinstance(stream.touches, Slots):
        return stream.touches.between(low, high, fleet, stream.name)
    if isinstance(stream.touches, Since):
        whole = stream.touches.whole()

        def within(rows: DataFrame) -> DataFrame:
            after = F.lit(True) if low is None else F.col("opened_at") >= F.lit(low)
            return rows.where(after if high is None else after & (F.col("opened_at") < F.lit(high)))

        return Region(whole.source, within)
    raise ConfigurationError(f"stream {stream.name} is not computed from tables: it only adds to its own")


def _check(
    stream: Stream,
    fleet: Fleet,
    handles: Handles,
    load: LoadVersion,
    low: datetime | None,
    high: datetime | None,
    examples: int,
) -> Check:
    files: int | None = None
    if stream.name == "readings":
        found = _files_that_do_not_add_up(handles)
        rows, files = handles.read("readings").count(), handles.read("ingested_files").count()
    elif stream.name == "alert_events":
        found = events_that_do_not_fold(handles)
        rows = handles.read("alerts").count()
    else:
        region = region_of(stream, fleet, low, high)
        if stream.model is not None:
            found = _scores_that_differ(stream, fleet, handles, load, region)
        else:
            found = changed_rows(stream, fleet, handles, region, None)
        keys = region.sink(handles.read(stream.name)).groupBy(*stream.key).count()
        told = keys.agg(F.sum("count"), F.count_if(F.col("count") > 1)).first()
        rows = int(told[0] or 0) if told is not None else 0
        if told is not None and told[1]:
            # Both of them meet the one computed row, and may well be equal to it.
            twice = keys.where("count > 1").select(*stream.key, F.lit("stands twice").alias(OPERATION))
            rest = found.join(twice, list(stream.key), "left_anti")
            found = rest.select(*stream.key, OPERATION).unionByName(twice)
    found = found.localCheckpoint()
    differing = found.count()
    columns = [c for c in (*stream.key, "source_file") if c in found.columns]
    shown = found.select(*columns, OPERATION).limit(examples).collect() if differing else []
    words = tuple(_in_words(row.asDict(), row[OPERATION]) for row in shown)
    return Check(stream.name, rows, differing, words, files)


def _with_changed(check: Check, changed: Sequence[Changed], examples: int) -> Check:
    told = [f"source_file {one.file.name}: {one.words}; `sensor-streams reread` reads it again" for one in changed]
    shown = (*check.examples, *told)[: max(examples, 0)]
    return replace(check, differing=check.differing + len(changed), examples=shown)


def _in_words(row: dict[str, object], operation: str) -> str:
    key = ", ".join(f"{name} {value}" for name, value in row.items() if name != OPERATION)
    return f"{key}: {_WORDS.get(operation, operation)}"


def _files_that_do_not_add_up(handles: Handles) -> DataFrame:
    """Files whose recorded counts are not those of the tables, and keys that readings hold twice."""

    def counted(table: str, name: str) -> DataFrame:
        return handles.read(table).groupBy("source_file").agg(F.count(F.lit(1)).alias(name))

    files = handles.read("ingested_files")
    joined = (
        files.join(counted("readings", "stored"), "source_file", "full_outer")
        .join(counted("readings_rejected", "kept"), "source_file", "full_outer")
        .fillna(0, ["stored", "kept", "lines", "accepted", "rejected", "duplicates"])
    )
    wrong = (
        (F.col("accepted") != F.col("stored"))
        | (F.col("rejected") != F.col("kept"))
        | (F.col("lines") != F.col("accepted") + F.col("rejected") + F.col("duplicates"))
    )
    sums = joined.where(wrong).select("source_file", F.lit("counts differ from the tables").alias(OPERATION))
    twice = (
        handles.read("readings")
        .groupBy("device_id", "sensor", "event_time", F.coalesce("sequence", F.lit(-(2**62))).alias("sequence"))
        .agg(F.count(F.lit(1)).alias("times"), F.min("source_file").alias("source_file"))
        .where("times > 1")
        .select("source_file", F.lit("a reading stands twice").alias(OPERATION))
    )
    return sums.unionByName(twice)


def events_that_do_not_fold(handles: Handles) -> DataFrame:
    """Episodes whose last event does not say what the episode is, and episodes whose numbers are not 1, 2, 3, …"""
    key = ["device_id", "rule", "opened_at"]
    events = handles.read("alert_events")
    told = [("state", "string"), ("peak", "double"), ("peak_at", "timestamp"), ("resolved_at", "timestamp")]
    names = [name for name, _ in told]
    last = events.groupBy(*key).agg(F.max_by(F.struct("kind", *names), "number").alias("last"))
    folded = last.where("last.kind != 'WITHDRAWN'").select(*key, *[F.col(f"last.{n}").alias(n) for n in names])
    columns = [("device_id", "string"), ("rule", "string"), ("opened_at", "timestamp"), *told]
    differ = difference(folded, handles.read("alerts").select(*key, *names), columns, key, {"peak": PEAK})
    numbers = events.groupBy(*key).agg(
        F.count(F.lit(1)).alias("n"), F.max("number").alias("most"), F.countDistinct("number").alias("different")
    )
    gaps = numbers.where("n != most OR n != different").select(*key, F.lit("numbers have gaps").alias(OPERATION))
    return differ.select(*key, OPERATION).unionByName(gaps)


def _scores_that_differ(stream: Stream, fleet: Fleet, handles: Handles, load: LoadVersion, region: Region) -> DataFrame:
    """Scores that are not what the version on their row makes of the features, and rows without a score.

    A row whose device type the model did not know at the time has no score; that is no difference. So a row is
    missing only when each version of the table would score it. Raises TableError when the table lacks a column.
    """
    key, columns = list(stream.key), stream.columns(fleet)
    whole = handles.read(stream.name)
    names = checked_names(stream, fleet, whole)
    stored = region.sink(whole.select(*names)).localCheckpoint()
    features = region.sink(handles.read(stream.sources[0]))
    function = scoring.anomaly_scores if stream.model == "anomaly" else scoring.remaining_life

    def score(rows: DataFrame, version: str) -> DataFrame:
        return function(rows, load(str(stream.model), version), fleet).select(*names)

    computed = stored.limit(0)
    for row in stored.select("model_version").distinct().orderBy("model_version").collect():
        of_version = stored.where(F.col("model_version") == row["model_version"]).select(*key)
        computed = computed.unionByName(score(features.join(of_version, key, "left_semi"), row["model_version"]))
    unscored = features.join(stored.select(*key), key, "left_anti").localCheckpoint()
    if not unscored.isEmpty():
        # Of the whole table and not of the range: which versions there were does not depend on what is asked for.
        missing: DataFrame | None = None
        for row in whole.select("model_version").distinct().orderBy("model_version").collect():
            scored = score(unscored, row["model_version"])
            missing = scored if missing is None else missing.join(scored.select(*key), key, "left_semi")
        if missing is not None:
            computed = computed.unionByName(missing)
    return difference(stored, computed, columns, key, stream.magnitudes(fleet))
