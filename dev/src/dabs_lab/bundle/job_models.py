"""Parse jobs with the models of databricks-bundles, which are stricter than the CLI."""

from typing import Any, cast

from databricks.bundles.jobs import Job

from dabs_lab.bundle.problems import Path, Problem, path_text, raise_if_any
from dabs_lab.bundle.root_schema import ROOT
from dabs_lab.bundle.schemas import Fields, MapOf, Shape
from dabs_lab.bundle.type_checks import missing, wrong_types, wrong_values
from dabs_lab.bundle.workspace_paths import jobs_of
from dabs_lab.bundle.yaml_nodes import Node, without_nulls

# Fields that the CLI sets and the model does not have.
_NOT_IN_MODEL = ("id", "edit_mode", "format")


def job_models(root: Node) -> dict[str, Job]:
    """Return the jobs by key. Raises BundleError for missing or unknown fields, and for wrong values."""
    models: dict[str, Job] = {}
    wrong: list[Problem] = []
    for key, node in jobs_of(root).items():
        path: Path = ("resources", "jobs", key)
        bare = node.drop(*_NOT_IN_MODEL)
        try:
            models[key] = Job.from_dict(cast(Any, without_nulls(bare.plain())))
        except (ValueError, TypeError, AttributeError, AssertionError) as error:
            shape = job_shape()
            found = missing(bare, shape, path) + wrong_values(bare, shape, path)
            text = " ".join(str(error).split())
            wrong += found or [Problem(f"invalid job: {text}", path_text(path), node.positions[:1])]
    raise_if_any(wrong)
    return models


def malformed_jobs(root: Node) -> dict[str, Problem]:
    """Return by key the first problem of each job with another value in place of a mapping or a list."""
    found = {key: wrong_types(node, job_shape(), ("resources", "jobs", key)) for key, node in jobs_of(root).items()}
    return {key: problems[0] for key, problems in found.items() if problems}


def job_shape() -> Shape:
    """Return the shape of one job."""
    resources = ROOT.shapes["resources"]
    jobs = resources.shapes["jobs"] if isinstance(resources, Fields) else None
    assert isinstance(jobs, MapOf)
    return jobs.value
