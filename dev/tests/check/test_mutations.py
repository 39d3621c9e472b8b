"""The check of any mutated bundle ends with 0, 1 or 2, with output that programs can read, and in a short time."""

import contextlib
import io
import json
import os
import re
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dabs_lab import cli
from dabs_lab.bundle import load_bundle
from dev.tests.check.mutations import mutated_bundle, mutated_value, seeds

SEEDS = seeds()
FORMATS = ("text", "json", "sarif", "github")
OPTIONS: tuple[tuple[str, ...], ...] = (
    ("--all",),
    (),
    ("--target", "prod"),
    ("--target", "dev", "--var", "pause=PAUSED"),
)
LONGEST_RUN_SECONDS = 5


def check(folder: Path, *words: str) -> tuple[int, str, str]:
    """Return exit code, output and errors of the command; both are encoded, as for a terminal or a pipe."""
    out_bytes, err_bytes = io.BytesIO(), io.BytesIO()
    out = io.TextIOWrapper(out_bytes, "utf-8", write_through=True)
    err = io.TextIOWrapper(err_bytes, "utf-8", "backslashreplace", write_through=True)
    begin = time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        cli.main(["check", str(folder), *words])
    assert time.process_time() - begin < LONGEST_RUN_SECONDS
    assert isinstance(ended.value.code, int)
    return ended.value.code, out_bytes.getvalue().decode(), err_bytes.getvalue().decode()


def assert_well_formed(form: str, out: str, code: int) -> None:
    match form:
        case "json":
            content = json.loads(out)
            assert bool(content["findings"]) == (code == 1)
            for one in [*content["findings"], *content["cannot_tell"]]:
                assert one["line"] >= 1
                assert one["column"] >= 1
        case "sarif":
            (run,) = json.loads(out)["runs"]
            assert bool(run["results"]) == (code == 1)
            for result in run["results"]:
                assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        case "github":
            *commands, totals = out.rstrip("\n").split("\n")
            assert re.match(r"\d+ finding", totals)
            assert all(re.match(r"::(error|warning|notice) [^\n\r]*::", line) for line in commands)
            assert any(re.match("::(error|warning) ", line) for line in commands) == (code == 1)
        case _:
            assert re.search(r"^\d+ findings? \(.*; \d+ rules?, targets: ", out, re.MULTILINE)


def assert_every_format_is_right(folder: Path, words: Sequence[str], expected: Collection[int] = (0, 1, 2)) -> int:
    """Return the exit code of all formats."""
    codes = set()
    for form in FORMATS:
        code, out, err = check(folder, *words, "--format", form)
        codes.add(code)
        if code == 2:
            assert out == ""
            assert err.startswith("error: ")
            assert "Traceback" not in err
        else:
            assert err == ""
            assert_well_formed(form, out, code)
    (found,) = codes
    assert found in expected
    return found


def check_a_mutated_bundle(data: st.DataObject) -> int:
    files = mutated_bundle(data.draw, SEEDS)
    with TemporaryDirectory() as name:
        for file, text in files.items():
            path = Path(name) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", "surrogateescape" if "\udcff" in text else "surrogatepass"))
        return assert_every_format_is_right(Path(name), data.draw(st.sampled_from(OPTIONS)))


def check_a_mutated_output_of_the_cli(data: st.DataObject) -> int:
    content = data.draw(st.sampled_from(RESOLVED))
    for _ in range(data.draw(st.integers(1, 3))):
        content = mutated_value(data.draw, content)
    with TemporaryDirectory() as name:
        with contextlib.suppress(ValueError, RecursionError, TypeError):
            (Path(name) / "out.json").write_text(json.dumps(content), "utf-8")
        return assert_every_format_is_right(Path(name), ["--resolved", f"{name}/out.json"])


def _resolved() -> list[object]:
    with TemporaryDirectory() as name:
        (Path(name) / "resources").mkdir()
        for file, text in SEEDS[0].items():
            (Path(name) / file).write_text(text, "utf-8")
        bundles = [load_bundle(Path(name), target, environment={}) for target in ("dev", "prod")]
    return [{**bundle.sections, "resources": bundle.resources} for bundle in bundles]


RESOLVED = _resolved()


def exit_codes(function: Callable[[st.DataObject], int], examples: int) -> set[int]:
    """Run a function on random data, the same in every run, and return its exit codes."""
    found: set[int] = set()

    def run(data: st.DataObject) -> None:
        found.add(function(data))

    # A failing example is shown as it is: making it smaller takes minutes and finds other failures on the way.
    checks = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    checks(given(data=st.data())(run))()
    return found


def test_50_mutated_bundles_end_without_a_traceback() -> None:
    assert exit_codes(check_a_mutated_bundle, 50) >= {1, 2}


def test_20_mutated_outputs_of_the_cli_end_without_a_traceback() -> None:
    assert exit_codes(check_a_mutated_output_of_the_cli, 20) >= {1, 2}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (r'"\ud800"', "an escape is half a character"),
        (r'"\UFFFFFFFF"', "an escape is not the number of a character"),
        (r'"a\0b"', "not found"),
        ("n" * 5000, "not found"),
    ],
)
def test_a_path_that_no_file_can_have_is_refused_with_its_position(tmp_path: Path, value: str, message: str) -> None:
    task = f"task_key: t, existing_cluster_id: a, notebook_task: {{notebook_path: {value}}}"
    text = f"bundle: {{name: b}}\nresources:\n  jobs:\n    j: {{tasks: [{{{task}}}]}}\n"
    (tmp_path / "databricks.yml").write_text(text, "utf-8")
    code, out, err = check(tmp_path)
    assert (code, out) == (2, "")
    assert "databricks.yml:4:" in err
    assert message in err


def test_two_escapes_of_json_are_one_character(tmp_path: Path) -> None:
    job = {"name": "\N{GRINNING FACE}", "continuous": {"pause_status": "UNPAUSED"}}
    content = {"bundle": {"name": "b", "target": "t"}, "resources": {"jobs": {"\N{GRINNING FACE}": job}}}
    (tmp_path / "out.json").write_text(json.dumps(content), "utf-8")
    code, out, _ = check(tmp_path, "--resolved", str(tmp_path / "out.json"))
    assert code == 1
    assert "resources.jobs.\N{GRINNING FACE}.continuous" in out


def test_a_file_with_bytes_outside_of_utf_8_in_its_name_can_be_checked(tmp_path: Path) -> None:
    (tmp_path / "databricks.yml").write_text("bundle: {name: b}\ninclude: ['*.job.yml']\n", "utf-8")
    name = os.fsdecode(b"\xff.job.yml")
    try:
        (tmp_path / name).write_text("resources: {jobs: {j: {continuous: {}}}}\n", "utf-8")
    except OSError:
        pytest.skip("this file system has no such names")
    assert_every_format_is_right(tmp_path, [], {1})


@pytest.mark.slow
def test_1000_mutated_bundles_end_without_a_traceback() -> None:
    assert exit_codes(check_a_mutated_bundle, 1000) == {0, 1, 2}


@pytest.mark.slow
def test_200_mutated_outputs_of_the_cli_end_without_a_traceback() -> None:
    assert exit_codes(check_a_mutated_output_of_the_cli, 200) >= {1, 2}
