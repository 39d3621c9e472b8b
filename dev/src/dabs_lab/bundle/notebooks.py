"""Recognise notebooks by extension and content, as the CLI does."""

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
    """A file is not a readable notebook; the message says why."""


def is_notebook(file: FilePath) -> bool:
    """Return whether a file is a notebook. Raises UnreadableNotebookError for a folder and a broken Jupyter file."""
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
        notebook, _ = json.JSONDecoder().raw_decode(file.read_text("utf-8", "replace").lstrip())
    except ValueError as error:
        raise UnreadableNotebookError(f"{file.name}: error loading Jupyter notebook file: {error}") from None
    if not isinstance(notebook, dict):
        raise UnreadableNotebookError(f"{file.name}: error loading Jupyter notebook file: not an object")
    if not isinstance(notebook.get("cells"), list) or not isinstance(notebook.get("metadata"), dict):
        raise UnreadableNotebookError(f"{file.name}: invalid Jupyter notebook file")
    version = notebook.get("nbformat", 0)
    if not isinstance(version, int) or version < 4:
        raise UnreadableNotebookError(f"{file.name}: unsupported Jupyter notebook version: {version}")


def without_extension(path: str) -> str:
    """Return a notebook's workspace path: without extension, except for designer files."""
    return path if path.endswith(DESIGNER) else posixpath.splitext(path)[0]
