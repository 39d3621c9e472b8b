"""Columns of `device_features` that the models read. Change them here for your own models."""

from sensor_streams.fleet import Fleet, Role

ANOMALY = ("mean", "deviation", "min", "max", "slope")
LIFE = ("mean", "lookback_mean", "trend", "deviation")


def columns_by_sensor(fleet: Fleet, role: Role) -> dict[str, list[str]]:
    """Return the input columns of each sensor with the role."""
    statistics = LIFE if role == "life" else ANOMALY
    return {
        name: [f"{name}_{statistic}" for statistic in statistics]
        for name, sensor in fleet.sensors.items()
        if role in sensor.roles
    }


def input_columns(fleet: Fleet) -> list[str]:
    """Return all columns that any model reads, each once."""
    both = [*columns_by_sensor(fleet, "anomaly").values(), *columns_by_sensor(fleet, "life").values()]
    return list(dict.fromkeys(column for columns in both for column in columns))
