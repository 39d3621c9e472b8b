"""Console output of a running command: one line per batch, and the current step."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.markup import escape

from sensor_streams.inference.training import TrainingReport
from sensor_streams.ingest.rejections import merge_rejections
from sensor_streams.runtime.progress import BatchFigures, json_lines_to
from sensor_streams.runtime.task import TaskReport, run_task
from sensor_streams.verify import Check
from sensor_streams_dev.local_home import LocalHome


class Watch:
    """Steps of a command, with their progress on the console."""

    def __init__(self, console: Console, workspace: LocalHome) -> None:
        self.console = console
        self.workspace = workspace
        self.figures: list[BatchFigures] = []
        self._start = time.monotonic()

    def elapsed(self) -> float:
        """Return the seconds since the start of the command."""
        return time.monotonic() - self._start

    def say(self, text: str, head: str = "") -> None:
        """Print a line with the elapsed time; `head` may use rich's markup, `text` is printed unchanged."""
        self.console.print(f"[dim]{self.elapsed():4.0f} s[/dim]  {head}{escape(text)}", highlight=False, soft_wrap=True)

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Show a spinner during a step; without a terminal, print one line."""
        if self.console.is_terminal:
            return self.console.status(escape(text))
        self.say(text)
        return nullcontext()

    def run(self, names: Sequence[str], title: str) -> TaskReport:
        """Run streams and print a line for each batch."""
        fleet, before = self.workspace.fleet, len(self.figures)
        with self.busy("starting Spark"):
            spark = self.workspace.spark
        lines = self.workspace.log_file.with_suffix(".batches.jsonl")
        with self.busy(f"streaming: {title}"), lines.open("a", encoding="utf-8") as file, json_lines_to(file):
            report = run_task(spark, self.workspace.settings, names, fleet=fleet, on_batch=self._batch)
        for summary in merge_rejections(r for figures in self.figures[before:] for r in figures.rejections):
            self.say(f" {summary}", "[yellow]in total:[/yellow]")
        waiting = [name for name, state in report.states.items() if state == "WAITING_FOR_MODEL"]
        if waiting:
            self.say(f": {', '.join(waiting)}; they keep their input", "[yellow]WAITING_FOR_MODEL[/yellow]")
            for name in waiting:
                if name in report.waits:
                    self.say(f"{name}: {report.waits[name]}")
        return report

    def train(self) -> TrainingReport:
        """Train and print the error of the models."""
        with self.busy("training"):
            report = self.workspace.train()
        models = [f"{v.name} version {v.version}" for v in report.versions]
        self.say(f"trained {' and '.join(models)} on {report.rows:,} rows, {report.failures} failures")
        figures = report.figures
        if "remaining_life.rmse_hours" in figures:
            self.say(
                f"remaining life on held-out devices: RMSE {figures['remaining_life.rmse_hours']:.1f} h "
                f"(median as constant estimate: {figures['remaining_life.baseline_rmse_hours']:.1f} h)"
            )
        for note in report.notes:
            self.say(note)
        return report

    def verify(self) -> list[Check]:
        """Verify all tables."""
        with self.busy("verifying: computing every table again to compare"):
            return self.workspace.verify()

    def _batch(self, figures: BatchFigures) -> None:
        self.figures.append(figures)
        rejected = f", {figures.rejected:,} rejected" if figures.rejected else ""
        unit = "lines" if figures.stream == "readings" else "changes"
        self.say(
            f" batch {figures.batch_id}: {figures.rows_in:,} {unit} in, "
            f"{figures.rows_out:,} rows written{rejected}, {figures.seconds:.1f} s",
            f"[bold]{figures.stream:<16}[/bold]",
        )
        for rejection in figures.rejections:
            self.say(f" {rejection}", "[yellow]rejected:[/yellow]")
        if figures.model_refused is not None:
            self.say(
                f" {figures.model_refused}; the batch was scored with version {figures.model_version}",
                "[yellow]model not used:[/yellow]",
            )
