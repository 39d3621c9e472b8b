"""Edits of a copied bundle by the path of a value, so that the tests hold for your own names, clusters and retries."""

from pathlib import Path
from typing import Any

import yaml

REMOVED = object()


def value_at(folder: Path, file: str, path: str) -> Any:
    """Return the value at a path such as `variables.live.default`, without anchors. Raises KeyError, IndexError."""
    found = yaml.safe_load((folder / file).read_text("utf-8"))
    for part in path.split("."):
        found = found[int(part) if isinstance(found, list) else part]
    return found


def set_value(folder: Path, file: str, path: str, value: Any) -> None:
    """Set the value at a path, or remove it from its mapping (REMOVED). Anchors and comments of the file are lost."""
    content = yaml.safe_load((folder / file).read_text("utf-8"))
    *parents, last = path.split(".")
    found = content
    for part in parents:
        found = found[int(part)] if isinstance(found, list) else found.setdefault(part, {})
    if value is REMOVED:
        found.pop(last, None)
    else:
        found[int(last) if isinstance(found, list) else last] = value
    (folder / file).write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def job_file(job: str) -> str:
    """Return the file of a job."""
    return f"resources/{job}.job.yml"


def set_in_job(folder: Path, job: str, path: str, value: Any) -> None:
    """Set a value of a job, or remove it."""
    set_value(folder, job_file(job), f"resources.jobs.{job}.{path}", value)


def add_target(folder: Path, name: str) -> None:
    """Add a copy of the target prod, with its own schema."""
    prod = value_at(folder, "databricks.yml", "targets.prod")
    copy = {**prod, "variables": {**prod["variables"], "schema": f"a_schema_of_{name}"}}
    set_value(folder, "databricks.yml", f"targets.{name}", copy)
