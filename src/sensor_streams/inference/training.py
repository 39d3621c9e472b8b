"""Training: from features and known failures to two registered models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from sklearn.ensemble import HistGradientBoostingRegressor

from sensor_streams.errors import ModelError
from sensor_streams.failures import TABLE
from sensor_streams.fleet import Fleet
from sensor_streams.inference.model_inputs import input_columns, inputs
from sensor_streams.inference.models import AnomalyModel, LifeEstimator, LifeModel, NormalState, Numbers
from sensor_streams.inference.registry import ModelVersion, Registry
from sensor_streams.tables import Catalog

# Rows that training looks at; of more, devices' windows are sampled evenly.
MOST_ROWS = 1_000_000
_SEED = 7
_COVERED = 0.9
_LEAST_DEVICES = 2


@dataclass
class TrainingReport:
    """What was trained, on what, and how good it is (hours for remaining life) next to a baseline."""

    rows: int
    devices: int
    failures: int
    versions: list[ModelVersion] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def hours_to_failure(rows: pd.DataFrame, failures: pd.DataFrame, cap: timedelta | None) -> "pd.Series[float]":
    """Hours from each row's window to its device's next failure, at most the cap; NaN where none is known.

    rows: device_id, window_start. failures: device_id, failed_at. A device without a later failure is censored:
    how long it lasts is not known.
    """
    hours = pd.Series(np.nan, index=rows.index, dtype=float)
    by_device = {device: np.sort(group.to_numpy()) for device, group in failures.groupby("device_id")["failed_at"]}
    for device, group in rows.groupby("device_id"):
        times = by_device.get(device)
        if times is None:
            continue
        starts = group["window_start"].to_numpy()
        at = np.searchsorted(times, starts, side="left")
        known = at < len(times)
        left = (times[np.minimum(at, len(times) - 1)] - starts) / np.timedelta64(1, "h")
        hours.loc[group.index] = np.where(known, left, np.nan)
    return hours if cap is None else hours.clip(upper=cap.total_seconds() / 3600)


def train(
    features: DataFrame, failures: DataFrame, fleet: Fleet, *, registry: Registry, data_version: str
) -> TrainingReport:
    """Train both models on `device_features` and `failures`, log them, and set the alias champion at the end.

    The anomaly model learns on rows that are not shortly before a failure, its limits come from later rows; life is
    learnt on some devices and measured on others. Raises ModelError when not even the anomaly model can be trained.
    With failures of fewer than two devices the life model is left out and the report says so.
    """
    rows = _frame(features, ["device_id", "device_type", "window_start", *input_columns(fleet)])
    ends = failures.select("device_id", "failed_at").toPandas()
    if rows.empty:
        raise ModelError("device_features holds no rows: let the streams of feature_extraction run first")
    rows["hours"] = hours_to_failure(rows, ends, None)
    rows, notes = _of_known_types(rows, fleet)
    report = TrainingReport(len(rows), rows["device_id"].nunique(), len(ends), notes=notes)
    tags = {"data_version": data_version, "fleet": fleet.fingerprint}
    report.versions.append(_train_anomaly(rows, fleet, registry, tags, report))
    life = _train_life(rows, fleet, registry, tags, report)
    if life is not None:
        report.versions.append(life)
    registry.promote(report.versions)
    return report


def train_on_tables(catalog: Catalog, fleet: Fleet, registry: Registry) -> TrainingReport:
    """Train on what the tables hold now, failures included. Raises TableError when there are no features yet."""
    features = catalog.handle("device_features")
    catalog.create(TABLE)
    version = features.history(1).select("version").first()
    named = data_version(catalog.full_name("device_features"), 0 if version is None else int(version[0]))
    return train(features.toDF(), catalog.read(TABLE.name), fleet, registry=registry, data_version=named)


def _of_known_types(rows: pd.DataFrame, fleet: Fleet) -> tuple[pd.DataFrame, list[str]]:
    """The rows of the fleet's device types, and notes on others: a type that was renamed has rows of its old name.

    Raises ModelError when no row is left.
    """
    unknown = sorted(set(rows["device_type"].dropna()) - set(fleet.device_types))
    notes = [
        f"rows of type {name} are left out: sensors.yml has no such device type. If it was renamed, rebuild "
        "device_features"
        for name in unknown
    ]
    known = rows[rows["device_type"].isin(list(fleet.device_types))].reset_index(drop=True)
    if known.empty:
        raise ModelError(
            f"device_features holds rows of the types {', '.join(unknown) or 'none'} only, and sensors.yml has "
            f"{', '.join(fleet.device_types)}: rebuild device_features"
        )
    return known, notes


def _frame(features: DataFrame, columns: list[str]) -> pd.DataFrame:
    chosen = features.select(*columns)
    count = chosen.count()
    if count > MOST_ROWS:
        # By hash and not by chance, so that training again on the same rows gives the same models.
        share = int(1000 * MOST_ROWS / count)
        chosen = chosen.where(F.abs(F.xxhash64("device_id", "window_start")) % 1000 < share)
    return chosen.toPandas().sort_values(["device_id", "window_start"], ignore_index=True)


def _signature(columns: list[str], results: Mapping[str, str]) -> ModelSignature:
    given = [ColSpec("string", "device_type"), *[ColSpec("double", c, required=False) for c in columns]]
    return ModelSignature(Schema(given), Schema([ColSpec(kind, name) for name, kind in results.items()]))


def _train_anomaly(
    rows: pd.DataFrame, fleet: Fleet, registry: Registry, tags: dict[str, str], report: TrainingReport
) -> ModelVersion:
    sensors = inputs(fleet, "anomaly")
    if not sensors:
        raise ModelError("no sensor has the role anomaly: give it to at least one in sensors.yml")
    # What comes shortly before a failure is not what normal looks like.
    before = 0.25 * float(rows["hours"].quantile(0.95)) if rows["hours"].notna().any() else 0.0
    healthy = rows[~(rows["hours"] < before)]
    by_type: dict[str, NormalState] = {}
    problems = []
    for name, group in healthy.groupby("device_type"):
        own = {s: c for s, c in sensors.items() if s in fleet.device_types[str(name)].sensors}
        split = group["window_start"].quantile(0.7)
        try:
            by_type[str(name)] = NormalState.fit(
                group[group["window_start"] <= split], own, group[group["window_start"] > split]
            )
        except ModelError as error:
            problems.append(f"{name}: {error}")
    if not by_type:
        raise ModelError("no anomaly model can be trained. " + "; ".join(problems))
    report.notes += problems
    model = AnomalyModel(by_type)
    scores = model.predict(None, rows)["score"]
    late = rows["hours"] < before
    figures = {"healthy_above_1": float((scores[~late] > 1).mean())}
    if late.any():
        figures["before_failure_above_1"] = float((scores[late] > 1).mean())
    report.figures |= {f"anomaly.{name}": value for name, value in figures.items()}
    signature = _signature(sorted({c for s in by_type.values() for c in s.columns}), {"score": "double"})
    params = {"types": ", ".join(sorted(by_type)), "rows": len(healthy), "healthy_until_hours": round(before, 2)}
    return registry.log("anomaly", model, signature, figures, params, tags)


def _train_life(
    rows: pd.DataFrame, fleet: Fleet, registry: Registry, tags: dict[str, str], report: TrainingReport
) -> ModelVersion | None:
    sensors = inputs(fleet, "life")
    cap = None if fleet.life.cap is None else fleet.life.cap.total_seconds() / 3600
    labelled = rows[rows["hours"].notna()].copy()
    labelled["hours"] = labelled["hours"].clip(upper=cap)
    by_type: dict[str, LifeEstimator] = {}
    squared, baseline, covered, count = 0.0, 0.0, 0.0, 0
    for name, group in labelled.groupby("device_type"):
        own = [c for s, cs in sensors.items() if s in fleet.device_types[str(name)].sensors for c in cs]
        # A column that never varies tells nothing, and one that is always empty cannot be binned.
        columns = [c for c in own if group[c].nunique() > 1]
        devices = np.array(sorted(group["device_id"].unique()))
        if not columns or len(devices) < _LEAST_DEVICES:
            report.notes.append(
                f"no life model for {name}: it takes sensors with the role life and failures of "
                f"{_LEAST_DEVICES} devices (there are {len(columns)} columns, {len(devices)} devices)"
            )
            continue
        np.random.default_rng(_SEED).shuffle(devices)
        held = set(devices[: max(1, len(devices) // 4)])
        aside = group["device_id"].isin(held).to_numpy()
        fitted = _fit(group[~aside], columns)
        truth = group[aside]["hours"].to_numpy()
        guess = np.clip(fitted.predict(group[aside][columns].to_numpy(dtype=float)), 0, cap)
        edges, widths = _widths(guess, truth)
        squared += float(((guess - truth) ** 2).sum())
        baseline += float(((np.median(group[~aside]["hours"]) - truth) ** 2).sum())
        inside = np.abs(guess - truth) <= widths[np.searchsorted(edges, guess, side="right")]
        covered, count = covered + float(inside.sum()), count + len(truth)
        # Measured on devices that it had not seen; what is used has seen them all.
        by_type[str(name)] = LifeEstimator(columns, _fit(group, columns), edges, widths, cap)
    if not by_type:
        return None
    figures = {
        "rmse_hours": float(np.sqrt(squared / count)),
        "baseline_rmse_hours": float(np.sqrt(baseline / count)),
        "coverage": covered / count,
    }
    report.figures |= {f"remaining_life.{name}": value for name, value in figures.items()}
    results = {"life_hours": "double", "low_hours": "double", "high_hours": "double"}
    signature = _signature(sorted({c for e in by_type.values() for c in e.columns}), results)
    params = {"types": ", ".join(sorted(by_type)), "rows": len(labelled), "cap_hours": cap}
    return registry.log("remaining_life", LifeModel(by_type), signature, figures, params, tags)


def _fit(rows: pd.DataFrame, columns: list[str]) -> HistGradientBoostingRegressor:
    regressor = HistGradientBoostingRegressor(
        max_iter=300,
        learning_rate=0.04,
        max_leaf_nodes=15,
        min_samples_leaf=40,
        l2_regularization=5.0,
        max_features=0.3,
        random_state=_SEED,
    )
    # Devices that lasted longer have more rows, and all devices count the same.
    weight = 1.0 / rows.groupby("device_id")["hours"].transform("size").to_numpy(dtype=float)
    return regressor.fit(
        rows[columns].to_numpy(dtype=float), rows["hours"].to_numpy(), sample_weight=weight / weight.mean()
    )


def _widths(guess: Numbers, truth: Numbers) -> tuple[Numbers, Numbers]:
    """Half-widths that hold 9 of 10 rows, by third of the estimates: (inner edges, widths)."""
    errors = np.abs(guess - truth)
    edges = np.unique(np.quantile(guess, [1 / 3, 2 / 3])) if len(guess) >= 60 else np.array([])
    part = np.searchsorted(edges, guess, side="right")
    overall = float(np.quantile(errors, _COVERED))
    widths = [
        float(np.quantile(errors[part == i], _COVERED)) if (part == i).any() else overall for i in range(len(edges) + 1)
    ]
    return edges, np.array(widths)


def data_version(uri: str, version: int) -> str:
    """How the training data is named on a model: table and its version."""
    return f"{uri}@v{version}"
