"""Rendering of the part of Go's template language that the template uses."""

import pytest

from sensor_streams.errors import ConfigurationError
from sensor_streams_dev.new_project.names import FORMS, forms_of
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

# Expressions of the schema, and what `databricks bundle init` (CLI 1.13) made of names with them, in this order.
EXPRESSIONS = {
    "project_dashed": '{{(regexp "_").ReplaceAllString .project_name "-"}}',
    "project_upper": "{{upper .project_name}}",
    "project_camel": '{{range (regexp "[a-z0-9]+").FindAllString .project_name -1}}'
    "{{upper (slice . 0 1)}}{{slice . 1}}{{end}}",
    "project_title": '{{range $at, $word := (regexp "[a-z0-9]+").FindAllString .project_name -1}}'
    "{{if $at}} {{end}}{{upper (slice $word 0 1)}}{{slice $word 1}}{{end}}",
}
NAMES = {
    "ab": ("ab", "AB", "Ab", "Ab"),
    "acme_meters": ("acme-meters", "ACME_METERS", "AcmeMeters", "Acme Meters"),
    "zz_top_2_sensors": ("zz-top-2-sensors", "ZZ_TOP_2_SENSORS", "ZzTop2Sensors", "Zz Top 2 Sensors"),
    "a_b_c_d_e_f_g_h_i_j_k_l": (
        "a-b-c-d-e-f-g-h-i-j-k-l",
        "A_B_C_D_E_F_G_H_I_J_K_L",
        "ABCDEFGHIJKL",
        "A B C D E F G H I J K L",
    ),
    "x9_99": ("x9-99", "X9_99", "X999", "X9 99"),
    "a1b_2c3": ("a1b-2c3", "A1B_2C3", "A1b2c3", "A1b 2c3"),
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


def test_the_forms_of_a_name_are_those_of_the_cli() -> None:
    expressions = {key: form.expression for key, form in FORMS.items() if form.expression}
    assert expressions == EXPRESSIONS, "render NAMES with the CLI again, then correct EXPRESSIONS and NAMES"
    for name, expected in NAMES.items():
        assert forms_of(name) == dict(zip(FORMS, (name, *expected), strict=True))


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
