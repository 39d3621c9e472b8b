"""Speed of the check."""

import sys
import time
from pathlib import Path

from dabs_lab.bundle.bundle_files import read_files
from dabs_lab.check.engine import check_folder

JOB = """\
resources:
  jobs:
    job_{0}:
      max_concurrent_runs: 1
      continuous: {{pause_status: PAUSED, task_retry_mode: ON_FAILURE}}
      job_clusters:
        - job_cluster_key: main
          new_cluster:
            spark_version: 18.x-scala2.13
            node_type_id: m5d.large
            num_workers: 2
      tasks:
        - task_key: ingest
          job_cluster_key: main
          notebook_task:
            notebook_path: /Workspace/Shared/ingest
            base_parameters:
              streams: readings_{0}
              checkpoint: /Volumes/main/plant/checkpoints/readings_{0}
          email_notifications:
            on_failure: [team@example.org]
        - task_key: score
          job_cluster_key: main
          notebook_task:
            notebook_path: /Workspace/Shared/score
            base_parameters: {{streams: scores_{0}}}
          health:
            rules:
              - {{metric: STREAMING_BACKLOG_SECONDS, op: GREATER_THAN, value: 900}}
"""


TARGETS = "targets: {dev: {default: true}, staging: {}, prod: {}}\n"


def write_jobs(folder: Path, jobs: int, more: str = "") -> Path:
    """Write a bundle with one file for each job."""
    (folder / "jobs").mkdir(parents=True)
    (folder / "databricks.yml").write_text("bundle: {name: b}\ninclude: [jobs/*.yml]\n" + more, "utf-8")
    for number in range(jobs):
        (folder / "jobs" / f"{number}.yml").write_text(JOB.format(number), "utf-8")
    return folder


def calls_to_read(folder: Path) -> int:
    """Return the number of Python functions that reading a bundle calls, which does not depend on the machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        read_files(folder, lambda _: None, lambda _: None)
    finally:
        sys.setprofile(None)
    return calls


def test_50_jobs_are_checked_within_a_second_of_processor_time(tmp_path: Path) -> None:
    write_jobs(tmp_path, 50)
    begin = time.process_time()
    report = check_folder(tmp_path, every=True)
    assert time.process_time() - begin < 1
    assert report.targets == ("default",)


def test_50_jobs_in_3_targets_are_checked_within_2_seconds_of_processor_time(tmp_path: Path) -> None:
    write_jobs(tmp_path, 50, TARGETS)
    begin = time.process_time()
    report = check_folder(tmp_path, every=True)
    assert time.process_time() - begin < 2
    assert report.targets == ("dev", "staging", "prod")


def test_twice_the_files_take_twice_the_work(tmp_path: Path) -> None:
    single, double = write_jobs(tmp_path / "50", 50), write_jobs(tmp_path / "100", 100)
    # The first read also makes the shapes of the models, once.
    for folder in (single, double):
        calls_to_read(folder)
    assert calls_to_read(double) < 2.5 * calls_to_read(single)
