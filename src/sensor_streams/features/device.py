"""Features of one device in one long window: the wide rows that the models read."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from sensor_streams.features.windows import hours_between, window_start
from sensor_streams.fleet import STATISTICS, Fleet
from sensor_streams.table_spec import Columns


def columns(fleet: Fleet) -> Columns:
    """Return the columns of `device_features`: for each sensor s of the fleet s_mean, s_deviation, and so on."""
    return [
        ("device_id", "string"),
        ("device_type", "string"),
        ("window_start", "timestamp"),
        ("window_date", "date"),
        ("count", "bigint"),
        *[(f"{sensor}_{statistic}", "double") for sensor in fleet.sensors for statistic in STATISTICS],
    ]


def magnitudes(fleet: Fleet) -> dict[str, str]:
    """Return SQL for the size of the operands, for columns that are computed by subtraction (see `same_number`)."""
    found: dict[str, str] = {}
    for sensor in fleet.sensors:
        size = f"greatest(abs(r.`{sensor}_min`), abs(r.`{sensor}_max`))"
        before = f"greatest({size}, abs(r.`{sensor}_lookback_mean`))"
        by_statistic = {
            "mean": size,
            "deviation": size,
            "slope": f"{size} * {3600 / fleet.short_seconds}D",
            "missing": "1D",
            "lookback_mean": before,
            "trend": f"{before} * {3600 / fleet.long_seconds}D",
        }
        found |= {f"{sensor}_{statistic}": magnitude for statistic, magnitude in by_statistic.items()}
    return found


def device_features(sensor_features: DataFrame, fleet: Fleet) -> DataFrame:
    """Return one row per device and long window.

    In: rows of `sensor_features`, including the `lookback` long windows before the requested ones.
    Out: device_id, device_type, window_start, window_date, count; and for each sensor s, null if it has no reading:

    - s_mean (weighted by count), s_min, s_max, s_last, in the sensor's unit
    - s_deviation: of all readings, pooled from the short windows (Chan, Golub & LeVeque 1983)
    - s_slope: least squares over the means of the short windows, or the slope of a single one; unit per hour
    - s_missing: share of the expected readings that are missing
    - s_lookback_mean: weighted mean of the `lookback` long windows before this one
    - s_trend: least squares over the means of those windows and this one; unit per hour
    """
    tall = _per_sensor(sensor_features, fleet)
    seconds = F.unix_seconds("window_start")
    by = Window.partitionBy("device_id", "sensor").orderBy(seconds)
    back = fleet.windows.lookback * fleet.long_seconds
    before, until = by.rangeBetween(min(-back, -1), -1), by.rangeBetween(-back, 0)
    hours = hours_between(F.lit("2020-01-01").cast("timestamp"), F.col("window_start"))
    # Spark refuses an empty range, so without look-back the mean is set to null.
    mean_before = F.try_divide(F.sum("weighted").over(before), F.sum("count").over(before))
    trended = (
        tall.withColumn("weighted", F.col("mean") * F.col("count"))
        .withColumn("lookback_mean", mean_before if back else F.lit(None).cast("double"))
        .withColumn("points", F.count(F.lit(1)).over(until))
        .withColumn("trend", F.regr_slope(F.col("mean"), hours).over(until))
        .withColumn("trend", F.when(F.col("points") > 1, F.col("trend")))
    )
    wide = trended.groupBy("device_id", "window_start").agg(
        F.sum("count").alias("count"),
        # A map plans much faster than hundreds of conditional aggregates.
        F.map_from_entries(F.collect_list(F.struct("sensor", F.struct(*STATISTICS).alias("of")))).alias("sensors"),
    )
    return _as_columns(wide.withColumn("device_type", fleet.device_type_of(F.col("device_id"))), fleet)


def _as_columns(wide: DataFrame, fleet: Fleet) -> DataFrame:
    """Return the map `sensors` as the declared columns.

    The expressions are SQL text: hundreds of Column objects cost over a second of JVM calls per batch.
    """
    # One lookup per sensor, not one per statistic.
    names = ("device_id", "device_type", "window_start", "count")
    found = wide.selectExpr(*names, *[f"try_element_at(sensors, '{s}') AS `of_{s}`" for s in fleet.sensors])
    source = {f"{s}_{statistic}": f"`of_{s}`.`{statistic}`" for s in fleet.sensors for statistic in STATISTICS}
    source["window_date"] = "to_date(window_start)"
    return found.selectExpr(*[f"CAST({source.get(n, f'`{n}`')} AS {kind}) AS `{n}`" for n, kind in columns(fleet)])


def _per_sensor(sensor_features: DataFrame, fleet: Fleet) -> DataFrame:
    """Return device_id, sensor, window_start (long), count and the statistics of the window."""
    long = window_start(F.col("window_start"), fleet.long_seconds)
    hours = hours_between(F.col("long_start"), F.col("window_start"))
    present = F.lit(1.0) - F.col("share_missing")
    squares = (F.col("count") - 1) * F.coalesce(F.pow("deviation", F.lit(2)), F.lit(0.0))
    # One pass: sum the squares around the mean of the first short window; `variance` below corrects for the true mean.
    short = sensor_features.withColumn("long_start", long)
    shift = F.first("mean").over(
        Window.partitionBy("device_id", "sensor", "long_start")
        .orderBy("window_start")
        .rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    )
    centred = short.withColumn("from_shift", F.col("mean") - shift)
    grouped = centred.groupBy("device_id", "sensor", "long_start").agg(
        F.sum("count").alias("count"),
        F.sum(F.col("mean") * F.col("count")).alias("sum"),
        F.sum(F.col("from_shift") * F.col("count")).alias("shifted"),
        F.sum(squares + F.col("count") * F.pow("from_shift", F.lit(2))).alias("squares"),
        F.min("min").alias("min"),
        F.max("max").alias("max"),
        F.max_by("last", "last_time").alias("last"),
        F.regr_slope(F.col("mean"), hours).alias("slope_of_means"),
        F.count(F.lit(1)).alias("windows"),
        F.max("slope").alias("own_slope"),
        F.sum(present).alias("present"),
    )
    count = F.col("count")
    variance = (F.col("squares") - F.pow("shifted", F.lit(2)) / count) / (count - 1)
    return grouped.select(
        "device_id",
        "sensor",
        F.col("long_start").alias("window_start"),
        count,
        (F.col("sum") / count).alias("mean"),
        F.when(count > 1, F.sqrt(F.greatest(F.lit(0.0), variance))).alias("deviation"),
        "min",
        "max",
        "last",
        F.when(F.col("windows") > 1, F.col("slope_of_means")).otherwise(F.col("own_slope")).alias("slope"),
        _share_missing(fleet).alias("missing"),
    )


def _share_missing(fleet: Fleet) -> Column:
    expected = fleet.long_seconds / fleet.short_seconds
    return F.greatest(F.lit(0.0), F.lit(1.0) - F.col("present") / F.lit(expected))
