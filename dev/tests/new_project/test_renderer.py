"""Rendering of the part of Go's template language that the template uses."""

import pytest

from sensor_streams.errors import ConfigurationError
from sensor_streams_dev.new_project.renderer import TemplateError, TemplateFile, render, render_text

VALUES = {"name": "acme", "cloud": "gcp", "empty": "", "quoted": 'a "b" \\ ü'}
# Each of these was rendered by `databricks bundle init` (CLI 1.13) with the same result.
RENDERED = {
    "{{.name}}_dev": "acme_dev",
    "{{.quoted}}": 'a "b" \\ ü',
    '{{"{{"}}job.id}}': "{{job.id}}",
    '{{"{{"}}{ {{"{"}}{{.name}}}': "{{{ {acme}",
    '{{"sensor-streams"}}': "sensor-streams",
    '{{if eq .cloud "aws"}}A{{end}}.': ".",
    '{{if eq .cloud "aws" "gcp"}}A{{else}}B{{end}}': "A",
    '{{if eq .cloud "aws"}}A{{else}}{{if eq .name "acme"}}B{{.name}}{{else}}C{{end}}{{end}}': "Bacme",
    '{{if eq .empty ""}}none{{else}}{{.empty}}{{end}}': "none",
    '{{if eq .cloud "aws"}}{{fail "never"}}{{end}}': "",
    "a\n{{.name}}\n": "a\nacme\n",
}


@pytest.mark.parametrize("text", RENDERED)
def test_each_construct_gives_what_the_cli_gives(text: str) -> None:
    assert render_text(text, VALUES) == (RENDERED[text], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.nmae}}", "unknown value .nmae"),
        ('{{if eq .nmae "a"}}{{end}}', "unknown value .nmae"),
        ("{{range .name}}{{end}}", "unknown action {{range .name}}"),
        ("{{- .name}}", "unknown action {{- .name}}"),
        ('{{if eq .name "acme"}}a', "an if without its end"),
        ('{{if eq .name "acme"}}a{{else}}b', "an if without its end"),
        ("a{{end}}", "end without an if"),
    ],
)
def test_what_the_renderer_does_not_know_is_an_error(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        render_text(text, VALUES)


def test_fail_ends_with_its_message() -> None:
    with pytest.raises(ConfigurationError, match="acme is taken"):
        render_text('{{if eq .name "acme"}}{{fail "acme is taken"}}{{end}}', VALUES)


def test_paths_are_rendered_and_skipped_ones_left_out() -> None:
    template = {
        "__preamble.tmpl": TemplateFile(b'{{skip "__preamble"}}{{skip "{{.name}}/dev/tests"}}{{skip "{{.name}}/b"}}'),
        "{{.name}}/dev/tests/deep/a.py": TemplateFile(b"{{wrong in a folder that is skipped}}"),
        "{{.name}}/dev/tests.txt": TemplateFile(b"{{kept as it is}}"),
        "{{.name}}/b": TemplateFile(b""),
        "{{.name}}/src/{{.name}}/run.sh.tmpl": TemplateFile(b"{{.cloud}}", executable=True),
    }
    assert render(template, VALUES) == {
        "acme/dev/tests.txt": TemplateFile(b"{{kept as it is}}"),
        "acme/src/acme/run.sh": TemplateFile(b"gcp", executable=True),
    }


def test_an_error_names_its_file() -> None:
    with pytest.raises(TemplateError, match=r"a/b\.tmpl: unknown value \.c"):
        render({"a/b.tmpl": TemplateFile(b"{{.c}}")}, VALUES)
