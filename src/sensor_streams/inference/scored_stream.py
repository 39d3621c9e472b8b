"""Streams that score rows with a model; a row keeps its score until its features change."""

from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.errors import ModelError
from sensor_streams.fleet import Fleet
from sensor_streams.incremental.difference import difference
from sensor_streams.incremental.regions import column_names
from sensor_streams.incremental.stream import Batch, Inputs, LoadVersion, ModelKind, Stream
from sensor_streams.incremental.time_slots import TimeSlots
from sensor_streams.inference.registry import LoadedModel
from sensor_streams.inference.scoring import input_hash, magnitudes
from sensor_streams.table_spec import Columns

# (features, model, fleet) → one row per row of features that the model can score.
Score = Callable[[DataFrame, LoadedModel, Fleet], DataFrame]

_FEATURES = "device_features"
_KEY = ("device_id", "window_start")


def scored_stream(
    name: str, model: ModelKind, columns: Callable[[Fleet], Columns], score: Score, partitions: dict[str, str]
) -> Stream:
    """Return the declaration of a stream that scores each row of `device_features` with the champion of `model`.

    columns: of its table, including device_id, window_start, window_date, model_version and input_hash.
    """
    return Stream(
        name=name,
        task="inference",
        sources=(_FEATURES,),
        columns=columns,
        key=_KEY,
        partition=partitions[name],
        scope=TimeSlots(
            by=("device_id",),
            source_time="window_start",
            sink_time="window_start",
            length=lambda fleet: fleet.long_seconds,
            partitions=partitions,
        ),
        compute=lambda inputs: rescore(inputs, score),
        model=model,
        magnitudes=magnitudes,
        reads_twice=True,
        compare=lambda batch, sink, load: differing_scores(batch, sink, load, score),
    )


def rescore(inputs: Inputs, score: Score) -> DataFrame:
    """Score the rows whose features changed; other rows keep their score and its model version.

    Raises ModelError without a model.
    """
    if inputs.model is None:
        raise ModelError("no model was given: train one, or set the alias of the registered model")
    features = inputs.rows[_FEATURES]
    hashed = features.withColumn("input_hash", input_hash(features))
    same = [*_KEY, "input_hash"]
    changed = hashed.join(inputs.stored.select(*same), same, "left_anti")
    unchanged = inputs.stored.join(hashed.select(*same), same, "left_semi")
    return score(changed.drop("input_hash"), inputs.model, inputs.fleet).unionByName(unchanged)


def differing_scores(
    batch: Batch, sink: Callable[[DataFrame], DataFrame], load: LoadVersion, score: Score
) -> DataFrame:
    """Return the differences between stored scores and scores recomputed with the model version of each row.

    A version gives no score for a device type that it does not know. So a row without a score is a difference only if
    every version in the table scores it. sink: rows → rows of the range. Raises TableError for a missing column.
    """
    stream, fleet, tables = batch.stream, batch.fleet, batch.tables
    key = list(stream.key)
    whole = tables.read(stream.name)
    names = column_names(stream, fleet, whole)
    stored = sink(whole.select(*names)).localCheckpoint()
    features = sink(tables.read(_FEATURES))

    def scored(rows: DataFrame, version: str) -> DataFrame:
        return score(rows, load(str(stream.model), version), fleet).select(*names)

    computed = stored.limit(0)
    for version in _versions(stored):
        of_version = stored.where(F.col("model_version") == version).select(*key)
        computed = computed.unionByName(scored(features.join(of_version, key, "left_semi"), version))
    unscored = features.join(stored.select(*key), key, "left_anti").localCheckpoint()
    if not unscored.isEmpty():
        # Versions of the whole table, so that the result does not depend on the range.
        missing: DataFrame | None = None
        for version in _versions(whole):
            rows = scored(unscored, version)
            missing = rows if missing is None else missing.join(rows.select(*key), key, "left_semi")
        if missing is not None:
            computed = computed.unionByName(missing)
    return difference(stored, computed, stream.columns(fleet), key, stream.magnitudes(fleet))


def _versions(scores: DataFrame) -> list[str]:
    rows = scores.select("model_version").distinct().orderBy("model_version").collect()
    return [row["model_version"] for row in rows]
