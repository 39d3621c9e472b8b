"""Scores of feature rows, in vectors, with the version of the model that gave them."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.errors import UnusableModelError
from sensor_streams.features.windows import in_form
from sensor_streams.fleet import Fleet
from sensor_streams.inference.model_output import result_columns
from sensor_streams.inference.registry import LoadedModel, in_one_line, model_in_worker
from sensor_streams.table_spec import Columns

_FRONT: Columns = [("device_id", "string"), ("window_start", "timestamp"), ("window_date", "date")]
_BACK: Columns = [("model_version", "string"), ("input_hash", "bigint")]
# 31 bits, which is nine digits: a row that was computed again from readings in another order keeps its hash, and one
# whose stored values changed has another one (less than 1e-9 is no change, see `keyed.difference`).
_SPLIT = 2**22 + 1
_NUMBERS = ("double", "float", "bigint", "int")


def anomaly_columns(_: Fleet) -> Columns:
    """The columns of `anomaly_scores`."""
    return [*_FRONT, ("score", "double"), ("contributing_sensors", "array<string>"), *_BACK]


def life_columns(_: Fleet) -> Columns:
    """The columns of `remaining_life`."""
    return [*_FRONT, ("life_hours", "double"), ("low_hours", "double"), ("high_hours", "double"), *_BACK]


def magnitudes(_: Fleet) -> dict[str, str]:
    """Less than 1e-9 of a score or an hour of life is nothing (see `keyed.difference`)."""
    return dict.fromkeys(("score", "life_hours", "low_hours", "high_hours"), "1000D")


def input_hash(features: DataFrame) -> Column:
    """A hash of what a model can read in a row, its last bits aside: the same hash, the same scores.

    Every number of the row counts, for a model may read any of them, by its name and in the order of the names: a
    sensor that is silent in a row, or stands elsewhere in sensors.yml, changes nothing.
    """
    names = sorted(name for name, kind in features.dtypes if kind in _NUMBERS)
    # SQL text and arrays, and not a Column object for each of hundreds of values: see `features.device`.
    told = ", ".join(f"'{name}'" for name in names)
    values = ", ".join(f"CAST(`{name}` AS DOUBLE)" for name in names)
    # Dekker's (1971) way to round: printing the digits takes ten times as long.
    rounded = f"x * {_SPLIT}D - (x * {_SPLIT}D - x)"
    pairs = f"zip_with(array({told}), array({values}), (n, x) -> IF(x IS NULL, NULL, struct(n, {rounded})))"
    # Nulls leave a hash as it is.
    return F.expr(f"xxhash64(device_type, {pairs})" if names else "xxhash64(device_type)")


def anomaly_scores(features: DataFrame, model: LoadedModel, fleet: Fleet) -> DataFrame:
    """device_features → device_id, window_start, window_date, score, contributing_sensors, model_version, input_hash.

    score: 1.0 is the edge of what training took for normal. A row of a device type that the model has not seen gets
    no row.
    """
    return _scored(features, model, anomaly_columns(fleet), "score")


def remaining_life(features: DataFrame, model: LoadedModel, fleet: Fleet) -> DataFrame:
    """device_features → device_id, window_start, window_date, life_hours, low_hours, high_hours, version, hash.

    The interval holds 9 of 10 devices' true remaining life (see `models.LifeEstimator`). Hours.
    """
    return _scored(features, model, life_columns(fleet), "life_hours")


def _scored(features: DataFrame, model: LoadedModel, columns: Columns, result: str) -> DataFrame:
    front = [name for name, _ in _FRONT]
    results = [(n, k) for n, k in columns if n not in front and n not in dict(_BACK)]
    # Champion first, then the version before it: a row that the one does not know is scored by the other.
    versions = [model] if model.before is None else [model, model.before]
    given: list[_Version] = []
    for one in versions:
        absent = [c for c in one.columns if c not in features.columns]
        needed = [c for c in absent if c in one.required]
        if needed and one is model:
            raise UnusableModelError(f"it reads {', '.join(needed)}, and device_features has no such column")
        if not needed:
            given.append(_Version(one.kind, one.version, one.digest, one.packed, absent))
    read = {c for one in versions for c in one.columns if c in features.columns and c not in front}

    def score(batches: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        for rows in batches:
            out = _applied(given[0], rows, results)
            unknown = out[result].isna().to_numpy()
            if unknown.any() and len(given) > 1:
                # What the version before has to say of them is an extra: when it fails, they have no score.
                with contextlib.suppress(UnusableModelError):
                    out = pd.concat([out[~unknown], _applied(given[1], rows[unknown], results)])
            out = out[out[result].notna()]
            yield rows.loc[out.index, [*front, "input_hash"]].assign(**{name: out[name] for name in out.columns})

    rows = features.select(*front, input_hash(features).alias("input_hash"), *sorted(read))
    schema = [*_FRONT, ("input_hash", "bigint"), *results, ("model_version", "string")]
    return in_form(rows.mapInPandas(score, ", ".join(f"{n} {k}" for n, k in schema)), columns)


@dataclass(frozen=True)
class _Version:
    """What a worker needs of one version of a model. absent: columns that it may read and the features do not have."""

    kind: str
    version: str
    digest: str
    packed: Broadcast[bytes]
    absent: list[str]


def _applied(version: _Version, rows: pd.DataFrame, results: Columns) -> pd.DataFrame:
    """The results of some rows, by the rows' own index. Raises UnusableModelError, whatever the model did."""
    loaded = model_in_worker(version.kind, version.digest, version.packed)
    # A sensor that was taken out of the fleet since training is a silent one.
    given = rows.reindex(columns=[*rows.columns, *version.absent]) if version.absent else rows
    try:
        own = _own(loaded)
        # Of a user's own model nobody knows whether it changes what it is given.
        output = own.predict(None, given) if own is not None else loaded.predict(given.reset_index(drop=True))
    except (Exception, SystemExit) as error:
        raise UnusableModelError(f"it failed on {len(rows)} rows: {in_one_line(error)}") from None
    return result_columns(output, len(rows), results).set_index(rows.index).assign(model_version=version.version)


def _own(loaded: Any) -> Any:
    """A model of this package, to be called directly: the schema check costs more than the scores. None for others."""
    try:
        model = loaded.unwrap_python_model()
    except Exception:
        # MLflow has nothing to unwrap in other flavours, and for functions.
        return None
    return model if type(model).__module__.startswith("sensor_streams.") else None
