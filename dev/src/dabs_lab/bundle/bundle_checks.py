"""Checks of the CLI on a bundle as a whole: sections, references, runtimes, sync, clusters, grants, tasks."""

import os
import re
from collections.abc import Iterator
from pathlib import Path as FilePath

from dabs_lab.bundle.file_paths import exists
from dabs_lab.bundle.problems import Path, Problem, Report, path_text, raise_if_any, refuse
from dabs_lab.bundle.type_checks import REFERENCE, is_reference, quoted
from dabs_lab.bundle.yaml_nodes import ANY_INDEX, ANY_KEY, Node

_RESOURCE: Path = ("resources", ANY_KEY, ANY_KEY)
_JOB: Path = ("resources", "jobs", ANY_KEY)
_TASK: Path = (*_JOB, "tasks", ANY_INDEX)
_INNER: Path = (*_TASK, "for_each_task", "task")
_VERSION = r"(\d+\.\d+\.\d+(-\w+)?|\d+\.\d+.\*|\d+\.\*)"
_CONSTRAINT = re.compile(rf"(>=|<=|>|<|!=)? ?{_VERSION}(, (>=|<=|>|<|!=)? {_VERSION})?", re.ASCII)
_COMPUTE = ("job_cluster_key", "environment_key", "existing_cluster_id", "new_cluster")
_NEEDS_COMPUTE = ("python_wheel_task", "dbt_task", "spark_jar_task", "spark_submit_task", "spark_python_task")
# Fields by kind that a reference can name only with the Terraform engine.
_TERRAFORM_ONLY: dict[str, tuple[str, ...]] = {
    "alerts": ("purge_on_delete",),
    "apps": ("no_compute",),
    "clusters": ("clear_cloud_attributes_on_remove", "idempotency_token", "is_pinned", "no_wait", "url"),
    "dashboards": ("dashboard_change_detected", "md5"),
    "database_instances": ("purge_on_delete",),
    "experiments": ("description",),
    "jobs": (
        *("always_running", "control_run_state", "existing_cluster_id", "max_retries", "min_retry_interval_millis"),
        *("retry_on_timeout", "url"),
    ),
    "model_serving_endpoints": ("endpoint_url", "serving_endpoint_id"),
    "pipelines": ("expected_last_modified", "url"),
    "schemas": ("force_destroy",),
    "secret_scopes": ("initial_manage_principal",),
    "sql_warehouses": ("data_source_id", "no_wait"),
}
_SINGLE_NODE = """num_workers should be 0 only for single-node clusters. To create a
valid single node cluster please ensure that the following properties
are correctly set in the cluster specification:

  spark_conf:
    spark.databricks.cluster.profile: singleNode
    spark.master: local[*]

  custom_tags:
    ResourceClass: SingleNode
  """


def check_settings(root: Node, warn: Report) -> None:
    """Check the sections bundle, workspace and scripts, and that resources and artifacts are not empty.

    Raises BundleError where the CLI does, and for source-linked deployment, which needs a workspace.
    """
    # The CLI resolves a reference in place of a kind of resources, but not of the whole section.
    wrong = [_expected_map(path, node) for path, node in root.find(("resources",)) if node.kind == "string"]
    for path, node in root.find(_RESOURCE):
        if node.kind == "nil":
            what = f"{str(path[1]).removesuffix('s')} {path[2]} is not defined"
            wrong.append(Problem(what, path_text(path), node.key_positions, remedy="fill it, or remove its key"))
    for path, node in root.find(("artifacts", ANY_KEY)):
        if node.kind == "nil":
            what = "Artifact not properly configured"
            wrong.append(Problem(what, path_text(path), node.positions, remedy="please specify artifact properties"))
        elif not node.text_at("build") and node.get("files") is None and node.text_at("type") != "whl":
            what = "misconfigured artifact"
            remedy = "please specify 'build' or 'files' property"
            wrong.append(Problem(what, path_text(path), node.positions, remedy=remedy))
    for path, node in root.find(("scripts", ANY_KEY)):
        content = node.get("content")
        if content is None or not content.text:
            wrong.append(Problem(f"Script {path[1]} has no content", path_text(path), node.positions))
        elif found := REFERENCE.search(content.text):
            what = f"Found {found[0]} in script {path[1]}.content. Interpolation syntax ${{...}} is not supported in"
            remedy = "set it in the script's env, and use $NAME"
            wrong.append(Problem(f"{what} script content", path_text(path), content.positions, remedy=remedy))
    raise_if_any(wrong)
    _check_workspace(root)
    _check_bundle(root.get("bundle") or Node({}), warn)
    linked = root.get("presets", "source_linked_deployment")
    if linked is not None and linked.data is True:
        what = "source-linked deployment is not supported: it works in a workspace only"
        raise refuse(what, "remove it", at=("presets", "source_linked_deployment"), positions=linked.positions[:1])


def _check_workspace(root: Node) -> None:
    """Refuse a host with a reference: the CLI logs in before it knows variables. Raises BundleError."""
    host = root.get("workspace", "host")
    if host is not None and REFERENCE.search(host.text):
        what = "Variable interpolation is not supported for fields that configure authentication"
        remedy = "write the host, or set DATABRICKS_HOST"
        raise refuse(what, remedy, at=("workspace", "host"), positions=host.positions[:1])


def check_resources(root: Node) -> None:
    """Refuse another value than a mapping as resources, kind of resources, resource, or artifacts. Raises BundleError.

    Such a value may be a reference that this reader does not resolve, for example to another resource.
    """
    wrong = []
    for pattern in (*(_RESOURCE[:depth] for depth in (1, 2, 3)), ("artifacts",)):
        for path, node in root.find(pattern):
            # A section without entries may be null.
            if node.kind == "map" or (node.kind == "nil" and path[2:] == ()):
                continue
            wrong.append(_expected_map(path, node))
    raise_if_any(wrong)


def _expected_map(path: Path, node: Node) -> Problem:
    found = "a reference" if is_reference(node) else node.kind
    what = f"expected a map at {quoted(path_text(path))}, found {found}"
    return Problem(what, "", node.positions[:1], remedy="write its content here, without a reference")


def check_references(root: Node) -> None:
    """Refuse references to fields that only the Terraform engine has. Raises BundleError."""
    wrong = []
    for _, node in root.walk():
        for match in REFERENCE.finditer(node.text):
            parts = match[1].split(".")
            if parts[0] == "resources" and len(parts) == 4 and parts[3] in _TERRAFORM_ONLY.get(parts[1], ()):
                what = f'"{match[1]}": Terraform-only field; cross-resource references to Terraform-only fields are not'
                what += " supported by the direct engine"
                wrong.append(Problem(what, "", node.positions[:1], remedy="use another field"))
    raise_if_any(wrong)


def check_runtimes(root: Node) -> None:
    """Refuse local libraries of wheel tasks on a runtime before 13.3. Raises BundleError."""
    if root.is_true("experimental", "python_wheel_wrapper"):
        return
    wrong = []
    for path, task in root.find(_TASK):
        libraries = (task.get("libraries") or Node(())).items
        files = [library.text_at(kind) for library in libraries for kind in ("whl", "jar")]
        if "python_wheel_task" not in task.children or not any(map(_is_local, files)):
            continue
        key = task.text_at("job_cluster_key")
        clusters = (root.get(*path[:3], "job_clusters") or Node(())).items
        shared = [cluster for cluster in clusters if key and cluster.text_at("job_cluster_key") == key]
        existing = task.text_at("existing_cluster_id").removeprefix("${resources.clusters.").removesuffix(".id}")
        user = f"task {task.text_at('task_key')} uses cluster with"
        used = [
            (user, task.get("new_cluster")),
            *((f"job cluster {key} uses", cluster.get("new_cluster")) for cluster in shared),
            (user, root.get("resources", "clusters", existing)),
        ]
        for words, cluster in used:
            version = cluster.text_at("spark_version") if cluster is not None else ""
            if _is_before_13_3(version):
                what = f"{words} incompatible DBR version {version}"
                remedy = "use runtime 13.3 or later: wheel tasks on older ones cannot use local libraries"
                wrong.append(Problem(what, path_text(path), task.positions[:1], remedy=remedy))
    raise_if_any(wrong)


def _is_local(library: str) -> bool:
    return bool(library) and not library.startswith(("/", "${")) and "://" not in library and "dbfs:" not in library


def _is_before_13_3(version: str) -> bool:
    """Return whether a runtime is older than 13.3; False for a version without a number."""
    found = re.match(r"(\d+)\.(\d+|x)\b", version.removeprefix("custom:"))
    if found is None:
        return False
    minor = 99 if found[2] == "x" else int(found[2])
    return (int(found[1]), minor) < (13, 3)


def check_sync(root: Node, folder: FilePath, warn: Report) -> None:
    """Warn of sync patterns that match no file. Raises BundleError for a folder that does not exist."""
    for _, node in root.find(("sync", "paths", ANY_INDEX)):
        if not exists(folder / node.text):
            what = f"cannot list files: stat {node.text}: no such file or directory"
            raise refuse(what, "remove it from sync.paths", positions=node.positions[:1])
    unmatched = [
        (path, node, _as_regex(node.text.removeprefix("!")))
        for section in ("exclude", "include")
        for path, node in root.find(("sync", section, ANY_INDEX))
    ]
    # A folder may hold many other files (.venv), so the loop stops early.
    for name in _files(folder):
        unmatched = [entry for entry in unmatched if not entry[2].fullmatch(name)]
        if not unmatched:
            break
    for path, node, _ in unmatched:
        warn(Problem(f"Pattern {node.text} does not match any files", path_text(path), node.positions))


def _files(folder: FilePath) -> Iterator[str]:
    """Yield the names of all files in a folder; those in hidden folders come last."""
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in (".git", ".databricks")]
        folders.sort(key=lambda name: name.startswith("."))
        here = FilePath(top).relative_to(folder)
        yield from ((here / name).as_posix() for name in files)


def _as_regex(pattern: str) -> re.Pattern[str]:
    """Return a .gitignore pattern as a regular expression, which matches a file or one of its folders."""
    anchored = "/" in pattern.rstrip("/")
    body = re.escape(pattern.strip("/")).replace(r"\*\*/", "(?:.*/)?").replace(r"/\*\*", "(?:/.*)")
    body = body.replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    body = re.sub(r"\\\[(.*?)\\\]", r"[\1]", body)
    start = "" if anchored else "(?:.*/)?"
    end = "/.*" if pattern.endswith("/") else "(?:/.*)?"
    return re.compile(f"{start}{body}{end}")


def _check_bundle(bundle: Node, warn: Report) -> None:
    name, engine = bundle.get("name") or Node(""), bundle.get("engine") or Node("")
    version = bundle.get("databricks_cli_version") or Node("")
    if REFERENCE.search(name.text):
        what = (
            "Please do not use variable interpolation in the name of your bundle. The name of your bundle\nis a part of"
            " the path at which your bundle state is stored at by default. Parameterizing it at\nruntime can have"
            " unexpected consequences like duplicate deployments or resources not being\ncleaned up during bundle"
            " destroy."
        )
        warn(Problem(what, "bundle.name", name.positions))
    if engine.text not in ("", "direct", "terraform"):
        what = f'invalid value {quoted(engine.text)} for bundle.engine (expected "terraform" or "direct")'
        raise refuse(what, "use one of these", positions=engine.positions[:1])
    if engine.text == "terraform":
        what = "the terraform deployment engine is deprecated and will stop working in a future version of the CLI"
        see = "https://docs.databricks.com/aws/en/dev-tools/bundles/direct"
        detail = f"See {see} for how to migrate to the direct deployment engine"
        warn(Problem(what, "", engine.positions[:1], detail))
    if version.text and not _CONSTRAINT.fullmatch(version.text):
        what = f"invalid version constraint {quoted(version.text)} specified"
        raise refuse(what, "write it like `>= 0.0.0, <= 1.0.0`", positions=version.positions[:1])


def check_single_nodes(root: Node, warn: Report) -> None:
    """Warn of clusters without workers that are not configured as a single node."""
    for pattern in ((*_JOB, "job_clusters", ANY_INDEX), _TASK, _INNER):
        for path, node in root.find((*pattern, "new_cluster")):
            workers = node.get("num_workers")
            if workers is None or workers.kind != "int" or workers.data not in range(-(2**63), 1):
                continue
            if node.is_true("is_single_node") or node.text_at("policy_id"):
                continue
            profile = node.text_at("spark_conf", "spark.databricks.cluster.profile") == "singleNode"
            local = node.text_at("spark_conf", "spark.master").startswith("local")
            if not (profile and local and node.text_at("custom_tags", "ResourceClass") == "SingleNode"):
                what = "Single node cluster is not correctly configured"
                warn(Problem(what, path_text(path), node.positions, _SINGLE_NODE))


def check_grants(root: Node) -> None:
    """Refuse grants without a principal or privileges. Raises BundleError."""
    wrong = []
    for path, node in root.find(("resources", ANY_KEY, ANY_KEY, "grants", ANY_INDEX)):
        for name in ("principal", "privileges"):
            value = node.get(name)
            if value is None or value.data in ("", ()):
                wrong.append(Problem(f"grant {name} is required", path_text(path), node.positions, remedy="set it"))
    raise_if_any(sorted(wrong, key=lambda problem: (problem.summary, problem.positions)))


def check_tasks(root: Node, warn: Report) -> None:
    """Check that every task has compute; warn of job clusters that are not defined.

    Raises BundleError for tasks without compute.
    """
    wrong = []
    for pattern in (_TASK, _INNER):
        for path, task in root.find(pattern):
            job = root.get(*path[:3]) or Node({})
            known = {cluster.text_at("job_cluster_key") for _, cluster in job.find(("job_clusters", ANY_INDEX))}
            key = task.get("job_cluster_key")
            if key is not None and key.text and key.text not in known:
                at = path_text((*path, "job_cluster_key"))
                warn(Problem(f"job_cluster_key {key.text} is not defined", at, key.positions))
            if _needs_compute(task) and not any(name in task.children for name in _COMPUTE):
                detail = f"Task {quoted(task.text_at('task_key'))} requires a cluster or an environment to run.\n"
                detail += f"Specify one of the following fields: {', '.join(_COMPUTE)}."
                what = "Missing required cluster or environment settings"
                wrong.append(Problem(what, path_text(path), task.positions, detail))
    raise_if_any(wrong)


def _needs_compute(task: Node) -> bool:
    """Return whether a task must name compute; a notebook runs on serverless compute without it."""
    return "notebook_task" not in task.children and any(name in task.children for name in _NEEDS_COMPUTE)
