"""Each rule reports its wrong example at the marked lines, and is silent on the right and the near-miss example."""

from pathlib import Path

import pytest

from dabs_lab.check import docs
from dabs_lab.check.engine import check_folder
from dabs_lab.check.rules import GROUPS, all_rules
from dev.tests.check.examples import EXAMPLES, KINDS, bundle_of, example_of, marked

RULES = sorted(all_rules())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_reports_the_marked_lines_of_its_examples_and_no_others(rule: str, kind: str, tmp_path: Path) -> None:
    folder = bundle_of(example_of(rule, kind), tmp_path)
    expected = [mark for mark in marked(folder) if mark[0] == rule]
    assert bool(expected) == (kind == "wrong")
    # Suppressions need the findings of all rules.
    report = check_folder(folder, every=True, select=[] if rule.startswith("D0") else [rule])
    found = [(one.rule.id, one.place.position.file, one.place.position.line) for one in report.findings]
    assert sorted(one for one in found if one[0] == rule) == expected


def test_each_folder_of_examples_belongs_to_a_rule_and_has_its_name() -> None:
    names = {f"{rule.id}-{rule.name}" for rule in all_rules().values()}
    assert {folder.name for folder in EXAMPLES.iterdir()} == names


def test_each_rule_belongs_to_a_group() -> None:
    assert {rule.group for rule in all_rules().values()} <= set(GROUPS)


def test_the_page_of_the_rules_is_up_to_date() -> None:
    assert docs.main(["--check"]) == 0, "run .venv/bin/python -m dabs_lab.check.docs"
