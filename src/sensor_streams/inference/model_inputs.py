"""Which columns of `device_features` the models read: change them here for models of your own."""

from sensor_streams.fleet import Fleet, Role

ANOMALY = ("mean", "deviation", "min", "max", "slope")
LIFE = ("mean", "lookback_mean", "trend", "deviation")


def inputs(fleet: Fleet, role: Role) -> dict[str, list[str]]:
    """sensor → its columns, for the sensors with the role."""
    statistics = LIFE if role == "life" else ANOMALY
    return {
        name: [f"{name}_{statistic}" for statistic in statistics]
        for name, sensor in fleet.sensors.items()
        if role in sensor.roles
    }


def input_columns(fleet: Fleet) -> list[str]:
    """All columns that any model reads, in order, without repetition."""
    both = [*inputs(fleet, "anomaly").values(), *inputs(fleet, "life").values()]
    return list(dict.fromkeys(column for columns in both for column in columns))
