"""Policies on names: what Unity Catalog and the tasks take, and what each target and each developer has alone."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dabs_lab.bundle.bundle_files import read_files
from dabs_lab.bundle.problems import BundleError
from dabs_lab.bundle.reader import Bundle
from sensor_streams.errors import ConfigurationError
from sensor_streams.settings import catalog_name, load_settings
from sensor_streams_dev.policies.stream_tasks import PACKAGE, Broken, Path, of_ours, parameters, tasks

_Place = tuple[str, Path, str]

STATUSES = ("PAUSED", "UNPAUSED")
# A user that no bundle names: what does not change with the user is shared by all.
_SOMEBODY_ELSE = "another-developer-7f3a@example.org"
_RESOURCE = re.compile(r"\$\{resources\.(\w+)\.([A-Za-z0-9_-]+)\.(\w+)\}")
_MISSING = re.compile(r"no value assigned to required variable (\w+)")
# Known to a run only; nothing that is checked here depends on them.
_OF_THE_RUN = ("run", "attempt")


def live_statuses(live: object) -> Iterator[tuple[Path, str]]:
    """Yield each value of the variable `live` that is neither PAUSED nor UNPAUSED, by its place in the variable.

    The CLI takes an empty text as not written, and a trigger without a pause status is on.
    """
    if not isinstance(live, Mapping):
        return
    for shape, status in live.items():
        if status not in STATUSES:
            yield ("live", shape), f"variable live: {shape} is {status!r}: write PAUSED or UNPAUSED; empty means on"


def names(bundle: Bundle) -> Iterator[Broken]:
    """Yield names that Unity Catalog would refuse, and settings with which a task would end at once."""
    for kind, fields in (("schemas", ("catalog_name", "name")), ("volumes", ("catalog_name", "schema_name", "name"))):
        for key, found in (bundle.written.get(kind) or {}).items():
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
) -> Iterator[Broken]:
    given: dict[str, object] = {}
    for name, text in parameters(task).items():
        value = _known(bundle, str(text))
        # What only a run or a workspace knows is taken as right, whatever it will be.
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
            where = ("jobs", key, *path, "python_wheel_task", "named_parameters", name)
            yield where, f"job {key}, task {task.get('task_key')}: {line}: the task would end at once"


_NEEDED = ("catalog", "schema", "landing", "checkpoints")


def apart(bundle: Bundle) -> Iterator[Broken]:
    """Yield what two developers, or two targets, would share: a schema, or the checkpoints of the streams."""
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
                f"{what} is the same in the targets {bundle.target} and {name}: they would write the same tables, or "
                "refuse each other's checkpoints. Give each target a schema of its own, or another catalog and folder",
            )


def _shared(mine: list[_Place], other: Bundle) -> Iterator[tuple[Path, str]]:
    """Yield those of the places that the other bundle has too: path in the resources, words for it."""
    theirs = {place for place, _, _ in _places(other)}
    yield from ((path, what) for place, path, what in mine if place in theirs)


def _between_developers(bundle: Bundle, mine: list[_Place]) -> Iterator[Broken]:
    try:
        other = bundle.read_again(user=_SOMEBODY_ELSE)
    except BundleError:
        return
    for path, what in _shared(mine, other):
        yield (
            path,
            f"{what} does not hold the user's name, and target {bundle.target} is for development: two developers "
            "would share it. Take out skip_name_prefix_for_schema, or put ${workspace.current_user.short_name} into "
            "the name",
        )


def _places(bundle: Bundle) -> list[_Place]:
    """Where the streams of a bundle keep their tables and checkpoints: place, path in the resources, words for it."""
    found: dict[str, _Place] = {}

    def keep(place: str, path: Path, what: str) -> None:
        # Unity Catalog keeps names in lower case.
        found.setdefault(place.lower(), (place.lower(), path, what))

    for key, _, path, task in _stream_tasks(bundle):
        told = {name: _known(bundle, str(text)).rstrip("/") for name, text in parameters(task).items()}
        here: Path = ("jobs", key, *path, "python_wheel_task", "named_parameters")
        if told.get("catalog") and told.get("schema"):
            name = f"{told['catalog']}.{told['schema']}"
            keep(f"schema {name}", (*here, "schema"), f"schema {name}")
        if told.get("checkpoints"):
            keep(
                f"folder {told['checkpoints']}", (*here, "checkpoints"), f"folder of checkpoints {told['checkpoints']}"
            )
        if told.get("tables"):
            keep(f"folder {told['tables']}", (*here, "tables"), f"folder of tables {told['tables']}")
        elif told.get("tables_root") and told.get("schema"):
            # Two catalogs may have schemas of one name; below one root these would be one folder.
            folder = f"{told['tables_root']}/{told['schema']}"
            keep(f"folder {folder}", (*here, "tables_root"), f"folder of tables {folder}")
    return list(found.values())


def _stream_tasks(bundle: Bundle) -> Iterator[tuple[str, Mapping[str, Any], Path, Mapping[str, Any]]]:
    for key, job in of_ours(bundle.written.get("jobs") or {}).items():
        for path, task in tasks(job):
            if (task.get("python_wheel_task") or {}).get("package_name") == PACKAGE:
                yield key, job, path, task


def _known(bundle: Bundle, text: str) -> str:
    """A text with the names of other resources of the bundle put in."""

    def name(match: re.Match[str]) -> str:
        resource = (bundle.written.get(match[1]) or {}).get(match[2]) or {}
        return str(resource.get(match[3], match[0]))

    return _RESOURCE.sub(name, text)


def _targets(bundle: Bundle) -> list[str]:
    try:
        found = read_files(bundle.folder, lambda _: None, lambda _: None).get("targets")
    except BundleError:
        return []
    return [] if found is None else [str(name) for name in found.children]


def _read_other(bundle: Bundle, target: str) -> Bundle | None:
    """The bundle for another target; None where that cannot be read. Its own missing variables get values of nobody."""
    more: dict[str, str] = {}
    while True:
        try:
            return bundle.read_again(target=target, more=more)
        except BundleError as error:
            missing = _MISSING.search(str(error))
            if missing is None or missing[1] in more:
                return None
            more[missing[1]] = f"unknown-{missing[1]}-of-{target}"
