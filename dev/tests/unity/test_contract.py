"""The same queries to a real Unity Catalog server, to confirm the test double."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from dev.tests.preflight.double import PRINCIPAL, sign_in
from dev.tests.preflight.jobs import expected_of, findings_in
from dev.tests.unity.server import Server, serving
from sensor_streams.hadoop_files import names_at
from sensor_streams.locations import canonical, inside, same_place
from sensor_streams.preflight.facts import Entry, Expected, Unknown
from sensor_streams.preflight.findings import Finding
from sensor_streams.preflight.table_facts import table_at
from sensor_streams.streams import BY_NAME
from sensor_streams_dev.preflight import workspace_objects as module
from sensor_streams_dev.preflight.principal import Principal, principal_named
from sensor_streams_dev.preflight.workspace_client import Timeouts, WorkspaceReader, connect
from sensor_streams_dev.preflight.workspace_facts import ExternalLocation, FactsInWorkspace, unchecked_workspace
from sensor_streams_dev.preflight.workspace_objects import RegisteredObjects, WorkspaceQuery

pytestmark = pytest.mark.unity

# Reads device_features, writes anomaly_scores, scores with the model anomaly.
JOB = replace(expected_of([BY_NAME["anomaly_scores"]]), principal=PRINCIPAL)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with every object of the job."""
    with serving(tmp_path_factory.mktemp("unity")) as server:
        for table in ("device_features", "anomaly_scores"):
            assert server.table(table, server.place(f"tables/{table}")).ok
        named = {"catalog_name": "plant", "schema_name": "live"}
        assert server.make("volumes", name="checkpoints", volume_type="MANAGED", **named).ok
        assert server.make("models", name="anomaly", **named).ok
        yield server


@pytest.fixture
def server(shared: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    sign_in(monkeypatch, shared.host)
    return shared


def gather(expected: Expected = JOB) -> RegisteredObjects:
    return WorkspaceQuery(timeouts=Timeouts(10, 20)).gather(expected)


def found(registered: RegisteredObjects, expected: Expected = JOB) -> list[tuple[str, str]]:
    facts = FactsInWorkspace(expected, registered.entries, {}, {}, workspace=registered.facts)
    return [(one.check, one.subject) for one in (*findings_in("rights", facts), *findings_in("location", facts))]


def test_entries_of_external_tables_have_locations(server: Server) -> None:
    registered = gather()
    for table in ("device_features", "anomaly_scores"):
        assert registered.entries[table] == Entry(f"plant.live.{table}", "external", server.place(f"tables/{table}"))
    assert found(registered) == []


def test_an_unregistered_table_has_no_entry(server: Server) -> None:
    registered = gather(replace(expected_of([BY_NAME["alerts"]]), principal=PRINCIPAL))
    assert registered.entries == {
        "alerts": None,
        "anomaly_scores": registered.entries["anomaly_scores"],
        "remaining_life": None,
    }
    assert isinstance(registered.entries["anomaly_scores"], Entry)


def test_a_missing_catalog_is_found(server: Server) -> None:
    expected = replace(JOB, catalog="nowhere")
    registered = gather(expected)
    assert set(registered.entries.values()) == {None}
    assert ("location.no-object", "catalog nowhere") in found(registered, expected)


def test_external_locations_and_credentials_are_read(server: Server) -> None:
    registered = gather().facts
    assert not isinstance(registered.external_locations, Unknown)
    assert sorted(registered.external_locations, key=lambda at: at.name) == [
        ExternalLocation("old", server.place("old"), "keys"),
        ExternalLocation("tables", server.place("tables"), "keys"),
    ]
    assert registered.credentials == {"keys": False}


def test_volumes_and_models_are_read_also_missing_ones(server: Server) -> None:
    registered = gather().facts
    place = registered.volumes["plant.live.checkpoints"]
    assert isinstance(place, str)
    assert inside(place, server.place("old"))
    # The server keeps no aliases of models.
    assert registered.models == {"plant.live.anomaly": ""}
    other = gather(replace(JOB, checkpoints="/Volumes/plant/live/nobody/x", models={"anomaly": "plant.live.nobody"}))
    assert other.facts.volumes == {"plant.live.nobody": None}
    assert other.facts.models == {"plant.live.nobody": None}
    assert ("volume", "plant.live.nobody") in other.facts.missing


def test_privileges_that_the_server_does_not_support_are_unchecked(server: Server) -> None:
    registered = gather()
    assert set(registered.facts.rights) >= {
        ("table", "plant.live.anomaly_scores"),
        ("volume", "plant.live.checkpoints"),
    }
    for held in registered.facts.rights.values():
        assert isinstance(held, Unknown)
        assert "404" in held.because
    assert {one.check for one in unchecked_workspace(registered.facts, registered.entries)} == {"rights"}


def test_without_a_principal_privileges_are_unknown(server: Server) -> None:
    registered = gather(replace(JOB, principal=None))
    assert isinstance(registered.facts.principal, Unknown)
    assert isinstance(registered.skew, Unknown)
    assert all(isinstance(held, Unknown) for held in registered.facts.rights.values())


def test_a_table_outside_of_all_locations_is_refused_by_the_server_and_found(server: Server) -> None:
    place = server.place("elsewhere/anomaly_scores")
    assert server.table("stray", place).status_code == 400
    registered = gather()
    moved = Entry("plant.live.anomaly_scores", "external", place)
    assert found(replace(registered, entries={**registered.entries, "anomaly_scores": moved})) == [
        ("location.outside-external-location", "table plant.live.anomaly_scores")
    ]


def test_other_tables_are_read_from_all_pages(server: Server) -> None:
    for number in range(130):
        assert server.table(f"other_{number:03}", server.place(f"tables/other_{number:03}")).ok
    registered = gather()
    assert not isinstance(registered.others, Unknown)
    others = sorted(one.name for one in registered.others if "other_" in one.name)
    assert others == [f"plant.live.other_{number:03}" for number in range(130)]


def test_small_pages_are_all_read(server: Server) -> None:
    client = connect(None, Timeouts())
    assert isinstance(client, WorkspaceReader)
    listed = client.listed("/api/2.1/unity-catalog/external-locations", "external_locations", max_results=1)
    assert sorted(record["name"] for record in listed) == ["old", "tables"]


def test_a_server_that_stops_is_not_a_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path) as server:
        sign_in(monkeypatch, server.host)

        def stopped(workspace: WorkspaceReader, name: str, caller: Principal | Unknown) -> Principal:
            answer = principal_named(workspace, name, caller)
            server.stop()
            return answer

        monkeypatch.setattr(module, "principal_named", stopped)
        registered = WorkspaceQuery(timeouts=Timeouts(1, 2)).gather(JOB)
    assert found(registered) == []
    assert all(isinstance(entry, Unknown) for entry in registered.entries.values())
    assert isinstance(registered.facts.external_locations, Unknown)
    assert {one.check for one in unchecked_workspace(registered.facts, registered.entries)} >= {
        "location",
        "rights",
        "model",
    }


def test_an_entry_with_another_path_than_the_data_is_found(server: Server, spark: SparkSession) -> None:
    entry_path, real = server.place("old/remaining_life"), server.place("tables/remaining_life")
    spark.range(3).write.format("delta").save(real)
    assert server.table("remaining_life", entry_path).ok
    expected = replace(expected_of([BY_NAME["remaining_life"]], server.place("tables")), principal=PRINCIPAL)

    def found() -> list[Finding]:
        registered = gather(expected)
        entry = registered.entries["remaining_life"]
        assert isinstance(entry, Entry)
        assert entry.location is not None
        places = {canonical(at): table_at(spark, at) for at in (entry.location, real)}
        facts = FactsInWorkspace(expected, {"remaining_life": entry}, places, {}, workspace=registered.facts)
        return [one for one in findings_in("location", facts) if one.subject == "plant.live.remaining_life"]

    (finding,) = found()
    assert finding.check == "location.nothing-there"
    assert entry_path in finding.found
    assert same_place(finding.expected.removeprefix("an entry that points to "), real)
    assert finding.command is not None
    assert finding.command.startswith("ALTER TABLE plant.live.remaining_life SET LOCATION ")
    assert names_at(spark, entry_path) == [], "preflight creates no table"
    # This server has no SQL, so the entry is removed and created again.
    assert server.remove("tables/plant.live.remaining_life").ok
    assert server.table("remaining_life", real).ok
    assert found() == []
