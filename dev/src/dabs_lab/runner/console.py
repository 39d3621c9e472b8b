"""Lines that hold names and paths of the user, printed as they are."""

from rich.console import Console


def say(console: Console, text: str) -> None:
    """One line: nothing in it becomes a colour or a link, and it is not cut."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
