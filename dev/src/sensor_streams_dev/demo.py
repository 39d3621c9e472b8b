"""The demo: all eight streams on a simulated fleet or on your own files, and a report."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from sensor_streams.errors import InputError, SensorStreamsError
from sensor_streams.failures import load_failures
from sensor_streams.json_files import read_json, write_json
from sensor_streams_dev.demo_report import Truth, show
from sensor_streams_dev.local_home import LocalHome
from sensor_streams_dev.simulate import Simulation, simulate
from sensor_streams_dev.watch import Watch

# Start of the simulated fleet. Each run continues where the last one ended.
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
# Simulated time: to train on, to score in the first run, to score in each later run.
FIRST = timedelta(days=12)
SECOND = timedelta(days=4)
NEXT = timedelta(days=3)


@dataclass
class Demo:
    """One run of the demo in its own local home."""

    workspace: LocalHome
    console: Console

    def simulated(self) -> None:
        """Simulate, stream, verify and report; the first run also trains, on its first part."""
        home = self.workspace.local.home
        state = read_json(home / "demo.json") or {}
        watch = Watch(self.console, self.workspace)
        watch.say(f"tables, models and Spark's log are in {_short(home)}")
        until = datetime.fromisoformat(str(state["until"])) if "until" in state else ORIGIN
        if until == ORIGIN:
            until = self._simulate(watch, home, until, FIRST)
            write_json(home / "demo.json", {"until": until.isoformat()})
        if self.workspace.registry.champion("anomaly") is None:
            watch.run(["feature_extraction"], "features of the first part, to train on")
            load_failures(self.workspace.catalog, home / "failures.jsonl")
            watch.train()
            until = self._simulate(watch, home, until, SECOND)
        else:
            until = self._simulate(watch, home, until, NEXT)
        write_json(home / "demo.json", {"until": until.isoformat()})
        load_failures(self.workspace.catalog, home / "failures.jsonl")
        watch.run([], "all eight streams")
        self._finish(watch, Truth.read(home / "truth"), until)

    def own(self, failures: Path | None) -> None:
        """Stream the user's own files, train on the known failures, score, verify and report."""
        landing = Path(self.workspace.settings.landing)
        if not landing.is_dir():
            raise InputError(f"{landing} is not a folder: give the folder of your readings with --input")
        watch = Watch(self.console, self.workspace)
        watch.run(["feature_extraction"], "features")
        if failures is not None:
            load_failures(self.workspace.catalog, failures)
        if self.workspace.registry.champion("anomaly") is None:
            try:
                watch.train()
            except SensorStreamsError as error:
                watch.say(f" {error}", "[yellow]no models yet:[/yellow]")
        watch.run(["inference"], "scores, alerts")
        self._finish(watch, None, None)

    def _simulate(self, watch: Watch, home: Path, start: datetime, length: timedelta) -> datetime:
        simulation = Simulation(self.workspace.fleet, origin=ORIGIN)
        end = start + length
        landing, failures = Path(self.workspace.settings.landing), home / "failures.jsonl"
        report = simulate(simulation, landing, start, end, failures=failures, truth=home / "truth")
        watch.say(
            f"simulated {start:%Y-%m-%d} to {end:%Y-%m-%d}: {report.files} files, {report.lines:,} lines "
            f"({report.duplicates} duplicates, {report.malformed} malformed, {report.ahead} with a future time), "
            f"{report.failures} failures so far"
        )
        return end

    def _finish(self, watch: Watch, truth: Truth | None, until: datetime | None) -> None:
        checks = watch.verify()
        show(self.console, self.workspace, checks, truth, until)
        differing = sum(check.differing for check in checks)
        watch.say(f"done in {watch.elapsed():.0f} s")
        if differing:
            raise SensorStreamsError(f"verify found {differing} rows that differ from those computed from the readings")


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
