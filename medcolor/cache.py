"""Where medcolor keeps what it has fetched or made and can fetch or make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return MEDCOLOR_CACHE, else `medcolor` in the user's cache."""
    own = os.environ.get("MEDCOLOR_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "medcolor"
