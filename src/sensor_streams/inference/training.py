"""Training: fit both models to features and known failures, and register them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.errors import ModelError
from sensor_streams.failures import TABLE
from sensor_streams.fleet import Fleet
from sensor_streams.inference.estimators import SEED, Regressor, life_regressor
from sensor_streams.inference.model_inputs import columns_by_sensor, input_columns
from sensor_streams.inference.models import AnomalyModel, LifeEstimator, LifeModel, NormalState, Numbers
from sensor_streams.inference.registry import ModelVersion, Registry
from sensor_streams.tables import Catalog

# Largest number of rows that training reads; larger tables are sampled.
MOST_ROWS = 1_000_000
_COVERED = 0.9
_LEAST_DEVICES = 2


@dataclass
class TrainingReport:
    """Result of a training: size of the data, model versions, figures of quality (life in hours) and notes."""

    rows: int
    devices: int
    failures: int
    versions: list[ModelVersion] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def hours_to_failure(rows: pd.DataFrame, failures: pd.DataFrame, cap: timedelta | None) -> "pd.Series[float]":
    """Return the hours from each row's window to the next failure of its device, at most the cap.

    rows: device_id, window_start. failures: device_id, failed_at. The result is NaN when no later failure is known.
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

    The anomaly model is fitted to rows that are not shortly before a failure; the latest of these rows set its limits.
    The life model is evaluated on held-out devices. It needs failures of two devices, else it is not trained and the
    report has a note. Raises ModelError when the anomaly model cannot be trained.
    """
    rows = _frame(features, ["device_id", "device_type", "window_start", *input_columns(fleet)])
    known_failures = failures.select("device_id", "failed_at").toPandas()
    if rows.empty:
        raise ModelError("device_features has no rows: run the streams of feature_extraction first")
    rows["hours"] = hours_to_failure(rows, known_failures, None)
    rows, notes = _of_known_types(rows, fleet)
    report = TrainingReport(len(rows), rows["device_id"].nunique(), len(known_failures), notes=notes)
    tags = {"data_version": data_version, "fleet": fleet.fingerprint}
    report.versions.append(_train_anomaly(rows, fleet, registry, tags, report))
    life = _train_life(rows, fleet, registry, tags, report)
    if life is not None:
        report.versions.append(life)
    registry.promote(report.versions)
    return report


def train_on_tables(catalog: Catalog, fleet: Fleet, registry: Registry) -> TrainingReport:
    """Train on the current tables. Raises TableError when `device_features` does not exist."""
    features = catalog.handle("device_features")
    catalog.create(TABLE)
    version = features.history(1).select("version").first()
    name = data_version(catalog.full_name("device_features"), 0 if version is None else int(version[0]))
    return train(features.toDF(), catalog.read(TABLE.name), fleet, registry=registry, data_version=name)


def _of_known_types(rows: pd.DataFrame, fleet: Fleet) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of the fleet's device types, and a note on each other type, such as one that was renamed.

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
            f"device_features has rows of the types {', '.join(unknown) or 'none'} only, and sensors.yml has "
            f"{', '.join(fleet.device_types)}: rebuild device_features"
        )
    return known, notes


def _frame(features: DataFrame, columns: list[str]) -> pd.DataFrame:
    chosen = features.select(*columns)
    count = chosen.count()
    if count > MOST_ROWS:
        # By hash, not at random, so that the same rows give the same models.
        share = int(1000 * MOST_ROWS / count)
        chosen = chosen.where(F.abs(F.xxhash64("device_id", "window_start")) % 1000 < share)
    return chosen.toPandas().sort_values(["device_id", "window_start"], ignore_index=True)


def _signature(columns: list[str], results: Mapping[str, str]) -> ModelSignature:
    given = [ColSpec("string", "device_type"), *[ColSpec("double", c, required=False) for c in columns]]
    return ModelSignature(Schema(given), Schema([ColSpec(kind, name) for name, kind in results.items()]))


def _train_anomaly(
    rows: pd.DataFrame, fleet: Fleet, registry: Registry, tags: dict[str, str], report: TrainingReport
) -> ModelVersion:
    sensors = columns_by_sensor(fleet, "anomaly")
    if not sensors:
        raise ModelError("no sensor has the role anomaly: give it to at least one in sensors.yml")
    # Rows in the last hours before a failure are not healthy.
    last_hours = 0.25 * float(rows["hours"].quantile(0.95)) if rows["hours"].notna().any() else 0.0
    healthy = rows[~(rows["hours"] < last_hours)]
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
    late = rows["hours"] < last_hours
    figures = {"healthy_above_1": float((scores[~late] > 1).mean())}
    if late.any():
        figures["before_failure_above_1"] = float((scores[late] > 1).mean())
    report.figures |= {f"anomaly.{name}": value for name, value in figures.items()}
    signature = _signature(sorted({c for s in by_type.values() for c in s.columns}), {"score": "double"})
    params = {"types": ", ".join(sorted(by_type)), "rows": len(healthy), "healthy_until_hours": round(last_hours, 2)}
    return registry.log("anomaly", model, signature, figures, params, tags)


def _train_life(
    rows: pd.DataFrame, fleet: Fleet, registry: Registry, tags: dict[str, str], report: TrainingReport
) -> ModelVersion | None:
    sensors = columns_by_sensor(fleet, "life")
    cap = None if fleet.life.cap is None else fleet.life.cap.total_seconds() / 3600
    labelled = rows[rows["hours"].notna()].copy()
    labelled["hours"] = labelled["hours"].clip(upper=cap)
    by_type: dict[str, LifeEstimator] = {}
    squared, baseline, covered, count = 0.0, 0.0, 0.0, 0
    for name, group in labelled.groupby("device_type"):
        own = [c for s, cs in sensors.items() if s in fleet.device_types[str(name)].sensors for c in cs]
        # A constant column has no information, and an empty one cannot be binned.
        columns = [c for c in own if group[c].nunique() > 1]
        devices = np.array(sorted(group["device_id"].unique()))
        if not columns or len(devices) < _LEAST_DEVICES:
            report.notes.append(
                f"no life model for {name}: it needs sensors with the role life and failures of "
                f"{_LEAST_DEVICES} devices (found: {len(columns)} columns, {len(devices)} devices)"
            )
            continue
        np.random.default_rng(SEED).shuffle(devices)
        held = set(devices[: max(1, len(devices) // 4)])
        held_out = group["device_id"].isin(held).to_numpy()
        fitted = _fit(group[~held_out], columns)
        truth = group[held_out]["hours"].to_numpy()
        estimate = np.clip(fitted.predict(group[held_out][columns].to_numpy(dtype=float)), 0, cap)
        edges, widths = _widths(estimate, truth)
        squared += float(((estimate - truth) ** 2).sum())
        baseline += float(((np.median(group[~held_out]["hours"]) - truth) ** 2).sum())
        inside = np.abs(estimate - truth) <= widths[np.searchsorted(edges, estimate, side="right")]
        covered, count = covered + float(inside.sum()), count + len(truth)
        # The registered model is fitted to all devices; its interval widths come from the held-out devices.
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


def _fit(rows: pd.DataFrame, columns: list[str]) -> Regressor:
    # All devices have equal weight, though devices that ran longer have more rows.
    weight = 1.0 / rows.groupby("device_id")["hours"].transform("size").to_numpy(dtype=float)
    return life_regressor().fit(
        rows[columns].to_numpy(dtype=float), rows["hours"].to_numpy(), sample_weight=weight / weight.mean()
    )


def _widths(estimate: Numbers, truth: Numbers) -> tuple[Numbers, Numbers]:
    """Return the half-width that covers 9 of 10 rows for each third of the estimates: (inner edges, widths)."""
    errors = np.abs(estimate - truth)
    edges = np.unique(np.quantile(estimate, [1 / 3, 2 / 3])) if len(estimate) >= 60 else np.array([])
    part = np.searchsorted(edges, estimate, side="right")
    overall = float(np.quantile(errors, _COVERED))
    widths = [
        float(np.quantile(errors[part == i], _COVERED)) if (part == i).any() else overall for i in range(len(edges) + 1)
    ]
    return edges, np.array(widths)


def data_version(uri: str, version: int) -> str:
    """Return the name of the training data that is logged with a model: table and version."""
    return f"{uri}@v{version}"
