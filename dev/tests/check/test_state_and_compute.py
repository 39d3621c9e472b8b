"""Facts behind the rules on state and compute: what a path, a runtime and a task's parameters say."""

from datetime import date
from pathlib import Path

import pytest

from dabs_lab.check.checkpoint_paths import (
    is_folder_of_a_user,
    may_hold_several,
    normal_path,
    scope_of,
    why_it_does_not_last,
)
from dabs_lab.check.engine import CheckReport, check_folder
from dabs_lab.check.runtimes import Runtime, end_of_support, runtime_of

_TASKS = """
bundle: {{name: example}}
resources:
  jobs:
    live:
      {start}
      tasks:
        - task_key: first
          notebook_task: {{notebook_path: /Workspace/Shared/first, base_parameters: {{{first}}}}}
        - task_key: second
          notebook_task: {{notebook_path: /Workspace/Shared/second, base_parameters: {{{second}}}}}
          {extra}
{targets}
"""
_CONTINUOUS = "continuous: {task_retry_mode: ON_FAILURE}"


def _check(
    folder: Path,
    rule: str,
    *,
    first: str = "",
    second: str = "",
    start: str = _CONTINUOUS,
    extra: str = "",
    targets: str = "",
) -> CheckReport:
    text = _TASKS.format(start=start, first=first, second=second, extra=extra, targets=targets)
    (folder / "databricks.yml").write_text(text, "utf-8")
    return check_folder(folder, every=True, select=[rule])


def _missing(report: CheckReport) -> list[str]:
    assert report.findings == ()
    return [one.missing for one in report.cannot_tell]


@pytest.mark.parametrize(
    ("key", "version", "variants"),
    [
        ("15.4.x-scala2.12", "15.4", ()),
        ("18.x-scala2.13", "18", ()),
        ("16.4.x-gpu-ml-scala2.12", "16.4", ("gpu", "ml")),
        ("16.4.x-photon-scala2.13", "16.4", ("photon",)),
    ],
)
def test_a_version_key_gives_the_version_of_the_release_notes_and_its_variants(
    key: str, version: str, variants: tuple[str, ...]
) -> None:
    runtime = runtime_of(key)
    assert runtime is not None
    assert runtime.version == version
    assert set(variants) <= set(runtime.variants)


@pytest.mark.parametrize("key", ["custom:image", "<runtime>", "auto:latest-lts", ""])
def test_another_form_of_a_version_is_no_runtime(key: str) -> None:
    assert runtime_of(key) is None


def test_support_ends_on_the_date_of_the_release_notes() -> None:
    runtime = Runtime("14.3", ())
    assert end_of_support(runtime, date(2027, 2, 1)) is None
    assert end_of_support(runtime, date(2027, 2, 2)) == " since 2027-02-01"


def test_an_old_version_that_is_not_in_the_list_is_out_of_support() -> None:
    ended = end_of_support(Runtime("15.3", ()), date(2026, 11, 28))
    assert ended == " (not in the list of 2026-11-28)"


@pytest.mark.parametrize("version", ["18.1", "19", "25.1"])
def test_a_version_that_is_newer_than_the_list_is_not_judged(version: str) -> None:
    assert end_of_support(Runtime(version, ()), date(2040, 1, 1)) is None


@pytest.mark.parametrize("path", ["/dbfs/a/b/", "dbfs:/a/b", "dbfs:///a/b"])
def test_the_forms_of_a_path_on_dbfs_are_the_same_path(path: str) -> None:
    assert normal_path(path) == "dbfs:/a/b"


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("abfss://c@account.dfs.core.windows.net/orders", "everywhere"),
        ("/Volumes/main/sales/cp", "metastore"),
        ("dbfs:/Volumes/main/sales/cp", "metastore"),
        ("main.sales.orders", "metastore"),
        ("hive_metastore.sales.orders", "unknown"),
        ("/mnt/checkpoints/orders", "workspace"),
        ("sales.orders", "unknown"),
        ("file:/checkpoints/orders", "unknown"),
    ],
)
def test_a_path_or_table_means_the_same_storage_within_its_scope(name: str, scope: str) -> None:
    assert scope_of(name) == scope


@pytest.mark.parametrize("path", ["/Volumes/m/s/checkpoints", "/mnt/_checkpoint", "<checkpoint_path>", "/m/cp/"])
def test_a_path_named_like_a_folder_of_checkpoints_may_hold_several(path: str) -> None:
    assert may_hold_several(path)


@pytest.mark.parametrize("path", ["/Volumes/m/s/checkpoints/orders", "/mnt/orders_checkpoint", "/m/states"])
def test_a_path_named_after_a_stream_holds_one_checkpoint(path: str) -> None:
    assert not may_hold_several(path)


@pytest.mark.parametrize(
    "path",
    [
        "/tmp/cp",
        "dbfs:/tmp/cp",
        "s3://b/temp/cp",
        "file:/cp",
        "/local_disk0/cp",
        "/m/{{job.run_id}}",
        "/m/{{ run_id }}",
    ],
)
def test_temporary_paths_and_paths_of_a_run_do_not_last(path: str) -> None:
    assert why_it_does_not_last(path) is not None


@pytest.mark.parametrize(
    "path", ["/Volumes/m/s/temperature", "/m/{{job.parameters.stream}}", "/m/tmpl/cp", "/m/{{input}}"]
)
def test_other_paths_last(path: str) -> None:
    assert why_it_does_not_last(path) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/Users/ann@example.com/cp", True),
        ("dbfs:/Users/ann/cp", True),
        ("/Workspace/Users/ann/cp", True),
        ("/Volumes/main/you@localhost/cp", True),
        ("/Volumes/main/you/cp", True),
        ("/Users/00000000-0000-0000-0000-000000000000/cp", True),
        ("/Volumes/main/00000000_0000_0000_0000_000000000000/cp", True),
        ("/Volumes/main/young/cp", False),
        ("/Users/5f0c1a52-0000-0000-0000-000000000000/cp", False),
        ("/Users/<principal>/cp", False),
        ("abfss://home@account.dfs.core.windows.net/cp", False),
        ("/Volumes/main/users/cp", False),
    ],
)
def test_a_folder_of_a_user_is_below_users_or_has_the_users_name(path: str, expected: bool) -> None:
    assert is_folder_of_a_user(path) is expected


def test_one_folder_of_checkpoints_for_two_tasks_is_not_a_finding(tmp_path: Path) -> None:
    root = "checkpoint_path: /Volumes/m/s/checkpoints"
    assert _missing(_check(tmp_path, "D601", first=root, second=root)) == [
        "whether its checkpoint path is a folder with one checkpoint for each stream"
    ]


def test_a_task_before_the_stream_that_gets_its_checkpoint_may_only_delete_it(tmp_path: Path) -> None:
    path = "checkpoint_path: /Volumes/m/s/cp/orders"
    extra = "depends_on: [{task_key: first}]"
    report = _check(tmp_path, "D601", first=path, second=path, start="max_concurrent_runs: 1", extra=extra)
    assert _missing(report) == ["which streams it runs"]


def test_the_same_stream_in_two_tasks_of_one_job_is_found_through_the_folder_of_checkpoints(tmp_path: Path) -> None:
    start = "parameters: [{name: checkpoints, default: /Volumes/m/s/checkpoints}]"
    (found,) = _check(tmp_path, "D601", first="streams: a", second="streams: a", start=start).findings
    assert (
        found.message == "task first of job live and task second of job live use checkpoint /Volumes/m/s/checkpoints/a"
    )


def test_targets_of_one_workspace_share_a_volume(tmp_path: Path) -> None:
    targets = "targets:\n" + "".join(f"  {name}: {{workspace: {{host: https://one.example.com}}}}\n" for name in "ab")
    report = _check(tmp_path, "D602", first="checkpoint_location: /Volumes/m/s/cp/orders", targets=targets)
    assert [one.message for one in report.findings] == [
        "checkpoint /Volumes/m/s/cp/orders of task first is the same in a and b"
    ]


@pytest.mark.parametrize("field", ["userName", "short_name"])
def test_the_user_who_deploys_is_seen_in_the_checkpoints_of_every_target(tmp_path: Path, field: str) -> None:
    root = "workspace: {host: https://one.example.com, root_path: /Workspace/Deployments/example}"
    targets = f"targets: {{a: {{mode: production, {root}}}, b: {{mode: production, {root}}}}}"
    path = f"checkpoint_location: '/Volumes/m/s/${{workspace.current_user.{field}}}/cp'"
    assert len(_check(tmp_path, "D604", first=path, targets=targets).findings) == 1
    assert _missing(_check(tmp_path, "D602", first=path, targets=targets)) == [
        "whether its checkpoint is the same in a and b"
    ]


@pytest.mark.parametrize("workspace", ["{}", "{host: https://your-workspace.cloud.databricks.com}"])
def test_targets_of_unknown_workspaces_may_share_a_volume(tmp_path: Path, workspace: str) -> None:
    targets = f"targets: {{a: {{workspace: {workspace}}}, b: {{workspace: {workspace}}}}}"
    report = _check(tmp_path, "D602", first="checkpoint_location: /Volumes/m/s/cp/orders", targets=targets)
    assert _missing(report) == ["whether its checkpoint is the same in a and b"]


def test_two_tasks_of_which_one_streams_are_not_reported_as_two_writers(tmp_path: Path) -> None:
    table = "target_table: main.sales.orders"
    report = _check(tmp_path, "D605", first=f"streams: a, {table}", second=table)
    assert _missing(report) == ["which streams it runs"]
