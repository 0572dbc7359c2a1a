"""Names that stand in files and listings: plain names inside one folder, or refused.

A record, an index, a header, an archive, the listing of a bucket or of a site may come from
anybody. No name in them opens, overwrites or deletes a file before it has passed `plain_name`; a
key, parts with slashes between them, passes `plain_key`, which asks it of every part, and
`path_below`.

Links: reading follows them, since git-annex, DataLad and users lay out scans and libraries as
links. Nothing is written or deleted through one that lies below the folder a user named: files are
moved into place, which replaces a link, and folders behind links are refused by `path_below` and
`refuse_links_out`. The folder that a user names may itself be a link.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.parse import unquote

from medcolor.errors import InputError

MOST_BYTES = 200
"""Of a name: file systems take 255, and what is written beside a file bears its name and more."""

_SEPARATORS = re.compile(r"[/\\]")
_LOOK_ALIKE = re.compile("[\u2044\u2215\u2216\u27cb\u27cd\u29f5\u29f8\u29f9]")
"""What is read as a separator; the full-width ones become one when normalized."""

_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that are devices on Windows, in whatever folder."""

_DRIVE = re.compile(r".:")
"""A letter, or whatever Windows takes for one."""

_DIGITS = {chr(0xDC00 + byte): f"\ufffd{byte:02x}" for byte in range(0x80, 0x100)}
_DIGITS["\ufffd"] = "\ufffd--"
_BYTE_OF = {digits: one for one, digits in _DIGITS.items()}
_NO_TEXT = re.compile("[\udc80-\udcff\ufffd]")
_AS_TEXT = re.compile("\ufffd([89a-f][0-9a-f]|--)")
_JOINERS = "\u200c\u200d"
"""Invisible, and needed by several scripts."""


def is_shown(text: str) -> bool:
    """Tell whether all characters of a text are seen; a byte that is no UTF-8 counts as one."""
    return not any(
        unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        for one in text
        if not (one in _JOINERS or "\udc80" <= one <= "\udcff")
    )


_RULES: tuple[tuple[Callable[[str], object], str], ...] = (
    (lambda name: not is_shown(name), "holds characters that are not shown"),
    (lambda name: not name.strip(". "), "is a folder"),
    (_SEPARATORS.search, "leads out of its folder or below it"),
    (_DRIVE.match, "leads out of its folder or below it"),
    (_DEVICE.fullmatch, "is a device on some systems"),
)


def plain_name(name: object, place: object, remedy: str = "") -> str:
    """Return a name that stays inside whichever folder it is used in.

    Args:
        name: As it stood in a file or listing, of whatever type.
        place: Where it stood.
        remedy: What to do about another; by default to correct it.

    Raises:
        InputError: It is no text, empty, too long, a folder (`.`, `..`), has parts, a drive, a
            device's name, or characters that are not shown; also where it would be so once
            percent-decoded or normalized.
    """
    problem = why_not_plain(name)
    if problem:
        raise InputError(
            place,
            f"names the file {_shown(name)}, which {problem}",
            remedy or "Correct it, or get it anew from whom you trust",
        )
    return str(name)


def why_not_plain(name: object) -> str:
    """Return what keeps a name from being plain, in words; empty for a plain name."""
    if not isinstance(name, str):
        return "is no text"
    if not name:
        return "is empty"
    # What other programs, or another part of this one, would make of it.
    for spelling in (name, unquote(name), unicodedata.normalize("NFKC", name)):
        for is_so, problem in _RULES:
            if is_so(spelling):
                return problem
    if _LOOK_ALIKE.search(name):
        return "holds a look-alike of a separator"
    size = len(os.fsencode(name))
    return f"is {size} bytes long, expected at most {MOST_BYTES}" if size > MOST_BYTES else ""


def as_text(name: str) -> str:
    """Return a name, or a path, in characters alone, as formats of text want it.

    A byte that is no UTF-8 becomes the character that stands for such, and its two digits;
    `from_text` returns the name.
    """
    return _NO_TEXT.sub(lambda found: _DIGITS[found[0]], name)


def from_text(text: str) -> str:
    """Return the name that `as_text` wrote so; other texts, older ones too, are names already."""
    return _AS_TEXT.sub(lambda found: _BYTE_OF[found[0]], text)


def plain_key(key: object, place: object, remedy: str = "Rename that object") -> str:
    """Return a key, of parts with slashes between them, every part of which is a plain name.

    Raises:
        InputError: One is not.
    """
    for part in key.split("/") if isinstance(key, str) else [key]:
        problem = why_not_plain(part)
        if problem:
            raise InputError(
                place,
                f"holds the key {_shown(key)}, which is no path below it: {_shown(part)} {problem}",
                remedy,
            )
    return str(key)


def path_below(folder: Path, key: object, place: object | None = None) -> Path:
    """Return the path of a key below a folder, where no link leads out of that folder.

    Args:
        folder: Named by the user; may be a link.
        key: Parts with slashes between them; of one part a name.
        place: Where the key stood; by default the folder.

    Raises:
        InputError: The key is no path below a folder, or a link leads elsewhere.
    """
    path = folder.joinpath(*plain_key(key, folder if place is None else place).split("/"))
    if not _is_within(path.parent, folder) or _leads_out(path, folder):
        raise _link_out(path)
    return path


def refuse_links_out(folder: Path) -> None:
    """Refuse to work below a folder in which a link leads to another folder outside of it.

    Raises:
        InputError: There is one.
    """
    for parent, folders, _ in os.walk(folder):  # goes into no link
        for name in folders:
            if _leads_out(Path(parent, name), folder):
                raise _link_out(Path(parent, name))


def refuse_link(path: Path) -> None:
    """Refuse a link where something is to be written: what it leads to is somebody else's.

    Raises:
        InputError: There is a link of this name.
    """
    if path.is_symlink():
        raise _link_out(path)


@contextmanager
def writing_no_link(path: Path, mode: Literal["wb", "ab"]) -> Iterator[BinaryIO]:
    """Open a file to be written under this very name.

    Raises:
        InputError: There is a link of this name.
    """
    refuse_link(path)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if mode == "ab" else os.O_TRUNC)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o666), mode) as file:
        yield file


def _leads_out(path: Path, folder: Path) -> bool:
    return path.is_symlink() and path.is_dir() and not _is_within(path, folder)


def _is_within(path: Path, folder: Path) -> bool:
    # Not Path.resolve, which raises where links lead in a circle.
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _link_out(path: Path) -> InputError:
    return InputError(
        path, "a link leads out of the folder", "Take it away, or name the place it leads to"
    )


def _shown(name: object) -> str:
    words = ascii(name)
    return words if len(words) <= MOST_BYTES else f"{words[:MOST_BYTES]}.."
