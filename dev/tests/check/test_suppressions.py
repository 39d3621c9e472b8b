"""Suppressions by comments and by `dabs-lab.yml`."""

from pathlib import Path

import pytest

from dabs_lab.bundle import BundleError
from dabs_lab.check.engine import CheckReport, check_folder

BUNDLE = """\
bundle: {name: b}
resources:
  jobs:
    # BEFORE_JOB
    live:  # AT_JOB
      continuous: {pause_status: UNPAUSED, task_retry_mode: ON_FAILURE}
      tasks:
        # BEFORE_TASK
        - task_key: ingest  # AT_TASK
          # BEFORE_LINE
          max_retries: 3  # AT_LINE
        - task_key: other
          max_retries: 0  # ELSEWHERE
"""
IGNORE = "dabs-lab: ignore D102 because the test workspace refuses nothing"


def checked(folder: Path, text: str, settings: str = "") -> CheckReport:
    """Return the report of a bundle with these texts as databricks.yml and dabs-lab.yml."""
    (folder / "databricks.yml").write_text(text, "utf-8")
    if settings:
        (folder / "dabs-lab.yml").write_text(settings, "utf-8")
    return check_folder(folder, every=True)


def ids(report: CheckReport) -> list[str]:
    """Return the ids of the rules of all findings."""
    return [one.rule.id for one in report.findings]


@pytest.mark.parametrize("at", ["BEFORE_JOB", "AT_JOB", "BEFORE_TASK", "AT_TASK", "BEFORE_LINE", "AT_LINE"])
def test_a_comment_covers_its_line_the_next_line_and_the_block_of_its_key(tmp_path: Path, at: str) -> None:
    report = checked(tmp_path, BUNDLE.replace(at, IGNORE))
    assert (ids(report), report.suppressed) == ([], 1)


def test_a_comment_at_another_task_covers_nothing_and_is_reported(tmp_path: Path) -> None:
    assert ids(checked(tmp_path, BUNDLE.replace("ELSEWHERE", IGNORE))) == ["D102", "D002"]


def test_a_comment_at_the_job_covers_findings_in_the_override_of_a_target(tmp_path: Path) -> None:
    text = BUNDLE.replace("3", "0").replace("AT_JOB", IGNORE)
    override = "{jobs: {live: {tasks: [{task_key: ingest, max_retries: 5}]}}}"
    report = checked(tmp_path, text + f"targets:\n  test:\n    resources: {override}\n")
    assert (ids(report), report.suppressed) == ([], 1)


def test_a_suppression_without_a_reason_hides_nothing(tmp_path: Path) -> None:
    assert ids(checked(tmp_path, BUNDLE.replace("AT_LINE", "dabs-lab: ignore D102"))) == ["D102", "D001"]
    assert ids(checked(tmp_path, BUNDLE.replace("AT_LINE", "dabs-lab: ignore D102 because"))) == ["D102", "D001"]
    report = checked(tmp_path, BUNDLE.replace("AT_LINE", "dabs-lab: please"))
    assert ids(report) == ["D102", "D001"]
    assert "cannot be read" in report.findings[1].message


@pytest.mark.parametrize("rule", ["d102", "continuous-with-retries", "D101, D102"])
def test_a_suppression_names_a_rule_by_id_or_by_name(tmp_path: Path, rule: str) -> None:
    report = checked(tmp_path, BUNDLE.replace("AT_LINE", IGNORE.replace("D102", rule)))
    assert ("D102" not in ids(report), report.suppressed) == (True, 1)


def test_a_comment_at_the_name_of_a_task_covers_it_on_any_line_of_the_task(tmp_path: Path) -> None:
    task = f"- max_retries: 3\n          # {IGNORE}\n          task_key: ingest\n"
    report = checked(tmp_path, BUNDLE[: BUNDLE.index("- task_key: ingest")] + task)
    assert (ids(report), report.suppressed) == ([], 1)


@pytest.mark.parametrize("where", ["resources.jobs.live", "resources.jobs.*.max_retries", "resources.jobs.live.*"])
def test_an_entry_of_the_file_covers_the_paths_of_its_pattern(tmp_path: Path, where: str) -> None:
    settings = f"ignore:\n  - {{rule: D102, where: '{where}', reason: tried}}\n"
    assert ids(checked(tmp_path, BUNDLE, settings)) == []


def test_wrong_entries_of_the_file_are_findings_at_their_position(tmp_path: Path) -> None:
    entries = ["{rule: D102, where: resources.jobs.nosuch, reason: tried}", "{rule: D999, where: x, reason: r}"]
    entries.append("{rule: D102, where: resources.jobs.live}")
    report = checked(tmp_path, BUNDLE, "ignore:\n" + "".join(f"  - {entry}\n" for entry in entries))
    found = [(one.rule.id, one.place.position.file, one.place.position.line) for one in report.findings]
    assert found == [
        ("D002", "dabs-lab.yml", 2),
        ("D003", "dabs-lab.yml", 3),
        ("D001", "dabs-lab.yml", 4),
        ("D102", "databricks.yml", 11),
    ]


def test_an_unused_suppression_is_no_finding_if_other_targets_are_not_checked(tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text(
        BUNDLE.replace("ELSEWHERE", IGNORE) + "targets: {a: {default: true}, b: {}}\n", "utf-8"
    )
    assert ids(check_folder(tmp_path)) == ["D102"]
    assert ids(check_folder(tmp_path, every=True)) == ["D102", "D002"]
    assert ids(check_folder(tmp_path, every=True, ignore=["D102"])) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("ignored: []\n", "dabs-lab.yml:1:1: dabs-lab.yml has no setting ignored"),
        ("ignore: [{rule: D102}]\n", "dabs-lab.yml:1:10: ignore: an entry needs rule and where"),
        ("limits: {streams_per_driver: many}\n", "limits.streams_per_driver is not a whole number"),
        ("parameters: {streams: names}\n", "parameters.streams is not a list of names"),
        ("stream_groups: [a]\n", "dabs-lab.yml:1:16: expected map at stream_groups, found sequence"),
        ("ignore: {rule: D102}\n", "expected sequence at ignore, found map"),
    ],
)
def test_a_wrong_settings_file_is_refused_with_its_position(tmp_path: Path, settings: str, message: str) -> None:
    with pytest.raises(BundleError, match=message.replace("[", r"\[")):
        checked(tmp_path, BUNDLE, settings)
