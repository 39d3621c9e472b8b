"""Policies on names: valid names and settings, and no shared schema between targets or developers."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dabs_lab.bundle.bundle_files import target_sections
from dabs_lab.bundle.problems import BundleError
from dabs_lab.bundle.reader import Bundle
from sensor_streams.errors import ConfigurationError
from sensor_streams.settings import catalog_name, load_settings
from sensor_streams_dev.policies.stream_tasks import (
    PACKAGE,
    Finding,
    Path,
    parameter_path,
    parameters,
    project_jobs,
    tasks,
)

_Place = tuple[str, Path, str]

STATUSES = ("PAUSED", "UNPAUSED")
# The bundle is read again for this user: names that stay the same are shared by all developers.
_SOMEBODY_ELSE = "another-developer-7f3a@example.org"
_RESOURCE = re.compile(r"\$\{resources\.(\w+)\.([A-Za-z0-9_-]+)\.(\w+)\}")
_MISSING = re.compile(r"no value assigned to required variable (\w+)")
# Known only during a run.
_OF_THE_RUN = ("run", "attempt")
# Required settings: an unknown value must not count as missing.
_NEEDED = ("catalog", "schema", "landing", "checkpoints")


def invalid_live(live: object) -> Iterator[tuple[Path, str]]:
    """Yield each value of the variable `live` that is neither PAUSED nor UNPAUSED, with its path in the variable.

    The CLI treats an empty text as missing, and a trigger without a pause status is active.
    """
    if not isinstance(live, Mapping):
        return
    for shape, status in live.items():
        if status not in STATUSES:
            yield (
                ("live", shape),
                f"variable live: {shape} is {status!r}: write PAUSED or UNPAUSED; empty means UNPAUSED",
            )


def invalid_names(bundle: Bundle) -> Iterator[Finding]:
    """Yield names that Unity Catalog refuses, and settings with which a task fails at its start."""
    for kind, fields in (("schemas", ("catalog_name", "name")), ("volumes", ("catalog_name", "schema_name", "name"))):
        for key, found in (bundle.resources_without_nulls.get(kind) or {}).items():
            for field in fields:
                value = _known(bundle, str((found or {}).get(field) or ""))
                if value and "${" not in value:
                    try:
                        catalog_name(value)
                    except ValueError as error:
                        yield (kind, key, field), f"{kind[:-1]} {key}: {field} {error}"
    for key, job, path, task in _stream_tasks(bundle):
        yield from _settings(bundle, key, job, path, task)


def _settings(
    bundle: Bundle, key: str, job: Mapping[str, Any], path: Path, task: Mapping[str, Any]
) -> Iterator[Finding]:
    given: dict[str, object] = {}
    for name, text in parameters(task).items():
        value = _known(bundle, str(text))
        # A value that is known only in a run or a workspace counts as valid.
        unknown = name in _OF_THE_RUN or "{{" in value or "${" in value
        if name not in ("streams", "settings") and not (unknown and name not in _NEEDED):
            given[name] = "unknown" if unknown else value
    clusters = {one.get("job_cluster_key"): one.get("new_cluster") or {} for one in job.get("job_clusters") or []}
    cluster = task.get("new_cluster") or clusters.get(task.get("job_cluster_key")) or {}
    try:
        load_settings(given, cluster.get("spark_env_vars") or {})
    except ConfigurationError as error:
        for line in str(error).splitlines():
            name = line.removeprefix("setting ").partition(" ")[0]
            if "no such setting" in line:
                # Reported as a parameter that the entry point does not take.
                continue
            parameter = ("jobs", key, *parameter_path(job, path, name))
            yield parameter, f"job {key}, task {task.get('task_key')}: {line}: correct it, or the task fails at start"


def shared_names(bundle: Bundle) -> Iterator[Finding]:
    """Yield schemas and checkpoint or table folders that two developers or two targets share."""
    mine = _places(bundle)
    if not mine:
        return
    if bundle.mode == "development":
        yield from _between_developers(bundle, mine)
    for name in _targets(bundle):
        other = None if name == bundle.target else _read_other(bundle, name)
        if other is None:
            continue
        for path, what in _shared(mine, other):
            yield (
                path,
                f"{what} is the same in the targets {bundle.target} and {name}: both would write the same tables or "
                "checkpoints. Give each target its own schema, or its own catalog and folder",
            )


def _shared(mine: list[_Place], other: Bundle) -> Iterator[tuple[Path, str]]:
    """Yield the places that the other bundle also uses: path in the resources, description."""
    theirs = {place for place, _, _ in _places(other)}
    yield from ((path, what) for place, path, what in mine if place in theirs)


def _between_developers(bundle: Bundle, mine: list[_Place]) -> Iterator[Finding]:
    try:
        other = bundle.reload(user=_SOMEBODY_ELSE)
    except BundleError:
        return
    for path, what in _shared(mine, other):
        yield (
            path,
            f"{what} does not contain the user's name, and target {bundle.target} is for development: two developers "
            "would share it. Remove skip_name_prefix_for_schema, or add ${workspace.current_user.short_name} to the "
            "name",
        )


def _places(bundle: Bundle) -> list[_Place]:
    """Return schemas, checkpoint and table folders of the streams: place, path in the resources, description."""
    found: dict[str, _Place] = {}

    def keep(place: str, path: Path, what: str) -> None:
        # Unity Catalog ignores case.
        found.setdefault(place.lower(), (place.lower(), path, what))

    for key, job, path, task in _stream_tasks(bundle):
        values = {name: _known(bundle, str(text)).rstrip("/") for name, text in parameters(task).items()}
        here = {name: ("jobs", key, *parameter_path(job, path, name)) for name in values}
        if values.get("catalog") and values.get("schema"):
            name = f"{values['catalog']}.{values['schema']}"
            keep(f"schema {name}", here["schema"], f"schema {name}")
        if values.get("checkpoints"):
            folder = values["checkpoints"]
            keep(f"folder {folder}", here["checkpoints"], f"folder of checkpoints {folder}")
        if values.get("tables"):
            keep(f"folder {values['tables']}", here["tables"], f"folder of tables {values['tables']}")
        elif values.get("tables_root") and values.get("schema"):
            # Schemas with the same name in two catalogs share one folder below the same root.
            folder = f"{values['tables_root']}/{values['schema']}"
            keep(f"folder {folder}", here["tables_root"], f"folder of tables {folder}")
    return list(found.values())


def _stream_tasks(bundle: Bundle) -> Iterator[tuple[str, Mapping[str, Any], Path, Mapping[str, Any]]]:
    for key, job in project_jobs(bundle).items():
        for path, task in tasks(job):
            if (task.get("python_wheel_task") or {}).get("package_name") == PACKAGE:
                yield key, job, path, task


def _known(bundle: Bundle, text: str) -> str:
    """Resolve the references of a text to other resources of the bundle."""

    def name(match: re.Match[str]) -> str:
        resource = (bundle.resources_without_nulls.get(match[1]) or {}).get(match[2]) or {}
        return str(resource.get(match[3], match[0]))

    return _RESOURCE.sub(name, text)


def _targets(bundle: Bundle) -> list[str]:
    try:
        return list(target_sections(bundle.folder))
    except BundleError:
        return []


def _read_other(bundle: Bundle, target: str) -> Bundle | None:
    """Return the bundle for another target, with placeholders for missing variables; None if it is invalid."""
    more: dict[str, str] = {}
    while True:
        try:
            return bundle.reload(target=target, more=more)
        except BundleError as error:
            missing = _MISSING.search(str(error))
            if missing is None or missing[1] in more:
                return None
            more[missing[1]] = f"unknown-{missing[1]}-of-{target}"
