"""Rules on wheels and packages: a run that goes on after a deploy must find the versions that it began with."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath

from dabs_lab.bundle.yaml_nodes import Node
from dabs_lab.check.declaration import Finding, Outcome, rule
from dabs_lab.check.places import Place
from dabs_lab.check.views import JobView, TargetView, TaskView

# Other paths: absolute, or with a scheme such as `s3:/`. References that stay are known in the workspace only.
_ELSEWHERE = re.compile(r"/|[A-Za-z0-9+-]+:/|\$\{|<|-")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*\s*(\[[^\]]*\])?\s*(?P<version>[^;#]*)")
_EXACT = re.compile(r"===?\s*[^*,]+|@.*")
_DEVELOPMENT = "development"


@rule(
    id="D801",
    name="deploy-deletes-wheel",
    severity="warning",
    title="A deploy deletes the wheel of a running job",
    reason=(
        "Each deploy deletes the folder of uploaded wheels. A continuous job, a retry or a later task of a run that"
        " began before the deploy does not find its wheel, and fails. Targets in development mode are not checked."
    ),
    source="https://github.com/databricks/cli/issues/2958; databricks/cli, bundle/artifacts/upload.go",
    fix=(
        "Set `experimental.skip_artifact_cleanup: true`, and give each build its own version. Delete old wheels"
        " yourself from time to time."
    ),
)
def deploy_deletes_wheel(target: TargetView) -> Iterator[Outcome]:
    """Yield the first wheel of jobs that install it again during a run."""
    if target.mode == _DEVELOPMENT or target.root.is_true("experimental", "skip_artifact_cleanup"):
        return
    wheels = _installed_again(target)
    if wheels:
        yield Finding(next(iter(wheels.values())), f"a deploy during a run deletes the wheel of {_names(list(wheels))}")


@rule(
    id="D802",
    name="wheel-version-is-fixed",
    severity="warning",
    title="A build does not change the version of a wheel",
    reason=(
        "A deploy without a new version overwrites the wheel's file: a retry or a later task of a running job installs"
        " the new code, and one run mixes both. The rule does not see whether your team changes the version before each"
        " deploy."
    ),
    source="https://docs.databricks.com/aws/en/dev-tools/bundles/settings (artifacts, dynamic_version)",
    fix="Take the version from the commit (hatch-vcs, setuptools-scm), or set `dynamic_version: true` on the artifact.",
    certain=False,
)
def wheel_version_is_fixed(target: TargetView) -> Iterator[Outcome]:
    """Yield each wheel artifact with a literal version, if jobs install it again during a run."""
    if target.mode == _DEVELOPMENT or target.root.is_true("presets", "artifacts_dynamic_version"):
        return
    jobs = _installed_again(target)
    for name, node in (target.root.get("artifacts") or Node({})).children.items():
        changes = node.is_true("dynamic_version") or "version" in node.text_at("build")
        if not jobs or node.text_at("type") != "whl" or changes:
            continue
        version = _literal_version(target.folder / node.text_at("path") / "pyproject.toml")
        if version:
            message = (
                f"wheel {name} has the version {version} in each build; {_names(list(jobs))} may run during a deploy"
            )
            yield Finding(target.at("artifacts", name), message)


@rule(
    id="D803",
    name="package-without-version",
    severity="warning",
    title="A task installs a package without an exact version",
    reason="The newest version is installed: a retry or a restart may get another one than the run began with.",
    source="https://pip.pypa.io/en/stable/topics/repeatable-installs/",
    fix="Write `package==1.2.3`, or install a requirements file with exact versions.",
)
def package_without_version(target: TargetView) -> Iterator[Outcome]:
    """Yield each task and each environment with PyPI packages that have no exact version."""
    for task in target.tasks:
        packages = [(one.get("pypi", "package"), one.at("pypi", "package")) for one in task.items("libraries")]
        yield from _loose(packages, f"task {task.key}")
    for job in target.jobs:
        for environment in job.items("environments"):
            listed = (environment.get("spec", "dependencies") or Node(())).items
            packages = [(one, environment.at("spec", "dependencies", at)) for at, one in enumerate(listed)]
            yield from _loose(packages, f"environment {environment.text('environment_key')}")


def _installed_again(target: TargetView) -> dict[str, Place]:
    """Return jobs that may install a wheel of this bundle during a run: key → place of the wheel."""
    found: dict[str, Place] = {}
    for job in target.jobs:
        for task in job.tasks:
            again = job.has("continuous") or bool(task.depends_on) or bool(task.number("max_retries"))
            wheels = _own_wheels(job, task) if again else []
            if wheels:
                found.setdefault(job.key, wheels[0])
    return found


def _own_wheels(job: JobView, task: TaskView) -> list[Place]:
    """Return the wheels of a task that a deploy uploads."""
    found = [one.at("whl") for one in task.items("libraries") if _is_uploaded(one.text("whl"))]
    for environment in job.items("environments"):
        if environment.text("environment_key") == task.text("environment_key"):
            packages = (environment.get("spec", "dependencies") or Node(())).items
            found += [
                environment.at("spec", "dependencies", at)
                for at, package in enumerate(packages)
                if ".whl" in package.text and _is_uploaded(package.text)
            ]
    return found


def _is_uploaded(path: str) -> bool:
    return bool(path) and not _ELSEWHERE.match(path)


def _literal_version(file: FilePath) -> str:
    """Return the version that pyproject.toml gives as a text; empty if it is computed or not found."""
    try:
        project = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    tools = project.get("tool")
    tools = tools if isinstance(tools, dict) else {}
    if any("dynamic-versioning" in name for name in tools):
        return ""
    for section in (project.get("project"), tools.get("poetry")):
        version = section.get("version") if isinstance(section, dict) else None
        if isinstance(version, str):
            return version
    return ""


def _loose(packages: Sequence[tuple[Node | None, Place]], where: str) -> Iterator[Finding]:
    """Yield one finding at the first package without an exact version; it names all of them."""
    found = {node.text.strip(): place for node, place in packages if node is not None and _is_loose(node.text.strip())}
    if found:
        yield Finding(next(iter(found.values())), f"{where} installs without an exact version: {', '.join(found)}")


def _is_loose(package: str) -> bool:
    if _ELSEWHERE.match(package) or package.startswith(".") or "/" in package or "$" in package:
        return False
    match = _NAME.fullmatch(package.partition(";")[0].strip())
    return match is not None and not _EXACT.fullmatch(match["version"].strip())


def _names(jobs: list[str]) -> str:
    """Return the names of jobs as text, at most three of them."""
    shown = ", ".join(jobs[:3]) + (f" and {len(jobs) - 3} more" if len(jobs) > 3 else "")
    return f"{'job' if len(jobs) == 1 else 'jobs'} {shown}"
