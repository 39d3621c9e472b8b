"""Compare paths in all the spellings that Spark, Unity Catalog, Hadoop and people use.

Spark and Delta print the characters of a path unencoded (`file:/x/a b`, seen in DESCRIBE DETAIL and DESCRIBE EXTENDED
of Spark 4.1). URIs of Java and of REST servers are percent-encoded (`file:///x/a%20b`).
"""

import os
import re
from contextlib import suppress
from posixpath import normpath
from urllib.parse import unquote

# A scheme has at least two letters.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?=/)(?://([^/]*))?(.*)", re.DOTALL)
# Catalog, schema and name of a volume.
_VOLUME = re.compile(r"(/Volumes)((?:/[^/]+){0,3})(?=/|$)")
_HOST = re.compile(r"(.*?)(?::(\d*))?", re.DOTALL)
_ESCAPE = re.compile(r"%(?=[0-9A-Fa-f]{2})")

# Schemes of Hadoop's connectors → one scheme for each store.
_SAME_STORE = {"s3a": "s3", "s3n": "s3", "abfs": "abfss", "wasb": "abfss", "wasbs": "abfss"}
_DEFAULT_PORTS = {"s3": ("80", "443"), "abfss": ("80", "443"), "gs": ("80", "443"), "hdfs": ("8020",)}


def canonical(location: str) -> str:
    """Return one spelling for all spellings of a path, for comparison and as a key.

    - Scheme, bucket, host and the names of a volume are case-insensitive. Keys and folders are not, and their Unicode
      is not normalised, because object stores compare bytes.
    - `.`, `..`, `//` and a slash at the end are resolved as in Hadoop's `Path`.
    - Percent-encoding is decoded. On this machine an existing folder with the undecoded name comes first, and links are
      followed.
    - A path without a scheme is on this machine and not encoded; below `/Volumes` it is a volume.

    A relative path is returned unchanged.
    """
    found = _ADDRESS.fullmatch(location)
    if found is None:
        return _on_machine(normpath(location), None) if location.startswith("/") else location
    scheme, authority, path = found.group(1).lower(), found.group(2) or "", found.group(3)
    scheme = _SAME_STORE.get(scheme, scheme)
    decoded = _normal(_decoded(path))
    if scheme in ("file", "dbfs") and authority.lower() in ("", "localhost"):
        return _on_machine(_normal(path), decoded) if scheme == "file" else _escaped(f"dbfs:{_volume(decoded)}")
    return f"{scheme}://{_authority(scheme, authority)}{_escaped(decoded).rstrip('/')}"


def same_place(a: str, b: str) -> bool:
    """Return True if both are spellings of one path."""
    return canonical(a) == canonical(b)


def inside(child: str, parent: str) -> bool:
    """Return True if a path is below another one. `/a/bc` is not inside `/a/b`."""
    within, around = canonical(child), canonical(parent)
    return within != around and within.startswith(f"{around.rstrip('/')}/")


def _normal(path: str) -> str:
    """Resolve a path as Hadoop does. `..` above the root stays, because a store can have such keys."""
    above = 0
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part == "..":
            above += 1
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join([".."] * above + parts)


def _on_machine(path: str, decoded: str | None) -> str:
    """Return the spelling of a folder of this machine. decoded: the decoded path, None for a plain path."""
    path = "/" + path.lstrip("/")
    if decoded is not None and decoded != path:
        depth, depth_decoded = _existing_depth(path), _existing_depth(decoded)
        if depth_decoded > depth or (depth_decoded == depth and not os.path.lexists(path)):
            path = decoded
    # On a cluster a volume is also a folder.
    if _VOLUME.match(path):
        return _escaped(f"dbfs:{_volume(path)}")
    path = normpath(path)
    # A name that this machine cannot have (with NUL, or half a character) has no links.
    with suppress(ValueError):
        path = os.path.realpath(path)
    return _escaped(f"file:/{path.lstrip('/')}")


def _existing_depth(path: str) -> int:
    """Return how many parts of a path exist, counted from the root."""
    parts = path.split("/")
    return next((end for end in range(len(parts), 1, -1) if os.path.lexists("/".join(parts[:end]))), 1)


def _volume(path: str) -> str:
    """Convert the names of catalog, schema and volume to lower case."""
    return _VOLUME.sub(lambda found: found[1] + found[2].lower(), path, count=1) if _VOLUME.match(path) else path


def _authority(scheme: str, authority: str) -> str:
    """Return bucket, or container and account, without a default port; an Azure account with its `dfs` host."""
    # Drop the credentials of the old spelling `s3a://key:secret@bucket`: they must not appear in a message.
    name, at, host_and_port = _decoded(authority).lower().rpartition("@")
    found = _HOST.fullmatch(host_and_port)
    assert found is not None, "it matches any text"
    host, port = found.groups()
    if port and port not in _DEFAULT_PORTS.get(scheme, ()):
        host = f"{host}:{port}"
    if scheme != "abfss":
        return host
    account, dot, rest = host.partition(".")
    labels = ["dfs" if label == "blob" else label for label in rest.split(".")]
    return f"{name}{at}{account}{dot}{'.'.join(labels)}"


def _decoded(text: str) -> str:
    # Keep bytes that are not UTF-8: replaced, two keys would become one.
    return unquote(text, errors="surrogateescape")


def _escaped(text: str) -> str:
    """Encode percent signs of a name, so that decoding the result again gives the same path."""
    text = _ESCAPE.sub("%25", text)
    return "".join(f"%{ord(c) - 0xDC00:02X}" if "\udc80" <= c <= "\udcff" else c for c in text)
