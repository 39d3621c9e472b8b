"""Building of the template from a repository."""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dev.tests.new_project.projects import ROOT, template
from sensor_streams.errors import ConfigurationError
from sensor_streams_dev.new_project.builder import build, template_files
from sensor_streams_dev.new_project.edit_types import EVERY_FILE, OTHERWISE, Block, Change, Edit, LastLine, by_shape
from sensor_streams_dev.new_project.edits import CHANGES, DEV_TOOLS, LEFT_OUT
from sensor_streams_dev.new_project.questions import SCHEMA_NAME, complete, questions, schema
from sensor_streams_dev.new_project.renderer import TemplateError, render

Repository = Callable[..., Path]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return a function that makes a git repository of files with the given texts."""

    def make(**files: str) -> Path:
        for name, text in {"requirements.lock": "", **files}.items():
            file = tmp_path / name.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        for words in (("init", "--quiet"), ("add", "--all")):
            subprocess.run(["git", *words], cwd=tmp_path, check=True)
        return tmp_path

    return make


def _text(root: Path, changes: Sequence[Change], **answers: str) -> str:
    files = render(template_files(root, changes), complete({"project_name": "acme_meters", **answers}))
    return files["acme_meters/a"].content.decode()


def test_the_template_is_the_tracked_files_with_their_modes() -> None:
    listed = subprocess.run(["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    modes = dict(line.split("\t")[::-1] for line in listed.splitlines())
    assert "{{.project_name}}/scripts/restart_live.sh" in template()
    for path, file in template().items():
        old = path.removeprefix("{{.project_name}}/").replace("{{.project_name}}", "sensor_streams")
        if path != "__preamble.tmpl":
            assert file.executable == modes[old.removesuffix(".tmpl")].startswith("100755"), path


def test_every_form_of_the_name_is_replaced(repository: Repository) -> None:
    root = repository(a="sensor_streams sensor-streams SENSOR_STREAMS_A SensorStreamsError Sensor Streams\n")
    assert _text(root, ()) == "acme_meters acme-meters ACME_METERS_A AcmeMetersError Acme Meters\n"


def test_folders_and_files_get_the_name(repository: Repository) -> None:
    root = repository(src__sensor_streams__sensor_streams_x="")
    assert "acme_meters/src/acme_meters/acme_meters_x" in render(
        template_files(root, ()), complete({"project_name": "acme_meters"})
    )


@pytest.mark.parametrize("text", ["Sensor_Streams", "sensor.streams", "sensor streams", "sensorstreams"])
def test_an_unknown_form_of_the_name_is_an_error(repository: Repository, text: str) -> None:
    with pytest.raises(TemplateError, match=rf"a:2: '{re.escape(text)}' is a form of the name"):
        template_files(repository(a=f"x\n{text}\n"), ())


@pytest.mark.parametrize(
    "text", ["{{job.id}}", "{{{{", "{{{sensor_streams}}}", "{sensor_streams}}", '{{"{{"}}', "{{- x -}}", "}}{{"]
)
def test_braces_stay_as_they_are(repository: Repository, text: str) -> None:
    whole = f"{text} sensor_streams {text}\n"
    assert _text(repository(a=whole), ()) == whole.replace("sensor_streams", "acme_meters")


def test_an_edit_gives_each_answer_its_text(repository: Repository) -> None:
    change = Edit("a", "m5d", by="cloud", texts={"azure": "{{x}} of sensor_streams", "gcp": ""})
    root = repository(a="node: {m5d}\n")
    found = {cloud: _text(root, [change], cloud=cloud) for cloud in ("aws", "azure", "gcp")}
    assert found == {"aws": "node: {m5d}\n", "azure": "node: {{{x}} of acme_meters}\n", "gcp": "node: {}\n"}


def test_an_edit_may_contain_answers_and_texts_that_are_not_renamed(repository: Repository) -> None:
    changes: list[Change] = [
        Edit("a", "none", by="tables_root", texts={"": "none", OTHERWISE: "`{{.tables_root}}`"}),
        LastLine("a", 'from {{"sensor-streams"}}'),
    ]
    root = repository(a="tables: none\n")
    assert _text(root, changes) == "tables: none\n\nfrom sensor-streams\n"
    assert _text(root, changes, tables_root="s3://b/c") == "tables: `s3://b/c`\n\nfrom sensor-streams\n"


def test_a_block_is_removed_or_kept_for_one_answer(repository: Repository) -> None:
    root = repository(a="1\nbegin\n2\nend\n3\n")
    assert _text(root, [Block("a", "begin", "end")]) == "1\nend\n3\n"
    assert _text(root, [Block("a", "begin")]) == "1\n2\nend\n3\n"
    kept = Block("a", "begin", "end", by="dev_tools", kept_for="yes")
    assert _text(root, [kept], dev_tools="yes") == "1\nbegin\n2\nend\n3\n"
    assert _text(root, [kept], dev_tools="no") == "1\nend\n3\n"


def test_a_later_edit_does_not_change_the_text_of_an_earlier_one(repository: Repository) -> None:
    changes = [Edit("a", "one", "two"), Edit(EVERY_FILE, "two", "three")]
    assert _text(repository(a="one two\n"), changes) == "two three\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Edit("a", "x", "y"), r"a: 'x' is found 0 times, not 1"),
        (Edit("a", "b", "y"), r"a: 'b' is found 2 times, not 1"),
        (Edit("a", "b", "y", times=3), r"a: 'b' is found 2 times, not 3"),
        (Edit("a", "x", "y", times=None), r"a: 'x' is found 0 times, not 1 or more"),
        (Block("a", "x"), r"a: 0 lines start with 'x', not 1"),
        (Block("a", "b"), r"a: 2 lines start with 'b', not 1"),
        (Block("a", "c", "b"), r"a: no line starts with 'b' after 'c'"),
        (Edit("gone", "x", "y"), r"edits\.py names gone, which git does not track"),
    ],
)
def test_an_edit_that_no_longer_fits_is_reported(repository: Repository, change: Change, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        template_files(repository(a="b1\nb2\nc\n"), [change])


def test_all_edits_that_do_not_fit_are_reported_at_once(repository: Repository) -> None:
    with pytest.raises(TemplateError) as raised:
        template_files(repository(a="Sensor_Streams", b=""), [Edit("b", "x", "y"), Edit("b", "z", "y")])
    assert len(str(raised.value).splitlines()) == 4


def test_a_value_of_live_is_edited_for_each_shape() -> None:
    edit = by_shape("a", "single_task: UNPAUSED, shared_cluster: PAUSED, other: PAUSED")
    assert edit.texts == {
        "shared_cluster": "single_task: PAUSED, shared_cluster: UNPAUSED, other: PAUSED",
        "other": "single_task: PAUSED, shared_cluster: PAUSED, other: UNPAUSED",
    }


def test_edits_name_answers_that_exist() -> None:
    for change in CHANGES:
        if isinstance(change, Edit) and change.by:
            choices = questions()[change.by].get("enum")
            assert choices is None or set(change.texts) <= {*choices, OTHERWISE}, change
        if isinstance(change, Block) and change.by:
            assert change.kept_for in questions()[change.by]["enum"]


def test_paths_that_a_project_does_not_have_exist_here() -> None:
    for path in (*LEFT_OUT, *DEV_TOOLS):
        assert (ROOT / path).exists(), path


def test_a_folder_that_is_not_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a git repository: clone the template with git"):
        template_files(tmp_path, ())


def test_the_folder_of_an_earlier_template_is_replaced_and_another_one_kept(tmp_path: Path) -> None:
    folder = tmp_path / "built"
    build(ROOT, folder)
    (folder / "template/stale").touch()
    assert build(ROOT, folder) == len([file for file in (folder / "template").rglob("*") if file.is_file()])
    assert json.loads((folder / SCHEMA_NAME).read_text("utf-8")) == schema()
    assert [file.name for file in tmp_path.iterdir()] == ["built"]
    (tmp_path / "mine").touch()
    with pytest.raises(ConfigurationError, match="is not an earlier template"):
        build(ROOT, tmp_path)


def test_a_build_that_fails_keeps_the_earlier_template(tmp_path: Path) -> None:
    build(ROOT, tmp_path / "built")
    before = sorted(tmp_path.rglob("*"))
    # A limit on the size of files raises the same kind of error as a full disk.
    ended = subprocess.run(
        [sys.executable, "-m", "sensor_streams_dev.new_project", "template", str(tmp_path / "built")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        check=False,
        capture_output=True,
    )
    assert ended.returncode == 3
    assert sorted(tmp_path.rglob("*")) == before


def test_each_question_has_what_the_cli_requires() -> None:
    properties = schema()["properties"]
    assert sorted(one["order"] for one in properties.values()) == list(range(1, len(properties) + 1))
    for name, one in properties.items():
        assert one["type"] == "string"
        assert one["description"]
        assert "default" in one, name
        assert ("pattern" in one) == ("pattern_match_failure_message" in one)
        if "enum" in one:
            assert one["default"] in one["enum"]
