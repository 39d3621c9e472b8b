"""Facts of a workspace, and faults: an answer that is missing is never a pass."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

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
from dev.tests.preflight.jobs import expected_of, findings_in
from sensor_streams.errors import ConfigurationError
from sensor_streams.preflight.facts import Entry, Expected, Unknown
from sensor_streams.preflight.findings import NOT_CHECKED, Finding, Report, Unchecked
from sensor_streams.streams import BY_NAME
from sensor_streams_dev.preflight.workspace_client import Timeouts
from sensor_streams_dev.preflight.workspace_facts import FactsInWorkspace, unchecked_in_workspace
from sensor_streams_dev.preflight.workspace_objects import RegisteredObjects, WorkspaceQuery

EXPECTED = expected_of()
# A smaller job: one stream with a model.
SMALL = expected_of([BY_NAME["anomaly_scores"]])


def gather(expected: Expected, *, profile: str | None = None, probe_write: bool = False) -> RegisteredObjects:
    return WorkspaceQuery(profile, Timeouts(10, 20), probe_write).gather(expected)


def judged(expected: Expected, registered: RegisteredObjects) -> tuple[list[Finding], list[Unchecked]]:
    """Return the findings and the unchecked facts."""
    facts = FactsInWorkspace(expected, registered.entries, {}, {}, registered.others, workspace=registered.facts)
    return [*findings_in("rights", facts), *findings_in("location", facts)], list(unchecked_in_workspace(facts))


def test_a_healthy_workspace_has_no_findings(double: Double) -> None:
    fill(double, EXPECTED)
    registered = gather(EXPECTED)
    assert judged(EXPECTED, registered) == ([], [])
    assert registered.entries["alerts"] == Entry("plant.live.alerts", "external", "s3://bucket/tables/alerts")
    assert registered.facts.models == {"plant.live.anomaly": "3", "plant.live.remaining_life": "3"}
    assert registered.facts.volumes["plant.live.landing"] == "s3://bucket/volumes/plant.live.landing"
    assert registered.facts.principal == PRINCIPAL
    assert isinstance(registered.skew, float)
    assert abs(registered.skew) < 30


def test_each_object_is_requested_once_by_get_and_all_within_3_s(double: Double) -> None:
    fill(double, EXPECTED)
    double.delay = 0.05
    begin = time.monotonic()
    registered = gather(EXPECTED)
    seconds = time.monotonic() - begin
    assert judged(EXPECTED, registered) == ([], [])
    assert {method for method, _ in double.calls} == {"GET"}
    assert [path for path, count in Counter(double.paths()).items() if count > 1] == []
    # The caller, three lists; object and privileges of catalog, schema, ten tables, two volumes and two models.
    assert len(double.paths()) == 1 + 3 + 2 * (1 + 1 + 10 + 2 + 2)
    assert seconds < 3, f"{len(double.calls)} calls took {seconds:.1f} s"


def test_all_pages_of_a_listing_are_read(double: Double) -> None:
    fill(double, EXPECTED)
    key, tables = double.lists[f"{UNITY}/tables"]
    double.lists[f"{UNITY}/tables"] = key, [*tables, *(external(f"plant.live.x{n}", f"s3://x/{n}") for n in range(25))]
    places = [{"name": f"place{n}", "url": f"s3://bucket{n}/"} for n in range(25)]
    double.lists[f"{UNITY}/external-locations"][1][:0] = places
    double.page = 7
    registered = gather(EXPECTED)
    assert not isinstance(registered.others, Unknown)
    assert sorted(other.name for other in registered.others) == sorted(f"plant.live.x{n}" for n in range(25))
    assert judged(EXPECTED, registered) == ([], [])


def test_a_new_table_needs_the_privileges_to_create_it(double: Double) -> None:
    fill(double, EXPECTED)
    del double.records[f"{UNITY}/tables/plant.live.alerts"]
    double.grants["schema", "plant.live"][PRINCIPAL] = ["USE_SCHEMA"]
    double.grants["external_location", "tables"][PRINCIPAL] = ["READ_FILES"]
    registered = gather(EXPECTED)
    assert registered.entries["alerts"] is None
    findings, unchecked = judged(EXPECTED, registered)
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
def test_each_missing_privilege_is_found_with_its_grant(
    double: Double, what: tuple[str, str], privilege: str, command: str
) -> None:
    fill(double, EXPECTED)
    double.grants[what][PRINCIPAL].remove(privilege)
    findings, unchecked = judged(EXPECTED, gather(EXPECTED))
    assert [(one.check, one.severity, one.command) for one in findings] == [
        ("rights.missing", "error", f"{command} `{PRINCIPAL}`")
    ]
    assert unchecked == []


@pytest.mark.parametrize("group", ["streamers", "account users"])
def test_privileges_of_a_group_count(double: Double, group: str) -> None:
    fill(double, EXPECTED)
    double.grants["table", "plant.live.alerts"] = {PRINCIPAL: ["SELECT"], group: ["MODIFY"]}
    assert judged(EXPECTED, gather(EXPECTED)) == ([], [])


@pytest.mark.parametrize("owner", [PRINCIPAL, "streamers"])
def test_the_owner_of_a_table_has_every_privilege(double: Double, owner: str) -> None:
    fill(double, EXPECTED)
    double.grants["table", "plant.live.alerts"] = {}
    double.records[f"{UNITY}/tables/plant.live.alerts"]["owner"] = owner
    assert judged(EXPECTED, gather(EXPECTED)) == ([], [])


def test_the_privileges_are_those_of_the_jobs_principal(double: Double) -> None:
    application = "0b8c2d3e-0000-4000-8000-0123456789ab"
    expected = replace(EXPECTED, principal=application)
    fill(double, expected)
    double.lists["/api/2.0/preview/scim/v2/ServicePrincipals"] = (
        "Resources",
        [{"applicationId": application, "groups": [{"display": "jobs"}]}],
    )
    held = double.grants
    double.grants = {what: {"jobs": of[PRINCIPAL]} for what, of in held.items()}
    assert judged(expected, gather(expected)) == ([], [])
    double.grants["table", "plant.live.alerts"] = {PRINCIPAL: ["SELECT", "MODIFY"]}
    findings, unchecked = judged(expected, gather(expected))
    assert [(one.subject, one.found) for one in findings] == [
        (f"{application} on table plant.live.alerts", "no privilege")
    ]
    assert unchecked == []


def test_privileges_are_unknown_if_the_groups_are_unknown(double: Double) -> None:
    expected = replace(EXPECTED, principal="somebody@example.org")
    fill(double, expected)
    findings, unchecked = judged(expected, gather(expected))
    assert findings == []
    assert {one.check for one in unchecked} == {"rights"}
    assert "groups of somebody@example.org are not known" in unchecked[0].because


def test_paths_outside_and_in_read_only_locations_are_found(double: Double) -> None:
    fill(double, EXPECTED)
    double.records[f"{UNITY}/tables/plant.live.alerts"]["storage_location"] = "s3://bucket/tables2/alerts"
    double.lists[f"{UNITY}/external-locations"][1].append(
        {"name": "old", "url": "s3://bucket/tables/readings/", "credential_name": "keys", "read_only": True}
    )
    findings, unchecked = judged(EXPECTED, gather(EXPECTED))
    assert [(one.check, one.subject) for one in findings] == [
        ("location.read-only", "table plant.live.readings"),
        ("location.outside-external-location", "table plant.live.alerts"),
    ]
    assert unchecked == []


def test_a_read_only_credential_makes_its_location_read_only(double: Double) -> None:
    fill(double, SMALL)
    double.lists[f"{UNITY}/credentials"] = ("credentials", [{"name": "keys", "read_only": True}])
    findings, _ = judged(SMALL, gather(SMALL))
    assert [(one.check, one.subject) for one in findings] == [("location.read-only", "table plant.live.anomaly_scores")]
    assert "the read-only credential keys" in findings[0].found


def test_paths_are_unchecked_if_the_caller_sees_no_external_location(double: Double) -> None:
    fill(double, EXPECTED)
    double.lists[f"{UNITY}/external-locations"] = ("external_locations", [])
    findings, unchecked = judged(EXPECTED, gather(EXPECTED))
    assert findings == []
    assert [one.subject for one in unchecked] == ["external locations"]


@pytest.mark.parametrize("gone", ["catalogs/plant", "volumes/plant.live.landing"])
def test_a_missing_catalog_or_volume_is_found(double: Double, gone: str) -> None:
    fill(double, EXPECTED)
    del double.records[f"{UNITY}/{gone}"]
    findings, unchecked = judged(EXPECTED, gather(EXPECTED))
    assert [one.check for one in findings] == ["location.no-object"]
    assert unchecked == []


def test_only_the_write_test_is_a_post(double: Double) -> None:
    fill(double, EXPECTED)
    bodies = []

    def test(body: object) -> object:
        bodies.append(body)
        operations = {"LIST": "PASS", "READ": "PASS", "WRITE": "FAIL", "DELETE": "SKIP"}
        return {
            "results": [{"operation": name, "result": result, "message": ""} for name, result in operations.items()]
        }

    double.posts[f"{UNITY}/validate-storage-credentials"] = test
    findings, unchecked = judged(EXPECTED, gather(EXPECTED, probe_write=True))
    assert [method for method, _ in double.calls if method != "GET"] == ["POST"]
    assert bodies == [{"storage_credential_name": "keys", "external_location_name": "tables"}]
    assert [(one.check, one.found) for one in findings] == [("location.no-write", "WRITE fails")]
    assert unchecked == []


@pytest.mark.parametrize(
    "faulty", [{}, {"results": []}, {"results": [{"operation": "READ", "result": "PASS"}]}, {"results": 5}]
)
def test_a_write_test_without_a_result_for_writing_is_not_a_pass(double: Double, faulty: object) -> None:
    fill(double, SMALL)
    double.posts[f"{UNITY}/validate-storage-credentials"] = lambda _: faulty
    findings, unchecked = judged(SMALL, gather(SMALL, probe_write=True))
    assert findings == []
    assert [one.check for one in unchecked] == ["location.no-write"]


def test_a_retry_after_header_is_respected(double: Double) -> None:
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


def test_no_secret_appears_in_a_message(double: Double) -> None:
    fill(double, SMALL)
    other = "dapi0123456789abcdef0123456789abcdef"
    for path in double.records:
        double.faults[path] = lambda _: refusal(403, "PERMISSION_DENIED", f"Bearer {other} and {TOKEN} may not")
    _, unchecked = judged(SMALL, gather(SMALL))
    assert any("and … may not" in one.because for one in unchecked)
    assert TOKEN not in str(unchecked)
    assert other not in str(unchecked)


def test_wrong_or_missing_credentials_and_an_unreachable_host_are_not_a_pass(
    double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(double, SMALL)
    monkeypatch.setenv("DATABRICKS_TOKEN", "another")
    refused = gather(SMALL)
    monkeypatch.setenv("DATABRICKS_HOST", "http://127.0.0.1:1")
    unreachable = WorkspaceQuery(timeouts=Timeouts(0.5, 1)).gather(SMALL)
    monkeypatch.delenv("DATABRICKS_TOKEN")
    none = gather(SMALL)
    for registered, because in (
        (refused, "401"),
        (unreachable, "it cannot be reached"),
        (none, "databricks auth login"),
    ):
        findings, unchecked = judged(SMALL, registered)
        assert findings == []
        assert all(isinstance(entry, Unknown) for entry in registered.entries.values())
        assert all(isinstance(held, Unknown) for held in registered.facts.rights.values())
        assert any(because in one.because for one in unchecked), unchecked


def test_an_unknown_profile_is_a_configuration_error(double: Double) -> None:
    with pytest.raises(ConfigurationError, match="nobody"):
        gather(SMALL, profile="nobody")


# Faults of one answer. Those of SLOW take time.
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


def rights_in(kind: str, name: str, registered: RegisteredObjects) -> object:
    return registered.facts.rights[kind, name]


PERMISSIONS = f"{UNITY}/effective-permissions"
# Request → fact that is unknown without its answer.
QUERIES: Mapping[str, Callable[[RegisteredObjects], object]] = {
    f"{UNITY}/tables/plant.live.anomaly_scores": lambda registered: registered.entries["anomaly_scores"],
    f"{UNITY}/tables/plant.live.device_features": lambda registered: registered.entries["device_features"],
    f"{UNITY}/volumes/plant.live.checkpoints": lambda registered: registered.facts.volumes["plant.live.checkpoints"],
    f"{UNITY}/models/plant.live.anomaly": lambda registered: registered.facts.models["plant.live.anomaly"],
    f"{UNITY}/external-locations": lambda registered: registered.facts.external_locations,
    f"{UNITY}/credentials": lambda registered: registered.facts.credentials,
    f"{UNITY}/tables": lambda registered: registered.others,
    **{
        f"{PERMISSIONS}/{kind}/{name}": partial(rights_in, kind, name)
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


def break_answers(double: Double, chosen: Mapping[str, Callable[[Double, Request], Response]]) -> None:
    double.faults = {path: partial(fault, double) for path, fault in chosen.items()}


def test_200_random_faults_are_neither_healthy_nor_a_traceback(double: Double) -> None:
    fill(double, SMALL)
    chance, done, kinds = random.Random(7), 0, Counter[str]()
    while done < 184:
        paths = chance.sample(sorted(QUERIES), 4)
        names = [chance.choice(sorted(FAULTS)) for _ in paths]
        break_answers(double, {path: FAULTS[name] for path, name in zip(paths, names, strict=True)})
        registered = gather(SMALL)
        findings, unchecked = judged(SMALL, registered)
        silent = [(p, n) for p, n in zip(paths, names, strict=True) if not isinstance(QUERIES[p](registered), Unknown)]
        assert silent == []
        # Other answers are known.
        rights = {path for path in paths if path.startswith(PERMISSIONS)}
        unknown = {path.rpartition("/")[2] for path in paths if path not in rights}
        for path, known in QUERIES.items():
            if path not in paths and path.rpartition("/")[2] not in unknown:
                assert not isinstance(known(registered), Unknown), (path, paths, names)
        assert Report(findings, unchecked, {}).exit_code == NOT_CHECKED
        assert len(unchecked) >= len(paths)
        done, kinds = done + len(paths), kinds + Counter(names)
    assert set(kinds) == set(FAULTS)
    for fault in SLOW.values():
        break_answers(double, dict.fromkeys(list(QUERIES)[:8], fault))
        registered = WorkspaceQuery(timeouts=Timeouts(0.4, 1.2)).gather(SMALL)
        findings, unchecked = judged(SMALL, registered)
        assert all(isinstance(QUERIES[path](registered), Unknown) for path in double.faults)
        assert Report(findings, unchecked, {}).exit_code == NOT_CHECKED
        done += len(double.faults)
    print(f"{done} faults: {dict(kinds)}")
    assert done >= 200


def test_repeating_pages_are_read_twice(double: Double) -> None:
    fill(double, SMALL)
    path = f"{UNITY}/external-locations"
    double.faults[path] = lambda _: answer({"next_page_token": "again"})
    registered = gather(SMALL).facts.external_locations
    assert isinstance(registered, Unknown)
    assert "repeat" in registered.because
    assert double.paths().count(path) == 2


def test_an_answer_about_another_object_is_unknown(double: Double) -> None:
    fill(double, SMALL)
    double.records[f"{UNITY}/tables/plant.live.anomaly_scores"]["full_name"] = "plant.live.alerts"
    registered = gather(SMALL)
    assert isinstance(registered.entries["anomaly_scores"], Unknown)
    assert isinstance(registered.facts.rights["table", "plant.live.anomaly_scores"], Unknown)


def test_an_incomplete_list_is_unknown(double: Double) -> None:
    fill(double, SMALL)
    double.lists[f"{UNITY}/tables"] = ("tables", double.lists[f"{UNITY}/tables"][1][:1])
    registered = gather(SMALL)
    assert isinstance(registered.others, Unknown)
    assert "incomplete" in registered.others.because
