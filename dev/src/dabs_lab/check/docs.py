"""Write `docs/check-rules.md`: `python -m dabs_lab.check.docs [--check]`."""

import sys
from pathlib import Path

from dabs_lab.check.rule_pages import EXAMPLES, all_pages
from dabs_lab.errors import ConfigurationError

PAGE = Path("docs/check-rules.md")


def main(words: list[str]) -> int:
    """Write the page; with `--check`, only return 1 if the file differs from it."""
    if not EXAMPLES.is_dir():
        raise ConfigurationError(f"{EXAMPLES}: not found: the page cannot be made without the examples of the rules")
    text = all_pages()
    if words == ["--check"]:
        return 0 if PAGE.is_file() and PAGE.read_text("utf-8") == text else 1
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
