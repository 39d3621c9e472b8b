"""Small files beside a checkpoint, written whole or not at all."""

import json
import os
from pathlib import Path


def write_json(file: Path, content: object) -> None:
    """Replace the file in one step; a reader sees the old content or the new."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    new.write_text(json.dumps(content, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")
    new.replace(file)


def read_json(file: Path) -> dict[str, object] | None:
    """The file's JSON object; None when there is no such file, or none that can be read."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None
