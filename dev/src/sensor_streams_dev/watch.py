"""What one sees while streams run: a line for each batch, and what is at work now."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.markup import escape

from sensor_streams.inference.training import TrainingReport
from sensor_streams.ingest.rejections import united
from sensor_streams.runtime.progress import BatchFigures, json_lines_to
from sensor_streams.runtime.task import TaskReport, run_task
from sensor_streams.verify import Check
from sensor_streams_dev.local_home import LocalHome


class Watch:
    """Runs the steps of a command and tells what happens."""

    def __init__(self, console: Console, workspace: LocalHome) -> None:
        self.console = console
        self.workspace = workspace
        self.figures: list[BatchFigures] = []
        self._start = time.monotonic()

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._start

    def say(self, text: str, head: str = "") -> None:
        """One line, with the time since the beginning: the head in rich's markup, the text as it is."""
        self.console.print(f"[dim]{self.elapsed():4.0f} s[/dim]  {head}{escape(text)}", highlight=False, soft_wrap=True)

    def busy(self, text: str) -> AbstractContextManager[object]:
        """A moving sign while something takes time; without a terminal, one line."""
        if self.console.is_terminal:
            return self.console.status(escape(text))
        self.say(text)
        return nullcontext()

    def run(self, names: Sequence[str], title: str) -> TaskReport:
        """Run streams, a line for each batch."""
        fleet, before = self.workspace.fleet, len(self.figures)
        with self.busy("starting Spark"):
            spark = self.workspace.spark
        lines = self.workspace.log_file.with_suffix(".batches.jsonl")
        with self.busy(f"streaming: {title}"), lines.open("a", encoding="utf-8") as file, json_lines_to(file):
            report = run_task(spark, self.workspace.settings, names, fleet=fleet, on_batch=self._batch)
        for one in united(one for figures in self.figures[before:] for one in figures.rejections):
            self.say(f" {one}", "[yellow]in all:[/yellow]")
        waiting = [name for name, state in report.states.items() if state == "WAITING_FOR_MODEL"]
        if waiting:
            self.say(f": {', '.join(waiting)}; their input is kept for later", "[yellow]WAITING_FOR_MODEL[/yellow]")
            for name in waiting:
                if name in report.waits:
                    self.say(f"{name}: {report.waits[name]}")
        return report

    def train(self) -> TrainingReport:
        """Train, and say how good it is."""
        with self.busy("training on the first part"):
            report = self.workspace.train()
        told = [f"{v.name} version {v.version}" for v in report.versions]
        self.say(f"trained {' and '.join(told)} on {report.rows:,} rows, {report.failures} failures")
        figures = report.figures
        if "remaining_life.rmse_hours" in figures:
            self.say(
                f"life on devices not seen: RMSE {figures['remaining_life.rmse_hours']:.1f} h "
                f"(always the median: {figures['remaining_life.baseline_rmse_hours']:.1f} h)"
            )
        for note in report.notes:
            self.say(note)
        return report

    def verify(self) -> list[Check]:
        """Verify all tables."""
        with self.busy("verifying: every table computed afresh and compared"):
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
        for one in figures.rejections:
            self.say(f" {one}", "[yellow]rejected:[/yellow]")
        if figures.model_refused is not None:
            self.say(
                f" {figures.model_refused}; the batch was scored with version {figures.model_version}",
                "[yellow]model not used:[/yellow]",
            )
