"""Differences between this project and a project made from it, as data.

The builder applies them in this order and fails if a text is not found as often as expected. Keep old texts short.
"""

from collections.abc import Sequence

from sensor_streams_dev.new_project.edit_types import (
    EVERY_FILE,
    OTHERWISE,
    Block,
    Change,
    Edit,
    LastLine,
    by_cloud,
    for_destination,
    tools_only,
    without_tools,
)

# Paths that a new project does not have. A folder ends with a slash.
LEFT_OUT: Sequence[str] = (
    "dev/src/sensor_streams_dev/new_project/",
    "dev/tests/new_project/",
    ".github/workflows/template.yml",
    "docs/new-project.md",
)
# Paths that a project without the development tools does not have.
DEV_TOOLS: Sequence[str] = ("dev/tests", "benchmarks", "scripts/unity_server.sh")

_JOBS = " ".join(f"resources/{job}.job.yml" for job in ("cluster_per_task", "shared_cluster", "single_task"))
_ALL_JOBS = f"{_JOBS} resources/train.job.yml resources/maintenance.job.yml"
_POLICY_TESTS = "tests/policies/test_policies.py"
_FREE_ID = "00000000-0000-0000-0000-000000000000"

_ABOUT_THE_TEMPLATE: Sequence[Change] = (
    LastLine("README.md", 'Made from the template {{"sensor-streams"}}.'),
    Block("README.md", "| [new-project]"),
    Block("AGENTS.md", "- The template of new projects", "- Plain English"),
    Block("docs/architecture.md", "**`new_project/`**", "**`preflight/`** runs the checks from a developer"),
    Block("docs/ci.md", "| `template.yml`"),
    Edit("Makefile", " template new"),
    Block("Makefile", "template: setup", "lock:"),
    Block("Makefile", "DIR ?=", "ARGS ?="),
    Edit("pyproject.toml", " | new_project"),
)

_CLOUD: Sequence[Change] = (
    by_cloud("databricks.yml", "m5d.xlarge", "Standard_D4ds_v5", "n2-standard-4"),
    by_cloud("databricks.yml", "m5d.large", "Standard_D4ds_v5", "n2-standard-4"),
    by_cloud(f"databricks.yml {_POLICY_TESTS}", "aws_attributes", "azure_attributes", "gcp_attributes", None),
    by_cloud(
        "databricks.yml",
        "availability: SPOT_WITH_FALLBACK",
        "availability: SPOT_WITH_FALLBACK_AZURE",
        # These nodes have no disk of their own.
        "availability: PREEMPTIBLE_WITH_FALLBACK_GCP\n        local_ssd_count: 1",
    ),
    by_cloud(
        "databricks.yml", "{availability: ON_DEMAND}", *(f"{{availability: ON_DEMAND_{c}}}" for c in ("AZURE", "GCP"))
    ),
    by_cloud(
        _POLICY_TESTS,
        "{availability: ON_DEMAND}",
        *(f"{{availability: ON_DEMAND_{c}}}" for c in ("AZURE", "GCP")),
        None,
    ),
    by_cloud(
        "docs/deploy.md", "The default is for AWS.", "The default is for Azure.", "The default is for Google Cloud."
    ),
    by_cloud("docs/settings.md", "| AWS, two", "| Azure, two", "| Google Cloud, two"),
    by_cloud("docs/settings.md", "for Azure and Google Cloud", "for AWS and Google Cloud", "for AWS and Azure"),
    by_cloud("dev/tests/jobs/test_build.py", '"aws_attributes"', '"azure_attributes"', '"gcp_attributes"'),
)

_CATALOG_AND_TABLES: Sequence[Change] = (
    Edit("databricks.yml", "  catalog:\n", '  catalog:\n    default: "{{.catalog}}"\n'),
    Edit("databricks.yml", "# needs-var: catalog\n"),
    Edit("docs/settings.md", "`catalog` | none | the catalog that", "`catalog` | `{{.catalog}}` | the catalog that"),
    Edit("databricks.yml", 'default: ""', 'default: "{{.tables_root}}"'),
    Edit(
        "docs/settings.md",
        "`tables_root` | empty",
        by="tables_root",
        texts={"": "`tables_root` | empty", OTHERWISE: "`tables_root` | `{{.tables_root}}`"},
    ),
)

_NOTIFICATIONS: Sequence[Change] = (
    Edit("databricks.yml", "# needs-var: alert_email\n"),
    Edit("databricks.yml", "# The target dev sets the last two.", "# The target dev sets it."),
    Edit(
        "docs/deploy.md",
        "need `catalog`, `principal` (the application id) and `alert_email`.",
        "need `principal` (the application id).",
    ),
    Edit(
        "databricks.yml",
        "  alert_email:\n    description: Address for e-mails about failures and backlogs. Prefer a mailing list to a person.\n",
        by="notify_by",
        texts={
            "email": '  alert_email:\n    default: "{{.notify_email}}"\n'
            "    description: Address for e-mails about failures and backlogs. Prefer a mailing list to a person.\n",
            "destination": '  alert_destination:\n    default: "{{.notify_destination}}"\n'
            "    description: Id of the notification destination for failures and backlogs.\n",
        },
    ),
    Edit(
        "docs/settings.md",
        "`alert_email` | none; in dev you | who gets e-mails",
        by="notify_by",
        texts={
            "email": "`alert_email` | `{{.notify_email}}`; in dev you | who gets e-mails",
            "destination": "`alert_destination` | `{{.notify_destination}}` | which notification destination gets messages",
        },
    ),
    for_destination("databricks.yml", "      alert_email: ${workspace.current_user.userName}\n", ""),
    for_destination(_ALL_JOBS, "email_notifications:", "webhook_notifications:", None),
    for_destination(_ALL_JOBS, '["${var.alert_email}"]', '[{id: "${var.alert_destination}"}]', None),
    for_destination("docs/shapes.md", "email_notifications:", "webhook_notifications:"),
    for_destination("docs/shapes.md", '["${var.alert_email}"]', '[{id: "${var.alert_destination}"}]', None),
    for_destination("docs/shapes.md", "the e-mail of the task", "the message of the task", None),
    for_destination("resources/cluster_per_task.job.yml", "sends an e-mail", "sends a message"),
    for_destination("resources/cluster_per_task.job.yml resources/shared_cluster.job.yml", "&emails", "&messages"),
    for_destination("resources/cluster_per_task.job.yml resources/shared_cluster.job.yml", "*emails", "*messages"),
    for_destination("local.yml", "you@example.org", _FREE_ID),
    for_destination("tests/policies/golden.py", "sensor-team@example.org", _FREE_ID),
    for_destination("dev/tests/jobs/test_build.py", "notifications.emails[", "notifications.webhooks["),
    for_destination(EVERY_FILE, "alert_email", "alert_destination"),
    for_destination(EVERY_FILE, "ALERT_EMAIL", "ALERT_DESTINATION"),
)

_PAUSED = {"single_task": "PAUSED", "shared_cluster": "PAUSED", "cluster_per_task": "PAUSED"}

_SHAPE: Sequence[Change] = (
    Edit(
        "databricks.yml docs/shapes.md",
        "single_task: UNPAUSED, shared_cluster: PAUSED, cluster_per_task: PAUSED",
        by="live_shape",
        texts={
            live: ", ".join(f"{shape}: {'UNPAUSED' if shape == live else paused}" for shape, paused in _PAUSED.items())
            for live in _PAUSED
        },
        times=None,
    ),
    Edit("docs/settings.md", "in staging and prod `single_task`", "in staging and prod `{{.live_shape}}`"),
)

_TOOLS: Sequence[Change] = (
    without_tools("Makefile", " test-dev test-slow test-all test-unity", " test-slow test-all"),
    without_tools("Makefile", " bench bench-run"),
    without_tools("Makefile", " tests dev/tests", " tests", 2),
    tools_only("Makefile", "test-dev: setup", "test-slow:"),
    tools_only("Makefile", "test-unity: setup", "lint:"),
    tools_only("Makefile", "bench: setup", "golden:"),
    without_tools("pyproject.toml", '"benchmarks", "tests", "dev/tests"', '"tests"'),
    without_tools("pyproject.toml", 'testpaths = ["tests", "dev/tests"]', 'testpaths = ["tests"]'),
    tools_only("pyproject.toml", "# Inputs of tests, some of them", "[tool.ruff.lint]"),
    tools_only("pyproject.toml", "# Bundles that tests read", "mypy_path"),
    tools_only(".gitignore", "!dev/tests/"),
    tools_only("scripts/plain_english.yml", "  - dev/tests/"),
    without_tools(".github/workflows/ci.yml", "make test test-dev", "make test"),
    tools_only(".github/workflows/ci.yml", "  unity:", "  wheel:"),
    without_tools("docs/ci.md", ", preflight against a real Unity Catalog server (built once, then cached)"),
    without_tools("AGENTS.md", " `make test-dev` (`dev/tests`),"),
    without_tools("AGENTS.md", " `make test-dev` after a change outside `features/` and\n  `inference/`, and"),
    tools_only("docs/architecture.md", "**`dev/tests/`** tests", "**`fixtures/`**"),
    tools_only("docs/architecture.md", "**`benchmarks/`** measures", "**`resources/`**"),
    tools_only("docs/local-runs.md", "    make bench-run", "`single_task` on two cores"),
    tools_only("docs/performance.md", "    make bench  ", "| id | compares"),
    tools_only("docs/performance.md", "The slow tests repeat P1", "## A small batch"),
    without_tools(
        "docs/performance.md",
        "# Measure how fast it is\n",
        "# How fast the template is\n\nMeasured in the template's repository, which has the benchmarks.\n",
    ),
    without_tools("docs/storage.md", "; `dev/tests/slow/test_lost_file.py`"),
)

CHANGES: Sequence[Change] = (
    *_ABOUT_THE_TEMPLATE,
    *_CLOUD,
    *_CATALOG_AND_TABLES,
    *_NOTIFICATIONS,
    *_SHAPE,
    *_TOOLS,
)
