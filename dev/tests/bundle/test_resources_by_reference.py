"""A reference in place of resources, of a kind, of a resource or of a part of a job is resolved or refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dabs_lab.bundle import BundleError, load_bundle
from dabs_lab.bundle.resolved_json import read_resolved
from dabs_lab.jobs import job_spec

CLUSTER = "{job_cluster_key: c, new_cluster: {spark_version: 18.x-scala2.13, num_workers: 1}}"
TASK = "{task_key: a, job_cluster_key: c, spark_python_task: {python_file: /Workspace/a.py}}"
JOB = f"{{name: probe, job_clusters: [{CLUSTER}], tasks: [{TASK}]}}"
# The section resources is on line 10.
HEAD = f"""bundle: {{name: b}}
targets: {{t: {{default: true}}}}
variables:
  job: {{type: complex, default: {JOB}}}
  jobs: {{type: complex, default: {{j: {JOB}}}}}
  all: {{type: complex, default: {{jobs: {{j: {JOB}}}}}}}
  alias: {{type: complex, default: "${{var.jobs}}"}}
  found: {{lookup: {{cluster: shared}}}}
  texts: {{type: complex, default: [a]}}
"""
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def bundle(text: str) -> Path:
        (tmp_path / "databricks.yml").write_text(HEAD + text, "utf-8")
        return tmp_path

    return bundle


@pytest.mark.parametrize(
    ("resources", "line"),
    [
        ("{jobs: '${var.jobs}'}", 5),
        ("{jobs: '${var.alias}'}", 5),
        ("{jobs: '${var.all.jobs}'}", 6),
        ("{jobs: {j: '${var.job}'}}", 10),
        ("{jobs: {j: '${var.jobs.j}'}}", 10),
        ("{jobs: {j: {tasks: '${var.job.tasks}', job_clusters: ['${var.job.job_clusters[0]}']}}}", 10),
    ],
)
def test_a_reference_to_a_complex_variable_is_resolved(write: Write, resources: str, line: int) -> None:
    bundle = load_bundle(write(f"resources: {resources}\n"), environment={})
    assert bundle.warnings == []
    assert [task.key for task in job_spec(bundle, "j").tasks] == ["a"]
    assert bundle.position(("jobs", "j")).line == line


@pytest.mark.parametrize("text", ["resources: '${var.all}'\n", "resources: '${var.jobs}'\nartifacts: {}\n"])
def test_a_reference_in_place_of_all_resources_is_refused_as_by_the_cli(write: Write, text: str) -> None:
    folder = write(text)
    with pytest.raises(BundleError, match=r'^databricks\.yml:10:12: expected a map at "resources", found a reference'):
        load_bundle(folder, environment={})


@pytest.mark.parametrize(
    "reference", ["${var.found}", "${resources.volumes}", "${artifacts}", "${HOME}", "${var.texts[3]}"]
)
@pytest.mark.parametrize(
    ("form", "path", "column"),
    [
        ("'R'", "resources", 12),
        ("{jobs: 'R'}", "resources.jobs", 19),
        ("{schemas: 'R', jobs: {}}", "resources.schemas", 22),
        ("{postgres_roles: 'R'}", "resources.postgres_roles", 29),
        ("{jobs: {j: 'R'}}", "resources.jobs.j", 23),
        ("{volumes: {v: 'R'}}", "resources.volumes.v", 26),
        ("{postgres_roles: {r: 'R'}}", "resources.postgres_roles.r", 33),
    ],
)
def test_a_reference_that_is_not_resolved_is_refused_with_its_position(
    write: Write, form: str, path: str, column: int, reference: str
) -> None:
    folder = write(f"resources: {form.replace('R', reference)}\n")
    with pytest.raises(BundleError) as raised:
        load_bundle(folder, environment={})
    (line,) = str(raised.value).splitlines()
    what = f'expected a map at "{path}", found a reference'
    assert line == f"databricks.yml:10:{column}: {what}: write its content here, without a reference"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resources: {jobs: '${resources.jobs}'}\n", '10:19: expected a map at "resources.jobs", found a reference'),
        (
            "resources: {jobs: '${var.jobz}'}\n",
            "10:19: reference does not exist: ${var.jobz}: did you mean ${var.job",
        ),
        ("resources: {jobs: '${var}'}\n", "10:19: ${var} is not a supported reference"),
        ("artifacts: '${var.found}'\n", '10:12: expected a map at "artifacts", found a reference'),
    ],
)
def test_a_wrong_reference_is_refused_with_its_position(write: Write, text: str, message: str) -> None:
    with pytest.raises(BundleError) as raised:
        load_bundle(write(text), environment={})
    assert str(raised.value).startswith(f"databricks.yml:{message}")


@pytest.mark.parametrize("value", ["${var.texts}", "${bundle.name}", "${bundle.git}", "of ${bundle.name}"])
def test_a_kind_with_a_value_of_another_type_is_left_out_with_a_warning(write: Write, value: str) -> None:
    bundle = load_bundle(write(f"resources: {{jobs: '{value}'}}\n"), environment={})
    assert not bundle.resources.get("jobs")
    assert bundle.warnings[0].summary.startswith("expected map, found")
    with pytest.raises(BundleError, match="the bundle has no job j: its jobs are: none"):
        job_spec(bundle, "j")


@pytest.mark.parametrize(
    ("old", "path"),
    [
        (f"[{TASK}]", "tasks"),
        (TASK, "tasks[0]"),
        (f"[{CLUSTER}]", "job_clusters"),
        ("{spark_version: 18.x-scala2.13, num_workers: 1}", "job_clusters[0].new_cluster"),
        ("{python_file: /Workspace/a.py}", "tasks[0].spark_python_task"),
    ],
)
@pytest.mark.parametrize("reference", ["${resources.jobs.k.tasks}", "${var.found}", "${HOME}"])
def test_a_reference_in_a_job_is_refused_only_for_this_job(write: Write, old: str, path: str, reference: str) -> None:
    job = JOB.replace(old, f"'{reference}'", 1)
    bundle = load_bundle(write(f"resources:\n  jobs:\n    k: {JOB}\n    j: {job}\n"), environment={})
    assert [task.key for task in job_spec(bundle, "k").tasks] == ["a"]
    with pytest.raises(BundleError, match=r"^databricks\.yml:13:\d+: resources\.jobs\.j\."):
        job_spec(bundle, "j")
    assert bundle.malformed_jobs["j"].path == f"resources.jobs.j.{path}"


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ("${var.all}", 'expected a map at "resources", found a reference'),
        ([], 'expected a map at "resources", found sequence'),
        ({"jobs": "${var.jobs}"}, 'expected a map at "resources.jobs", found a reference'),
        ({"jobs": {"j": "${var.job}"}}, 'expected a map at "resources.jobs.j", found a reference'),
        ({"jobs": {"j": {"tasks": "${var.tasks}"}}}, "resources.jobs.j.tasks: expected sequence, found ${var.tasks}"),
        ({"jobs": {"j": {"new": 1, "tasks": []}}}, "resources.jobs.j: invalid job: Unexpected field 'new'"),
        (None, "the bundle has no job j: its jobs are: none"),
    ],
)
def test_output_of_the_cli_with_such_a_reference_is_refused(tmp_path: Path, resources: object, message: str) -> None:
    printed = {"bundle": {"name": "b", "target": "t"}, "resources": resources}
    with pytest.raises(BundleError) as raised:
        job_spec(read_resolved(tmp_path, "bundle.json", json.dumps(printed)), "j")
    assert message in str(raised.value)
