"""The estimator of the remaining life. Replace it here, for example by LightGBM (docs/changing.md)."""

from typing import Any, Protocol, Self

from sklearn.ensemble import HistGradientBoostingRegressor

# The same rows give the same model.
SEED = 7


class Regressor(Protocol):
    """An estimator as training and scoring use it; those of scikit-learn, LightGBM and XGBoost fit.

    X: one row per window, a column per feature, NaN where a sensor was silent. y: hours to the failure.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to the rows; sample_weight: one number per row."""

    def predict(self, X: Any) -> Any:
        """Return the hours of each row, as an array."""


def life_regressor() -> Regressor:
    """Return a new estimator that is not fitted. It must accept NaN and be picklable."""
    regressor: Regressor = HistGradientBoostingRegressor(
        max_iter=300,
        learning_rate=0.04,
        max_leaf_nodes=15,
        min_samples_leaf=40,
        l2_regularization=5.0,
        max_features=0.3,
        random_state=SEED,
    )
    return regressor
