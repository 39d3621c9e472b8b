"""Changes of sensors.yml: streams refuse to start and name the command; after the command verify finds nothing."""

import json
from datetime import timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from conftest import RUNNING_FROM
from sensor_streams import rebuild as rebuild_module
from sensor_streams.checkpoint import settings_record as changes
from sensor_streams.checkpoint.settings_record import Records, check_features, record_training, refuse_changes
from sensor_streams.errors import FleetChangedError
from sensor_streams.fleet import Fleet, parse_fleet
from sensor_streams.incremental.transactions import Writes
from sensor_streams.inference.registry import LoadedModel
from sensor_streams.rebuild import Rebuilt, rebuild_changed
from sensor_streams.streams import streams_of
from sensor_streams_dev.simulate import Simulation, simulate
from tests.plant import Plant, all_names, reading
from tests.rows import FIXTURES

TEXT = (FIXTURES / "fleet.yml").read_text("utf-8")


def records(plant: Plant) -> Records:
    """Return the records of the plant's checkpoints."""
    return Records.of(plant.settings(), plant.catalog, plant.fleet)


def apply_changes(plant: Plant, train: bool = False, keep_models: bool = False) -> Rebuilt:
    """Run `rebuild --changed` on the plant's tables."""

    def champion(kind: str) -> LoadedModel | None:
        found = plant.registry.champion(kind)
        return None if found is None else plant.registry.load(plant.spark, kind, found.version)

    def trained() -> None:
        check_features(records(plant))
        report = plant.train(FAILURES)
        record_training(records(plant), [version.name for version in report.versions])

    return rebuild_changed(records(plant), champion, trained if train else None, keep_models)


def refused(plant: Plant, *names: str) -> str:
    """Return the error of streams that do not start, and check that they wrote nothing."""
    tables = [name for name in all_names() if plant.catalog.exists(name)]
    before = {name: plant.version(name) for name in tables}
    with pytest.raises(FleetChangedError) as raised:
        plant.run(*names)
    assert {name: plant.version(name) for name in tables} == before
    return str(raised.value)


def refusal(plant: Plant, *names: str) -> str:
    """Return the error with which the streams would not start."""
    with pytest.raises(FleetChangedError) as raised:
        refuse_changes(records(plant), streams_of(names))
    return str(raised.value)


def change(plant: Plant, *replaced: tuple[str, str]) -> None:
    """Change the plant's sensors.yml."""
    text = TEXT
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    plant.fleet = parse_fleet(text)


FAILURES: list[tuple[str, str]] = []


@pytest.fixture(scope="module")
def trained(spark: SparkSession, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """Return a plant that ran, was trained and scored, with its real streams."""
    plant = Plant(spark, fleet, tmp_path_factory.mktemp("trained"))
    minute = {n: s.model_copy(update={"period": timedelta(minutes=1)}) for n, s in fleet.sensors.items()}
    slow = fleet.model_copy(update={"sensors": minute})
    simulation = Simulation(slow, devices=3, files_every=timedelta(hours=6), mean_life=timedelta(hours=2))
    end = RUNNING_FROM + timedelta(hours=6)
    simulate(simulation, plant.landing, RUNNING_FROM, end)
    FAILURES.extend(
        (device.name, (RUNNING_FROM.fromtimestamp(at, RUNNING_FROM.tzinfo)).isoformat())
        for device in simulation.all_devices()
        for _, at in device.lives(int(end.timestamp()))
    )
    plant.run("feature_extraction")
    report = plant.train(FAILURES)
    record_training(records(plant), [version.name for version in report.versions])
    plant.run()
    assert plant.differing() == []
    assert plant.count("alerts") > 0
    return plant


@pytest.mark.slow
def test_other_window_lengths_are_refused_and_applied_by_one_command(trained: Plant) -> None:
    plant = trained
    change(plant, ("short: 1 min, long: 5 min", "short: 2 min, long: 10 min"))
    message = refused(plant)
    assert "sensor_features: windows.short was 1 min and is 2 min" in message
    assert "anomaly_scores: windows.long was 5 min when the model was trained and is 10 min" in message
    assert message.endswith("sensor-streams rebuild --changed --train")
    # Without a training the features are computed, but not the scores of a model for other windows.
    report = apply_changes(plant)
    assert [change.stream for change in report.untrained] == ["anomaly_scores", "remaining_life"]
    assert plant.differing("sensor_features", "device_features", "device_sessions") == []
    assert refused(plant, "inference").endswith("sensor-streams rebuild --changed --train")
    plant.run("feature_extraction")
    before = plant.registry.champion("anomaly")
    report = apply_changes(plant, train=True)
    assert plant.registry.champion("anomaly") != before
    assert set(report.writes) >= {"anomaly_scores", "remaining_life", "alerts", "alert_events"}
    assert plant.differing() == []
    assert apply_changes(plant).changes == []
    plant.run()
    assert plant.differing() == []
    # The change back keeps the models.
    change(plant)
    assert "windows.short was 2 min and is 1 min" in refused(plant)
    apply_changes(plant, keep_models=True)
    assert plant.differing() == []
    plant.run()
    assert plant.differing() == []


CHANGES = {
    "look-back": [("lookback: 2", "lookback: 5")],
    "session gap": [("gap: 3 min", "gap: 10 min")],
    "longest session": [("longest: 1 hour", "longest: 30 min")],
    "idle": [("idle_below: 2", "idle_below: 30")],
    "load role": [(", load], idle_below: 2", "]")],
    "period": [("temperature: {unit: degC, range: [-50, 150], period: 20 s", "temperature: {period: 30 s")],
    "type renamed": [("  pump:", "  centrifuge:")],
    "type in front": [("device_types:\n", 'device_types:\n  small: {devices: ["pump-*1"], sensors: [temperature]}\n')],
    "sensor removed": [
        ("  temperature: {unit: degC, range: [-50, 150], period: 20 s, roles: [anomaly, life]}\n", ""),
        ("[temperature, power]", "[power]"),
        ("roles: [anomaly, load]", "roles: [anomaly, life, load]"),
    ],
    "rule changed": [("open: 2, close: 1", "open: 1.5, close: 1")],
    "rule removed": [("  unusual: {watch: score, open: 2, close: 1, least: 2}\n", "")],
    "rule added": [("alerts:\n", "alerts:\n  odd: {watch: score, open: 1.2, close: 0.9, least: 1}\n")],
}


# Sessions and alerts do not depend on each other, so their changes are applied in pairs: a rebuild with a verify takes
# half a minute. A change with other tables behind it stands alone, because its rebuild would hide a missing one there.
TOGETHER = [
    ["session gap", "rule changed"],
    ["longest session", "rule removed"],
    ["idle", "rule added"],
    ["look-back"],
    ["period"],
    ["load role"],
    ["type renamed"],
    ["type in front"],
    ["sensor removed"],
]


@pytest.mark.slow
def test_each_setting_that_a_table_depends_on_is_refused_and_applied(trained: Plant) -> None:
    plant = trained
    change(plant)
    apply_changes(plant, keep_models=True)
    assert sorted(name for names in TOGETHER for name in names) == sorted(CHANGES)
    for name in CHANGES:
        change(plant, *CHANGES[name])
        assert "sensor-streams rebuild --changed" in refusal(plant), name
    for names in TOGETHER:
        # Each round also undoes the one before.
        change(plant, *(pair for name in names for pair in CHANGES[name]))
        apply_changes(plant, keep_models=True)
        assert plant.differing() == [], names
    change(plant)
    refusal(plant)
    apply_changes(plant)
    assert plant.differing() == []
    assert set(plant.run().states.values()) == {"DONE"}
    assert plant.differing() == []


HARMLESS = {
    "a new sensor": [
        ("sensors:\n  temp", "sensors:\n  flow: {period: 7 s, roles: [anomaly]}\n  temp"),
        ("[temperature, power]", "[flow, temperature, power]"),
    ],
    "a new type of new devices": [
        ("device_types:\n", 'device_types:\n  fan: {devices: ["fan-*"], sensors: [power]}\n')
    ],
    "what is accepted": [("oldest: 30 days", "oldest: 3 days"), ("range: [0, 200]", "range: [0, 500]")],
    "a new field": [("{site: string}", "{site: string, line: long}")],
    "a role of the models": [("roles: [anomaly, life]", "roles: [anomaly]")],
    "the cap of life": [("cap: 10 days", "cap: 5 days")],
}


@pytest.mark.slow
def test_new_sensors_and_settings_without_effect_on_stored_rows_need_no_rebuild(plant: Plant) -> None:
    plant.land("a.json", [reading("pump-1", "power", f"00:{m:02}:00", 5 + m) for m in range(40)])
    plant.run("feature_extraction")
    for name, replaced in HARMLESS.items():
        change(plant, *replaced)
        refuse_changes(records(plant), streams_of([]))
        assert plant.differing("sensor_features", "device_sessions") == [], name
    change(plant, *(pair for replaced in HARMLESS.values() for pair in replaced))
    plant.land("b.json", [reading("pump-1", "power", f"01:{m:02}:00", 5 + m) for m in range(40)])
    plant.run("feature_extraction")
    assert plant.count("readings") == 80
    assert plant.differing() == []


@pytest.mark.slow
def test_without_a_record_streams_start_unless_rows_contradict_the_settings(plant: Plant) -> None:
    plant.land("a.json", [reading("pump-1", "power", f"0{h}:{m:02}:30", 5 + m) for h in range(2) for m in range(30)])
    plant.run("feature_extraction")

    def forget() -> None:
        for name in all_names():
            (plant.folder / "checkpoints" / name / changes.FILE).unlink(missing_ok=True)

    forget()
    plant.run("feature_extraction")
    record = json.loads((plant.folder / "checkpoints" / "sensor_features" / changes.FILE).read_text("utf-8"))
    assert record["values"] == {"windows.short": "1 min"}
    for name, expected in {
        "short: 1 min, long: 5 min|short: 2 min, long: 10 min": "windows.short is 2 min",
        "short: 1 min|short: 30 s": "windows.short is 30 s",
        "long: 5 min|long: 10 min": "windows.long is 10 min",
        "long: 5 min|long: 1 min": "windows.long is 1 min",
        "power: {unit: kW, range: [0, 200], period: 20 s|power: {period: 5 s": "sensors: the period",
        "longest: 1 hour|longest: 10 min": "sessions.longest is 10 min",
        "gap: 3 min|gap: 40 min": "sessions.gap is 40 min",
        "idle_below: 2|idle_below: 150": "load sensor and idle_below",
        "  pump:|  fan:": "device_types",
    }.items():
        forget()
        old, new = name.split("|")
        change(plant, (old, new))
        assert expected in refusal(plant, "feature_extraction"), name
    forget()
    refused(plant, "feature_extraction")
    apply_changes(plant)
    assert plant.differing() == []
    plant.run("feature_extraction")
    assert plant.differing() == []


@pytest.mark.slow
def test_a_killed_rebuild_must_be_repeated_before_a_stream_starts(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.land("a.json", [reading("pump-1", "power", f"00:{m:02}:00", 5 + m) for m in range(40)])
    plant.run("feature_extraction")
    change(plant, ("power: {unit: kW, range: [0, 200], period: 20 s", "power: {period: 30 s"))
    real, turns = rebuild_module._rebuild, iter(range(9))

    def killed(*given: Any) -> Writes:
        if next(turns) == 1:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(rebuild_module, "_rebuild", killed)
    with pytest.raises(KeyboardInterrupt):
        apply_changes(plant)
    assert plant.differing("sensor_features") == []
    # The first table is done; the streams of the remaining tables do not start.
    assert "a rebuild of the table was begun and has not ended" in refused(plant, "device_features")
    apply_changes(plant)
    assert plant.differing() == []
    plant.run("feature_extraction")
    assert plant.differing() == []
