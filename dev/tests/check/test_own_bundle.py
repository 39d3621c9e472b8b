"""The bundle of this project passes the check, and so does the hook that other repositories use."""

from pathlib import Path

import pytest
import yaml

from dabs_lab import cli
from dabs_lab.check.engine import check_folder
from sensor_streams_dev import cli as project_cli

ROOT = Path(__file__).parents[3]


def test_our_bundle_has_no_finding_in_any_target_and_every_rule_can_tell() -> None:
    report = check_folder(ROOT, every=True)
    assert report.targets == ("dev", "staging", "prod")
    assert report.findings == ()
    assert report.cannot_tell == ()


def test_the_entry_of_the_pre_commit_hook_checks_the_bundle_of_the_current_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    script, *words = hook["entry"].split()
    assert script == "dabs-lab"
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 0


def test_the_projects_own_command_has_the_same_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        project_cli.main(["check", "--all"])
    assert ended.value.code == 0
