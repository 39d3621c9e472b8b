"""Building of the template from the files that git tracks: edits and names become expressions of the template."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from sensor_streams.errors import ConfigurationError, MachineError
from sensor_streams_dev.new_project.edit_types import EVERY_FILE, OTHERWISE, Block, Change, Edit, LastLine
from sensor_streams_dev.new_project.edits import CHANGES, DEV_TOOLS, LEFT_OUT
from sensor_streams_dev.new_project.names import ANY_FORM, FORMS, IN_USE, LEFT, refused_names
from sensor_streams_dev.new_project.questions import SCHEMA_NAME, schema
from sensor_streams_dev.new_project.renderer import SUFFIX, TEMPLATE_FOLDER, TemplateError, TemplateFile

_ROOT_FOLDER = "{{.project_name}}"
# Marks an expression in a text. No file may contain these characters.
_BEGIN, _END = "\ue000", "\ue001"
_MARK = re.compile(f"{_BEGIN}(\\d+){_END}")
# Expressions that the texts of edits may contain.
_OURS = re.compile(r'\{\{(?:\.\w+|"[^"{}]*")\}\}')
_VALUE_OF = {form.old: f"{{{{.{key}}}}}" for key, form in FORMS.items()}


def template_files(root: Path, changes: Sequence[Change] = CHANGES) -> dict[str, TemplateFile]:
    """Return the files of the template below `template/`, by their paths.

    Raises ConfigurationError if `root` is not a git repository, TemplateError if an edit no longer fits its file or a
    file has a form of the name that the template cannot replace.
    """
    files = {path: file for path, file in _tracked(root) if not path.startswith(tuple(LEFT_OUT))}
    unknown = {name for change in changes for name in _named(change)} - files.keys()
    if unknown:
        raise TemplateError(f"edits.py names {', '.join(sorted(unknown))}, which git does not track")
    stale: list[str] = []
    written = {"__preamble" + SUFFIX: TemplateFile(_preamble(root).encode())}
    for path, file in files.items():
        target = f"{_ROOT_FOLDER}/{ANY_FORM.sub(lambda form: _VALUE_OF[form[0]], path)}"
        try:
            plain = file.content.decode()
        except UnicodeDecodeError:
            written[target] = file
            continue
        try:
            content, suffix = _Text(path, plain).changed(changes)
        except TemplateError as error:
            stale.append(str(error))
            continue
        written[target + suffix] = TemplateFile(content.encode(), file.executable)
    if stale:
        raise TemplateError("\n".join(["correct the template (new_project/edits.py, names.py):", *stale]))
    return written


def build(root: Path, folder: Path) -> int:
    """Write the template to a folder, which it replaces, and return the number of files.

    Raises ConfigurationError if the folder has other content, and the errors of `template_files`.
    """
    files = template_files(root)
    if folder.exists() and not (folder / SCHEMA_NAME).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder}: is not an earlier template: name another folder, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".template-") as temporary:
        made, replaced = Path(temporary) / "made", Path(temporary) / "replaced"
        write_files({f"{TEMPLATE_FOLDER}/{path}": file for path, file in files.items()}, made)
        text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
        (made / SCHEMA_NAME).write_text(text, encoding="utf-8")
        # Two renames, so that an interrupt leaves a whole template or none.
        if folder.exists():
            folder.rename(replaced)
        made.rename(folder)
    return len(files)


def write_files(files: Mapping[str, TemplateFile], folder: Path) -> None:
    """Write files below a folder."""
    for path, file in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(0o755 if file.executable else 0o644)


def _tracked(root: Path) -> Iterator[tuple[str, TemplateFile]]:
    """Yield each tracked file with its present content; a file that is deleted in the work tree is left out."""
    # A hook's own repository must not be used.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--stage", "-z"], cwd=root, env=environment, capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        raise MachineError("git was not found: install it") from None
    except subprocess.CalledProcessError:
        raise ConfigurationError(f"{root}: is not a git repository: clone the template with git") from None
    for entry in filter(None, listed.stdout.split("\0")):
        (mode, *_), path = entry.partition("\t")[0].split(), entry.partition("\t")[2]
        if mode not in ("100644", "100755"):
            raise TemplateError(f"{path}: has the mode {mode}: the template has plain files only")
        if path.endswith(SUFFIX) or "{{" in path:
            raise TemplateError(f"{path}: the name means something in a template: rename it")
        if (root / path).is_file():
            yield path, TemplateFile((root / path).read_bytes(), mode == "100755")


def _named(change: Change) -> list[str]:
    return [] if change.files == EVERY_FILE else change.files.split()


def _preamble(root: Path) -> str:
    """Return the file that refuses names in use and skips paths; it is not part of a project."""
    names = " ".join(f'"{name}"' for name in refused_names(root))
    skips = "".join(f'{{{{skip "{_ROOT_FOLDER}/{path}"}}}}' for path in DEV_TOOLS)
    return (
        '{{skip "__preamble"}}\n'
        f'{{{{if eq .project_name {names}}}}}{{{{fail "project_name {IN_USE}"}}}}{{{{end}}}}\n'
        f'{{{{if eq .dev_tools "no"}}}}{skips}{{{{end}}}}\n'
    )


class _Text:
    """One file while it becomes a template: expressions are marked, so that no later edit changes them."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text, self.expressions = path, text, list[str]()

    def changed(self, changes: Sequence[Change]) -> tuple[str, str]:
        """Return the content in the template, and the suffix of its path, which is empty without an expression."""
        if _BEGIN in self.text or _END in self.text:
            raise TemplateError(f"{self.path}: contains a character U+E000 or U+E001, which mark expressions")
        stale: list[str] = []
        for change in changes:
            if change.files == EVERY_FILE or self.path in change.files.split():
                try:
                    self._apply(change)
                except TemplateError as error:
                    stale.append(str(error))
        if stale:
            raise TemplateError("\n".join(stale))
        self._replace(ANY_FORM, lambda found: _VALUE_OF[found[0]])
        if left := LEFT.search(self.text):
            line = self.text.count("\n", 0, left.start()) + 1
            raise TemplateError(f"{self.path}:{line}: {left[0]!r} is a form of the name that names.py does not list")
        return (_escaped(self.text, self.expressions), SUFFIX) if self.expressions else (self.text, "")

    def _apply(self, change: Change) -> None:
        match change:
            case LastLine():
                self.text = f"{self.text}\n{self._mark(_new_text(change.new))}\n"
            case Block():
                self._remove(change)
            case Edit():
                count = self.text.count(change.old)
                wanted = "1 or more" if change.times is None else str(change.times)
                if change.files != EVERY_FILE and not (count > 0 if change.times is None else count == change.times):
                    raise TemplateError(f"{self.path}: {change.old!r} is found {count} times, not {wanted}")
                text = _choice(change) if change.by else _new_text(change.new)
                self._replace(re.compile(re.escape(change.old)), lambda found: text)

    def _replace(self, pattern: re.Pattern[str], expression: Callable[[re.Match[str]], str]) -> None:
        self.text = pattern.sub(lambda found: self._mark(expression(found)), self.text)

    def _mark(self, expression: str) -> str:
        self.expressions.append(expression)
        return f"{_BEGIN}{len(self.expressions) - 1}{_END}"

    def _remove(self, block: Block) -> None:
        lines = self.text.splitlines(keepends=True)
        firsts = [at for at, line in enumerate(lines) if line.startswith(block.first)]
        if len(firsts) != 1:
            raise TemplateError(f"{self.path}: {len(firsts)} lines start with {block.first!r}, not 1")
        begin = end = firsts[0]
        end += 1
        if block.before:
            rest = (at for at in range(end, len(lines)) if lines[at].startswith(block.before))
            end = next(rest, -1)
            if end < 0:
                raise TemplateError(f"{self.path}: no line starts with {block.before!r} after {block.first!r}")
        marks = ("", "")
        if block.by:
            marks = self._mark(f'{{{{if eq .{block.by} "{block.kept_for}"}}}}'), self._mark("{{end}}")
        kept = "".join(lines[begin:end]) if block.by else ""
        self.text = "".join(lines[:begin]) + marks[0] + kept + marks[1] + "".join(lines[end:])


def _choice(edit: Edit) -> str:
    """Return the expression that selects the text of an answer."""
    texts = dict(edit.texts)
    otherwise = _new_text(texts.pop(OTHERWISE, edit.old))
    for answer, text in reversed(texts.items()):
        otherwise = f'{{{{if eq .{edit.by} "{answer}"}}}}{_new_text(text)}{{{{else}}}}{otherwise}{{{{end}}}}'
    return otherwise


def _new_text(text: str) -> str:
    """Return the template of a new text: its own expressions stay, names become expressions, the rest is escaped."""
    expressions: list[str] = []

    def mark(expression: str) -> str:
        expressions.append(expression)
        return f"{_BEGIN}{len(expressions) - 1}{_END}"

    text = _OURS.sub(lambda found: mark(found[0]), text)
    text = ANY_FORM.sub(lambda found: mark(_VALUE_OF[found[0]]), text)
    return _escaped(text, expressions)


def _escaped(text: str, expressions: Sequence[str]) -> str:
    """Return a text with its marked expressions, and literal braces written so that they are not expressions."""
    literals_and_numbers = _MARK.split(text)
    written: list[str] = []
    for at, part in enumerate(literals_and_numbers):
        if at % 2:
            written.append(expressions[int(part)])
            continue
        literal = part.replace("{{", '{{"{{"}}')
        # A brace before an expression would be read as a part of it.
        if at + 1 < len(literals_and_numbers) and part.endswith("{") and not literal.endswith("}}"):
            literal = literal[:-1] + '{{"{"}}'
        written.append(literal)
    return "".join(written)
