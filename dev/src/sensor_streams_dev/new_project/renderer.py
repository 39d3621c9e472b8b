"""Rendering of the template, with the result of `databricks bundle init`.

The template uses a part of Go's template language, and this module knows only that part: `{{.value}}`, `{{"text"}}`,
`{{if eq .value "a" "b"}}…{{else}}…{{end}}`, and the CLI's helpers `{{skip "path"}}` and `{{fail "message"}}`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sensor_streams.errors import ConfigurationError, SensorStreamsError

TEMPLATE_FOLDER, SUFFIX = "template", ".tmpl"
_TEXT = r'"(?:[^"\\]|\\.)*"'
_ACTION = re.compile(rf'\{{\{{((?:{_TEXT}|[^"])*?)\}}\}}', re.DOTALL)
_VALUE = re.compile(r"\.(\w+)")
_IF = re.compile(rf"if eq \.(\w+)((?: {_TEXT})+)")
_CALL = re.compile(rf"(skip|fail) ({_TEXT})")


class TemplateError(SensorStreamsError):
    """The template is wrong: an edit no longer fits its file, or an expression is not in the part described above."""


@dataclass(frozen=True)
class TemplateFile:
    """Content of a file and whether it is executable."""

    content: bytes
    executable: bool = False


@dataclass
class _Rendering:
    """State of one text: its tokens, the position in them, and the paths that it skips."""

    tokens: Sequence[str]
    values: Mapping[str, str]
    at: int = 0
    skipped: list[str] = field(default_factory=list)

    def block(self, active: bool) -> tuple[str, str]:
        """Return the text up to `else`, `end` or the end of the file, and which of them it was."""
        written: list[str] = []
        while self.at < len(self.tokens):
            position, token = self.at, self.tokens[self.at]
            self.at += 1
            # re.split with one group: texts have even positions, actions odd ones.
            if position % 2 == 0:
                written.append(token)
            elif token in ("else", "end"):
                return "".join(written), token
            elif found := _IF.fullmatch(token):
                written.append(self._choose(active, self.value(found[1]) in re.findall(_TEXT, found[2])))
            elif active:
                written.append(self._run(token))
        return "".join(written), ""

    def _choose(self, active: bool, first: bool) -> str:
        text, closed = self.block(active and first)
        other = ""
        if closed == "else":
            other, closed = self.block(active and not first)
        if closed != "end":
            raise TemplateError("an if without its end")
        return text if first else other

    def value(self, name: str) -> str:
        """Return a value as a quoted text, as it stands in the template."""
        if name not in self.values:
            raise TemplateError(f"unknown value .{name}")
        return json.dumps(self.values[name], ensure_ascii=False)

    def _run(self, action: str) -> str:
        if found := _VALUE.fullmatch(action):
            return str(json.loads(self.value(found[1])))
        if re.fullmatch(_TEXT, action):
            return str(json.loads(action))
        if (found := _CALL.fullmatch(action)) is None:
            raise TemplateError(f"unknown action {{{{{action}}}}}")
        if found[1] == "fail":
            raise ConfigurationError(str(json.loads(found[2])))
        self.skipped.append(render_text(str(json.loads(found[2])), self.values)[0])
        return ""


def render_text(text: str, values: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return a text with its actions executed, and the paths that it skips.

    Raises TemplateError for an action that this module does not know, ConfigurationError for `fail`.
    """
    rendering = _Rendering(_ACTION.split(text), values)
    written, closed = rendering.block(True)
    if closed:
        raise TemplateError(f"{closed} without an if")
    return written, rendering.skipped


def render(template: Mapping[str, TemplateFile], values: Mapping[str, str]) -> dict[str, TemplateFile]:
    """Return the files of a project by their paths.

    `template` has the files below its folder `template/`. A path that a file skips is left out, with all files below.
    """
    written: dict[str, TemplateFile] = {}
    skipped: set[str] = set()
    for path in _breadth_first(template):
        file, (target, _) = template[path], render_text(path, values)
        if _is_skipped(target, skipped, with_itself=False):
            continue
        if path.endswith(SUFFIX):
            target = target.removesuffix(SUFFIX)
            try:
                text, more = render_text(file.content.decode(), values)
            except TemplateError as error:
                raise TemplateError(f"{path}: {error}") from None
            folder = PurePosixPath(path).parent
            skipped |= {str(PurePosixPath(render_text(str(folder), values)[0]) / one) for one in more}
            file = TemplateFile(text.encode(), file.executable)
        written[target] = file
    return {path: file for path, file in written.items() if not _is_skipped(path, skipped, with_itself=True)}


def _breadth_first(template: Mapping[str, TemplateFile]) -> Iterator[str]:
    # The CLI visits all files of a folder before those of its folders: a `skip` is known before the folder.
    yield from sorted(template, key=lambda path: (path.count("/"), path))


def _is_skipped(path: str, skipped: set[str], with_itself: bool) -> bool:
    at = PurePosixPath(path)
    return any(str(one) in skipped for one in ([at, *at.parents] if with_itself else at.parents))
