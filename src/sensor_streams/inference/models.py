"""The anomaly model and the remaining-life model, as MLflow models: DataFrame of features in, of results out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.pyfunc import PythonModel
from sklearn.decomposition import PCA

from sensor_streams.errors import ModelError
from sensor_streams.inference.estimators import Regressor

Numbers = npt.NDArray[np.float64]

# Share of healthy rows that count as normal; the others may be faults that were not recorded.
NORMAL = 0.97
_LEAST_ROWS = 20


@dataclass(frozen=True)
class NormalState:
    """The normal state of one device type: a principal component model of its healthy rows.

    A row has two statistics: squared prediction error (Jackson & Mudholkar 1979) and Hotelling's T². Each is divided
    by its limit over healthy rows, and the score is the square root of the greater one. The contribution of a sensor is
    the share of its columns in that statistic.
    """

    columns: list[str]
    sensor_of: list[str]
    centre: Numbers
    scale: Numbers
    components: Numbers
    variances: Numbers
    error_limit: float
    distance_limit: float

    @classmethod
    def fit(cls, rows: pd.DataFrame, sensors: Mapping[str, list[str]], check: pd.DataFrame) -> "NormalState":
        """Fit to healthy rows; check: other healthy rows, which set the limits.

        Raises ModelError when there are too few rows, or no column varies.
        """
        if len(rows) < _LEAST_ROWS:
            raise ModelError(f"{len(rows)} healthy rows are too few to train the model: {_LEAST_ROWS} are needed")
        used = [(column, sensor) for sensor, columns in sensors.items() for column in columns]
        values = rows[[c for c, _ in used]].to_numpy(dtype=float)
        kept = [i for i in range(len(used)) if np.isfinite(values[:, i]).mean() > 0.5]
        centre = np.array([np.nanmedian(values[:, i]) for i in kept])
        spread = np.array([np.subtract(*np.nanpercentile(values[:, i], [75, 25])) / 1.349 for i in kept])
        # Clipped at the 1st and 99th percentile, so that outliers do not increase the scale.
        inner = [np.clip(values[:, i], *np.nanpercentile(values[:, i], [1, 99])) for i in kept]
        # The greater of both, because load changes are rare but normal, and far from the quartiles.
        scale = np.maximum(spread, [np.nanstd(column) for column in inner])
        varies = scale > 1e-9
        if not varies.any():
            raise ModelError("no feature of the sensors with the role anomaly varies: the model cannot be trained")
        chosen = [used[i] for i, v in zip(kept, varies, strict=True) if v]
        state = cls(
            [c for c, _ in chosen],
            [s for _, s in chosen],
            centre[varies],
            scale[varies],
            np.zeros((1, 1)),
            np.ones(1),
            1.0,
            1.0,
        )
        scaled = state._scaled(rows)
        pca = PCA(n_components=0.8 if min(scaled.shape) > 2 else 1, svd_solver="full").fit(scaled[_common(scaled)])
        fitted = replace(state, components=pca.components_, variances=np.maximum(pca.explained_variance_, 1e-9))
        errors, distances = fitted._statistics(fitted._scaled(check if len(check) >= _LEAST_ROWS else rows))
        return replace(fitted, error_limit=_limit(errors.sum(1)), distance_limit=_limit(distances.sum(1)))

    def _scaled(self, rows: pd.DataFrame) -> Numbers:
        scaled = (rows[self.columns].to_numpy(dtype=float) - self.centre) / self.scale
        # A missing value counts as normal: a silent sensor is not an anomaly of the device.
        return np.clip(np.nan_to_num(scaled, nan=0.0, posinf=50.0, neginf=-50.0), -50.0, 50.0)

    def _statistics(self, scaled: Numbers) -> tuple[Numbers, Numbers]:
        """Return the squared prediction error and T² of each row, by column."""
        projected = scaled @ self.components.T
        residual = scaled - projected @ self.components
        weighted = (projected / np.sqrt(self.variances)) @ self.components
        return residual**2, weighted**2

    def score(self, rows: pd.DataFrame) -> tuple[Numbers, list[list[str]]]:
        """Return the score of each row (1.0 is the limit of normal) and its sensors, greatest contribution first."""
        errors, distances = self._statistics(self._scaled(rows))
        errors, distances = errors / self.error_limit, distances / self.distance_limit
        by_error = errors.sum(1) >= distances.sum(1)
        parts = np.where(by_error[:, None], errors, distances)
        total = parts.sum(1)
        names = sorted(set(self.sensor_of))
        shares = np.stack([parts[:, [s == n for s in self.sensor_of]].sum(1) for n in names], axis=1)
        shares = shares / np.maximum(total, 1e-12)[:, None]
        order = np.argsort(-shares, axis=1, kind="stable")[:, :3]
        least = 1.0 / len(names) if len(names) > 1 else 0.0
        chosen = [
            [names[j] for k, j in enumerate(row) if k == 0 or share[j] > least]
            for row, share in zip(order, shares, strict=True)
        ]
        return np.sqrt(total), chosen


@dataclass(frozen=True)
class LifeEstimator:
    """Remaining life of one device type: an estimator (`estimators.py`) with a 90 % interval.

    The interval is split-conformal (Lei et al. 2018). Its half-width depends on the estimate, because errors grow with
    the remaining life.
    """

    columns: list[str]
    regressor: Regressor
    edges: Numbers
    widths: Numbers
    cap_hours: float | None

    def estimate(self, rows: pd.DataFrame) -> tuple[Numbers, Numbers, Numbers]:
        """Return the remaining hours and both ends of the interval, all between zero and the cap."""
        hours = np.asarray(self.regressor.predict(rows[self.columns].to_numpy(dtype=float)))
        most = np.inf if self.cap_hours is None else self.cap_hours
        hours = np.clip(hours, 0.0, most)
        width = self.widths[np.searchsorted(self.edges, hours, side="right")]
        return hours, np.clip(hours - width, 0.0, most), np.clip(hours + width, 0.0, most)


def _common(scaled: Numbers) -> npt.NDArray[np.bool_]:
    """Select the 95 % of rows nearest to the centre, so that unknown faults do not change the model."""
    size = (scaled**2).sum(1)
    return np.asarray(size <= np.quantile(size, 0.95))


def _limit(statistic: Numbers) -> float:
    """Return the limit of normal for a statistic."""
    return max(float(np.quantile(statistic, NORMAL)), 1e-9)


class AnomalyModel(PythonModel):  # type: ignore[misc]
    """Model of `anomaly_scores`: device_type and features in; score, contributing_sensors out (null for a new type)."""

    def __init__(self, by_type: dict[str, NormalState]) -> None:
        self.by_type = by_type

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score rows; the output has the index of the input."""
        out = pd.DataFrame({"score": np.nan, "contributing_sensors": None}, index=model_input.index)
        out["contributing_sensors"] = out["contributing_sensors"].astype(object)
        for name, state in self.by_type.items():
            at = np.flatnonzero((model_input["device_type"] == name).to_numpy())
            if len(at):
                score, sensors = state.score(model_input.iloc[at])
                out.iloc[at, 0] = score
                cells = np.empty(len(at), dtype=object)
                cells[:] = sensors
                out.iloc[at, 1] = cells
        return out


class LifeModel(PythonModel):  # type: ignore[misc]
    """Model of `remaining_life`: device_type and features in; life_hours, low_hours, high_hours out (or null)."""

    def __init__(self, by_type: dict[str, LifeEstimator]) -> None:
        self.by_type = by_type

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Estimate rows; the output has the index of the input."""
        names = ["life_hours", "low_hours", "high_hours"]
        out = pd.DataFrame(np.nan, index=model_input.index, columns=names)
        for name, estimator in self.by_type.items():
            at = np.flatnonzero((model_input["device_type"] == name).to_numpy())
            if len(at):
                out.iloc[at, :] = np.stack(estimator.estimate(model_input.iloc[at]), axis=1)
        return out
