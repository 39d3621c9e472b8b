"""Alert episodes: scores and life estimates by window become one row per episode."""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from sensor_streams.features.windows import select_declared
from sensor_streams.fleet import AlertRule, Fleet
from sensor_streams.table_spec import Columns

# Magnitude of a peak, which is a score or hours of life: differences below 1e-9 do not count.
PEAK = "1000D"


def columns(_: Fleet) -> Columns:
    """Return the columns of `alerts`."""
    return [
        ("device_id", "string"),
        ("rule", "string"),
        ("opened_at", "timestamp"),
        ("state", "string"),
        ("peak", "double"),
        ("peak_at", "timestamp"),
        ("resolved_at", "timestamp"),
        ("windows", "int"),
        ("opened_date", "date"),
    ]


def magnitudes(_: Fleet) -> dict[str, str]:
    """Return the magnitudes of columns (see `same_number`)."""
    return {"peak": PEAK}


def signals(scores: DataFrame, life: DataFrame, fleet: Fleet) -> DataFrame:
    """Return the watched values: device_id, rule, window_start, value; one row per rule and window with a value.

    scores: rows of `anomaly_scores` (score); life: rows of `remaining_life` (life_hours).
    """
    found: DataFrame | None = None
    for source, watched in ((scores, "score"), (life, "life_hours")):
        rules = [name for name, rule in fleet.alerts.items() if rule.watch == watched]
        if not rules:
            continue
        rows = source.select(
            "device_id",
            F.explode(F.array(*[F.lit(name) for name in rules])).alias("rule"),
            "window_start",
            F.col(watched).alias("value"),
        ).where(F.col("value").isNotNull() & ~F.isnan("value"))
        found = rows if found is None else found.unionByName(rows)
    if found is None:
        kinds = "device_id string, rule string, window_start timestamp, value double"
        return scores.sparkSession.createDataFrame([], kinds)
    return found


def definitely_closed(fleet: Fleet) -> Column:
    """Return True for a row (rule, value) after which no episode is open or about to open."""
    return F.coalesce(_severity(fleet) < _by_rule(fleet, lambda rule: rule.close * _sign(rule)), F.lit(False))


def alerts(signals: DataFrame, fleet: Fleet) -> DataFrame:
    """Return episodes with hysteresis and a minimum duration.

    In: device_id, rule, window_start, value (see `signals`): all rows of a device and rule, or all since a definitely
    closed row. Out, per device_id and rule:

    - opened_at: first of `least` windows in a row at or beyond `open`; opened_date: its date.
    - state: OPEN or RESOLVED; resolved_at: first window beyond `close`, null while open.
    - peak: worst value; peak_at: its first window; windows: duration in windows.

    The newest window of each device and rule is incomplete and decides nothing. A value between `close` and `open`
    keeps an open episode open; before an episode it restarts the count of `least` windows.
    """
    by = Window.partitionBy("device_id", "rule")
    in_time = by.orderBy("window_start")
    high = _severity(fleet) >= _by_rule(fleet, lambda rule: rule.open * _sign(rule))
    decided = (
        signals.withColumn("newest", F.max("window_start").over(by))
        .where("window_start < newest")
        .withColumn("severity", _severity(fleet))
        .withColumn("high", high)
        .withColumn("closed", definitely_closed(fleet))
        # A closed row ends its segment; the next row begins another one.
        .withColumn("segment", F.sum(F.col("closed").cast("int")).over(in_time) - F.col("closed").cast("int"))
        .withColumn("run", F.sum((~F.col("high")).cast("int")).over(in_time))
    )
    run = Window.partitionBy("device_id", "rule", "run", "high")
    segment = Window.partitionBy("device_id", "rule", "segment")
    least = _by_rule(fleet, lambda rule: float(rule.least))
    opens = F.when(F.col("high") & (F.count(F.lit(1)).over(run) >= least), F.min("window_start").over(run))
    episodes = (
        decided.withColumn("opens", opens)
        .withColumn("opened_at", F.min("opens").over(segment))
        .where("window_start >= opened_at")
        .groupBy("device_id", "rule", "opened_at")
        .agg(
            F.max(
                F.when(~F.col("closed"), F.struct("severity", (-F.unix_micros("window_start")).alias("earlier")))
            ).alias("worst"),
            F.min(F.when(F.col("closed"), F.col("window_start"))).alias("resolved_at"),
            F.count_if(~F.col("closed")).alias("windows"),
        )
    )
    whole = (
        episodes.withColumn("peak", F.col("worst.severity") * _by_rule(fleet, _sign))
        .withColumn("peak_at", F.timestamp_micros(-F.col("worst.earlier")))
        .withColumn("state", F.when(F.col("resolved_at").isNull(), "OPEN").otherwise("RESOLVED"))
        .withColumn("opened_date", F.to_date("opened_at"))
    )
    return select_declared(whole, columns(fleet))


def _sign(rule: AlertRule) -> float:
    return -1.0 if rule.falling else 1.0


def _severity(fleet: Fleet) -> Column:
    """Return the value with the sign that makes a greater value worse."""
    return F.col("value") * _by_rule(fleet, _sign)


def _by_rule(fleet: Fleet, figure: Callable[[AlertRule], float]) -> Column:
    chosen = F.lit(None).cast("double")
    for name, rule in fleet.alerts.items():
        chosen = F.when(F.col("rule") == name, F.lit(figure(rule))).otherwise(chosen)
    return chosen
