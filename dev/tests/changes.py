"""The changes of docs/changing.md as edits of a copy of the project, so that the page stays true."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dev.tests import ninth_stream

PACKAGE = "src/sensor_streams"
_TARGET = """  {name}:
    mode: production
    workspace: *of_the_principal
    run_as: *principal
    permissions: *managers
    variables:
      schema: sensor_streams_{name}
      live: {{single_task: PAUSED, shared_cluster: UNPAUSED, cluster_per_task: PAUSED}}
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
    """A change that users make: its row in docs/changing.md, (old, new) texts by file, and new files.

    An old text may be a pattern, for what differs in a project made from the template.
    """

    title: str
    edits: Mapping[str, Sequence[tuple[str | re.Pattern[str], str]]]
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
                pattern = re.compile(re.escape(old)) if isinstance(old, str) else old
                # A backslash in the new text is a backslash.
                text, count = pattern.subn(new.replace("\\", r"\\"), text)
                assert count == 1, f"{self.title}: {name} no longer holds {old!r}, or holds it twice"
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
            f"{PACKAGE}/streams.py": ninth_stream.edits("device_days"),
        },
        {f"{PACKAGE}/features/device_days.py": ninth_stream.function("device_days")},
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
                (re.compile("(# needs-var: alert_email\n)?# The target dev"), "# The target dev"),
                (re.compile("^  alert_email:\n(    .*\n)+", re.MULTILINE), ""),
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
