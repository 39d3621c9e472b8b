"""Notes of the reader, values that need a workspace, git values, and bundles that the CLI has resolved."""

import json
from collections.abc import Callable
from pathlib import Path

import databricks.bundles.version
import pytest

from dabs_lab.bundle import BundleError, load_bundle
from dabs_lab.bundle.resolved_json import read_resolved
from dabs_lab.bundle.root_schema import SUPPORTED_VERSION
from dabs_lab.jobs import job_spec

HEAD = "bundle: {name: b}\ntargets: {t: {default: true}}\n"
TASK = "tasks: [{task_key: a, existing_cluster_id: c, spark_python_task: {python_file: /Shared/a.py}}]"
QUOTED = " '${var.c}',"
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def bundle(text: str) -> Path:
        (tmp_path / "databricks.yml").write_text(HEAD + text, "utf-8")
        return tmp_path

    return bundle


@pytest.mark.parametrize(
    "section",
    [
        "python: {resources: ['jobs:load']}\n",
        "python: {mutators: ['jobs:change'], venv_path: .venv}\n",
        "experimental: {python: {resources: ['jobs:load']}}\n",
        "experimental: {pydabs: {enabled: true}}\n",
    ],
)
def test_resources_defined_in_python_cause_a_note(write: Write, section: str) -> None:
    bundle = load_bundle(write(section), environment={})
    (note,) = bundle.notes
    assert "defined in Python are not read" in note.summary
    assert "databricks bundle validate -o json" in note.summary
    assert note.positions[0].line == 3
    with pytest.raises(BundleError, match="not read"):
        load_bundle(write(section), environment={}, strict=True)


def test_a_second_document_and_a_duplicate_key_cause_notes(write: Write) -> None:
    bundle = load_bundle(write("resources: {jobs: {j: {name: a, name: b}}}\n---\nx: 1\n"), environment={})
    assert bundle.resources["jobs"]["j"]["name"] == "b"
    assert [(str(note.positions[-1]), note.summary.split(":")[0]) for note in bundle.notes] == [
        ("databricks.yml:4:1", "the second document is ignored, as in the CLI"),
        ("databricks.yml:3:33", "duplicate key name"),
    ]


def test_a_value_that_needs_a_workspace_is_refused_only_for_the_job_that_uses_it(write: Write) -> None:
    text = (
        "variables: {c: {lookup: {cluster: shared}}, unused: {lookup: {pipeline: p}}}\n"
        "resources:\n  jobs:\n"
        f"    known: {{name: k, {TASK}}}\n"
        f"    owner: {{name: 'of ${{workspace.current_user.id}}', {TASK}}}\n"
        f"    found: {{name: f, {TASK.replace(' c,', QUOTED)}}}\n"
    )
    bundle = load_bundle(write(text), environment={})
    assert [problem.path for problem in bundle.unresolved] == [
        "jobs.owner.name",
        "jobs.found.tasks[0].existing_cluster_id",
    ]
    assert bundle.resources["jobs"]["owner"]["name"] == "of ${workspace.current_user.id}"
    for key, position in (("owner", "7:19"), ("found", "8:65")):
        with pytest.raises(BundleError, match=rf"databricks.yml:{position}: .*known in a workspace only"):
            job_spec(bundle, key)
    with pytest.raises(BundleError) as raised:
        job_spec(bundle, "known")
    assert "known in a workspace only" not in str(raised.value), "only its cluster is refused"
    given = load_bundle(write(text), environment={"BUNDLE_VAR_c": "0123"})
    assert given.resources["jobs"]["found"]["tasks"][0]["existing_cluster_id"] == "0123"


def test_git_values_are_read_from_the_git_folder(write: Write, tmp_path: Path) -> None:
    git = tmp_path / ".git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/feature/x\n")
    (git / "refs/heads/feature").mkdir()
    (git / "refs/heads/feature/x").write_text("a" * 40 + "\n")
    (git / "config").write_text('[core]\n\tbare = false\n[remote "origin"]\n\turl = https://git.test/a/b.git\n')
    names = "${bundle.git.branch} ${bundle.git.commit} ${bundle.git.origin_url}"
    bundle = load_bundle(write(f"resources: {{jobs: {{j: {{name: '{names}'}}}}}}\n"), environment={})
    assert bundle.resources["jobs"]["j"]["name"] == f"feature/x {'a' * 40} https://git.test/a/b.git"


def test_the_output_of_the_cli_is_read_with_its_jobs_from_python(tmp_path: Path) -> None:
    job = {"name": "j", "deployment": {"kind": "BUNDLE"}, "edit_mode": "UI_LOCKED", "format": "MULTI_TASK"}
    cluster = {"job_cluster_key": "m", "new_cluster": {"spark_version": "x", "num_workers": 1}}
    task = {"task_key": "a", "job_cluster_key": "m", "spark_python_task": {"python_file": "/Workspace/a.py"}}
    printed = {
        "bundle": {"name": "b", "target": "prod", "mode": "production"},
        "resources": {"jobs": {"j": {**job, "job_clusters": [cluster], "tasks": [task]}}},
        "variables": {"x": {"default": "d", "value": "v"}},
        "workspace": {"file_path": "/Workspace/files"},
    }
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(printed), "utf-8")
    bundle = read_resolved(tmp_path, str(file))
    assert (bundle.name, bundle.target, bundle.mode, bundle.variables) == ("b", "prod", "production", {"x": "v"})
    assert set(bundle.resources["jobs"]["j"]) == {"name", "job_clusters", "tasks"}
    assert job_spec(bundle, "j").name == "j"
    assert read_resolved(tmp_path, "standard input", json.dumps(printed)).resources == bundle.resources
    with pytest.raises(BundleError, match=r"has no bundle\.target: it is not the output of the CLI"):
        read_resolved(tmp_path, "standard input", "{}")


def test_the_reader_supports_the_installed_release() -> None:
    assert databricks.bundles.version.__version__ == SUPPORTED_VERSION
