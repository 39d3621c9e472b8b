"""Small JSON files next to a checkpoint, replaced in one step."""

import json
import os
from pathlib import Path


def write_json(file: Path, content: object) -> None:
    """Replace the file; a reader sees the old content or the new."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    new.write_text(json.dumps(content, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")
    new.replace(file)


def read_json(file: Path) -> dict[str, object] | None:
    """Return the file's JSON object; None for a missing file or other content."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None
