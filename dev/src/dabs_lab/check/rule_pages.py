"""Page of each rule: reason, source, fix and examples, for the docs and for `check explain`."""

from pathlib import Path as FilePath

from dabs_lab.check.declaration import Rule
from dabs_lab.check.rules import GROUPS, all_rules, id_of
from dabs_lab.errors import ConfigurationError

# Tests run these files. The package `dabs-lab` has a copy of them, see dev/lab/pyproject.toml.
_COPY = FilePath(__file__).with_name("examples")
EXAMPLES = _COPY if _COPY.is_dir() else FilePath(__file__).parents[3] / "tests" / "check" / "examples"


def page_of(word: str) -> str:
    """Return the page of a rule by its id or name. Raises ConfigurationError for an unknown one."""
    rule = all_rules().get(id_of(word))
    if rule is None:
        raise ConfigurationError(f"{word}: no rule has this id or name: docs/check-rules.md lists them")
    return section(rule)


def section(rule: Rule) -> str:
    """Return the section of a rule in Markdown."""
    doubt = "" if rule.certain else " The source does not state this: it is inferred."
    parts = [
        f"### {rule.id} {rule.name}",
        f"**{rule.title}** ({rule.severity}).",
        f"Why: {rule.reason}{doubt}",
        f"Source: {rule.source}",
        f"Fix: {rule.fix}",
    ]
    for kind in ("wrong", "right"):
        for name, text in _files(EXAMPLES / f"{rule.id}-{rule.name}", kind):
            parts.append(f"{kind.capitalize()}{name}:\n\n```yaml\n{text}\n```")
    return "\n\n".join(parts)


def all_pages() -> str:
    """Return the page with all rules."""
    parts = [
        "# Rules of the check",
        "This page is made from the rules and the examples that test them. How to run the check: [check](check.md).",
    ]
    rules = all_rules().values()
    for prefix, (title, _) in GROUPS.items():
        group = [rule for rule in rules if rule.group == prefix]
        if group:
            parts += [f"## {title}", *map(section, group)]
    return "\n\n".join(parts) + "\n"


def _files(folder: FilePath, kind: str) -> list[tuple[str, str]]:
    """Return the names and texts of an example, a file or a folder of files; nothing if it does not exist."""
    file = folder / f"{kind}.yml"
    if file.is_file():
        return [("", file.read_text("utf-8").strip())]
    files = sorted(path for path in (folder / kind).rglob("*") if path.is_file())
    return [(f", {path.relative_to(folder / kind).as_posix()}", path.read_text("utf-8").strip()) for path in files]
