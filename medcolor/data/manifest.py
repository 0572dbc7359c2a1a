"""What files the site has: its `INDEX`, an `ls -lR` listing, else the links of a directory."""

from __future__ import annotations

import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from medcolor.download import Patience, fetch
from medcolor.errors import InputError
from medcolor.progress import Silent
from medcolor.storage.names import why_not_plain

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_MOST_BYTES = 64 << 20
_REMEDY = "Check the address, or try again later"

Listing = dict[str, int | None]
"""Names of a directory and their bytes, where known."""


def read_index(url: str, patience: Patience) -> dict[str, Listing]:
    """Return the listing of every directory that `INDEX` names; nothing if there is none.

    Args:
        url: Of the dataset's directory.
        patience: With bad connections.
    """
    try:
        text = _text(f"{url}INDEX", patience)
    except InputError:
        return {}
    found: dict[str, Listing] = {}
    directory = ""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 1 and line.endswith(":"):
            directory = line[:-1].removeprefix("./").strip("/")
            directory = "" if directory == "." else directory
        elif len(words) >= 9 and line[0] == "-" and words[4].isdigit():
            whole = "/".join(part for part in (directory, words[8].removeprefix("./")) if part)
            parent, _, name = whole.rpartition("/")
            if all(map(_is_harmless, whole.split("/"))):
                found.setdefault(f"{parent}/" if parent else "", {})[name] = int(words[4])
    return found


def read_links(url: str, patience: Patience) -> Listing:
    """Return the files that a directory's page links to.

    Raises:
        InputError: No such directory.
    """
    parser = _Links()
    parser.feed(_text(url, patience))
    return {name: None for name in map(unquote, parser.targets) if _is_harmless(name)}


def _is_harmless(name: str) -> bool:
    """Tell plain file names from all that could lead elsewhere, also as part of an address."""
    return _NAME.fullmatch(name) is not None and not why_not_plain(name)


def _text(url: str, patience: Patience) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page"
        fetch(url, path, _REMEDY, Silent(), patience)
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(url, "a listing of more than 64 MiB", _REMEDY)
        return path.read_text("latin-1")


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets += [value for key, value in attrs if key == "href" and value]
