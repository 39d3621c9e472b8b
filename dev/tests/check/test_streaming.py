"""Streams of a task, as the check finds them in parameters, in comments, or not at all."""

from pathlib import Path

import pytest

from dabs_lab.check.bundle_views import load_views
from dabs_lab.check.streaming import NO_STREAMS, Streaming, trigger_kind

NOTEBOOK = "notebook_task: {notebook_path: /Workspace/Shared/a, base_parameters: {%s}}"
WHEEL = "existing_cluster_id: a\npython_wheel_task: {package_name: a, entry_point: b, %s}"


def streaming(folder: Path, task: str, job: str = "", settings: str = "") -> Streaming:
    """Return what a task streams; `task` is its lines in the file, `job` a line of the job."""
    lines = "".join(f"          {line}\n" for line in task.splitlines())
    text = f"bundle: {{name: b}}\nresources:\n  jobs:\n    j:\n      name: j\n      {job}\n      tasks:\n"
    other = "        - task_key: z\n          # streams: of_another_task\n"
    text += f"        # streams: above\n        - task_key: a\n{lines}{other}" if "above" in task else ""
    text += f"        - task_key: a\n{lines}{other}" if "above" not in task else ""
    (folder / "databricks.yml").write_text(text, "utf-8")
    (folder / "dabs-lab.yml").write_text(settings, "utf-8")
    (view,) = load_views(folder, None, False, {}).targets
    return next(found for found in view.tasks if found.key == "a").streaming


def test_a_task_that_names_nothing_is_unknown_and_not_empty(tmp_path: Path) -> None:
    found = streaming(tmp_path, NOTEBOOK % "")
    assert (found.streams, found.checkpoints, found.writes, found.endless) == (None, None, None, None)
    assert found.is_stream is None


@pytest.mark.parametrize(
    "task",
    [
        NOTEBOOK % 'streams: "a, b", checkpoint: /c, target_table: t, trigger: 30 s',
        WHEEL % 'named_parameters: {streams: "a,b", checkpoint-path: /c, target_table: t, trigger: 30 s}',
        WHEEL % 'parameters: ["--streams=a,b", "--checkpoint", /c, "--target-table", t, "--trigger", 30 s]',
        NOTEBOOK % "" + "\n# streams: a, b\n# checkpoint: /c\n# writes: t\n# endless",
    ],
)
def test_parameters_and_comments_name_streams_checkpoints_tables_and_triggers(tmp_path: Path, task: str) -> None:
    found = streaming(tmp_path, task)
    assert (found.streams, found.checkpoints, found.writes) == (("a", "b"), ("/c",), ("t",))
    assert (found.trigger, found.endless, found.is_stream) == ("endless", True, True)


def test_parameters_of_the_job_reach_its_tasks(tmp_path: Path) -> None:
    job = "parameters: [{name: streams, default: a}, {name: folder, default: /c}]"
    found = streaming(tmp_path, NOTEBOOK % "checkpoint: '{{job.parameters.folder}}/a'", job)
    assert (found.streams, found.checkpoints) == (("a",), ("/c/a",))


def test_a_folder_of_checkpoints_has_one_for_each_stream(tmp_path: Path) -> None:
    found = streaming(tmp_path, NOTEBOOK % "streams: 'a,b', checkpoints: /c/")
    assert found.checkpoints == ("/c/a", "/c/b")
    assert streaming(tmp_path, NOTEBOOK % "checkpoints: /c/").checkpoints is None


def test_several_parameters_may_name_a_checkpoint_each(tmp_path: Path) -> None:
    parameters = "checkpoint_location_a: /c/a, checkpoint_location_b: /c/b, orders_checkpoint_path: /c/d"
    assert streaming(tmp_path, NOTEBOOK % parameters).checkpoints == ("/c/a", "/c/b", "/c/d")
    base = "streams: a, checkpoint_base_path: /c"
    assert streaming(tmp_path, NOTEBOOK % base).checkpoints == ("/c/a",)


def test_another_comment_may_follow_the_names(tmp_path: Path) -> None:
    found = streaming(tmp_path, NOTEBOOK % "" + "\n# streams: a, b  # both in one query")
    assert found.streams == ("a", "b")


def test_a_comment_at_a_field_of_an_anchor_counts_for_each_task_that_merges_it(tmp_path: Path) -> None:
    text = f"x: &common\n  # streams: a, b\n  {NOTEBOOK % ''}\n  # streams: elsewhere\nbundle: {{name: b}}\n"
    tasks = "[{<<: *common, task_key: one}, {<<: *common, task_key: two}]"
    (tmp_path / "databricks.yml").write_text(f"{text}resources: {{jobs: {{j: {{tasks: {tasks}}}}}}}\n", "utf-8")
    (view,) = load_views(tmp_path, None, False, {}).targets
    assert [task.streaming.streams for task in view.tasks] == [("a", "b"), ("a", "b")]


def test_a_comment_wins_over_parameters_and_belongs_to_its_task_only(tmp_path: Path) -> None:
    assert streaming(tmp_path, NOTEBOOK % "streams: a" + "\n# streams: b").streams == ("b",)
    assert streaming(tmp_path, NOTEBOOK % "x: above").streams == ("above",)
    assert streaming(tmp_path, NOTEBOOK % "").streams is None


@pytest.mark.parametrize("task", [NOTEBOOK % "" + "\n# streams: none", "sql_task: {warehouse_id: a}"])
def test_a_task_without_streams_is_known_to_have_none(tmp_path: Path, task: str) -> None:
    assert streaming(tmp_path, task, "continuous: {}") == NO_STREAMS


def test_a_sentence_in_a_comment_names_no_stream(tmp_path: Path) -> None:
    assert streaming(tmp_path, NOTEBOOK % "" + "\n# streams: this task reads them").streams is None


def test_a_task_of_a_continuous_job_is_endless_unless_its_trigger_is_bounded(tmp_path: Path) -> None:
    assert streaming(tmp_path, NOTEBOOK % "", "continuous: {}").endless is True
    assert streaming(tmp_path, NOTEBOOK % "trigger: availableNow", "continuous: {}").endless is False


def test_names_of_parameters_and_groups_of_streams_can_be_declared(tmp_path: Path) -> None:
    settings = "parameters: {streams: [flows]}\nstream_groups: {all: [a, b]}\n"
    assert streaming(tmp_path, NOTEBOOK % "flows: 'all,c', streams: x", settings=settings).streams == ("a", "b", "c")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *(("availableNow", "bounded"), ("available-now", "bounded"), ("once", "bounded")),
        *(("30 s", "endless"), ("10 minutes", "endless"), ("500ms", "endless"), ("continuous", "endless")),
        *(("<trigger>", None), ("daily", None), ("30", None)),
    ],
)
def test_a_trigger_is_endless_bounded_or_unknown(value: str, kind: str | None) -> None:
    assert trigger_kind(value) == kind
