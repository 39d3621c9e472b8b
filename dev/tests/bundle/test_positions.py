"""Values and errors have positions in the files, also after merging, sorting and references."""

from collections.abc import Callable
from pathlib import Path

import pytest
from databricks.bundles.jobs import Task

from dabs_lab.bundle import BundleError, Position, load_bundle

CASES = Path(__file__).parent / "cases"
Write = Callable[..., Path]
ROOT = "bundle: {name: b}\ntargets: {t: {default: true}}\n"
WORKSPACE_FILE = "spark_python_task: {python_file: /Workspace/x.py}, existing_cluster_id: c"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(root: str | bytes = ROOT, **files: str) -> Path:
        (tmp_path / "databricks.yml").write_bytes(root.encode() if isinstance(root, str) else root)
        for name, text in files.items():
            (tmp_path / f"{name}.yml").write_text(text, "utf-8")
        return tmp_path

    return write


def refusal(folder: Path, target: str | None = None, *, strict: bool = False) -> str:
    with pytest.raises(BundleError) as raised:
        load_bundle(folder, target, environment={}, strict=strict)
    assert raised.value.exit_code == 2
    return str(raised.value)


def test_positions_survive_merging_and_sorting() -> None:
    bundle = load_bundle(CASES / "04-target-merge", "over", environment={})
    tasks = [task["task_key"] for task in bundle.resources["jobs"]["j"]["tasks"]]
    assert tasks == ["a", "b", "c"]
    assert bundle.position(("jobs", "j", "name")) == Position("databricks.yml", 9, 17)
    assert bundle.position(("jobs", "j", "tasks", 0, "max_retries")) == Position("resources/j.yml", 21, 24)
    assert bundle.position(("jobs", "j", "tasks", 1, "max_retries")) == Position("databricks.yml", 21, 28)
    assert bundle.position(("jobs", "j", "tasks", 2)) == Position("databricks.yml", 23, 15)
    assert bundle.position(("jobs", "j", "job_clusters", 0, "new_cluster", "num_workers")).file == "databricks.yml"
    assert bundle.position(("jobs", "j", "job_clusters", 0, "new_cluster", "spark_version")).file == "resources/j.yml"


def test_a_substituted_value_has_the_position_of_its_reference() -> None:
    bundle = load_bundle(CASES / "02-complex-variables", "t", environment={})
    where = bundle.position(("jobs", "j", "job_clusters", 0, "new_cluster"))
    text = (CASES / "02-complex-variables" / where.file).read_text("utf-8").splitlines()[where.line - 1]
    assert text[where.column - 1 :] == "${var.cluster}"


def test_a_default_has_the_position_of_the_nearest_value_around_it() -> None:
    bundle = load_bundle(CASES / "10-odd-values", "t", environment={})
    assert bundle.position(("jobs", "j", "queue", "enabled")) == bundle.position(("jobs", "j"))
    with pytest.raises(KeyError):
        bundle.position(("jobs", "j", "nothing"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("environments: {}\n", "databricks.yml:3:1: both 'environments' and 'targets' are specified"),
        ("resources:\n", 'databricks.yml:3:1: expected a map at "resources", found nil: fill the section'),
        ("resources: '${resources.jobs.j.id}'\n", '3:12: expected a map at "resources", found a reference'),
        ("workspace: {host: 'https://${var.h}'}\n", "databricks.yml:3:19: workspace.host: Variable interpolation"),
        ("include: ['[']\n", "databricks.yml:3:11: syntax error in pattern"),
        ("sync: {paths: [gone]}\n", "databricks.yml:3:16: cannot list files: stat gone: no such file"),
        (
            "resources: {jobs: {j: {name: '${secrets.x.y}'}}}\n",
            "databricks.yml:3:30: ${secrets.x.y} is not a supported",
        ),
        ("resources: {jobs: {j: {name: '${bundle.nome}'}}}\n", "reference does not exist: ${bundle.nome}: did you"),
        ("resources: {jobs: {j: }}\n", "databricks.yml:3:20: resources.jobs.j: job j is not defined"),
        ("resources: {jobs: {j: !made {name: a}}}\n", "databricks.yml:3:23: the tag !made is not supported"),
        ("variables: {x: {default: &a {b: *a}}}\n", "databricks.yml:3:26: cyclic reference to an anchor"),
        ("run_as: {user_name: a, service_principal_name: b}\n", "3:9: run_as section cannot specify both"),
        ("permissions: [{level: CAN_BIND, user_name: a}]\n", "3:23: invalid permission level: CAN_BIND"),
        ("presets: {source_linked_deployment: true}\n", "3:37: presets.source_linked_deployment: source-linked"),
        ("presets: {trigger_pause_status: OFF}\n", "3:33: Invalid value for trigger_pause_status"),
        ("artifacts: {w: {type: jar}}\n", "databricks.yml:3:16: artifacts.w: misconfigured artifact"),
        ("workspace: {root_path: /Volumes/a/b/c}\n", "3:24: workspace.root_path: workspace.root_path /Volumes/a/b/c"),
        ("scripts: {s: {content: 'echo ${var.x}'}}\n", "3:24: scripts.s: Found ${var.x} in script s.content"),
        (
            "resources: {jobs: {j: {tasks: [{task_key: a, python_wheel_task: {package_name: p, entry_point: e}}]}}}\n",
            "databricks.yml:3:32: resources.jobs.j.tasks[0]: Missing required cluster or environment settings",
        ),
        ("include: ['*.txt']\nresources: [\n", "databricks.yml:5:1: not valid YAML"),
    ],
)
def test_an_error_names_the_value_and_its_position(write: Write, text: str, message: str) -> None:
    assert message in refusal(write(ROOT + text))


def test_missing_and_invalid_root_files_are_refused(write: Write, tmp_path: Path) -> None:
    assert "databricks.yml not found in" in refusal(tmp_path)
    assert refusal(write(b"bundle: {name: b}\n# \xff\n")).startswith("databricks.yml:2:1: is not UTF-8 text")
    assert refusal(write("- a\n")).startswith("databricks.yml:1:1: expected map, found sequence")
    assert "databricks.yml:1:1: bundle name not defined" in refusal(write("targets: {t: {}}\n"))


def test_nested_aliases_with_too_many_values_are_refused(write: Write) -> None:
    rows = ["  a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "too many values" in refusal(write(ROOT + "definitions:\n" + "\n".join(rows)))


def test_complex_variables_that_contain_each_other_are_refused(write: Write) -> None:
    variables = "variables:\n  a: {default: {x: '${var.b}'}}\n  b: {default: {x: '${var.a}'}}\n"
    assert "form a cycle" in refusal(write(ROOT + variables))


def test_an_unknown_target_is_reported_with_the_available_targets(write: Write) -> None:
    assert "nope: no such target. Available targets: t" in refusal(write(), "nope")


def test_the_job_models_report_file_and_line_of_a_missing_field(write: Write) -> None:
    wheel = "{task_key: a, existing_cluster_id: c,\n  python_wheel_task: {package_name: p}}"
    bundle = load_bundle(write(ROOT + f"resources: {{jobs: {{j: {{tasks: [{wheel}]}}}}}}\n"), environment={})
    assert [problem.summary for problem in bundle.warnings] == ['required field "entry_point" is not set']
    with pytest.raises(BundleError, match=r"databricks\.yml:4:22: .*required field \"entry_point\" is not set"):
        _ = bundle.jobs


def test_the_job_models_report_file_and_line_of_an_invalid_enum_value(write: Write) -> None:
    bundle = load_bundle(
        write(ROOT + "resources:\n  jobs:\n    j: {continuous: {pause_status: STOPPED}}\n"), environment={}
    )
    with pytest.raises(BundleError, match=r"databricks\.yml:5:36: .*invalid value \"STOPPED\" for enum field"):
        _ = bundle.jobs


def test_jobs_are_parsed_into_typed_models() -> None:
    tasks = load_bundle(CASES / "04-target-merge", "over", environment={}).jobs["j"].tasks
    assert isinstance(tasks, list)
    typed = [task for task in tasks if isinstance(task, Task)]
    assert [(task.task_key, task.max_retries) for task in typed] == [("a", 3), ("b", 5), ("c", None)]


def test_strict_makes_a_warning_an_error(write: Write) -> None:
    folder = write(ROOT + "resources: {jobs: {j: {naem: x}}}\n")
    assert len(load_bundle(folder, environment={}).warnings) == 1
    assert refusal(folder, strict=True) == "databricks.yml:3:24: resources.jobs.j: unknown field: naem"


def test_a_recommendation_is_not_an_error_in_strict_mode() -> None:
    bundle = load_bundle(CASES / "08-production-mode", "prod", environment={}, strict=True)
    assert len(bundle.recommendations) == 1


def test_wheels_keep_local_paths(write: Write, tmp_path: Path) -> None:
    (tmp_path / "resources").mkdir()
    text = "resources:\n  jobs:\n    j:\n      tasks:\n        - task_key: a\n          existing_cluster_id: c\n"
    (tmp_path / "resources" / "j.yml").write_text(f"{text}          libraries: [{{whl: ../dist/*.whl}}]\n", "utf-8")
    artifacts = "artifacts: {wheel: {type: whl, build: uv build --wheel, path: .}}\n"
    bundle = load_bundle(write(f"{ROOT}include: [resources/*.yml]\n{artifacts}"), environment={})
    assert bundle.resources["jobs"]["j"]["tasks"][0]["libraries"] == [{"whl": "dist/*.whl"}]
    assert bundle.sections["artifacts"]["wheel"]["path"] == str(tmp_path.resolve())


def test_shell_variables_in_commands_are_not_resolved(write: Write) -> None:
    artifacts = "artifacts: {wheel: {type: whl, build: 'echo ${HOME} ${a.b} ${bundle.name}', path: .}}\n"
    built = load_bundle(write(ROOT + artifacts), environment={}).sections["artifacts"]["wheel"]["build"]
    assert built == "echo ${HOME} ${a.b} b"
