"""Command `check`: find mistakes of streaming jobs in a bundle."""

import sys
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from dabs_lab.errors import ConfigurationError


class Format(StrEnum):
    """Formats of the report."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def check(
    folder: Annotated[
        Path, typer.Argument(help="folder of databricks.yml; `check explain RULE` prints the page of a rule instead")
    ] = Path(),
    rule: Annotated[str | None, typer.Argument(help="rule to explain: its id or name", show_default=False)] = None,
    target: Annotated[str | None, typer.Option(help="target of the bundle; its default target unless given")] = None,
    every: Annotated[bool, typer.Option("--all", help="check all targets")] = False,
    form: Annotated[Format, typer.Option("--format", help="format of the report")] = Format.TEXT,
    select: Annotated[list[str] | None, typer.Option(help="only these rules: ids, names, groups (D1)")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="not these rules: ids, names, groups")] = None,
    resolved: Annotated[
        str | None, typer.Option(help="check the output of `databricks bundle validate -o json`: a file, or -")
    ] = None,
    var: Annotated[list[str] | None, typer.Option(help="variable of the bundle: key=value")] = None,
) -> None:
    """Find mistakes of streaming jobs that `databricks bundle validate` accepts. Needs no workspace.

    Exit code: 0 no findings, 1 findings, 2 wrong use, or a bundle that cannot be read.
    """
    if rule is not None:
        if str(folder) != "explain":
            raise ConfigurationError(f"{rule}: unexpected word: write `check FOLDER` or `check explain RULE`")
        from dabs_lab.check.rule_pages import page_of

        print(page_of(rule))
        return
    if str(folder) == "explain" and not folder.exists():
        raise ConfigurationError("explain needs a rule: write `check explain D102`; docs/check-rules.md lists them")
    # The bundle reader takes a third of a second to import: help and wrong options do not need it.
    from dabs_lab.check.engine import check_folder
    from dabs_lab.check.formats import as_github, as_json, as_sarif

    # The name of a file can have bytes outside of UTF-8, and a terminal may not have every character.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    report = check_folder(
        folder,
        target=target,
        every=every,
        resolved=resolved,
        select=_words(select),
        ignore=_words(ignore),
        variables=_pairs(var),
    )
    if form is Format.TEXT:
        from rich.console import Console

        from dabs_lab.check.text_format import print_text

        print_text(report, Console(emoji=False))
    else:
        formats = {Format.JSON: as_json, Format.SARIF: as_sarif, Format.GITHUB: as_github}
        print(formats[form](report))
    raise typer.Exit(report.exit_code)


def _words(values: list[str] | None) -> list[str]:
    """Return the words of an option that can be repeated, each with several words between commas."""
    return [word.strip() for value in values or () for word in value.split(",")]


def _pairs(values: list[str] | None) -> dict[str, str]:
    found = {}
    for word in values or ():
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise ConfigurationError(f"--var {word!r}: write key=value")
        found[name] = value
    return found
