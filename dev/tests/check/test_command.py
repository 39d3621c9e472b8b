"""Options, formats and exit codes of the command `check`."""

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dabs_lab import cli
from dabs_lab.bundle import load_bundle
from dabs_lab.check.file_texts import value_end

WRONG = """\
bundle: {name: b}
resources:
  jobs:
    live:
      continuous: {pause_status: UNPAUSED, task_retry_mode: ON_FAILURE}
      tasks:
        - task_key: ingest  # streams: readings
          max_retries: 3
          existing_cluster_id: 0101-000000-abcdefgh
          notebook_task: {notebook_path: /Workspace/Shared/ingest}
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that checks a bundle with a text as databricks.yml: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def command(text: str, *words: str, **more: str) -> tuple[int, str, str]:
        for name, content in {"databricks": text, **more}.items():
            Path(f"{name.replace('_', '-')}.yml").write_text(content, "utf-8")
        with pytest.raises(SystemExit) as ended:
            cli.main(["check", *words])
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed.out, printed.err

    return command


def findings(text: str) -> list[tuple[str, int]]:
    """Return rule and line of each finding in JSON output."""
    return [(one["rule"], one["line"]) for one in json.loads(text)["findings"]]


def test_a_bundle_without_findings_ends_with_0_and_says_how_many_rules_ran(run: Run) -> None:
    code, out, _ = run(WRONG.replace("max_retries: 3", "max_retries: 0"), "--select", "D1")
    assert code == 0
    assert re.match(r"0 findings \(0 errors, 0 warnings\), 0 suppressed, 0 cannot tell; \d+ rules, targets: def", out)


def test_text_shows_the_line_with_the_place_marked_and_the_fix(run: Run) -> None:
    code, out, _ = run(WRONG, "--select", "D102")
    assert code == 1
    assert out.splitlines()[:4] == [
        "databricks.yml:8:11: error D102 task ingest sets max_retries: 3, but job live is continuous",
        "  8 |           max_retries: 3",
        "    |           ^^^^^^^^^^^^^^",
        "  fix: Remove `max_retries` and set `continuous.task_retry_mode: ON_FAILURE`.",
    ]


def test_text_shows_a_comment_that_a_finding_is_about(run: Run) -> None:
    _, out, _ = run(WRONG.replace("max_retries: 3", "# checkpoint: /tmp/a"), "--select", "D603")
    assert out.splitlines()[1:3] == ["  8 |           # checkpoint: /tmp/a", "    |           ^^^^^^^^^^^^^^^^^^^^"]


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("  max_retries: 3", "max_retries: 3"),
        ("  max_retries: a, b}", "max_retries: a, b}"),
        ("- {task_key: a, max_retries: 3}", "max_retries: 3"),
        ("- {task_key: a, max_retries: 3, x: y}", "max_retries: 3"),
        ("- {max_retries: {a: [b, c]}, x: y}", "max_retries: {a: [b, c]}"),
        ("- {max_retries: '}, 3', x: y}", "max_retries: '}, 3'"),
    ],
)
def test_the_marks_end_with_a_value_within_braces(line: str, marked: str) -> None:
    start = line.index("max_retries")
    assert line[start : value_end(line, start)] == marked


def test_only_what_a_comment_can_say_is_followed_by_the_hint_to_write_one(run: Run) -> None:
    code, out, _ = run(WRONG.replace("  # streams: readings", ""), "--select", "D503")
    assert (code, "cannot tell which streams it runs (D503); say it in a comment" in out) == (0, True)
    _, out, _ = run(
        WRONG.replace("max_retries: 3", "# checkpoint: /data/a") + "targets: {dev: {}, prod: {}}\n",
        "--all",
        "--select",
        "D602",
    )
    assert "cannot tell whether its checkpoint is the same in dev and prod (D602)\n" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "nosuch: is not a folder"),
        (["--target", "nosuch"], "nosuch: no such target"),
        (["--target", "t", "--all"], "--all checks every target: leave --target out"),
        (["--resolved", "a.json", "--all"], "--resolved is one resolved target"),
        (["--resolved", "nosuch.json"], "nosuch.json: cannot be read"),
        (["--select", "D999"], "--select D999: no rule has this id or name"),
        (["--ignore", ""], "--ignore (empty): no rule has this id or name"),
        (["--select", "d102", "--ignore", "triggers"], "--select and --ignore leave no rule to check"),
        (["explain"], "explain needs a rule"),
        (["--var", "x"], "--var 'x': write key=value"),
        (["explain", "D999"], "D999: no rule has this id or name"),
        (["folder", "D102"], "D102: unexpected word"),
    ],
)
def test_wrong_use_ends_with_2_and_one_message(run: Run, words: list[str], message: str) -> None:
    code, out, err = run(WRONG, *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}") or (err.startswith("error: ") and message in err)
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("bundle: {name: b}\nresources: [", "databricks.yml:2:13"),
        ("bundle: {name: b}\nresources:\n  jobs: &a\n    x: *a\n", "databricks.yml:3:9"),
        ("bundle: {name: b}\nresources: {jobs: {j: {name: '${var.nosuch}'}}}\n", "databricks.yml:2:"),
    ],
)
def test_an_unreadable_bundle_ends_with_2_and_its_position(run: Run, text: str, position: str) -> None:
    code, _, err = run(text)
    assert code == 2
    assert position in err


def test_an_error_in_one_of_several_targets_names_the_target(run: Run) -> None:
    broken = "targets:\n  test: {}\n  prod: {variables: {nosuch: 1}}\n"
    code, _, err = run(WRONG + broken, "--all")
    assert code == 2
    assert "(target prod)" in err


def test_a_production_target_without_a_root_path_can_be_checked(run: Run) -> None:
    code, out, _ = run(WRONG + "targets: {prod: {mode: production}}\n", "--select", "D102", "--format", "json")
    assert (code, findings(out)) == (1, [("D102", 8)])


def test_a_host_by_variable_does_not_stop_the_check_because_it_never_logs_in(run: Run) -> None:
    for host in ("${var.host}", "${workspace.host}", "${var.nosuch}"):
        text = WRONG + f"workspace: {{host: '{host}'}}\nvariables: {{host: {{default: https://example.org}}}}\n"
        code, out, _ = run(text, "--select", "D102", "--format", "json")
        assert (code, findings(out)) == (1, [("D102", 8)])


def test_a_file_over_1_mb_is_refused_by_name(run: Run) -> None:
    code, _, err = run("bundle: {name: b}\ninclude: [big.yml]\n", big="x: y # " + "z" * 1_000_000)
    assert code == 2
    assert "big.yml has 1,000,007 bytes" in err


def test_a_finding_of_several_targets_is_reported_once_with_their_names(run: Run) -> None:
    text = WRONG + "targets:\n  test: {}\n  prod: {}\n  other: {resources: {jobs: {live: {name: other}}}}\n"
    _, out, _ = run(text, "--all", "--format", "json", "--select", "D102")
    assert [one["targets"] for one in json.loads(out)["findings"]] == [["test", "prod", "other"]]


def test_a_finding_in_a_target_override_has_the_position_of_the_override(run: Run) -> None:
    text = WRONG.replace("max_retries: 3", "max_retries: 0")
    text += "targets:\n  test:\n    resources: {jobs: {live: {tasks: [{task_key: ingest,\n      max_retries: 5}]}}}\n"
    _, out, _ = run(text, "--format", "json", "--select", "D102")
    assert findings(out) == [("D102", 14)]


def test_a_value_from_a_complex_variable_has_the_position_in_the_variable(run: Run) -> None:
    text = WRONG.replace("      tasks:\n", "      tasks: ${var.tasks}\n").split("        - task")[0]
    text += "variables:\n  tasks:\n    type: complex\n    default:\n"
    text += "      - task_key: ingest\n        max_retries: 3\n        existing_cluster_id: a\n"
    _, out, _ = run(text, "--format", "json", "--select", "D102")
    assert findings(out) == [("D102", 12)]


def test_variables_without_a_value_do_not_stop_the_check_and_are_named(run: Run) -> None:
    text = WRONG + "variables: {catalog: {description: c}}\n"
    code, out, _ = run(text, "--select", "D102", "--format", "json")
    assert code == 1
    assert json.loads(out)["notes"] == ["variables without a value, read as <name>: catalog; give values with --var"]
    _, out, _ = run(text, "--format", "json", "--var", "catalog=main")
    assert json.loads(out)["notes"] == []


def test_resources_defined_in_python_are_named_as_not_seen(run: Run) -> None:
    _, out, _ = run(WRONG + "python: {resources: ['jobs:load']}\n")
    assert "not seen: resources defined in Python (jobs:load)" in out


def test_the_output_of_the_cli_is_checked_by_paths_in_it(run: Run, tmp_path: Path) -> None:
    run(WRONG)
    bundle = load_bundle(tmp_path, environment={})
    content = {**bundle.sections, "resources": bundle.resources}
    (tmp_path / "out.json").write_text(json.dumps(content, indent=1), "utf-8")
    code, out, _ = run(WRONG, "--resolved", "out.json", "--select", "D102")
    assert code == 1
    assert out.startswith("out.json: resources.jobs.live.tasks.ingest.max_retries: error D102 ")


def test_the_output_of_the_cli_can_come_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"continuous": {"pause_status": "UNPAUSED"}, "name": "live"}
    content = {"bundle": {"name": "b", "target": "prod"}, "resources": {"jobs": {"live": job}}}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(content)))
    code, out, _ = run(WRONG, "--resolved", "-", "--select", "D103")
    assert code == 1
    assert out.startswith("standard input: resources.jobs.live.continuous: warning D103 ")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"resources": {}}', "x: ["])
def test_another_text_than_the_output_of_the_cli_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    code, _, err = run(WRONG, "--resolved", "-")
    assert code == 2
    assert err.startswith("error: standard input")


def test_rules_that_cannot_tell_are_counted_and_shown_in_every_format(run: Run) -> None:
    text = WRONG.replace("  # streams: readings", "").replace(
        "existing_cluster_id: 0101-000000-abcdefgh", "max_retries: 0"
    )
    text = text.replace("          max_retries: 3\n", "")
    shown = {form: run(text, "--format", form, "--select", "D105") for form in ("text", "json", "sarif", "github")}
    assert {code for code, _, _ in shown.values()} == {0}
    (missing,) = json.loads(shown["json"][1])["cannot_tell"]
    assert (missing["path"], missing["tasks"]) == ("resources.jobs.live", ["ingest"])
    for _, out, _ in shown.values():
        assert "whether its trigger is endless or bounded" in out
    for form in ("text", "sarif", "github"):
        assert "resources.jobs.live (ingest)" in shown[form][1]
    assert "1 cannot tell" in shown["text"][1]


def test_a_complex_variable_without_a_value_is_unknown_and_does_not_end_the_check(run: Run) -> None:
    text = """
bundle: {name: b}
variables:
  cluster: {type: complex, description: a cluster}
  people: {type: complex, description: addresses}
resources:
  jobs:
    live:
      continuous: {task_retry_mode: ON_FAILURE}
      job_clusters: [{job_cluster_key: main, new_cluster: "${var.cluster}"}]
      email_notifications: {on_failure: "${var.people}"}
      tasks:
        - task_key: ingest  # streams: a
          job_cluster_key: main
          notebook_task: {notebook_path: /Workspace/Shared/a}
"""
    code, out, _ = run(text, "--select", "D507,D7")
    assert (code, out.count("finding")) == (0, 1)
    assert "read as <name>: cluster, people" in out


def test_annotations_of_github_are_escaped(run: Run) -> None:
    text = WRONG.replace("ingest  #", '"50%: a,b"  #')
    _, out, _ = run(text, "--format", "github", "--select", "D102")
    assert out.splitlines()[0] == (
        "::error file=databricks.yml,line=8,col=11,title=D102 continuous-with-retries::"
        "task 50%25: a,b sets max_retries: 3, but job live is continuous"
        "%0AFix: Remove `max_retries` and set `continuous.task_retry_mode: ON_FAILURE`."
    )


def test_sarif_names_rules_places_and_fingerprints_that_survive_new_lines(run: Run) -> None:
    def result(text: str) -> dict[str, Any]:
        (found,) = json.loads(run(text, "--format", "sarif", "--select", "D102")[1])["runs"]
        driver = found["tool"]["driver"]
        (one,) = found["results"]
        assert driver["rules"][one["ruleIndex"]]["id"] == one["ruleId"] == "D102"
        return dict(one)

    first, moved = result(WRONG), result("# A new line.\n" + WRONG)
    (location,) = first["locations"]
    assert location["physicalLocation"]["artifactLocation"] == {"uri": "databricks.yml"}
    assert location["physicalLocation"]["region"] == {"startLine": 8, "startColumn": 11}
    assert moved["locations"][0]["physicalLocation"]["region"]["startLine"] == 9
    assert first["partialFingerprints"] == moved["partialFingerprints"]


@pytest.mark.skipif(
    "SARIF_SCHEMA" not in os.environ, reason="SARIF_SCHEMA names no file with the schema of SARIF 2.1.0"
)
def test_sarif_fits_its_schema(run: Run) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    _, out, _ = run(
        WRONG.replace("# streams: readings", "") + "python: {resources: ['jobs:load']}\n", "--format", "sarif"
    )
    jsonschema.validate(json.loads(out), json.loads(Path(os.environ["SARIF_SCHEMA"]).read_text("utf-8")))


def test_explain_prints_the_page_of_a_rule_by_id_and_by_name(run: Run) -> None:
    code, by_id, _ = run(WRONG, "explain", "d102")
    assert code == 0
    assert by_id.startswith("### D102 continuous-with-retries\n")
    assert "Wrong:\n\n```yaml\n" in by_id
    assert run(WRONG, "explain", "continuous-with-retries")[1] == by_id
