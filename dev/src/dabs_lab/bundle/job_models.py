"""Jobs as the models of databricks-bundles, which are stricter than the CLI."""

from typing import Any, cast

from databricks.bundles.jobs import Job

from dabs_lab.bundle.problems import BundleError, Path, Problem, path_text
from dabs_lab.bundle.root_schema import ROOT
from dabs_lab.bundle.schemas import Fields, Named, Shape
from dabs_lab.bundle.type_checks import missing, wrong_values
from dabs_lab.bundle.workspace_paths import jobs_of
from dabs_lab.bundle.yaml_nodes import Node, without_nulls

# What may stand in a job but is no field of the model: the CLI sets it itself.
_NOT_OF_THE_MODEL = ("id", "edit_mode", "format")


def job_models(root: Node) -> dict[str, Job]:
    """The jobs by key. Raises BundleError for fields that are missing or not known, and for wrong values."""
    models: dict[str, Job] = {}
    wrong: list[Problem] = []
    for key, node in jobs_of(root).items():
        path: Path = ("resources", "jobs", key)
        bare = node.drop(*_NOT_OF_THE_MODEL)
        try:
            models[key] = Job.from_dict(cast(Any, without_nulls(bare.plain())))
        except (ValueError, TypeError, AttributeError, AssertionError) as error:
            shape = job_shape()
            found = missing(bare, shape, path) + wrong_values(bare, shape, path)
            text = " ".join(str(error).split())
            wrong += found or [Problem(f"this job is not taken: {text}", path_text(path), node.positions[:1])]
    if wrong:
        raise BundleError(wrong)
    return models


def job_shape() -> Shape:
    """The shape of one job."""
    resources = ROOT.shapes["resources"]
    jobs = resources.shapes["jobs"] if isinstance(resources, Fields) else None
    assert isinstance(jobs, Named)
    return jobs.value
