"""The commands of the template: `make template` and `make new`."""

import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.prompt import Prompt

from sensor_streams.errors import INTERRUPTED, ConfigurationError, MachineError, SensorStreamsError
from sensor_streams_dev.new_project.builder import build
from sensor_streams_dev.new_project.create import check_folder, create
from sensor_streams_dev.new_project.names import refused_names
from sensor_streams_dev.new_project.questions import (
    applies,
    complete,
    name_problem,
    problem,
    questions,
    read_answers,
)

ROOT = Path(__file__).parents[4]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console(emoji=False, highlight=False, markup=False, soft_wrap=True)


@app.command()
def template(folder: Annotated[Path, typer.Argument(help="folder that is replaced")] = ROOT / "build/template") -> None:
    """Build the template for `databricks bundle init`."""
    console.print(f"{build(ROOT, folder)} files: databricks bundle init {folder}")


@app.command()
def new(
    folder: Annotated[str, typer.Option("--dir", help="folder of the new project")] = "",
    name: Annotated[str, typer.Option(help="name of the project and its Python package")] = "",
    config: Annotated[str, typer.Option(help="JSON file with answers, as for bundle init --config-file")] = "",
) -> None:
    """Make a project of the template: a folder with a git repository of one commit."""
    if not folder:
        raise ConfigurationError("DIR is missing: make new DIR=../acme NAME=acme_meters")
    target = Path.cwd() / folder
    check_folder(target, ROOT)
    given = read_answers(Path(config)) if config else {}
    source = f"{config}: project_name"
    if name:
        given["project_name"], source = name, "NAME"
    if "project_name" in given and (wrong := _wrong("project_name", given["project_name"])):
        raise ConfigurationError(f"{source}: {wrong}")
    try:
        values = complete(_ask(given) if sys.stdin.isatty() else given)
        known = create(target, values, ROOT)
    except (KeyboardInterrupt, EOFError):
        _end("interrupted: nothing was made", INTERRUPTED)
    console.print(f"{values['project_name']} is in {folder}, with one commit. Next: cd {folder} && make demo")
    if not known:
        console.print(
            "git knows no user, so the commit has a stand-in: set user.name and user.email, then run "
            "git commit --amend --reset-author --no-edit"
        )


def _wrong(question: str, answer: str) -> str | None:
    found = problem(questions()[question], answer)
    if found is None and question == "project_name":
        found = name_problem(answer, refused_names(ROOT))
    return found


def _ask(given: dict[str, str]) -> dict[str, str]:
    """Ask the questions without an answer on the terminal, again after a wrong answer."""
    answers = dict(given)
    for question, content in questions().items():
        if question in answers or not applies(content, answers):
            continue
        while True:
            answer = Prompt.ask(
                content["description"], console=console, choices=content.get("enum"), default=content["default"]
            )
            if (found := _wrong(question, answer)) is None:
                break
            console.print(found)
        answers[question] = answer
    return answers


def main() -> None:
    """Run a command and turn its errors into one line and an exit code.

    1 stale template, 2 wrong answer, 3 problem of the machine, 130 interrupted.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        # A command under nohup ignores the end of its terminal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        app()
    except SensorStreamsError as error:
        _end(str(error), error.exit_code)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        _end(f"{where}{error.strerror}: nothing was made; free the disk or give another DIR", MachineError.exit_code)


def _interrupt(number: int, _: object) -> NoReturn:
    # A second signal must not end the clean-up.
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
