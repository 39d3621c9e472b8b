"""The same questions to a real Unity Catalog server: what the double says is not believed for its own sake."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from dev.tests.preflight.double import PRINCIPAL, sign_in
from dev.tests.preflight.jobs import expected_of
from dev.tests.unity.server import Server, serving
from sensor_streams.hadoop_files import names_at
from sensor_streams.locations import canonical, inside, same_place
from sensor_streams.preflight.checks import location
from sensor_streams.preflight.facts import Entry, Expected, ExternalLocation, Facts, Unknown
from sensor_streams.preflight.findings import Finding
from sensor_streams.preflight.table_facts import table_at
from sensor_streams.preflight.unchecked import of_workspace
from sensor_streams.streams import BY_NAME
from sensor_streams_dev.preflight import workspace_objects as module
from sensor_streams_dev.preflight.checks import reach, rights
from sensor_streams_dev.preflight.principal import Principal
from sensor_streams_dev.preflight.workspace_client import Patience, WorkspaceReader
from sensor_streams_dev.preflight.workspace_objects import Registered, WorkspaceRegistered

pytestmark = pytest.mark.unity

# Reads device_features, writes anomaly_scores, scores with the model anomaly.
JOB = replace(expected_of([BY_NAME["anomaly_scores"]]), principal=PRINCIPAL)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with all that the job touches, as it should be."""
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


def gather(meant: Expected = JOB) -> Registered:
    return WorkspaceRegistered(patience=Patience(10, 20)).gather(meant)


def found(told: Registered, meant: Expected = JOB) -> list[tuple[str, str]]:
    facts = Facts(meant, told.entries, {}, {}, workspace=told.facts)
    return [(one.check, one.subject) for one in (*rights.check(facts), *reach.check(facts))]


def test_entries_of_external_tables_come_with_their_locations(server: Server) -> None:
    told = gather()
    for table in ("device_features", "anomaly_scores"):
        assert told.entries[table] == Entry(f"plant.live.{table}", "external", server.place(f"tables/{table}"))
    assert found(told) == []


def test_a_table_that_is_not_registered_has_no_entry(server: Server) -> None:
    told = gather(replace(expected_of([BY_NAME["alerts"]]), principal=PRINCIPAL))
    assert told.entries == {"alerts": None, "anomaly_scores": told.entries["anomaly_scores"], "remaining_life": None}
    assert isinstance(told.entries["anomaly_scores"], Entry)


def test_a_catalog_that_is_not_there_is_found(server: Server) -> None:
    meant = replace(JOB, catalog="nowhere")
    told = gather(meant)
    assert set(told.entries.values()) == {None}
    assert ("location.no-object", "catalog nowhere") in found(told, meant)


def test_external_locations_and_credentials_are_told(server: Server) -> None:
    told = gather().facts
    assert not isinstance(told.external_locations, Unknown)
    assert sorted(told.external_locations, key=lambda at: at.name) == [
        ExternalLocation("old", server.place("old"), "keys"),
        ExternalLocation("tables", server.place("tables"), "keys"),
    ]
    assert told.credentials == {"keys": False}


def test_volumes_and_models_are_told_and_those_that_lack_too(server: Server) -> None:
    told = gather().facts
    place = told.volumes["plant.live.checkpoints"]
    assert isinstance(place, str)
    assert inside(place, server.place("old"))
    # The server keeps no aliases of models.
    assert told.models == {"plant.live.anomaly": ""}
    other = gather(replace(JOB, checkpoints="/Volumes/plant/live/nobody/x", models={"anomaly": "plant.live.nobody"}))
    assert other.facts.volumes == {"plant.live.nobody": None}
    assert other.facts.models == {"plant.live.nobody": None}
    assert ("volume", "plant.live.nobody") in other.facts.missing


def test_rights_that_the_server_does_not_know_of_could_not_be_checked(server: Server) -> None:
    told = gather()
    assert set(told.facts.rights) >= {("table", "plant.live.anomaly_scores"), ("volume", "plant.live.checkpoints")}
    for held in told.facts.rights.values():
        assert isinstance(held, Unknown)
        assert "404" in held.because
    assert {one.check for one in of_workspace(told.facts, told.entries)} == {"rights"}


def test_without_a_name_of_the_principal_nobody_is_taken_for_it(server: Server) -> None:
    told = gather(replace(JOB, principal=None))
    assert isinstance(told.facts.principal, Unknown)
    assert isinstance(told.skew, Unknown)
    assert all(isinstance(held, Unknown) for held in told.facts.rights.values())


def test_the_server_refuses_a_table_outside_of_its_locations_and_preflight_finds_one(server: Server) -> None:
    place = server.place("elsewhere/anomaly_scores")
    assert server.table("stray", place).status_code == 400
    told = gather()
    moved = Entry("plant.live.anomaly_scores", "external", place)
    assert found(replace(told, entries={**told.entries, "anomaly_scores": moved})) == [
        ("location.outside-external-location", "table plant.live.anomaly_scores")
    ]


def test_other_tables_of_the_schema_are_told_over_all_pages(server: Server) -> None:
    for number in range(130):
        assert server.table(f"other_{number:03}", server.place(f"tables/other_{number:03}")).ok
    told = gather()
    assert not isinstance(told.others, Unknown)
    others = sorted(one.name for one in told.others if "other_" in one.name)
    assert others == [f"plant.live.other_{number:03}" for number in range(130)]


def test_a_small_page_leads_to_the_next_one(server: Server) -> None:
    client = module.connect(None, Patience())
    assert isinstance(client, WorkspaceReader)
    listed = client.listed("/api/2.1/unity-catalog/external-locations", "external_locations", max_results=1)
    assert sorted(record["name"] for record in listed) == ["old", "tables"]


def test_a_server_that_stops_in_the_midst_is_no_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path) as server:
        sign_in(monkeypatch, server.host)
        ask = module.named

        def stopped(*arguments: object) -> Principal:
            answer = ask(*arguments)  # type: ignore[arg-type]
            server.stop()
            return answer

        monkeypatch.setattr(module, "named", stopped)
        told = WorkspaceRegistered(patience=Patience(1, 2)).gather(JOB)
    assert found(told) == []
    assert all(isinstance(entry, Unknown) for entry in told.entries.values())
    assert isinstance(told.facts.external_locations, Unknown)
    assert {one.check for one in of_workspace(told.facts, told.entries)} >= {"location", "rights", "model"}


def test_the_articles_incident_the_entry_at_one_place_and_the_data_at_another(
    server: Server, spark: SparkSession
) -> None:
    registered, real = server.place("old/remaining_life"), server.place("tables/remaining_life")
    spark.range(3).write.format("delta").save(real)
    assert server.table("remaining_life", registered).ok
    meant = replace(expected_of([BY_NAME["remaining_life"]], server.place("tables")), principal=PRINCIPAL)

    def found() -> list[Finding]:
        told = gather(meant)
        entry = told.entries["remaining_life"]
        assert isinstance(entry, Entry)
        assert entry.location is not None
        places = {canonical(at): table_at(spark, at) for at in (entry.location, real)}
        facts = Facts(meant, {"remaining_life": entry}, places, {}, workspace=told.facts)
        return [one for one in location.check(facts) if one.subject == "plant.live.remaining_life"]

    (finding,) = found()
    assert finding.check == "location.nothing-there"
    assert registered in finding.found
    assert same_place(finding.expected.removeprefix("the catalog says "), real)
    assert finding.command is not None
    assert finding.command.startswith("ALTER TABLE plant.live.remaining_life SET LOCATION ")
    assert names_at(spark, registered) == [], "looking makes no table"
    # The statement is one of SQL, which this server does not speak: the entry is made anew.
    assert server.remove("tables/plant.live.remaining_life").ok
    assert server.table("remaining_life", real).ok
    assert found() == []
