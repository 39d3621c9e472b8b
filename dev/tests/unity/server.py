"""A real Unity Catalog server in its own process, on loopback, with its state in memory."""

import base64
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

API = "/api/2.1/unity-catalog"


@dataclass(frozen=True)
class Server:
    """Process and address of the server, and the folder that it may use."""

    process: "subprocess.Popen[bytes]"
    host: str
    folder: Path

    def make(self, kind: str, **record: Any) -> requests.Response:
        """Create an object."""
        return requests.post(f"{self.host}{API}/{kind}", json=record, timeout=30)

    def remove(self, path: str) -> requests.Response:
        """Remove an object, such as `tables/plant.live.readings`."""
        return requests.delete(f"{self.host}{API}/{path}", timeout=30)

    def place(self, name: str) -> str:
        """Return the address of a folder below its own."""
        return (self.folder / name).as_uri()

    def table(self, name: str, location: str) -> requests.Response:
        """Register an external Delta table in plant.live."""
        return self.make(
            "tables",
            name=name,
            catalog_name="plant",
            schema_name="live",
            table_type="EXTERNAL",
            data_source_format="DELTA",
            storage_location=location,
            columns=[],
        )

    def stop(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Start a server with a credential, the external locations `tables` and `old`, and the schema plant.live."""
    binary = os.environ.get("UNITY_SERVER")
    if not binary:
        pytest.fail("UNITY_SERVER is not set: run `make test-unity`, which builds one")
    data = folder / "data"
    for name in ("tables", "old", "elsewhere"):
        (data / name).mkdir(parents=True)
    key = base64.b64encode(os.urandom(32)).decode()
    settings = folder / "server.yml"
    settings.write_text(
        f"local_storage: {{allowed-roots: ['{data}']}}\nencryption: {{active: {{id: test, key: '{key}'}}}}\n", "utf-8"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "serve", "-c", str(settings), "--host", "127.0.0.1", "--port", str(port), "--no-ui"],
            stdout=log,
            stderr=log,
            cwd=folder,
        )
        server = Server(process, f"http://127.0.0.1:{port}", data)
        try:
            _wait(server, folder / "server.log")
            _fill(server)
            yield server
        finally:
            server.stop()


def _wait(server: Server, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if requests.get(f"{server.host}{API}/catalogs", timeout=1).ok:
                return
        except requests.RequestException:
            assert server.process.poll() is None, log.read_text("utf-8")
    pytest.fail(f"the server does not answer: {log.read_text('utf-8')}")


def _fill(server: Server) -> None:
    role = {"role_arn": "arn:aws:iam::123456789012:role/streams"}
    for kind, record in (
        ("credentials", {"name": "keys", "purpose": "STORAGE", "aws_iam_role": role}),
        ("external-locations", {"name": "tables", "url": server.place("tables"), "credential_name": "keys"}),
        ("external-locations", {"name": "old", "url": server.place("old"), "credential_name": "keys"}),
        ("catalogs", {"name": "plant", "storage_root": server.place("old") + "/managed"}),
        ("schemas", {"name": "live", "catalog_name": "plant"}),
    ):
        made = server.make(kind, **record)
        assert made.ok, (kind, made.text)
