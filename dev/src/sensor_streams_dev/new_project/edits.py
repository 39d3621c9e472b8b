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
    by_shape,
    for_destination,
    tools_only,
    without_tools,
)

# Paths that a new project does not have. A folder ends with a slash.
LEFT_OUT: Sequence[str] = (
    "dev/src/sensor_streams_dev/new_project/",
    "dev/tests/new_project/",
    "dev/tests/changes.py",
    "dev/tests/test_changes.py",
    ".github/workflows/template.yml",
    "docs/lab/",
    "docs/new-project.md",
    "docs/tutorial.md",
    "docs/why.md",
)
# Paths that a project without the development tools does not have.
DEV_TOOLS: Sequence[str] = ("dev/lab", "dev/tests", "benchmarks", ".pre-commit-hooks.yaml", "scripts/unity_server.sh")

_FREE_ID = "00000000-0000-0000-0000-000000000000"
_MEASURED_ELSEWHERE = (
    "# How fast the template is\n\nThe figures were measured in the template, which contains the benchmarks.\n"
)

_ELSEWHERE = "The figures were measured in the template. Yours are in `.local/lab/results.json` after `make lab`."

_ABOUT_THE_TEMPLATE: Sequence[Change] = (
    LastLine("README.md", 'Made from the template {{"sensor-streams"}}.'),
    Block("README.md", "## Start your own project", "## Whose file is it?"),
    Block("README.md", "[![The report of the lab", "The deployment is"),
    Edit("docs/choosing-a-shape.md", "The report with all timelines is one file, `docs/lab/report.html`.", _ELSEWHERE),
    Block("AGENTS.md", "- The template of new projects", "- Plain English"),
    Block("docs/architecture.md", "**`new_project/`**", "**`preflight/`** runs the checks from a developer"),
    Block("docs/ci.md", "| `template.yml`"),
    Edit(
        "docs/changing.md",
        "Each row is made in a copy of the project by a test",
        "A test of the template makes each row",
    ),
    Edit("docs/changing.md", " (`dev/tests/changes.py` has the exact edits)"),
    Edit("Makefile", " template new"),
    Block("Makefile", "template: setup", "lock:"),
    Block("Makefile", "DIR ?=", "ARGS ?="),
    Edit("pyproject.toml", " | new_project"),
)

_CLOUD: Sequence[Change] = (
    by_cloud("databricks.yml", "m5d.xlarge", "Standard_D4ds_v5", "n2-standard-4"),
    by_cloud("databricks.yml", "m5d.large", "Standard_D4ds_v5", "n2-standard-4"),
    by_cloud("databricks.yml", "aws_attributes", "azure_attributes", "gcp_attributes", 2),
    by_cloud(
        "databricks.yml",
        "availability: SPOT_WITH_FALLBACK",
        "availability: SPOT_WITH_FALLBACK_AZURE",
        # These nodes have no disk of their own.
        "availability: PREEMPTIBLE_WITH_FALLBACK_GCP\n        local_ssd_count: 1",
    ),
    by_cloud("databricks.yml", "ON_DEMAND}", "ON_DEMAND_AZURE}", "ON_DEMAND_GCP, local_ssd_count: 1}"),
    by_cloud("docs/deploy.md", "default is for AWS.", "default is for Azure.", "default is for Google Cloud."),
    by_cloud("docs/settings.md", "| AWS, two", "| Azure, two", "| Google Cloud, two"),
    by_cloud("docs/settings.md", "for Azure and Google Cloud", "for AWS and Google Cloud", "for AWS and Azure"),
)

_NEEDED = (
    "The lines `# needs-var` in `databricks.yml` name the variables without a default; every bundle command needs "
    "them. Set\nthem with `--var`, the environment or a file ([settings](settings.md#variables-of-the-bundle)):\n"
)
_CATALOG_AND_TABLES: Sequence[Change] = (
    Edit("databricks.yml", "  catalog:\n", '  catalog:\n    default: "{{.catalog}}"\n'),
    Edit("databricks.yml", "# needs-var: catalog\n"),
    Edit("docs/deploy.md", " BUNDLE_VAR_catalog=<catalog>"),
    Edit("docs/deploy.md", _NEEDED, "`principal` has no default; the target `dev` sets it:\n"),
    Edit("docs/deploy.md", " --var catalog=main --var alert_email=team@example.org"),
    Edit("docs/settings.md", "`catalog` | none | the catalog that", "`catalog` | `{{.catalog}}` | the catalog that"),
    Edit("databricks.yml", 'default: ""', 'default: "{{.tables_root}}"'),
    Edit(
        "docs/settings.md",
        "`tables_root` | empty",
        by="tables_root",
        texts={"": "`tables_root` | empty", OTHERWISE: "`tables_root` | `{{.tables_root}}`"},
    ),
)

_ADDRESS = "Address for e-mails about failures and backlogs. Prefer a mailing list to a person."
_RECIPIENTS = "\n      on_failure: [{0}]\n      on_streaming_backlog_exceeded: [{0}]\n"
_IDS = _RECIPIENTS.format('{id: "${var.alert_destination}"}')
_REMOVE = "Nothing uses the variable `alert_email` then: remove it from `databricks.yml` ("
_PLACES = "the variable, the\ntarget `dev`) and `local.yml`. "
_ID = "Id of the notification destination for failures and backlogs."
_NOTIFICATIONS: Sequence[Change] = (
    Edit("databricks.yml", "# needs-var: alert_email\n"),
    Edit("databricks.yml", "sets all but the catalog.", "sets it."),
    Edit(
        "docs/deploy.md",
        "`catalog`, `principal` (the application id) and `alert_email`",
        "`principal`, the application id",
    ),
    Edit(
        "databricks.yml",
        "  alert_email:\n    description: ",
        by="notify_by",
        texts={
            "email": '  alert_email:\n    default: "{{.notify_email}}"\n    description: ',
            "destination": '  alert_destination:\n    default: "{{.notify_destination}}"\n    description: ',
        },
    ),
    for_destination("databricks.yml", _ADDRESS, _ID),
    for_destination("databricks.yml", "      alert_email: ${workspace.current_user.userName}\n", ""),
    Edit(
        "docs/settings.md",
        "`alert_email` | none; in dev you | who gets e-mails",
        by="notify_by",
        texts={
            "email": "`alert_email` | `{{.notify_email}}`; in dev you | who gets e-mails",
            "destination": "`alert_destination` | `{{.notify_destination}}` | id of the destination of messages",
        },
    ),
    for_destination("databricks.yml", _RECIPIENTS.format('"${var.alert_email}"'), " {}\n"),
    for_destination(
        "databricks.yml",
        "example).\n    type: complex\n    default: {}\n",
        f"example).\n    type: complex\n    default:{_IDS}",
    ),
    for_destination("docs/settings.md", "`emails` * | `alert_email` for failures and backlogs", "`emails` * | none"),
    for_destination(
        "docs/settings.md", "`webhooks` * | none", "`webhooks` * | `alert_destination` for failures and backlogs"
    ),
    for_destination("resources/cluster_per_task.job.yml", "sends an e-mail", "sends a message"),
    for_destination("local.yml", "you@example.org", _FREE_ID),
    for_destination("tests/policies/golden.py", "sensor-team@example.org", _FREE_ID),
    Edit(
        "docs/deploy.md",
        f"{_REMOVE}the line `# needs-var`, {_PLACES}",
        by="notify_by",
        texts={"email": f"{_REMOVE}{_PLACES}", "destination": ""},
    ),
    Block("docs/changing.md", "| a webhook in place of", by="notify_by", kept_for="email"),
    for_destination(EVERY_FILE, "alert_email", "alert_destination"),
    for_destination(EVERY_FILE, "ALERT_EMAIL", "ALERT_DESTINATION"),
)

_SHAPE: Sequence[Change] = (
    by_shape("databricks.yml", "single_task: UNPAUSED, shared_cluster: PAUSED, cluster_per_task: PAUSED", 2),
    by_shape("docs/shapes.md", "single_task: UNPAUSED, shared_cluster: PAUSED, cluster_per_task: PAUSED"),
    Edit("docs/settings.md", "staging and prod `single_task`", "staging and prod `{{.live_shape}}`"),
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
    without_tools("pyproject.toml", ", which is built first; run by make test-unity"),
    without_tools("README.md", ", `benchmarks/`"),
    without_tools("README.md", ", their tests, measurements"),
    tools_only(".gitignore", "!dev/tests/"),
    tools_only("scripts/plain_english.yml", "  - dev/tests/"),
    without_tools(".github/workflows/ci.yml", "make test test-dev", "make test"),
    tools_only(".github/workflows/ci.yml", "  unity:", "  wheel:"),
    without_tools("docs/ci.md", ", preflight against a real Unity Catalog server (built once, then cached)"),
    without_tools("AGENTS.md", " `make test-dev` (`dev/tests`),"),
    without_tools("AGENTS.md", " `make test-dev` after a change outside `features/` and\n  `inference/`, and"),
    tools_only("AGENTS.md", "- A rule of `check`", "- After a change of `databricks.yml`"),
    tools_only("docs/architecture.md", "**`dev/tests/`** tests", "**`fixtures/`**"),
    tools_only("docs/architecture.md", "**`benchmarks/`** measures", "**`resources/`**"),
    tools_only("docs/check.md", "## In other repositories", "## Speed"),
    without_tools(
        "docs/check.md",
        " Measure it on your machine with\n`.venv/bin/python -m benchmarks.check_speed --yamllint PATH`.",
    ),
    tools_only("docs/local-runs.md", "    make bench-run", "`single_task` on two cores"),
    tools_only("docs/performance.md", "    make bench  ", "| id | compares"),
    tools_only("docs/performance.md", "The slow tests repeat P1", "## A small batch"),
    without_tools("docs/performance.md", "# Measure how fast it is\n", _MEASURED_ELSEWHERE),
    *(
        without_tools("docs/performance.md", f'`make bench ARGS="--only {names} --rounds {rounds}"`', text)
        for names, rounds, text in (
            ("P1", 3, "Measurement P1, three rounds"),
            ("P1b", 3, "three rounds"),
            ("P2", 3, "three rounds"),
            ("P4", 3, "Measurement P4, three rounds"),
            ("P7 P9", 3, "Measurements P7 and P9, three rounds"),
            ("phases", 2, "Measurement phases, two rounds"),
        )
    ),
    without_tools("docs/performance.md", ' (`make bench ARGS="--only append"`)'),
    *(
        without_tools("docs/performance.md", f'`make bench ARGS="--only {name}"`', f"Measurement {name}")
        for name in ("P3", "P5", "P6")
    ),
    without_tools("docs/performance.md", '`make bench ARGS="--only P8 --rounds 3"`', "Measurement P8, three rounds"),
    without_tools("docs/storage.md", '`make bench ARGS="--only layout"`, '),
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
