"""The commands `sensor-streams lab …`: run cells, one or all."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dabs_lab.runner.local_config import absolute
from sensor_streams.errors import ConfigurationError
from sensor_streams_dev.command_options import AsJson

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Break the job shapes for real, and measure them.")
FOLDER = Path(".local/lab")
RESULTS = "results.json"
SMOKE = ("query-fails", "location-nothing-there", "python-killed", "driver-killed")

Folder = Annotated[Path, typer.Option(help="folder of everything that the lab writes")]


@app.command()
def matrix(
    only: Annotated[list[str] | None, typer.Option(help="incident to run; repeat it for several")] = None,
    shape: Annotated[list[str] | None, typer.Option(help="shape to run; default: the three deployable ones")] = None,
    all_shapes: Annotated[bool, typer.Option("--all-shapes", help="also the four forms for comparison")] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="four incidents that take a minute each")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="number of seeds, from 1 on")] = 1,
    again: Annotated[bool, typer.Option("--again", help="also run cells that have a result")] = False,
    folder: Folder = FOLDER,
) -> None:
    """Run all incidents in all shapes; an interrupted run goes on where it ended.

    Exit code: 0 when all promises held, 1 when one is broken.
    """
    if smoke:
        only = [*(only or ()), *SMOKE]
    raise typer.Exit(_run(only or (), shape or (), range(1, seeds + 1), again, folder, all_shapes=all_shapes))


@app.command()
def run(
    incident: Annotated[str, typer.Option(help="id of the incident, see `lab list`")],
    shape: Annotated[str, typer.Option(help="id of the shape, see `lab list`")],
    seed: Annotated[int, typer.Option(min=1)] = 1,
    watch: Annotated[bool, typer.Option("--watch", help="print each step")] = False,
    folder: Folder = FOLDER,
) -> None:
    """Run one incident in one shape, also if it has a result."""
    raise typer.Exit(_run([incident], [shape], [seed], True, folder, steps=watch))


@app.command()
def report(folder: Folder = FOLDER, file: Annotated[Path | None, typer.Option(help="the HTML file")] = None) -> None:
    """Draw the results: one HTML file that works offline."""
    from dabs_lab.lab.report import write_report
    from dabs_lab.lab.results import read_results
    from sensor_streams_dev.lab.claims import with_claims

    place = file or folder / "report.html"
    write_report(with_claims(read_results(folder / RESULTS)), place)
    Console(emoji=False).print(f"{place} ({place.stat().st_size / 2**20:.2f} MB)", highlight=False, soft_wrap=True)


@app.command()
def docs(
    results: Annotated[Path, typer.Option(help="results of a full matrix")] = Path("docs/lab/results.json"),
) -> None:
    """Write docs/choosing-a-shape.md and the report next to the results in docs/lab."""
    from dabs_lab.lab.report import write_report
    from dabs_lab.lab.results import read_results
    from sensor_streams_dev.lab.choosing import write_page
    from sensor_streams_dev.lab.claims import with_claims
    from sensor_streams_dev.lab.unprotected import FILE, read_unprotected

    found = with_claims(read_results(results))
    write_report(found, results.with_name("report.html"))
    write_page(found, read_unprotected(results.with_name(FILE)), results.parents[1] / "choosing-a-shape.md")


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="results.json of before")],
    after: Annotated[Path, typer.Argument(help="results.json of after")],
    as_json: AsJson = False,
) -> None:
    """Compare two results: what differs by more than the noise."""
    from dabs_lab.lab.diff import differences, print_differences
    from dabs_lab.lab.results import read_results

    found = differences(read_results(before), read_results(after))
    if as_json:
        print(json.dumps(found.as_dict()))
    else:
        print_differences(found, Console(emoji=False))


@app.command("soak")
def soak_command(
    batches: Annotated[int, typer.Option(min=40, help="micro-batches of all streams together")] = 2000,
    folder: Folder = FOLDER,
    into: Annotated[Path, typer.Option(help="folder of soak.json and soak.svg")] = Path("docs/lab"),
) -> None:
    """Run one process for thousands of micro-batches, and draw its memory, threads, files and batch times."""
    from sensor_streams_dev.lab.soak import soak, write_soak

    console = Console(emoji=False, highlight=False)
    samples = soak(absolute(folder), batches, console.print)
    into.mkdir(parents=True, exist_ok=True)
    write_soak(samples, into)
    console.print(f"{into / 'soak.svg'}", soft_wrap=True)


@app.command("kills")
def kills_command(
    count: Annotated[int, typer.Option(min=1, help="kills in each shape")] = 67,
    shape: Annotated[list[str] | None, typer.Option(help="shape; default: the three deployable ones")] = None,
    seed: Annotated[int, typer.Option(min=1, help="of the random moments")] = 1,
    folder: Folder = FOLDER,
    into: Annotated[Path, typer.Option(help="folder of kills.json")] = Path("docs/lab"),
) -> None:
    """Kill -9 processes of each shape at random moments; then count every line, and verify every table.

    Results of other shapes and seeds stay in the file. Exit code: 0 when nothing is lost or repeated, 1 otherwise.
    """
    from sensor_streams_dev.lab.kills import add_kills, kills
    from sensor_streams_dev.lab.shapes import DEPLOYABLE

    console = Console(emoji=False, highlight=False)
    _check("shape", shape or (), [one.id for one in DEPLOYABLE])
    right = True
    for one in DEPLOYABLE:
        if not shape or one.id in shape:
            found = kills(absolute(folder), one, count, seed, console.print)
            add_kills(found, into / "kills.json")
            console.print(found)
            right = right and found.right
    raise typer.Exit(0 if right else 1)


@app.command("unprotected")
def unprotected_command(
    only: Annotated[list[str] | None, typer.Option(help="incident to run; repeat it for several")] = None,
    folder: Folder = FOLDER,
    into: Annotated[Path, typer.Option(help="folder of unprotected.json")] = Path("docs/lab"),
) -> None:
    """Test the lab: run incidents without the protection that each is about. It must report the damage.

    Exit code: 0 when it does, 1 when it is blind to one.
    """
    from dabs_lab.lab.board import LiveBoard
    from sensor_streams_dev.lab import unprotected
    from sensor_streams_dev.lab.incidents import INCIDENTS

    names = [incident for _, incident in unprotected.pairs()]
    _check("incident with a protection", only or (), names)
    chosen = [one for one in INCIDENTS if one.id in (only or names)]
    console = Console(emoji=False, highlight=False)
    with LiveBoard(console, chosen, [unprotected.SHAPE], steps=False) as board:
        found = unprotected.run_unprotected(absolute(folder), only or (), into / unprotected.FILE, board)
    for one in found:
        console.print(f"{one.incident:24} {'; '.join(one.reported) or one.note or 'nothing reported'}", soft_wrap=True)
    blind = list(unprotected.blind(found))
    console.print(f"{len(found) - len(blind)} of {len(found)} reported", soft_wrap=True)
    raise typer.Exit(1 if blind else 0)


@app.command("list")
def list_all() -> None:
    """List the incidents and the shapes."""
    from sensor_streams_dev.lab.incidents import INCIDENTS
    from sensor_streams_dev.lab.shapes import SHAPES

    console = Console(emoji=False)
    for one in INCIDENTS:
        console.print(f"{one.id:24} {one.text.group}: {one.text.title}", highlight=False, soft_wrap=True)
    for shape in SHAPES:
        kind = "" if shape.text.deployable else " (for comparison)"
        console.print(f"{shape.id:24} {shape.text.about}{kind}", highlight=False, soft_wrap=True)


def _run(
    incidents: Sequence[str],
    shapes: Sequence[str],
    seeds: Sequence[int],
    again: bool,
    folder: Path,
    *,
    all_shapes: bool = False,
    steps: bool = False,
) -> int:
    # The imports take seconds: wrong options are reported before them.
    from dabs_lab.lab.board import LiveBoard
    from dabs_lab.lab.matrix import Plan, run_matrix
    from dabs_lab.lab.results import Verdict
    from sensor_streams_dev.lab.lab_bundle import TIME_SCALE
    from sensor_streams_dev.lab.project import LabProject

    project = LabProject(absolute(folder))
    names = shapes or [one.id for one in project.shapes if all_shapes or one.text.deployable]
    _check("incident", incidents, [one.id for one in project.incidents])
    _check("shape", names, [one.id for one in project.shapes])
    plan = Plan(
        [one for one in project.incidents if not incidents or one.id in incidents],
        [one for one in project.shapes if one.id in names],
        seeds,
        again,
    )
    project.folder.mkdir(parents=True, exist_ok=True)
    console = Console(emoji=False, highlight=False)
    with LiveBoard(console, plan.incidents, plan.shapes, steps=steps) as board:
        results = run_matrix(project, plan, project.folder / RESULTS, round(TIME_SCALE, 3), board, _commit())
    wanted = {(incident.id, shape.id, seed) for incident, shape, seed in plan.cells()}
    cells = [cell for cell in results.cells if (cell.incident, cell.shape, cell.seed) in wanted]
    counts = {verdict: sum(cell.verdict == verdict for cell in cells) for verdict in Verdict}
    console.print(
        f"{counts[Verdict.HELD]} held, {counts[Verdict.BROKEN]} broken, {counts[Verdict.NOT_SHOWN]} not shown; "
        f"results: {folder / RESULTS}",
        soft_wrap=True,
    )
    return 1 if counts[Verdict.BROKEN] else 0


def _check(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ConfigurationError(f"no {what} is called {', '.join(unknown)}; there are: {', '.join(known)}")


def _commit() -> str:
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
