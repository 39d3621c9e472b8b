"""Scoring (P4): the streams `anomaly_scores` and `remaining_life`, next to MLflow's own ways to score the same rows.

In each round 20,000 new rows of `device_features` are scored by

- the stream: one batch, with everything that belongs to it (changed rows, scores, comparison, write);
- `mlflow.pyfunc.spark_udf`, set up as MLflow's documentation says ("Export a python_function model as an Apache Spark
  UDF"): `predict = spark_udf(spark, "models:/NAME/VERSION", result_type=…)`, then `predict(struct(…))` on the input
  columns of the model's signature. It is a stream too, from `device_features` to a Delta table that it appends to.
  `env_manager` is MLflow's default, `local`: the environment of the workers, as on a cluster that has the package.
  `result_type` is a struct, because MLflow returns a single column for any other type;
- direct calls of `mlflow.pyfunc.load_model(…).predict` in this process, limited to one thread, all rows in one call.

A batch is timed by Spark (`triggerExecution`), so the start of a query does not count. Each form keeps what it may
keep between batches: the session, the Python workers, the UDF. The figures have the scoring step alone too: the same
rows, scored without a stream and without a write.
"""

import contextlib
import io
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import mlflow
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.measurement import Measurement, Ratio, Result
from benchmarks.record import say, spread
from benchmarks.simulated_home import refuse_differences
from benchmarks.trained_home import History, trained_home
from sensor_streams.features import device
from sensor_streams.incremental.transactions import append
from sensor_streams.inference.registry import LoadedModel
from sensor_streams.inference.scoring import anomaly_scores, remaining_life
from sensor_streams.runtime.progress import BatchFigures
from sensor_streams.runtime.task import run_task
from sensor_streams.streams import BY_NAME
from sensor_streams.verify import verify
from sensor_streams_dev.local_home import LocalHome

ROWS = 20_000
HISTORY = History()
SCORES = {"anomaly_scores": anomaly_scores, "remaining_life": remaining_life}
# Results of the models, as Spark types.
RESULTS = {
    "anomaly_scores": "score double, contributing_sensors array<string>",
    "remaining_life": "life_hours double, low_hours double, high_hours double",
}


@dataclass
class Contest:
    """All forms of scoring with one model, and the rows per second of each by round."""

    home: LocalHome
    stream: str
    folder: Path
    model: LoadedModel
    predict: Column
    loaded: Any
    found: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def open(cls, home: LocalHome, stream: str, folder: Path) -> "Contest":
        """Load the champion in every form."""
        kind = str(BY_NAME[stream].model)
        model = home.champion(kind)
        if model is None:
            raise SystemExit(f"the simulated history has no failures to train {kind} with: give it more days")
        address = f"models:/{home.registry.name(kind)}/{model.version}"
        mlflow.set_tracking_uri(home.registry.tracking_uri)
        mlflow.set_registry_uri(home.registry.registry_uri)
        # MLflow prints that `local` does not make an environment.
        with contextlib.redirect_stderr(io.StringIO()):
            predict = mlflow.pyfunc.spark_udf(home.spark, address, result_type=RESULTS[stream])
        column = predict(F.struct(*model.columns))
        return cls(home, stream, folder, model, column, mlflow.pyfunc.load_model(address))

    def measure(self, rows: DataFrame, count: int, keep: bool, only_streams: bool = False) -> None:
        """Score the new rows of `device_features` in every form. keep: False in the warm-up round."""
        forms = {"stream": self._stream, "spark_udf": self._udf_stream}
        seconds = {name: run(count) for name, run in forms.items()}
        if not only_streams:
            inputs = rows.select(*self.model.columns).toPandas()
            with threadpool_limits(1):
                seconds["direct"] = _timed(lambda: self.loaded.predict(inputs))
            step = SCORES[self.stream](rows, self.model, self.home.fleet)
            seconds["step"] = _timed(lambda: _drain(step))
            udf = rows.select("device_id", "window_start", self.predict.alias("prediction"))
            seconds["step_spark_udf"] = _timed(lambda: _drain(udf))
        for name, value in seconds.items() if keep else ():
            self.found.setdefault(name, []).append(count / value)
        shown = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
        say(f"{self.stream}: {shown}{'' if keep else ' (warm-up)'}")

    def _stream(self, count: int) -> float:
        batches: list[BatchFigures] = []
        run_task(self.home.spark, self.home.settings, [self.stream], fleet=self.home.fleet, on_batch=batches.append)
        self._check("the stream", count, sum(batch.rows_out for batch in batches))
        return sum(batch.seconds for batch in batches)

    def _udf_stream(self, count: int) -> float:
        source = self.home.spark.readStream.table(self.home.catalog.full_name("device_features"))
        scored = source.select("device_id", "window_start", self.predict.alias("prediction"))
        target = self.folder / f"{self.stream}-spark_udf"
        query = (
            scored.select("device_id", "window_start", "prediction.*")
            .writeStream.format("delta")
            .option("checkpointLocation", str(target / "checkpoint"))
            .trigger(availableNow=True)
            .start(str(target / "table"))
        )
        query.awaitTermination()
        batches = [batch for batch in query.recentProgress if batch["numInputRows"]]
        self._check("spark_udf", count, sum(int(batch["numInputRows"]) for batch in batches))
        return sum(float(batch["durationMs"]["triggerExecution"]) / 1000 for batch in batches)

    def _check(self, form: str, expected: int, found: int) -> None:
        if found != expected:
            raise SystemExit(f"{self.stream}, {form}: {found} rows were scored, not {expected}")


def _timed(run: Any) -> float:
    begin = time.monotonic()
    run()
    return time.monotonic() - begin


def _drain(rows: DataFrame) -> None:
    rows.write.format("noop").mode("overwrite").save()


def add_rows(home: LocalHome, features: DataFrame, number: int, count: int) -> DataFrame:
    """Append `count` rows to `device_features` in one commit and return them.

    They are copies of real rows: of more devices, and in each round later by the length of the history and a day.
    Without the day, the last window of a round would be the first of the next.
    """
    copies = -(-count // features.count())
    days = (HISTORY.days + 1) * number
    later = features.crossJoin(home.spark.range(copies).withColumnRenamed("id", "copy")).limit(count)
    rows = later.select(
        F.concat_ws("-", "device_id", "copy").alias("device_id"),
        "device_type",
        (F.col("window_start") + F.expr(f"INTERVAL {days} DAYS")).alias("window_start"),
        F.date_add("window_date", days).alias("window_date"),
        *[name for name, _ in device.columns(home.fleet)[4:]],
    ).localCheckpoint()
    append(home.catalog.handle("device_features"), rows, device.columns(home.fleet), None)
    return rows


def contests(folder: Path, history: History, streams: list[str]) -> tuple[LocalHome, DataFrame, list[Contest]]:
    """Return a trained home with an empty table `device_features`, the rows to copy, and the contests."""
    home, features = trained_home(folder, history)
    home.catalog.create(BY_NAME["device_features"].table(home.fleet))
    return home, features.cache(), [Contest.open(home, stream, folder) for stream in streams]


def scores_alone(folder: Path, rounds: int = 2, rows: int = 4_000, stream: str = "anomaly_scores") -> Result:
    """Measure one stream next to `spark_udf` on small inputs, for a test that guards the speed. folder: empty."""
    home, features, (contest,) = contests(folder, History(4, 4, timedelta(days=1)), [stream])
    for number in range(rounds + 1):
        new = add_rows(home, features, number, rows)
        contest.measure(new, rows, keep=number > 0, only_streams=True)
    found = contest.found
    return Result([Ratio(f"{stream}, stream / spark_udf", found["stream"], found["spark_udf"], "rows/s")])


def run(folder: Path, rounds: int) -> Result:
    """Measure all forms of both models."""
    home, features, both = contests(folder, HISTORY, list(SCORES))
    for number in range(rounds + 1):
        rows = add_rows(home, features, number, ROWS)
        for contest in both:
            contest.measure(rows, ROWS, keep=number > 0)
    cores = home.spark.sparkContext.defaultParallelism
    ratios, figures = [], {}
    for contest in both:
        name, found = contest.stream, contest.found
        ratios.append(Ratio(f"{name}, stream / spark_udf", found["stream"], found["spark_udf"], "rows/s", "≥ 3"))
        per_core = [value / cores for value in found["stream"]]
        ratios.append(Ratio(f"{name}, stream / direct calls, per core", per_core, found["direct"], "rows/s", "≥ 0.7"))
        figures[name] = {form: spread(values) for form, values in found.items()}
    checks = verify(home.catalog, home.fleet, home.load_model, only=list(SCORES))
    differing = refuse_differences(checks)
    return Result(ratios, figures={"rows": ROWS, "cores": cores, "rows_per_second": figures, "differing": differing})


MEASUREMENTS = [Measurement("P4", "scoring, batches of 20,000 rows of device_features", 7, run)]
