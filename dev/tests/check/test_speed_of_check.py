"""Speed of the check."""

import time
from pathlib import Path

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


def test_50_jobs_are_checked_within_a_second_of_processor_time(tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text("bundle: {name: b}\ninclude: [jobs/*.yml]\n", "utf-8")
    (tmp_path / "jobs").mkdir()
    for number in range(50):
        (tmp_path / "jobs" / f"{number}.yml").write_text(JOB.format(number), "utf-8")
    begin = time.process_time()
    report = check_folder(tmp_path, every=True)
    assert time.process_time() - begin < 1
    assert report.targets == ("default",)
