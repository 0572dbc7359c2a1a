"""Parts that every page is put together from: sources beside this module, digests, inert data."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files


def source(name: str) -> str:
    """Return the text of a file of this package, without blank lines at its ends."""
    return files("medcolor.render").joinpath(name).read_text(encoding="utf-8").strip("\n")


def script_source(text: str) -> str:
    """Return the name of a script in a Content-Security-Policy: its digest.

    Args:
        text: All that is between the tags.
    """
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def inert_json(data: object) -> str:
    """Return JSON that can stand inside a script element: nothing in it ends the element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c")
