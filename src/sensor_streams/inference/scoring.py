"""Score feature rows with a model: anomaly scores and remaining life."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sensor_streams.errors import UnusableModelError
from sensor_streams.features.windows import select_declared
from sensor_streams.fleet import Fleet
from sensor_streams.inference.model_output import result_columns
from sensor_streams.inference.registry import LoadedModel, error_summary, model_in_worker
from sensor_streams.table_spec import Columns

_FIRST: Columns = [("device_id", "string"), ("window_start", "timestamp"), ("window_date", "date")]
_LAST: Columns = [("model_version", "string"), ("input_hash", "bigint")]
# Factor that rounds a number to 31 bits (nine digits). The order of readings changes only the last bits of a feature,
# so the hash stays equal. A stored value changes by at least 1e-9 (see `incremental.difference`), so the hash changes.
_SPLIT = 2**22 + 1
_NUMBERS = ("double", "float", "bigint", "int")


def anomaly_columns(_: Fleet) -> Columns:
    """Return the columns of `anomaly_scores`."""
    return [*_FIRST, ("score", "double"), ("contributing_sensors", "array<string>"), *_LAST]


def life_columns(_: Fleet) -> Columns:
    """Return the columns of `remaining_life`."""
    return [*_FIRST, ("life_hours", "double"), ("low_hours", "double"), ("high_hours", "double"), *_LAST]


def magnitudes(_: Fleet) -> dict[str, str]:
    """Return magnitudes with which changes below 1e-9 are ignored (see `incremental.difference`)."""
    return dict.fromkeys(("score", "life_hours", "low_hours", "high_hours"), "1000D")


def input_hash(features: DataFrame) -> Column:
    """Return a hash of the model inputs in a row, without their last bits: an equal hash means equal scores.

    It covers the name and value of each number that is not null, sorted by name. A new sensor without readings, or
    another order of sensors in sensors.yml, does not change it.
    """
    names = sorted(name for name, kind in features.dtypes if kind in _NUMBERS)
    # SQL text, not hundreds of Column objects: see `features.device`.
    quoted = ", ".join(f"'{name}'" for name in names)
    values = ", ".join(f"CAST(`{name}` AS DOUBLE)" for name in names)
    # Rounding by Dekker (1971) is ten times as fast as formatting the digits.
    rounded = f"x * {_SPLIT}D - (x * {_SPLIT}D - x)"
    pairs = f"zip_with(array({quoted}), array({values}), (n, x) -> IF(x IS NULL, NULL, struct(n, {rounded})))"
    # xxhash64 ignores nulls.
    return F.expr(f"xxhash64(device_type, {pairs})" if names else "xxhash64(device_type)")


def anomaly_scores(features: DataFrame, model: LoadedModel, fleet: Fleet) -> DataFrame:
    """Score rows of `device_features`; see `anomaly_columns`.

    score: 1.0 is the limit of normal in training. Rows of a device type that the model does not know are left out.
    Raises UnusableModelError when a required column is missing.
    """
    return _scored(features, model, anomaly_columns(fleet), "score")


def remaining_life(features: DataFrame, model: LoadedModel, fleet: Fleet) -> DataFrame:
    """Estimate the remaining life for rows of `device_features`; see `life_columns`.

    All results are hours. The interval low_hours to high_hours contains the true value for 9 of 10 rows (see
    `models.LifeEstimator`). Raises UnusableModelError when a required column is missing.
    """
    return _scored(features, model, life_columns(fleet), "life_hours")


def _scored(features: DataFrame, model: LoadedModel, columns: Columns, result: str) -> DataFrame:
    front = [name for name, _ in _FIRST]
    results = [(n, k) for n, k in columns if n not in front and n not in dict(_LAST)]
    # The version before the champion scores the rows for which the champion has no result.
    versions = [model] if model.before is None else [model, model.before]
    usable: list[_Version] = []
    for one in versions:
        absent = [c for c in one.columns if c not in features.columns]
        missing = [c for c in absent if c in one.required]
        if missing and one is model:
            raise UnusableModelError(f"it reads {', '.join(missing)}, and device_features has no such column")
        if not missing:
            usable.append(_Version(one.kind, one.version, one.digest, one.packed, absent))
    read = {c for one in versions for c in one.columns if c in features.columns and c not in front}

    def score(batches: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        for rows in batches:
            out = _predict(usable[0], rows, results)
            no_result = out[result].isna().to_numpy()
            if no_result.any() and len(usable) > 1:
                # If the earlier version fails, these rows have no score.
                with contextlib.suppress(UnusableModelError):
                    out = pd.concat([out[~no_result], _predict(usable[1], rows[no_result], results)])
            out = out[out[result].notna()]
            yield rows.loc[out.index, [*front, "input_hash"]].assign(**{name: out[name] for name in out.columns})

    rows = features.select(*front, input_hash(features).alias("input_hash"), *sorted(read))
    schema = [*_FIRST, ("input_hash", "bigint"), *results, ("model_version", "string")]
    return select_declared(rows.mapInPandas(score, ", ".join(f"{n} {k}" for n, k in schema)), columns)


@dataclass(frozen=True)
class _Version:
    """One version of a model in a worker. absent: optional input columns that the features do not have."""

    kind: str
    version: str
    digest: str
    packed: Broadcast[bytes]
    absent: list[str]


def _predict(version: _Version, rows: pd.DataFrame, results: Columns) -> pd.DataFrame:
    """Return the results of some rows, with their index. Raises UnusableModelError for any error of the model."""
    loaded = model_in_worker(version.kind, version.digest, version.packed)
    # A sensor that was removed from the fleet after training counts as silent.
    inputs = rows.reindex(columns=[*rows.columns, *version.absent]) if version.absent else rows
    try:
        own = _package_model(loaded)
        # Another model gets a copy, because it may change its input.
        output = own.predict(None, inputs) if own is not None else loaded.predict(inputs.reset_index(drop=True))
    except (Exception, SystemExit) as error:
        raise UnusableModelError(f"it failed on {len(rows)} rows: {error_summary(error)}") from None
    return result_columns(output, len(rows), results).set_index(rows.index).assign(model_version=version.version)


def _package_model(loaded: Any) -> Any:
    """Return a model of this package without MLflow's wrapper, whose schema check is slow; None for another model."""
    try:
        model = loaded.unwrap_python_model()
    except Exception:
        # Other flavours, and functions, cannot be unwrapped.
        return None
    return model if type(model).__module__.startswith("sensor_streams.") else None
