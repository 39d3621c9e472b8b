"""Recognise notebooks by their file, as the CLI does."""

import json
import posixpath
from pathlib import Path as FilePath

DESIGNER = ".designer.ipynb"
_HEADERS = {
    ".py": "# Databricks notebook source",
    ".r": "# Databricks notebook source",
    ".scala": "// Databricks notebook source",
    ".sql": "-- Databricks notebook source",
}


class UnreadableNotebookError(Exception):
    """A Jupyter file that is not a notebook; the message says why."""


def is_notebook(file: FilePath) -> bool:
    """True for a notebook. Raises UnreadableNotebookError for a Jupyter file with another content, and for a folder."""
    if file.is_dir():
        raise UnreadableNotebookError(f"read {file.name}/.: is a directory")
    suffix = file.suffix.lower()
    if suffix == ".ipynb":
        _check_jupyter(file)
        return True
    if suffix not in _HEADERS or not file.is_file():
        return False
    with file.open("rb") as stream:
        head = stream.read(32).decode("utf-8", "replace")
    return head.split("\n", 1)[0].rstrip("\r") == _HEADERS[suffix]


def _check_jupyter(file: FilePath) -> None:
    try:
        # The CLI reads the first JSON value of the file.
        read, _ = json.JSONDecoder().raw_decode(file.read_text("utf-8", "replace").lstrip())
    except ValueError as error:
        raise UnreadableNotebookError(f"{file.name}: error loading Jupyter notebook file: {error}") from None
    if not isinstance(read, dict):
        raise UnreadableNotebookError(f"{file.name}: error loading Jupyter notebook file: not an object")
    if not isinstance(read.get("cells"), list) or not isinstance(read.get("metadata"), dict):
        raise UnreadableNotebookError(f"{file.name}: invalid Jupyter notebook file")
    version = read.get("nbformat", 0)
    if not isinstance(version, int) or version < 4:
        raise UnreadableNotebookError(f"{file.name}: unsupported Jupyter notebook version: {version}")


def without_extension(path: str) -> str:
    """Return the path of a notebook in the workspace: without extension, unless it is a file of the designer."""
    return path if path.endswith(DESIGNER) else posixpath.splitext(path)[0]
