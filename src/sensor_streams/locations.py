"""One spelling for all the spellings of a place: what Spark, Unity Catalog, Hadoop and people write for one folder.

Spark and Delta print the characters of a path as they are (`file:/x/a b`, seen with DESCRIBE DETAIL and DESCRIBE
EXTENDED of Spark 4.1); Java's and a REST server's URIs have them encoded (`file:///x/a%20b`).
"""

import os
import re
from contextlib import suppress
from posixpath import normpath
from urllib.parse import unquote

# A single letter before a colon is no scheme that any store has.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?=/)(?://([^/]*))?(.*)", re.DOTALL)
# Catalog, schema and name of a volume.
_VOLUME = re.compile(r"(/Volumes)((?:/[^/]+){0,3})(?=/|$)")
_HOST = re.compile(r"(.*?)(?::(\d*))?", re.DOTALL)
_ESCAPE = re.compile(r"%(?=[0-9A-Fa-f]{2})")

# Hadoop's connectors of one store have names of their own; the one that stands for all of them.
_SAME_STORE = {"s3a": "s3", "s3n": "s3", "abfs": "abfss", "wasb": "abfss", "wasbs": "abfss"}
_DEFAULT_PORTS = {"s3": ("80", "443"), "abfss": ("80", "443"), "gs": ("80", "443"), "hdfs": ("8020",)}


def canonical(location: str) -> str:
    """The one spelling of a place, for comparison and as a key; equal for two spellings of one place.

    Scheme, bucket, host and the names of a volume lose their case; keys and folders keep it, and their bytes: object
    stores are exact, so `ü` of one character and of two are two keys. `.`, `..`, `//` and a slash at the end go, as
    Hadoop's `Path` has it. Escapes (`%20`) are undone; on this machine a folder that is there under the name as it
    stands goes before that, and links are followed. A path without a scheme is one of this machine, and has no
    escapes; below `/Volumes` it is a volume. What is no absolute place comes back as it is.
    """
    found = _ADDRESS.fullmatch(location)
    if found is None:
        return _of_machine(normpath(location), None) if location.startswith("/") else location
    scheme, authority, path = found.group(1).lower(), found.group(2) or "", found.group(3)
    scheme = _SAME_STORE.get(scheme, scheme)
    decoded = _normal(_decoded(path))
    if scheme in ("file", "dbfs") and authority.lower() in ("", "localhost"):
        return _of_machine(_normal(path), decoded) if scheme == "file" else _escaped(f"dbfs:{_volume(decoded)}")
    return f"{scheme}://{_authority(scheme, authority)}{_escaped(decoded).rstrip('/')}"


def same_place(a: str, b: str) -> bool:
    """True when two spellings mean one place."""
    return canonical(a) == canonical(b)


def inside(child: str, parent: str) -> bool:
    """True when a place lies within another one, and is not that one: by folders, so `/a/bc` is not inside `/a/b`."""
    within, around = canonical(child), canonical(parent)
    return within != around and within.startswith(f"{around.rstrip('/')}/")


def _normal(path: str) -> str:
    """A path as Hadoop has it; `..` that leads above the root stays, for a store has keys of that name."""
    up = 0
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part == "..":
            up += 1
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join([".."] * up + parts)


def _of_machine(path: str, decoded: str | None) -> str:
    """A folder of this machine; `decoded`: what it is when its escapes are undone, None for a plain path."""
    path = "/" + path.lstrip("/")
    if decoded is not None and decoded != path:
        as_it_stands, undone = _depth(path), _depth(decoded)
        if undone > as_it_stands or (undone == as_it_stands and not os.path.lexists(path)):
            path = decoded
    # On a cluster a volume is also a folder of the machine.
    if _VOLUME.match(path):
        return _escaped(f"dbfs:{_volume(path)}")
    path = normpath(path)
    # What cannot be a name here (a NUL, half a character) has no links either.
    with suppress(ValueError):
        path = os.path.realpath(path)
    return _escaped(f"file:/{path.lstrip('/')}")


def _depth(path: str) -> int:
    """How many folders of a path are there, from the root on."""
    parts = path.split("/")
    for end in range(len(parts), 1, -1):
        ahead = "/".join(parts[:end])
        if os.path.lexists(ahead):
            return end
    return 1


def _volume(path: str) -> str:
    """Names of catalog, schema and volume have no case; what lies in a volume has."""
    return _VOLUME.sub(lambda found: found[1] + found[2].lower(), path, count=1) if _VOLUME.match(path) else path


def _authority(scheme: str, authority: str) -> str:
    """Bucket, or container and account, without a default port; of an Azure account the name that Delta's has."""
    # `s3a://key:secret@bucket` is a form of old, and neither belongs into a message.
    name, at, host_and_port = _decoded(authority).lower().rpartition("@")
    found = _HOST.fullmatch(host_and_port)
    assert found is not None, "it takes any text"
    host, port = found.groups()
    if port and port not in _DEFAULT_PORTS.get(scheme, ()):
        host = f"{host}:{port}"
    if scheme != "abfss":
        return host
    account, dot, rest = host.partition(".")
    labels = ["dfs" if label == "blob" else label for label in rest.split(".")]
    return f"{name}{at}{account}{dot}{'.'.join(labels)}"


def _decoded(text: str) -> str:
    # Bytes that are no UTF-8 stay what they are: replaced, two keys would become one.
    return unquote(text, errors="surrogateescape")


def _escaped(text: str) -> str:
    """What can be read once more with the same result: a percent sign of a name is not the begin of an escape."""
    text = _ESCAPE.sub("%25", text)
    return "".join(f"%{ord(c) - 0xDC00:02X}" if "\udc80" <= c <= "\udcff" else c for c in text)
