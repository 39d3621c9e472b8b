"""Print text without markup."""

from rich.console import Console


def say(console: Console, text: str) -> None:
    """Print one line without markup, highlighting or wrapping: it may contain names and paths of the user."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
