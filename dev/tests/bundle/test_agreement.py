"""The reader agrees with the recorded output of the CLI for every sample bundle and target."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dabs_lab.bundle import Bundle, BundleError, load_bundle

CASES = Path(__file__).parent / "cases"
# Fields that the CLI adds to the resources that it manages.
CLI_FIELDS = ("deployment", "edit_mode", "format")
PROBLEM = re.compile(r"^(Error|Warning|Recommendation): ", re.MULTILINE)
# Errors whose text differs from that of the CLI.
REWORDED = {
    "24-error-yaml": "expected ',' or '}'",
    "54-host-by-variable": "Variable interpolation is not supported for fields that configure authentication",
    "55-broken-notebook": "a.ipynb: invalid Jupyter notebook file",
    "56-file-path-empty": "is a directory",
    "57-number-with-loose-underscore": "databricks.yml:6:24: invalid int value: 1__0",
    "58-target-variables-text": "expected a map or sequence, found string",
    "69-edit-install-of-a-folder": "is a directory",
    "71-yaml-slash-escape": "found unknown escape character",
    "72-yaml-date-key": "databricks.yml:7:14: invalid key: 2026-01-01 is not text",
    "73-yaml-inline-merge": "databricks.yml:7:18: map merge requires map or sequence of maps as the value",
    "74-yaml-directive": "found incompatible YAML document",
}


@dataclass(frozen=True)
class Expected:
    """Output of the CLI: the exit code, and the texts of errors, warnings and recommendations."""

    exit_code: int
    problems: dict[str, list[str]]

    @classmethod
    def read(cls, file: Path) -> "Expected":
        first, _, rest = file.read_text("utf-8").partition("\n")
        parts = PROBLEM.split(rest)
        problems: dict[str, list[str]] = {"Error": [], "Warning": [], "Recommendation": []}
        for kind, text in zip(parts[1::2], parts[2::2], strict=True):
            problems[kind].append(text.strip())
        return cls(int(first.removeprefix("exit ")), problems)


def lines(file: Path) -> list[str]:
    return file.read_text("utf-8").split() if file.exists() else []


def read(case: Path, target: str) -> Bundle:
    # A file named `none` means no target, except in one case that has a target of that name.
    declared = target != "none" or case.name == "07-development-mode"
    return load_bundle(
        case,
        target if declared else None,
        variables=dict(line.removeprefix("--var=").split("=", 1) for line in lines(case / "flags")),
        environment=dict(line.split("=", 1) for line in lines(case / "env")),
    )


def cli_resources(printed: dict[str, Any]) -> dict[str, Any]:
    resources: dict[str, Any] = printed["resources"]
    for kind in ("jobs", "pipelines"):
        for resource in resources.get(kind, {}).values():
            for name in CLI_FIELDS:
                resource.pop(name, None)
    return resources


ALL = [
    pytest.param(file.parent.parent, file.stem, id=f"{file.parent.parent.name}-{file.stem}")
    for file in sorted(CASES.glob("*/expected/*.txt"))
]


@pytest.mark.parametrize(("case", "target"), ALL)
def test_the_reader_agrees_with_the_cli(case: Path, target: str) -> None:
    expected = Expected.read(case / "expected" / f"{target}.txt")
    if expected.exit_code:
        error = expected.problems["Error"][0]
        with pytest.raises(BundleError) as raised:
            read(case, target)
        assert REWORDED.get(case.name, error.splitlines()[0]) in str(raised.value)
        return
    bundle = read(case, target)
    printed = json.loads((case / "expected" / f"{target}.json").read_text("utf-8"))
    assert bundle.resources == cli_resources(printed)
    assert bundle.variables == printed["variables"]
    assert [str(problem) for problem in bundle.warnings] == expected.problems["Warning"]
    assert [str(problem) for problem in bundle.recommendations] == expected.problems["Recommendation"]


def test_every_case_has_an_expected_output() -> None:
    assert {param.values[0] for param in ALL} == set(CASES.iterdir())
