"""Files that are whole or absent."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name and move it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON with sorted keys."""
    write_whole(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
