"""What a workspace tells is told on; what it does not tell is no pass."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from werkzeug import Request, Response

from dev.tests.preflight.double import (
    PRINCIPAL,
    TOKEN,
    UNITY,
    Double,
    answer,
    external,
    fill,
    refusal,
)
from dev.tests.preflight.jobs import expected_of
from sensor_streams.errors import ConfigurationError
from sensor_streams.preflight.facts import Entry, Expected, Facts, Unknown
from sensor_streams.preflight.findings import NOT_CHECKED, Finding, Report, Unchecked
from sensor_streams.preflight.unchecked import of_facts
from sensor_streams.streams import BY_NAME
from sensor_streams_dev.preflight.checks import reach, rights
from sensor_streams_dev.preflight.workspace_client import Patience
from sensor_streams_dev.preflight.workspace_objects import Registered, WorkspaceRegistered

MEANT = expected_of()
# Of a smaller job: one stream with a model.
SMALL = expected_of([BY_NAME["anomaly_scores"]])


def gather(meant: Expected, **how: object) -> Registered:
    return WorkspaceRegistered(patience=Patience(10, 20), **how).gather(meant)  # type: ignore[arg-type]


def judged(meant: Expected, told: Registered) -> tuple[list[Finding], list[Unchecked]]:
    """Findings and what could not be checked."""
    facts = Facts(meant, told.entries, {}, {}, told.others, told.facts)
    return [*rights.check(facts), *reach.check(facts)], list(of_facts(facts))


def test_a_workspace_that_is_as_it_should_be_is_silent(double: Double) -> None:
    fill(double, MEANT)
    told = gather(MEANT)
    assert judged(MEANT, told) == ([], [])
    assert told.entries["alerts"] == Entry("plant.live.alerts", "external", "s3://bucket/tables/alerts")
    assert told.facts.models == {"plant.live.anomaly": "3", "plant.live.remaining_life": "3"}
    assert told.facts.volumes["plant.live.landing"] == "s3://bucket/volumes/plant.live.landing"
    assert told.facts.principal == PRINCIPAL
    assert isinstance(told.skew, float)
    assert abs(told.skew) < 30


def test_each_object_is_asked_for_once_by_get_within_3_s_when_an_answer_takes_50_ms(double: Double) -> None:
    fill(double, MEANT)
    double.delay = 0.05
    begin = time.monotonic()
    told = gather(MEANT)
    seconds = time.monotonic() - begin
    assert judged(MEANT, told) == ([], [])
    assert {method for method, _ in double.calls} == {"GET"}
    assert [path for path, count in Counter(double.asked()).items() if count > 1] == []
    # Who asks, three lists, and for catalog, schema, ten tables, two volumes and two models: the object and the rights.
    assert len(double.asked()) == 1 + 3 + 2 * (1 + 1 + 10 + 2 + 2)
    assert seconds < 3, f"{len(double.calls)} calls took {seconds:.1f} s"


def test_all_pages_of_a_listing_are_read(double: Double) -> None:
    fill(double, MEANT)
    key, tables = double.lists[f"{UNITY}/tables"]
    double.lists[f"{UNITY}/tables"] = key, [*tables, *(external(f"plant.live.x{n}", f"s3://x/{n}") for n in range(25))]
    places = [{"name": f"place{n}", "url": f"s3://bucket{n}/"} for n in range(25)]
    double.lists[f"{UNITY}/external-locations"][1][:0] = places
    double.page = 7
    told = gather(MEANT)
    assert not isinstance(told.others, Unknown)
    assert sorted(other.name for other in told.others) == sorted(f"plant.live.x{n}" for n in range(25))
    assert judged(MEANT, told) == ([], [])


def test_a_table_without_an_entry_is_one_to_make_and_takes_the_rights_for_that(double: Double) -> None:
    fill(double, MEANT)
    del double.records[f"{UNITY}/tables/plant.live.alerts"]
    double.grants["schema", "plant.live"][PRINCIPAL] = ["USE_SCHEMA"]
    double.grants["external_location", "tables"][PRINCIPAL] = ["READ_FILES"]
    told = gather(MEANT)
    assert told.entries["alerts"] is None
    findings, unchecked = judged(MEANT, told)
    assert [(one.check, one.command) for one in findings] == [
        ("rights.missing", "GRANT CREATE TABLE ON SCHEMA `plant`.`live` TO `runner@example.org`"),
        (
            "rights.missing",
            "GRANT CREATE EXTERNAL TABLE, WRITE FILES ON EXTERNAL LOCATION `tables` TO `runner@example.org`",
        ),
    ]
    assert unchecked == []


@pytest.mark.parametrize(
    ("what", "privilege", "command"),
    [
        (("catalog", "plant"), "USE_CATALOG", "GRANT USE CATALOG ON CATALOG `plant` TO"),
        (("schema", "plant.live"), "USE_SCHEMA", "GRANT USE SCHEMA ON SCHEMA `plant`.`live` TO"),
        (("table", "plant.live.alerts"), "MODIFY", "GRANT MODIFY ON TABLE `plant`.`live`.`alerts` TO"),
        (("table", "plant.live.readings"), "SELECT", "GRANT SELECT ON TABLE `plant`.`live`.`readings` TO"),
        (
            ("volume", "plant.live.checkpoints"),
            "WRITE_VOLUME",
            "GRANT WRITE VOLUME ON VOLUME `plant`.`live`.`checkpoints` TO",
        ),
        (("volume", "plant.live.landing"), "READ_VOLUME", "GRANT READ VOLUME ON VOLUME `plant`.`live`.`landing` TO"),
        (("function", "plant.live.anomaly"), "EXECUTE", "GRANT EXECUTE ON FUNCTION `plant`.`live`.`anomaly` TO"),
    ],
)
def test_each_privilege_that_lacks_is_found_with_the_statement_that_grants_it(
    double: Double, what: tuple[str, str], privilege: str, command: str
) -> None:
    fill(double, MEANT)
    double.grants[what][PRINCIPAL].remove(privilege)
    findings, unchecked = judged(MEANT, gather(MEANT))
    assert [(one.check, one.severity, one.command) for one in findings] == [
        ("rights.missing", "error", f"{command} `{PRINCIPAL}`")
    ]
    assert unchecked == []


@pytest.mark.parametrize("group", ["streamers", "account users"])
def test_a_right_that_comes_through_a_group_is_a_right(double: Double, group: str) -> None:
    fill(double, MEANT)
    double.grants["table", "plant.live.alerts"] = {PRINCIPAL: ["SELECT"], group: ["MODIFY"]}
    assert judged(MEANT, gather(MEANT)) == ([], [])


@pytest.mark.parametrize("owner", [PRINCIPAL, "streamers"])
def test_who_owns_a_table_lacks_nothing_on_it(double: Double, owner: str) -> None:
    fill(double, MEANT)
    double.grants["table", "plant.live.alerts"] = {}
    double.records[f"{UNITY}/tables/plant.live.alerts"]["owner"] = owner
    assert judged(MEANT, gather(MEANT)) == ([], [])


def test_the_rights_are_those_of_the_principal_that_the_job_runs_as(double: Double) -> None:
    application = "0b8c2d3e-0000-4000-8000-0123456789ab"
    meant = replace(MEANT, principal=application)
    fill(double, meant)
    double.lists["/api/2.0/preview/scim/v2/ServicePrincipals"] = (
        "Resources",
        [{"applicationId": application, "groups": [{"display": "jobs"}]}],
    )
    held = double.grants
    double.grants = {what: {"jobs": of[PRINCIPAL]} for what, of in held.items()}
    assert judged(meant, gather(meant)) == ([], [])
    double.grants["table", "plant.live.alerts"] = {PRINCIPAL: ["SELECT", "MODIFY"]}
    findings, unchecked = judged(meant, gather(meant))
    assert [(one.subject, one.found) for one in findings] == [
        (f"{application} on table plant.live.alerts", "no privilege")
    ]
    assert unchecked == []


def test_a_right_that_lacks_is_not_known_when_the_groups_are_not(double: Double) -> None:
    meant = replace(MEANT, principal="somebody@example.org")
    fill(double, meant)
    findings, unchecked = judged(meant, gather(meant))
    assert findings == []
    assert {one.check for one in unchecked} == {"rights"}
    assert "groups of somebody@example.org are not known" in unchecked[0].because


def test_places_outside_and_under_read_only_locations_are_found(double: Double) -> None:
    fill(double, MEANT)
    double.records[f"{UNITY}/tables/plant.live.alerts"]["storage_location"] = "s3://bucket/tables2/alerts"
    double.lists[f"{UNITY}/external-locations"][1].append(
        {"name": "old", "url": "s3://bucket/tables/readings/", "credential_name": "keys", "read_only": True}
    )
    findings, unchecked = judged(MEANT, gather(MEANT))
    assert [(one.check, one.subject) for one in findings] == [
        ("location.read-only", "table plant.live.readings"),
        ("location.outside-external-location", "table plant.live.alerts"),
    ]
    assert unchecked == []


def test_a_credential_that_only_reads_makes_its_location_read_only(double: Double) -> None:
    fill(double, SMALL)
    double.lists[f"{UNITY}/credentials"] = ("credentials", [{"name": "keys", "read_only": True}])
    findings, _ = judged(SMALL, gather(SMALL))
    assert [(one.check, one.subject) for one in findings] == [("location.read-only", "table plant.live.anomaly_scores")]
    assert "credential keys, which only reads" in findings[0].found


def test_who_may_see_no_external_location_has_not_checked_the_places(double: Double) -> None:
    fill(double, MEANT)
    double.lists[f"{UNITY}/external-locations"] = ("external_locations", [])
    findings, unchecked = judged(MEANT, gather(MEANT))
    assert findings == []
    assert [one.subject for one in unchecked] == ["external locations"]


@pytest.mark.parametrize("gone", ["catalogs/plant", "volumes/plant.live.landing"])
def test_a_catalog_or_volume_that_is_not_there_is_found(double: Double, gone: str) -> None:
    fill(double, MEANT)
    del double.records[f"{UNITY}/{gone}"]
    findings, unchecked = judged(MEANT, gather(MEANT))
    assert [one.check for one in findings] == ["location.no-object"]
    assert unchecked == []


def test_only_the_write_test_that_was_asked_for_is_more_than_a_get(double: Double) -> None:
    fill(double, MEANT)
    bodies = []

    def test(body: object) -> object:
        bodies.append(body)
        operations = {"LIST": "PASS", "READ": "PASS", "WRITE": "FAIL", "DELETE": "SKIP"}
        return {"results": [{"operation": name, "result": told, "message": ""} for name, told in operations.items()]}

    double.posts[f"{UNITY}/validate-storage-credentials"] = test
    findings, unchecked = judged(MEANT, gather(MEANT, probe_write=True))
    assert [method for method, _ in double.calls if method != "GET"] == ["POST"]
    assert bodies == [{"storage_credential_name": "keys", "external_location_name": "tables"}]
    assert [(one.check, one.found) for one in findings] == [("location.no-write", "WRITE fails")]
    assert unchecked == []


@pytest.mark.parametrize(
    "spoilt", [{}, {"results": []}, {"results": [{"operation": "READ", "result": "PASS"}]}, {"results": 5}]
)
def test_a_write_test_that_tells_nothing_of_writing_is_no_pass(double: Double, spoilt: object) -> None:
    fill(double, SMALL)
    double.posts[f"{UNITY}/validate-storage-credentials"] = lambda _: spoilt
    findings, unchecked = judged(SMALL, gather(SMALL, probe_write=True))
    assert findings == []
    assert [one.check for one in unchecked] == ["location.no-write"]


def test_a_wait_that_the_workspace_asks_for_is_kept(double: Double) -> None:
    fill(double, SMALL)
    path, times = f"{UNITY}/tables/plant.live.anomaly_scores", []

    def once(request: Request) -> Response:
        times.append(time.monotonic())
        if len(times) == 1:
            return refusal(429, "REQUEST_LIMIT_EXCEEDED", "slow down", Retry_After="1")
        return answer(double.records[path])

    double.faults[path] = once
    assert judged(SMALL, gather(SMALL)) == ([], [])
    assert times[1] - times[0] >= 1


def test_no_secret_is_in_what_is_told(double: Double) -> None:
    fill(double, SMALL)
    other = "dapi0123456789abcdef0123456789abcdef"
    for path in double.records:
        double.faults[path] = lambda _: refusal(403, "PERMISSION_DENIED", f"Bearer {other} and {TOKEN} may not")
    _, unchecked = judged(SMALL, gather(SMALL))
    assert any("and … may not" in one.because for one in unchecked)
    assert TOKEN not in str(unchecked)
    assert other not in str(unchecked)


def test_wrong_credentials_no_host_and_no_credentials_are_no_pass(
    double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(double, SMALL)
    monkeypatch.setenv("DATABRICKS_TOKEN", "another")
    refused = gather(SMALL)
    monkeypatch.setenv("DATABRICKS_HOST", "http://127.0.0.1:1")
    unreachable = WorkspaceRegistered(patience=Patience(0.5, 1)).gather(SMALL)
    monkeypatch.delenv("DATABRICKS_TOKEN")
    none = gather(SMALL)
    for told, because in ((refused, "401"), (unreachable, "it cannot be reached"), (none, "databricks auth login")):
        findings, unchecked = judged(SMALL, told)
        assert findings == []
        assert all(isinstance(entry, Unknown) for entry in told.entries.values())
        assert all(isinstance(held, Unknown) for held in told.facts.rights.values())
        assert any(because in one.because for one in unchecked), unchecked


def test_a_profile_that_is_not_there_is_wrong_use(double: Double) -> None:
    with pytest.raises(ConfigurationError, match="nobody"):
        gather(SMALL, profile="nobody")


# Each of these spoils one answer. The first ones are told at once, the others take time to be seen.
FAULTS: Mapping[str, Callable[[Double, Request], Response]] = {
    "400": lambda *_: refusal(400, "INVALID_PARAMETER_VALUE", "no"),
    "401": lambda *_: refusal(401, "UNAUTHENTICATED", "no"),
    "403": lambda *_: refusal(403, "PERMISSION_DENIED", "no"),
    "404 of no object": lambda *_: refusal(404, "ENDPOINT_NOT_FOUND", "no API"),
    "404 of a proxy": lambda *_: Response("<html>Not Found</html>", 404),
    "404 without a body": lambda *_: Response("", 404),
    "404 of the metastore": lambda *_: refusal(404, "METASTORE_DOES_NOT_EXIST", "no metastore"),
    "429": lambda *_: refusal(429, "REQUEST_LIMIT_EXCEEDED", "slow down", Retry_After="3600"),
    "500": lambda *_: refusal(500, "INTERNAL_ERROR", "no"),
    "502": lambda *_: Response("<html>Bad Gateway</html>", 502),
    "503": lambda *_: refusal(503, "TEMPORARILY_UNAVAILABLE", "later", Retry_After="3600"),
    "504": lambda *_: Response("", 504),
    "418": lambda *_: refusal(418, "TEAPOT", "no"),
    "cut": lambda *_: Response(b'{"full_name": "plant.li', headers={"Content-Length": "900"}),
    "half": lambda *_: Response('{"full_name": "plant.li'),
    "a page": lambda *_: Response("<html>sign in</html>"),
    "bytes": lambda *_: Response(b"\xff\xfe\x00{"),
    "a list": lambda *_: answer(["no"]),
    "a text": lambda *_: answer("no"),
    "a number": lambda *_: answer(7),
    "other types": lambda *_: answer(
        {"full_name": 5, "name": [], "userName": {}, "tables": 5, "external_locations": "no", "credentials": {"a": 1},
         "privilege_assignments": 7}
    ),
    "other records": lambda *_: answer(
        {"full_name": None, "name": None, "tables": [None], "external_locations": [["no"]], "credentials": ["no"],
         "privilege_assignments": [{"privileges": [{"privilege": 4}]}]}
    ),
    "a circle of pages": lambda *_: answer({"next_page_token": "again"}),
    "endless pages": lambda _, request: answer({"next_page_token": f"{request.args.get('page_token', '')}x"}),
}  # fmt: skip
SLOW: Mapping[str, Callable[[Double, Request], Response]] = {
    "silence": lambda double, _: Response(str(double.ended.wait(30))),
    "a byte at a time": lambda double, _: Response(_drip(double), headers={"Content-Length": "900"}),
}


def _drip(double: Double) -> Iterator[bytes]:
    while not double.ended.wait(0.05):
        yield b" "


PERMISSIONS = f"{UNITY}/effective-permissions"
# What is asked → what is not known when that has no answer.
ASKED: Mapping[str, Callable[[Registered], object]] = {
    f"{UNITY}/tables/plant.live.anomaly_scores": lambda told: told.entries["anomaly_scores"],
    f"{UNITY}/tables/plant.live.device_features": lambda told: told.entries["device_features"],
    f"{UNITY}/volumes/plant.live.checkpoints": lambda told: told.facts.volumes["plant.live.checkpoints"],
    f"{UNITY}/models/plant.live.anomaly": lambda told: told.facts.models["plant.live.anomaly"],
    f"{UNITY}/external-locations": lambda told: told.facts.external_locations,
    f"{UNITY}/credentials": lambda told: told.facts.credentials,
    f"{UNITY}/tables": lambda told: told.others,
    **{
        f"{PERMISSIONS}/{kind}/{name}": lambda told, kind=kind, name=name: told.facts.rights[kind, name]  # type: ignore[misc]
        for kind, name in (
            ("catalog", "plant"),
            ("schema", "plant.live"),
            ("table", "plant.live.anomaly_scores"),
            ("table", "plant.live.device_features"),
            ("volume", "plant.live.checkpoints"),
            ("function", "plant.live.anomaly"),
        )
    },
}


def spoil(double: Double, chosen: Mapping[str, Callable[[Double, Request], Response]]) -> None:
    double.faults = {
        path: lambda request, fault=fault: fault(double, request)  # type: ignore[misc]
        for path, fault in chosen.items()
    }


def test_none_of_200_random_faults_is_taken_for_health_or_ends_in_a_traceback(double: Double) -> None:
    fill(double, SMALL)
    chance, done, kinds = random.Random(7), 0, Counter[str]()
    while done < 184:
        paths = chance.sample(sorted(ASKED), 4)
        names = [chance.choice(sorted(FAULTS)) for _ in paths]
        spoil(double, {path: FAULTS[name] for path, name in zip(paths, names, strict=True)})
        told = gather(SMALL)
        findings, unchecked = judged(SMALL, told)
        silent = [(p, n) for p, n in zip(paths, names, strict=True) if not isinstance(ASKED[p](told), Unknown)]
        assert silent == []
        # What was answered is known all the same.
        rights = {path for path in paths if path.startswith(PERMISSIONS)}
        spoilt = {path.rpartition("/")[2] for path in paths if path not in rights}
        for path, known in ASKED.items():
            if path not in paths and path.rpartition("/")[2] not in spoilt:
                assert not isinstance(known(told), Unknown), (path, paths, names)
        assert Report(findings, unchecked, [], {}, 0.0).exit_code == NOT_CHECKED
        assert len(unchecked) >= len(paths)
        done, kinds = done + len(paths), kinds + Counter(names)
    assert set(kinds) == set(FAULTS)
    for fault in SLOW.values():
        spoil(double, dict.fromkeys(list(ASKED)[:8], fault))
        told = WorkspaceRegistered(patience=Patience(0.4, 1.2)).gather(SMALL)
        findings, unchecked = judged(SMALL, told)
        assert all(isinstance(ASKED[path](told), Unknown) for path in double.faults)
        assert Report(findings, unchecked, [], {}, 0.0).exit_code == NOT_CHECKED
        done += len(double.faults)
    print(f"{done} faults: {dict(kinds)}")
    assert done >= 200


def test_pages_that_lead_in_a_circle_are_not_read_for_long(double: Double) -> None:
    fill(double, SMALL)
    path = f"{UNITY}/external-locations"
    double.faults[path] = lambda _: answer({"next_page_token": "again"})
    told = gather(SMALL).facts.external_locations
    assert isinstance(told, Unknown)
    assert "circle" in told.because
    assert double.asked().count(path) == 2


def test_an_answer_of_another_object_is_no_answer(double: Double) -> None:
    fill(double, SMALL)
    double.records[f"{UNITY}/tables/plant.live.anomaly_scores"]["full_name"] = "plant.live.alerts"
    told = gather(SMALL)
    assert isinstance(told.entries["anomaly_scores"], Unknown)
    assert isinstance(told.facts.rights["table", "plant.live.anomaly_scores"], Unknown)


def test_a_listing_that_is_cut_off_at_a_page_is_not_taken_for_whole(double: Double) -> None:
    fill(double, SMALL)
    double.lists[f"{UNITY}/tables"] = ("tables", double.lists[f"{UNITY}/tables"][1][:1])
    told = gather(SMALL)
    assert isinstance(told.others, Unknown)
    assert "lacks" in told.others.because
