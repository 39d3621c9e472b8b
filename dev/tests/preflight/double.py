"""A workspace over HTTP, in memory: its objects are plain data, and tests can replace any answer by a fault."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from sensor_streams.preflight.facts import Expected
from sensor_streams_dev.preflight.required_privileges import models_of, tables_of, volumes_of

UNITY = "/api/2.1/unity-catalog"
# Without a known format: no token may appear in a message.
TOKEN = "a secret of nobody"
PRINCIPAL = "runner@example.org"
Fault = Callable[[Request], Response]


@dataclass
class Double:
    """A workspace. records: path → object; lists: path → (key, records); grants: (kind, name) → principal → privileges;
    faults: path → faulty answer; calls: method and path of each request, in order."""

    server: HTTPServer
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    lists: dict[str, tuple[str, list[dict[str, Any]]]] = field(default_factory=dict)
    grants: dict[tuple[str, str], dict[str, list[str]]] = field(default_factory=dict)
    posts: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    page: int = 100
    delay: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> str:
        """Address of the server."""
        return self.server.url_for("").rstrip("/")

    def handle(self, request: Request) -> Response:
        """Answer a request."""
        self.calls.append((request.method, request.path))
        if self.delay:
            self.ended.wait(self.delay)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}" and not request.path.startswith("/.well-known"):
            return refusal(401, "UNAUTHENTICATED", f"no such token: {request.headers.get('Authorization')}")
        if request.path in self.faults:
            return self.faults[request.path](request)
        if request.method == "POST" and request.path in self.posts:
            return answer(self.posts[request.path](request.get_json()))
        if request.path in self.records:
            return answer(self.records[request.path])
        if request.path in self.lists:
            key, records = self.lists[request.path]
            return self._page(request, key, records)
        if found := re.fullmatch(f"{UNITY}/effective-permissions/([^/]+)/(.+)", request.path):
            of = self.grants.get((found[1], found[2]), {}).get(request.args["principal"], [])
            given = [{"principal": request.args["principal"], "privileges": [{"privilege": one} for one in of]}]
            return self._page(request, "privilege_assignments", given if of else [])
        if request.path.startswith(UNITY):
            return refusal(404, "RESOURCE_DOES_NOT_EXIST", f"{request.path} does not exist")
        return refusal(404, "ENDPOINT_NOT_FOUND", f"no API at {request.path}")

    def _page(self, request: Request, key: str, records: list[dict[str, Any]]) -> Response:
        begin = int(request.args.get("page_token") or 0)
        page: dict[str, Any] = {key: records[begin : begin + self.page]} if records else {}
        if begin + self.page < len(records):
            page["next_page_token"] = str(begin + self.page)
        return answer(page)

    def paths(self) -> list[str]:
        """Return the requested paths, without those of the SDK itself."""
        return [path for _, path in self.calls if not path.startswith("/.well-known")]


def answer(content: Any) -> Response:
    """Return a 200 with JSON."""
    return Response(json.dumps(content), content_type="application/json")


def refusal(status: int, code: str, message: str, **headers: str) -> Response:
    """Return an error in the format of Databricks."""
    body = json.dumps({"error_code": code, "message": message})
    return Response(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def serving() -> Iterator[HTTPServer]:
    """Start a server on loopback that answers requests in parallel."""
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


@contextmanager
def doubled(server: HTTPServer) -> Iterator[Double]:
    """Put an empty workspace behind the server."""
    double = Double(server)
    server.clear()
    server.expect_request(re.compile(".*")).respond_with_handler(double.handle)
    try:
        yield double
    finally:
        double.ended.set()


def sign_in(patch: pytest.MonkeyPatch, host: str) -> None:
    """Configure the SDK for this workspace only."""
    for name in ("DATABRICKS_CONFIG_PROFILE", "DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"):
        patch.delenv(name, raising=False)
    patch.setenv("DATABRICKS_CONFIG_FILE", "/dev/null")
    patch.setenv("DATABRICKS_HOST", host)
    patch.setenv("DATABRICKS_TOKEN", TOKEN)
    patch.setenv("NO_PROXY", "127.0.0.1")
    # MLflow retries for minutes by default.
    patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def fill(double: Double, expected: Expected, root: str = "s3://bucket/tables") -> None:
    """Add every object of the job: external tables below the root, and all privileges."""
    double.records["/api/2.0/preview/scim/v2/Me"] = {"userName": PRINCIPAL, "groups": [{"display": "streamers"}]}
    held = {
        "catalog": ["USE_CATALOG"],
        "schema": ["USE_SCHEMA", "CREATE_TABLE"],
        "table": ["SELECT", "MODIFY"],
        "volume": ["READ_VOLUME", "WRITE_VOLUME"],
        "function": ["EXECUTE"],
        "external_location": ["CREATE_EXTERNAL_TABLE", "READ_FILES", "WRITE_FILES"],
    }

    def add(kind: str, path: str, full_name: str, record: Mapping[str, Any]) -> None:
        double.records[f"{UNITY}/{path}/{full_name}"] = {"full_name": full_name, "owner": "platform", **record}
        double.grants[kind, full_name] = {PRINCIPAL: list(held[kind])}

    schema = f"{expected.catalog}.{expected.schema}"
    add("catalog", "catalogs", expected.catalog, {"name": expected.catalog})
    add("schema", "schemas", schema, {})
    tables = {table: external(expected.full(table), f"{root}/{table}") for table in tables_of(expected)}
    for table, record in tables.items():
        add("table", "tables", expected.full(table), record)
    for volume in volumes_of(expected):
        add("volume", "volumes", volume, {"storage_location": f"s3://bucket/volumes/{volume}"})
    for model in models_of(expected):
        add("function", "models", model, {"aliases": [{"alias_name": "champion", "version_num": 3}]})
    double.grants["external_location", "tables"] = {PRINCIPAL: list(held["external_location"])}
    double.lists[f"{UNITY}/tables"] = ("tables", list(tables.values()))
    double.lists[f"{UNITY}/external-locations"] = (
        "external_locations",
        [{"name": "tables", "url": root, "credential_name": "keys"}],
    )
    double.lists[f"{UNITY}/credentials"] = ("credentials", [{"name": "keys"}])


def external(name: str, location: str, **more: Any) -> dict[str, Any]:
    """Return the record of an external table."""
    return {
        "full_name": name,
        "table_type": "EXTERNAL",
        "data_source_format": "DELTA",
        "storage_location": location,
        **more,
    }
