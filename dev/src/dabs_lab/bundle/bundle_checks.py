"""What the CLI checks before and after it has made a bundle of the files."""

import os
import re
from collections.abc import Iterator
from pathlib import Path as FilePath

from dabs_lab.bundle.problems import BundleError, Path, Problem, path_text, refuse
from dabs_lab.bundle.type_checks import REFERENCE, Warn, quoted
from dabs_lab.bundle.yaml_nodes import ANY_INDEX, ANY_KEY, Node

_JOB: Path = ("resources", "jobs", ANY_KEY)
_TASK: Path = (*_JOB, "tasks", ANY_INDEX)
_INNER: Path = (*_TASK, "for_each_task", "task")
_VERSION = r"(\d+\.\d+\.\d+(-\w+)?|\d+\.\d+.\*|\d+\.\*)"
_CONSTRAINT = re.compile(rf"(>=|<=|>|<|!=)? ?{_VERSION}(, (>=|<=|>|<|!=)? {_VERSION})?", re.ASCII)
_COMPUTE = ("job_cluster_key", "environment_key", "existing_cluster_id", "new_cluster")
_NEEDS_COMPUTE = ("python_wheel_task", "dbt_task", "spark_jar_task", "spark_submit_task", "spark_python_task")
# Fields that a reference may name with the former engine only, by kind.
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


def check_settings(root: Node, warn: Warn) -> None:
    """The section bundle, empty resources, scripts.

    Raises BundleError for what the CLI refuses, and for source-linked deployment, which needs a workspace.
    """
    wrong = []
    for path, node in root.find(("resources", ANY_KEY, ANY_KEY)):
        if node.kind == "nil":
            what = f"{str(path[1]).removesuffix('s')} {path[2]} is not defined"
            places = (node.key,) if node.key else node.positions
            wrong.append(Problem(what, path_text(path), places, remedy="fill it, or remove its key"))
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
            remedy = "put it into the script's env, and use $NAME"
            wrong.append(Problem(f"{what} script content", path_text(path), content.positions, remedy=remedy))
    if wrong:
        raise BundleError(wrong)
    _check_workspace(root)
    _check_bundle(root.get("bundle") or Node({}), warn)
    linked = root.get("presets", "source_linked_deployment")
    if linked is not None and linked.data is True:
        what = "source-linked deployment is not read here: it works in a workspace only"
        raise refuse(what, "take it out", at=("presets", "source_linked_deployment"), positions=linked.positions[:1])


def _check_workspace(root: Node) -> None:
    """The fields by which the CLI logs in are needed before variables are known. Raises BundleError for the host."""
    host = root.get("workspace", "host")
    if host is not None and REFERENCE.search(host.text):
        what = "Variable interpolation is not supported for fields that configure authentication"
        remedy = "write the host, or set DATABRICKS_HOST"
        raise refuse(what, remedy, at=("workspace", "host"), positions=host.positions[:1])


def check_references(root: Node) -> None:
    """Refuse references to fields that only the Terraform engine has, and as section resources. Raises BundleError."""
    section = root.get("resources")
    if section is not None and section.kind == "string":
        what = 'expected a map at "resources", found a reference'
        raise refuse(what, "write the resources themselves", positions=section.positions[:1])
    wrong = []
    for _, node in root.walk():
        for match in REFERENCE.finditer(node.text):
            parts = match[1].split(".")
            if parts[0] == "resources" and len(parts) == 4 and parts[3] in _TERRAFORM_ONLY.get(parts[1], ()):
                what = f'"{match[1]}": Terraform-only field; cross-resource references to Terraform-only fields are not'
                what += " supported by the direct engine"
                wrong.append(Problem(what, "", node.positions[:1], remedy="use another field"))
    if wrong:
        raise BundleError(wrong)


def check_runtimes(root: Node) -> None:
    """Local libraries of wheel tasks need runtime 13.3 or later. Raises BundleError."""
    if root.is_true("experimental", "python_wheel_wrapper"):
        return
    wrong = []
    for path, task in root.find(_TASK):
        libraries = [one.text_at(kind) for one in (task.get("libraries") or Node(())).items for kind in ("whl", "jar")]
        if "python_wheel_task" not in task.children or not any(_is_on_this_machine(text) for text in libraries):
            continue
        key = task.text_at("job_cluster_key")
        clusters = (root.get(*path[:3], "job_clusters") or Node(())).items
        shared = [one for one in clusters if key and one.text_at("job_cluster_key") == key]
        found = [(f"task {task.text_at('task_key')} uses cluster with", task.get("new_cluster"))]
        found += [(f"job cluster {key} uses", one.get("new_cluster")) for one in shared]
        existing = task.text_at("existing_cluster_id").removeprefix("${resources.clusters.").removesuffix(".id}")
        found.append(
            (f"task {task.text_at('task_key')} uses cluster with", root.get("resources", "clusters", existing))
        )
        for words, cluster in found:
            version = cluster.text_at("spark_version") if cluster is not None else ""
            if _is_older(version):
                what = f"{words} incompatible DBR version {version}"
                remedy = "use runtime 13.3 or later: before it, wheel tasks take no local libraries"
                wrong.append(Problem(what, path_text(path), task.positions[:1], remedy=remedy))
    if wrong:
        raise BundleError(wrong)


def _is_on_this_machine(library: str) -> bool:
    return bool(library) and not library.startswith(("/", "${")) and "://" not in library and "dbfs:" not in library


def _is_older(version: str) -> bool:
    """True for a runtime before 13.3; false where the version does not say."""
    found = re.match(r"(\d+)\.(\d+|x)\b", version.removeprefix("custom:"))
    if found is None:
        return False
    minor = 99 if found[2] == "x" else int(found[2])
    return (int(found[1]), minor) < (13, 3)


def check_sync(root: Node, folder: FilePath, warn: Warn) -> None:
    """Warn of patterns of the section sync that match no file. Raises BundleError for a folder that is not there."""
    for _, node in root.find(("sync", "paths", ANY_INDEX)):
        if not (folder / node.text).exists():
            what = f"cannot list files: stat {node.text}: no such file or directory"
            raise refuse(what, "remove it from sync.paths", positions=node.positions[:1])
    unmatched = [
        (path, node, _matches(node.text.removeprefix("!")))
        for section in ("exclude", "include")
        for path, node in root.find(("sync", section, ANY_INDEX))
    ]
    # A project may have many files that are not its own (.venv): the walk ends when nothing is left to find.
    for name in _files(folder):
        unmatched = [one for one in unmatched if not one[2].fullmatch(name)]
        if not unmatched:
            break
    for path, node, _ in unmatched:
        warn(Problem(f"Pattern {node.text} does not match any files", path_text(path), node.positions))


def _files(folder: FilePath) -> Iterator[str]:
    """Yield the names of the files below a folder; those in hidden folders come last."""
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in (".git", ".databricks")]
        folders.sort(key=lambda name: name.startswith("."))
        here = FilePath(top).relative_to(folder)
        yield from ((here / name).as_posix() for name in files)


def _matches(pattern: str) -> re.Pattern[str]:
    """Return the expression for a pattern of a .gitignore file: it matches a file, or one of its folders."""
    anchored = "/" in pattern.rstrip("/")
    body = re.escape(pattern.strip("/")).replace(r"\*\*/", "(?:.*/)?").replace(r"/\*\*", "(?:/.*)")
    body = body.replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    body = re.sub(r"\\\[(.*?)\\\]", r"[\1]", body)
    start = "" if anchored else "(?:.*/)?"
    end = "/.*" if pattern.endswith("/") else "(?:/.*)?"
    return re.compile(f"{start}{body}{end}")


def _check_bundle(bundle: Node, warn: Warn) -> None:
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
        raise refuse(what, "write one of these", positions=engine.positions[:1])
    if engine.text == "terraform":
        what = "the terraform deployment engine is deprecated and will stop working in a future version of the CLI"
        see = "https://docs.databricks.com/aws/en/dev-tools/bundles/direct"
        detail = f"See {see} for how to migrate to the direct deployment engine"
        warn(Problem(what, "", engine.positions[:1], detail))
    if version.text and not _CONSTRAINT.fullmatch(version.text):
        what = f"invalid version constraint {quoted(version.text)} specified"
        raise refuse(what, "write (>=) 0.0.0(, <= 1.0.0)", positions=version.positions[:1])


def check_single_nodes(root: Node, warn: Warn) -> None:
    """Warns of clusters without workers that are not set up as a single node."""
    jobs = [(*_JOB, "job_clusters", ANY_INDEX), _TASK, _INNER]
    for pattern in jobs:
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
    """A grant needs a principal and privileges. Raises BundleError."""
    wrong = []
    for path, node in root.find(("resources", ANY_KEY, ANY_KEY, "grants", ANY_INDEX)):
        for name in ("principal", "privileges"):
            value = node.get(name)
            if value is None or value.data in ("", ()):
                wrong.append(Problem(f"grant {name} is required", path_text(path), node.positions, remedy="write it"))
    if wrong:
        raise BundleError(sorted(wrong, key=lambda one: (one.summary, one.positions)))


def check_tasks(root: Node, warn: Warn) -> None:
    """Every task has compute, and every job cluster that a task names is there (a warning, as in the CLI).

    Raises BundleError for tasks without compute.
    """
    wrong = []
    for pattern in (_TASK, _INNER):
        for path, task in root.find(pattern):
            job = root.get(*path[:3]) or Node({})
            known = {one.text_at("job_cluster_key") for _, one in job.find(("job_clusters", ANY_INDEX))}
            key = task.get("job_cluster_key")
            if key is not None and key.text and key.text not in known:
                at = path_text((*path, "job_cluster_key"))
                warn(Problem(f"job_cluster_key {key.text} is not defined", at, key.positions))
            if _needs_compute(task) and not any(name in task.children for name in _COMPUTE):
                detail = f"Task {quoted(task.text_at('task_key'))} requires a cluster or an environment to run.\n"
                detail += f"Specify one of the following fields: {', '.join(_COMPUTE)}."
                what = "Missing required cluster or environment settings"
                wrong.append(Problem(what, path_text(path), task.positions, detail))
    if wrong:
        raise BundleError(wrong)


def _needs_compute(task: Node) -> bool:
    """A notebook can do without: it runs on serverless compute."""
    return "notebook_task" not in task.children and any(name in task.children for name in _NEEDS_COMPUTE)
