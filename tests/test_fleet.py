"""sensors.yml: three fleets, and mistakes reported with line and field."""

from pathlib import Path

import pytest

from sensor_streams.errors import FleetError
from sensor_streams.fleet import load_fleet, parse_fleet
from sensor_streams_dev.policies.stream_tasks import parameters, tasks
from tests.policies.golden import ROOT, TARGETS, read
from tests.rows import FIXTURES

GOOD = """\
windows: {short: 1 min, long: 5 min, lookback: 2}
sensors:
  power: {unit: kW, range: [0, 200], period: 20 s, roles: [load], idle_below: 2}
device_types:
  pump: {devices: ["pump-*"], sensors: [power]}
alerts:
  high: {watch: score, open: 2, close: 1}
"""


@pytest.mark.parametrize("target", TARGETS)
def test_every_job_reads_the_same_valid_fleet(target: str) -> None:
    bundle = read(target)
    files = Path(bundle.sections["workspace"]["file_path"])
    named = {
        Path(parameters(task)["sensors"]).relative_to(files)
        for job in bundle.resources["jobs"].values()
        for _, task in tasks(job)
    }
    (fleet,) = named
    load_fleet(ROOT / fleet)


def test_three_fleets_that_differ_load_without_a_change_of_code() -> None:
    pump = load_fleet(FIXTURES / "sensors.yml")
    turbofan = load_fleet(ROOT / "examples/fleets/turbofan.yml")
    trucks = load_fleet(ROOT / "examples/fleets/cold_chain.yml")
    assert pump.load_sensor("pump") == "power"
    assert len(turbofan.sensors) == 24
    assert turbofan.short_seconds == turbofan.long_seconds == 3600
    assert turbofan.accept.oldest is None
    assert (trucks.load_sensor("truck"), trucks.load_sensor("depot")) == ("compressor_current", None)
    assert len({fleet.fingerprint for fleet in (pump, turbofan, trucks)}) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("period: 20 s", "period: soon", "line 3, sensors.power.period: 'soon' is not a duration: write 10 s"),
        ("period: 20 s", "period: 20", "line 3, sensors.power.period: 20 has no unit"),
        ("period: 20 s", "periods: 20 s", "line 3, sensors.power.periods: unknown field; there are"),
        ("[0, 200]", "[200, 0]", "line 3, sensors.power: range: the first number must be less"),
        ("long: 5 min", "long: 90 s", "line 1, windows: long must be a multiple of short"),
        ("lookback: 2", "lookback: -1", "line 1, windows.lookback: Input should be greater"),
        ("sensors: [power]", "sensors: [power, heat]", "line 5, device_types.pump.sensors.1: sensor heat is not among"),
        ("roles: [load]", "roles: [lead]", "line 3, sensors.power.roles.0: Input should be 'anomaly'"),
        ("roles: [load]", "roles: []", "line 3, sensors.power: idle_below is for a sensor with the role load"),
        ("close: 1", "close: 2", "line 7, alerts.high: open and close must differ"),
        ("watch: score", "watch: noise", "line 7, alerts.high.watch: Input should be 'score'"),
        ("  power:", "  Power:", "line 3, sensors.Power: names are lower-case letters"),
        ("alerts:", "fields: {value: string}\nalerts:", "line 6, fields.value: is a column of the tables"),
        ("alerts:", "sensors: {}\nalerts:", "line 6, sensors: is a duplicate key: remove one"),
        ("windows:", "windows: [", "not valid YAML"),
        (
            "period: 20 s",
            "period: 99999999999999 days",
            "line 3, sensors.power.period: '99999999999999 days' is longer",
        ),
        (
            "period: 20 s",
            "period: 2026-13-45",
            "line 3, sensors.power.period: '2026-13-45' is not a valid value",
        ),
        ("alerts:", "fields: {window_start: string}\nalerts:", "line 6, fields.window_start: is a column of the tab"),
        (
            "sensors:",
            "sensors:\n  power_lookback: {period: 20 s}",
            "line 3, sensors.power_lookback: has the column power_lookback_mean in common with the sensor power",
        ),
        ("  pump:", "  pump: {}\n  fan:", "line 5, device_types.pump.devices: is missing: add it"),
    ],
)
def test_a_mistake_is_reported_with_line_and_field(old: str, new: str, message: str) -> None:
    with pytest.raises(FleetError) as raised:
        parse_fleet(GOOD.replace(old, new, 1))
    assert message in str(raised.value)


def test_a_field_may_have_any_other_name() -> None:
    names = ("kind", "json", "one_value", "time_text", "device_type", "problem", "old", "first", "type_x", "key_value")
    fields = ", ".join(f"{name}: string" for name in names)
    assert set(parse_fleet(f"{GOOD}fields: {{{fields}}}\n").fields) == set(names)


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(FleetError) as raised:
        parse_fleet(GOOD.replace("20 s", "x").replace("lookback: 2", "lookback: many"))
    assert len(str(raised.value).splitlines()) == 2


def test_a_missing_file_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"none.yml: cannot be read \(No such file or directory\)"):
        load_fleet(tmp_path / "none.yml")
