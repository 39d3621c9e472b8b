"""The changes of docs/changing.md as edits of a copy of the project, so that the page stays true."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "src/sensor_streams"
_STREAM = '''"""Days of a device: how many short windows of each sensor have readings."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sensor_streams.fleet import Fleet
from sensor_streams.table_spec import Columns


def columns(_: Fleet) -> Columns:
    """Return the columns of `device_days`."""
    return [("device_id", "string"), ("day", "timestamp"), ("windows", "bigint")]


def device_days(rows: DataFrame) -> DataFrame:
    """Return one row per device and day. In: rows of `sensor_features`."""
    day = F.date_trunc("day", "window_start").alias("day")
    return rows.groupBy("device_id", day).agg(F.count(F.lit(1)).alias("windows"))
'''
_DECLARATION = """    Stream(
        name="device_days",
        task="feature_extraction",
        sources=("sensor_features",),
        columns=device_days.columns,
        key=("device_id", "day"),
        scope=TimeSlots(("device_id",), "window_start", "day", lambda _: 86400),
        compute=lambda inputs: device_days.device_days(inputs.rows["sensor_features"]),
    ),
    Stream(
        name="device_sessions",
"""
_TARGET = """  {name}:
    mode: production
    workspace: *of_the_principal
    run_as: *principal
    permissions: *managers
    variables:
      schema: sensor_streams_{name}
{more}
  prod:
"""
_BOILERS = """windows: {short: 1 min, long: 10 min, lookback: 6}
sensors:
  pressure: {unit: bar, range: [0, 40], period: 10 s, roles: [anomaly, life]}
device_types:
  boiler: {devices: ["boiler-*"], sensors: [pressure]}
"""
_WEBHOOK = "[{id: 0481e838-0a59-4eff-9541-a4ca6f149574}]"


@dataclass(frozen=True)
class Change:
    """A change that users make: its row in docs/changing.md, (old, new) texts by file, and new files."""

    title: str
    edits: Mapping[str, Sequence[tuple[str, str]]]
    adds: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> set[str]:
        """Files that a user edits or writes."""
        return {*self.edits, *self.adds}

    def make(self, folder: Path) -> None:
        """Make the change in a copy of the project; a file that the copy does not have is left out."""
        for name, edits in self.edits.items():
            file = folder / name
            if not file.exists():
                continue
            text = file.read_text("utf-8")
            for old, new in edits:
                assert text.count(old) == 1, f"{self.title}: {name} no longer holds {old!r}, or holds it twice"
                text = text.replace(old, new)
            file.write_text(text, "utf-8")
        for name, text in self.adds.items():
            if (folder / name).parent.is_dir():
                (folder / name).write_text(text, "utf-8")


CHANGES = (
    Change(
        "a sensor",
        {
            "sensors.yml": [
                ("sensors:\n", "sensors:\n  flow: {unit: l/min, range: [0, 500], period: 5 min, roles: [anomaly]}\n"),
                ("sensors: [vibration,", "sensors: [flow, vibration,"),
            ]
        },
    ),
    Change(
        "the name of a device type",
        {"sensors.yml": [('pump: {devices: ["pump-*"]', 'compressor: {devices: ["comp-*"]')]},
    ),
    Change(
        "a feature",
        {
            f"{PACKAGE}/fleet.py": [('"lookback_mean", "trend")', '"lookback_mean", "trend", "swing")')],
            f"{PACKAGE}/features/device.py": [
                ('        "mean": size,\n', '        "mean": size,\n            "swing": size,\n'),
                ('        "last",\n', '        "last",\n        (F.col("max") - F.col("min")).alias("swing"),\n'),
            ],
        },
    ),
    Change(
        "a stream",
        {
            f"{PACKAGE}/streams.py": [
                ("features import device, ", "features import device, device_days, "),
                ('    Stream(\n        name="device_sessions",\n', _DECLARATION),
            ]
        },
        {f"{PACKAGE}/features/device_days.py": _STREAM},
    ),
    Change(
        "the estimator of the remaining life, for example LightGBM",
        {
            f"{PACKAGE}/inference/estimators.py": [
                ("from sklearn.ensemble import HistGradientBoostingRegressor", "from lightgbm import LGBMRegressor"),
                ("HistGradientBoostingRegressor(\n        max_iter=300,", "LGBMRegressor(\n        n_estimators=300,"),
                ("max_leaf_nodes=15", "num_leaves=15"),
                ("min_samples_leaf=40", "min_child_samples=40"),
                ("l2_regularization=5.0", "reg_lambda=5.0"),
                ("max_features=0.3,", "colsample_bytree=0.3,\n        verbosity=-1,"),
            ],
            "pyproject.toml": [('    "mlflow-skinny', '    "lightgbm>=4.5",\n    "mlflow-skinny')],
        },
    ),
    Change(
        "the form of an alert rule, for example a limit for the lower end of the interval",
        {
            f"{PACKAGE}/fleet.py": [('Literal["score", "life_hours"]', 'Literal["score", "life_hours", "low_hours"]')],
            f"{PACKAGE}/inference/alerts.py": [
                (
                    '((scores, "score"), (life, "life_hours"))',
                    '((scores, "score"), (life, "life_hours"), (life, "low_hours"))',
                )
            ],
        },
    ),
    Change(
        "a target",
        {"databricks.yml": [("  prod:\n", _TARGET.format(name="uat", more=""))]},
    ),
    Change(
        "retries",
        {
            "resources/shared_cluster.job.yml": [
                ("max_retries: 3\n          #", "max_retries: 5\n          #"),
                ("max_retries: 3\n          min", "max_retries: 5\n          min"),
            ],
            "policies.yml": [("shared_cluster: 3", "shared_cluster: 5")],
        },
    ),
    Change(
        "a webhook in place of e-mails",
        {
            "databricks.yml": [
                ("# needs-var: alert_email\n", ""),
                (
                    "  alert_email:\n    description: Address for e-mails about failures and backlogs. Prefer a "
                    "mailing list to a person.\n",
                    "",
                ),
                ("      alert_email: ${workspace.current_user.userName}\n", ""),
                (
                    '    default:\n      on_failure: ["${var.alert_email}"]\n'
                    '      on_streaming_backlog_exceeded: ["${var.alert_email}"]\n',
                    "    default: {}\n",
                ),
                (
                    "(docs/deploy.md has an example).\n    type: complex\n    default: {}\n",
                    "(docs/deploy.md has an example).\n    type: complex\n    default:\n"
                    f"      on_failure: {_WEBHOOK}\n      on_streaming_backlog_exceeded: {_WEBHOOK}\n",
                ),
            ],
            "local.yml": [("  alert_email: you@example.org\n", "")],
        },
    ),
    Change(
        "a property of all tables",
        {
            f"{PACKAGE}/table_spec.py": [
                (
                    '    "delta.enableChangeDataFeed": "true",\n',
                    '    "delta.enableChangeDataFeed": "true",\n    "delta.checkpointInterval": "50",\n',
                )
            ]
        },
    ),
    Change(
        "a schedule",
        {"databricks.yml": [("{interval: 15, unit: MINUTES}", "{interval: 30, unit: MINUTES}")]},
    ),
    Change(
        "a second fleet in the same workspace",
        {"databricks.yml": [("  prod:\n", _TARGET.format(name="boilers", more="      fleet: boilers.yml\n"))]},
        {"boilers.yml": _BOILERS},
    ),
)
