"""Check that docs, comments, docstrings and messages follow the plain-English rules in `plain_english.yml`.

    python scripts/plain_english.py [PATH ...]     all tracked files of the project unless paths are given

Prints `file:line: rule: text` for each finding. Exit code 0: none, 1: findings, 2: wrong use.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
RULES = Path(__file__).with_suffix(".yml")
# A literal with fewer words is a name or a format, not a message.
MESSAGE_WORDS = 4


@dataclass(frozen=True)
class Passage:
    """A piece of prose: where it starts, what kind it is (doc, comment, docstring, message), and its text."""

    file: Path
    line: int
    kind: str
    text: str


@dataclass(frozen=True)
class Rules:
    """The rules of `plain_english.yml`: words to replace, starts of docstrings, longest sentence in words."""

    words: Sequence[tuple[re.Pattern[str], str]]
    docstring_start: re.Pattern[str]
    longest_sentence: int
    skipped: Sequence[str]


def load_rules(file: Path = RULES) -> Rules:
    """Read the rule file."""
    read = yaml.safe_load(file.read_text("utf-8"))
    words = [(re.compile(rf"\b(?:{w['find']})\b", re.IGNORECASE), w["write"]) for w in read["words"]]
    starts = "|".join(map(re.escape, read["docstring_never_starts_with"]))
    return Rules(words, re.compile(rf"({starts})\b"), read["longest_sentence"], read["skip"])


def main(arguments: Sequence[str]) -> int:
    """Print the findings; the exit code."""
    rules = load_rules()
    files = [Path(a).resolve() for a in arguments] or _tracked(rules)
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        print(f"not a file: {', '.join(missing)}", file=sys.stderr)
        return 2
    found = [line for file in files for passage in passages(file) for line in findings(passage, rules)]
    print("\n".join(found) if found else f"plain English: no findings in {len(files)} files")
    return 1 if found else 0


def _tracked(rules: Rules) -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [n for n in listed.splitlines() if Path(n).suffix in READERS]
    return [ROOT / n for n in names if not any(n.startswith(s) for s in rules.skipped) and (ROOT / n).is_file()]


def passages(file: Path) -> Iterator[Passage]:
    """Return the prose of a file."""
    yield from READERS[file.suffix](file, file.read_text("utf-8"))


def _markdown(file: Path, text: str) -> Iterator[Passage]:
    fenced, start, lines = False, 0, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        fence = line.lstrip().startswith("```")
        plain = not fenced and not fence and not line.startswith("    ") and line.strip()
        # A list item, a heading and a row of a table are passages of their own.
        begins = re.match(r"\s*([-*|#>]|\d+\.)", line)
        if lines and (not plain or begins):
            yield Passage(file, start, "doc", " ".join(lines))
            lines = []
        if plain:
            start = start if lines else number
            lines.append(re.sub(r"`[^`]*`", "CODE", line.strip()))
        fenced ^= fence


def _python(file: Path, text: str) -> Iterator[Passage]:
    yield from _comments(file, text)
    docstrings = set[int]()
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and ast.get_docstring(node):
                docstrings.add(id(first.value))
                for at, part in _paragraphs(first.lineno, str(first.value.value)):
                    yield Passage(file, at, "docstring", part)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            words = "".join(v.value if isinstance(v, ast.Constant) else "X" for v in node.values)
            docstrings |= {id(v) for v in node.values}
            yield from _message(file, node.lineno, words)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from _message(file, node.lineno, node.value)


def _message(file: Path, line: int, text: str) -> Iterator[Passage]:
    if len(re.findall(r"[A-Za-z]{2,}", text)) >= MESSAGE_WORDS and not re.match(r"\s*(SELECT|[A-Z]+ TABLE)\b", text):
        yield Passage(file, line, "message", re.sub(r"`[^`]*`", "CODE", text))


def _comments(file: Path, text: str) -> Iterator[Passage]:
    start, lines, last = 0, list[str](), -1
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, words = token.start[0], token.string.lstrip("# ").rstrip()
        if lines and line != last + 1:
            yield Passage(file, start, "comment", " ".join(lines))
            lines = []
        start = start if lines else line
        lines.append(re.sub(r"`[^`]*`", "CODE", words))
        last = line
    if lines:
        yield Passage(file, start, "comment", " ".join(lines))


def _yaml(file: Path, text: str) -> Iterator[Passage]:
    for number, line in enumerate(text.splitlines(), 1):
        found = re.search(r"(?:^|\s)#\s+(.*)", line)
        if found:
            yield Passage(file, number, "comment", re.sub(r"`[^`]*`", "CODE", found.group(1)))


def _paragraphs(line: int, text: str) -> Iterator[tuple[int, str]]:
    for paragraph in re.finditer(r"(?:[^\n]+\n?)+", text):
        if not paragraph.group().startswith("    " * 3):
            at = line + text.count("\n", 0, paragraph.start())
            yield at, re.sub(r"`[^`]*`", "CODE", " ".join(paragraph.group().split()))


READERS = {".md": _markdown, ".py": _python, ".yml": _yaml, ".toml": _yaml, ".sh": _yaml}


def findings(passage: Passage, rules: Rules) -> Iterator[str]:
    """Return one line per broken rule."""
    name = passage.file.relative_to(ROOT) if passage.file.is_relative_to(ROOT) else passage.file
    where = f"{name}:{passage.line}"
    for pattern, instead in rules.words:
        for match in pattern.finditer(passage.text):
            around = passage.text[max(0, match.start() - 25) : match.end() + 25]
            yield f"{where}: write {instead!r} for {match.group()!r}: … {around} …"
    if passage.kind == "docstring" and rules.docstring_start.match(passage.text):
        yield f"{where}: a docstring starts with a verb or a noun: {passage.text[:60]}"
    if passage.kind != "message":
        for sentence in re.split(r"(?<=[.!?:;])\s+", passage.text):
            count = len(re.findall(r"[A-Za-z][\w'’-]*", sentence))
            if count > rules.longest_sentence and "|" not in sentence:
                yield f"{where}: {count} words in one sentence (at most {rules.longest_sentence}): {sentence[:60]} …"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
