"""Check for fields that only the CLI may set, and for names that some kinds require."""

from dabs_lab.bundle.permissions import PRINCIPALS
from dabs_lab.bundle.problems import Path, Problem, path_text, raise_if_any
from dabs_lab.bundle.yaml_nodes import ANY_INDEX, ANY_KEY, Node

_MANAGED = "must not be set in bundle configuration; it is managed by Declarative Automation Bundles"
_RESERVED: dict[Path, str] = {
    **{
        ("resources", kind, ANY_KEY, "deployment", name): f"{name} {_MANAGED}"
        for kind in ("jobs", "pipelines")
        for name in ("deployment_id", "version_id")
    },
    ("resources", "job_runs", ANY_KEY, "idempotency_token"): (
        "idempotency_token must not be set in bundle configuration; the CLI sets it on each run-now request"
    ),
    ("resources", "dashboards", ANY_KEY, "etag"): "an etag must not be set in bundle configuration",
    ("resources", "genie_spaces", ANY_KEY, "etag"): "an etag must not be set in bundle configuration",
}
_REQUIRED = {
    "dashboards": (("display_name", "dashboard display_name"), ("warehouse_id", "dashboard warehouse_id")),
    "sql_warehouses": (("name", "sql_warehouse name"),),
}


def check_reserved(root: Node) -> None:
    """Refuse fields that only the CLI may set. Raises BundleError."""
    raise_if_any(
        [
            Problem(what, path_text(path), node.positions[:1], remedy="remove it")
            for pattern, what in _RESERVED.items()
            for path, node in root.find(pattern)
            if node.data not in (None, "")
        ]
    )


def check_required(root: Node) -> None:
    """Refuse dashboards, warehouses and secret scope permissions without a required name. Raises BundleError."""
    wrong = []
    for kind, fields in _REQUIRED.items():
        for path, node in root.find(("resources", kind, ANY_KEY)):
            for name, words in fields:
                if not node.text_at(name):
                    wrong.append(Problem(f"{words} is required", path_text(path), node.positions, remedy="set it"))
    for path, node in root.find(("resources", "secret_scopes", ANY_KEY, "permissions", ANY_INDEX)):
        if not any(node.text_at(name) for name in PRINCIPALS):
            what = "secret scope permission principal is required"
            wrong.append(Problem(what, path_text(path), node.positions, remedy="set one"))
    raise_if_any(wrong)
